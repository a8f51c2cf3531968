#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "vision/models/layers.hpp"

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

namespace {

std::function<void(nn::Module&, std::uint64_t)> init_by(InitRule rule) {
  return [rule](nn::Module& module, std::uint64_t seed) { init_weights(module, rule, seed); };
}

Arch resnet(int layers, std::string weights_file) {
  return {.name = fmt::format("resnet{}", layers),
          .make = [layers](std::int64_t classes) { return make_resnet(layers, classes); },
          .init = init_by({.conv = ConvInit::kNormalFanOut}),
          .weights_file = std::move(weights_file),
          .cut = -2,
          .boundaries = {{6}}};
}

Arch squeezenet(bool version_1_1, std::string weights_file) {
  return {.name = version_1_1 ? "squeezenet1_1" : "squeezenet1_0",
          .make = [=](std::int64_t classes) { return make_squeezenet(version_1_1, classes); },
          .init = init_by({.conv = ConvInit::kUniformFanIn, .small_classifier = true}),
          .weights_file = std::move(weights_file),
          .cut = -1,
          .boundaries = {{0, 5}, {0, 8}}};
}

Arch densenet(int layers, std::string weights_file) {
  return {.name = fmt::format("densenet{}", layers),
          .make = [layers](std::int64_t classes) { return make_densenet(layers, classes); },
          .init = init_by({.conv = ConvInit::kNormalFanIn, .linear = LinearInit::kDefaultZeroBias}),
          .weights_file = std::move(weights_file),
          .cut = -1,
          .boundaries = {{0, 7}}};
}

Arch vgg_bn(int layers, std::string weights_file) {
  return {.name = fmt::format("vgg{}_bn", layers),
          .make = [layers](std::int64_t classes) { return make_vgg_bn(layers, classes); },
          .init = init_by({.conv = ConvInit::kNormalFanOut, .linear = LinearInit::kNormal}),
          .weights_file = std::move(weights_file),
          .cut = -1,
          .boundaries = {{0, 22}}};
}

}  // namespace

const Arch resnet18 = resnet(18, "resnet18-f37072fd.pth");
const Arch resnet34 = resnet(34, "resnet34-b627a593.pth");
const Arch resnet50 = resnet(50, "resnet50-0676ba61.pth");
const Arch resnet101 = resnet(101, "resnet101-63fe2227.pth");
const Arch resnet152 = resnet(152, "resnet152-394f9c45.pth");
const Arch squeezenet1_0 = squeezenet(false, "squeezenet1_0-b66bff10.pth");
const Arch squeezenet1_1 = squeezenet(true, "squeezenet1_1-b8a52dc0.pth");
const Arch densenet121 = densenet(121, "densenet121-a639ec97.pth");
const Arch densenet161 = densenet(161, "densenet161-8d451a50.pth");
const Arch densenet169 = densenet(169, "densenet169-b2777c0a.pth");
const Arch densenet201 = densenet(201, "densenet201-c1103571.pth");
const Arch vgg11_bn = vgg_bn(11, "vgg11_bn-6002323d.pth");
const Arch vgg13_bn = vgg_bn(13, "vgg13_bn-abd245e5.pth");
const Arch vgg16_bn = vgg_bn(16, "vgg16_bn-6c64b313.pth");
const Arch vgg19_bn = vgg_bn(19, "vgg19_bn-c79401a0.pth");
const Arch alexnet{.name = "alexnet",
                   .make = make_alexnet,
                   .init = init_by({}),
                   .weights_file = "alexnet-owt-7be5be79.pth",
                   .cut = -1,
                   .boundaries = {{0, 6}}};
const Arch mobilenet_v2{
    .name = "mobilenet_v2",
    .make = make_mobilenet_v2,
    .init = init_by({.conv = ConvInit::kNormalFanOut, .linear = LinearInit::kNormal}),
    .weights_file = "mobilenet_v2-b0353104.pth",
    .cut = -1,
    .boundaries = {{0, 10}}};

namespace {

const std::vector<const Arch*>& all() {
  static const std::vector<const Arch*> list{
      &resnet18,      &resnet34,    &resnet50,    &resnet101,   &resnet152,   &squeezenet1_0,
      &squeezenet1_1, &densenet121, &densenet161, &densenet169, &densenet201, &vgg11_bn,
      &vgg13_bn,      &vgg16_bn,    &vgg19_bn,    &alexnet,     &mobilenet_v2};
  return list;
}

// Those of the users. They stay where they are and are never taken away, so references to them do not die.
struct Registered {
  std::mutex mutex;
  std::deque<Arch> list;
};
Registered& registered() {
  static Registered own;
  return own;
}

// With the lock held.
const Arch* look_up(std::string_view name) {
  for (const auto* arch : all()) {
    if (arch->name == name) return arch;
  }
  for (const auto& arch : registered().list) {
    if (arch.name == name) return &arch;
  }
  return nullptr;
}

}  // namespace

const Arch& find(std::string_view name) {
  return boundary([&]() -> const Arch& {
    {
      const std::lock_guard lock(registered().mutex);
      if (const auto* arch = look_up(name)) return *arch;
    }
    throw ValueError("value.unknown_arch",
                     fmt::format("no architecture is called \"{}\"; known: {}; others become known "
                                 "by register_arch",
                                 name, fmt::join(names(), ", ")));
  });
}

std::vector<std::string> names() {
  return boundary([] {
    std::vector<std::string> result;
    for (const auto* arch : all()) result.push_back(arch->name);
    const std::lock_guard lock(registered().mutex);
    for (const auto& arch : registered().list) result.push_back(arch.name);
    return result;
  });
}

const Arch& register_arch(Arch arch) {
  return boundary([&]() -> const Arch& {
    if (arch.name.empty()) throw ValueError("value.arch", "an architecture needs a name");
    if (!arch.make) {
      throw ValueError("value.arch",
                       fmt::format("the architecture \"{}\" has no function `make`", arch.name));
    }
    auto& own = registered();
    const std::lock_guard lock(own.mutex);
    if (look_up(arch.name)) {
      throw ValueError(
          "value.arch",
          fmt::format("an architecture is called \"{}\" already; choose another name", arch.name));
    }
    return own.list.emplace_back(std::move(arch));
  });
}

std::shared_ptr<Network> make_network(const Arch& arch, std::int64_t num_classes) {
  if (!arch.make) {
    throw ValueError("value.arch",
                     fmt::format("the architecture \"{}\" has no function `make`", arch.name));
  }
  auto network = arch.make(num_classes);
  if (!network) {
    throw ValueError("value.arch", fmt::format("the architecture \"{}\": its function `make` gave "
                                               "no network (null)",
                                               arch.name));
  }
  return network;
}

std::vector<std::shared_ptr<nn::Module>> Arch::split(const nn::Sequential& model) const {
  return boundary([&] {
    if (model.is_empty()) {
      throw ValueError("value.split", fmt::format("{}: there is no model (null) to split", name));
    }
    const auto parts = model->children();
    if (parts.size() != 2) {
      throw ValueError("value.split",
                       fmt::format("{}: the model has {} children, expected two: body "
                                   "and head; give `split_on`",
                                   name, parts.size()));
    }
    std::vector<std::shared_ptr<nn::Module>> starts;
    for (const auto& path : boundaries) {
      auto place = parts[0];
      for (const auto index : path) {
        const auto children = place->children();
        if (index >= children.size()) {
          throw ValueError(
              "value.split",
              fmt::format("{}: the body has no part [{}] at which a layer group should "
                          "begin; with an own `cut` give `split_on` as well",
                          name, fmt::join(path, "][")));
        }
        place = children[index];
      }
      starts.push_back(std::move(place));
    }
    starts.push_back(parts[1]);
    return starts;
  });
}

}  // namespace fastcpp::models
