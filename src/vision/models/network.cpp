#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <typeinfo>
#include <utility>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/hooks/watched.hpp"
#include "vision/models/layers.hpp"

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

std::shared_ptr<Stack> Stack::from(const nn::Sequential& layers) {
  return boundary([&] {
    if (layers.is_empty()) throw ValueError("value.network", "Stack::from got no layers (null)");
    if (auto same = std::dynamic_pointer_cast<Stack>(layers.ptr())) return same;
    auto result = std::make_shared<Stack>();
    std::size_t i = 0;
    const auto children = layers->named_children();
    for (const auto& layer : *layers) result->push_back(children[i++].key(), layer);
    result->train(layers->is_training());
    return result;
  });
}

namespace {

// What a packed convolution can do itself instead of the layer behind it; not for a class derived from these, whose
// `forward` may do something else.
Activation activation_of(const nn::Module& layer) {
  if (typeid(layer) == typeid(nn::ReLUImpl)) return Activation::kRelu;
  return typeid(layer) == typeid(nn::ReLU6Impl) ? Activation::kRelu6 : Activation::kNone;
}

std::optional<PoolWindow> pool_of(const nn::Module& layer) {
  return typeid(layer) == typeid(MaxPool2dImpl) ? layer.as<MaxPool2dImpl>()->packed()
                                                : std::nullopt;
}

// Runs `count` layers in turn. A packed convolution does what those behind it would, as far as it can.
// \param layer gives the layer of a number, a torch::nn::AnyModule
template <typename Layer>
Tensor run_layers(std::size_t count, const Layer& layer, Tensor x) {
  for (std::size_t i = 0; i < count;) {
    nn::AnyModule& here = layer(i++);
    const auto module = here.ptr();
    if (is_folded(*module)) continue;
    const auto* conv = module->as<Conv2dImpl>();
    if (const auto packed = conv && !detail::has_hooks() ? conv->packed(x) : nullptr) {
      const auto behind = [&]() -> const nn::Module& { return *layer(i).ptr(); };
      while (i < count && is_folded(behind())) ++i;
      ConvExtras extras;
      if (i < count) extras.activation = activation_of(behind());
      if (extras.activation != Activation::kNone) ++i;
      if (i < count) extras.pool = pool_of(behind());
      if (extras.pool) ++i;
      x = packed->run(x, extras);
      continue;
    }
    x = detail::watched(*module, [&] { return here.forward(std::move(x)); });
  }
  return x;
}

}  // namespace

torch::Tensor Stack::forward(torch::Tensor x) {
  return detail::watched(*this, [&] {
    const auto layer = [&](std::size_t i) -> nn::AnyModule& {
      return *(begin() + static_cast<std::ptrdiff_t>(i));
    };
    return run_layers(size(), layer, std::move(x));
  });
}

std::shared_ptr<nn::Module> Stack::clone(const torch::optional<torch::Device>& device) const {
  auto copy = std::make_shared<Stack>();
  copy->train(is_training());
  std::size_t i = 0;
  const auto children = named_children();
  for (const auto& layer : *this) copy->push_back(children[i++].key(), layer.clone(device));
  return copy;
}

void Network::add(std::string name, nn::AnyModule layer) {
  boundary([&] {
    register_module(std::move(name), layer.ptr());
    stages_.push_back({std::move(layer), nullptr});
  });
}

void Network::then(Step step) {
  if (stages_.empty()) {
    throw ValueError("value.network", "Network::then: there is no child yet to run the step after");
  }
  if (!step) throw ValueError("value.network", "Network::then: the step is empty");
  stages_.back().after = std::move(step);
}

torch::Tensor Network::forward(torch::Tensor x) {
  return detail::watched(*this, [&] {
    for (auto first = stages_.begin(); first != stages_.end();) {
      const auto layer = [&](std::size_t i) -> nn::AnyModule& {
        return first[static_cast<std::ptrdiff_t>(i)].layer;
      };
      // Up to the next step.
      auto last = first;
      while (last != stages_.end() && !last->after) ++last;
      const bool steps = last != stages_.end();
      const auto count = static_cast<std::size_t>(last - first) + (steps ? 1 : 0);
      x = run_layers(count, layer, std::move(x));
      if (steps) x = last->after(std::move(x));
      first += static_cast<std::ptrdiff_t>(count);
    }
    return std::move(x);
  });
}

std::vector<std::vector<std::shared_ptr<nn::Module>>> NetworkLayers::chains(
    const Network& network) {
  std::vector<std::vector<std::shared_ptr<nn::Module>>> result(1);
  for (const auto& stage : network.stages_) {
    result.back().push_back(stage.layer.ptr());
    if (stage.after) result.emplace_back();
  }
  return result;
}

nn::Sequential Network::body(std::int64_t cut) const {
  return boundary([&] {
    const auto count = static_cast<std::int64_t>(stages_.size());
    const auto end = cut < 0 ? count + cut : cut;
    if (end <= 0 || end > count) {
      throw ValueError(
          "value.cut",
          fmt::format("cut = {}: the network has {} children; the cut must keep at least "
                      "one of them and cannot keep more",
                      cut, count));
    }
    auto result = std::make_shared<Stack>();
    for (std::int64_t i = 0; i < end; ++i) {
      result->push_back(stages_[static_cast<std::size_t>(i)].layer);
    }
    return nn::Sequential(std::shared_ptr<nn::SequentialImpl>(std::move(result)));
  });
}

namespace {

bool is_pool(const nn::Module& layer) {
  std::string name = layer.name();
  if (name.ends_with("Impl")) name.resize(name.size() - 4);
  return name.ends_with("Pool1d") || name.ends_with("Pool2d") || name.ends_with("Pool3d");
}

}  // namespace

std::int64_t Network::default_cut() const {
  const auto all = children();
  for (auto i = static_cast<std::int64_t>(all.size()) - 1; i >= 0; --i) {
    for (const auto& layer : all[static_cast<std::size_t>(i)]->modules()) {
      if (is_pool(*layer)) return i;
    }
  }
  throw ValueError(
      "value.cut",
      "the network has no pooling layer by which to find the end of its body; give `cut`");
}

std::shared_ptr<nn::Module> Network::clone(const torch::optional<torch::Device>& device) const {
  auto copy = std::make_shared<Network>();
  copy->train(is_training());
  std::size_t i = 0;
  for (const auto& child : named_children()) {
    const auto& stage = stages_[i++];
    copy->add(child.key(), stage.layer.clone(device));
    if (stage.after) copy->then(stage.after);
  }
  return copy;
}

}  // namespace fastcpp::models
