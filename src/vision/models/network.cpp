#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>

#include <fmt/format.h>

#include <typeinfo>

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

}  // namespace

torch::Tensor Stack::forward(torch::Tensor x) {
  return detail::watched(*this, [&] {
    for (auto next = begin(); next != end();) {
      auto& layer = *next++;
      const auto module = layer.ptr();
      if (is_folded(*module)) continue;
      if (const auto* conv = module->as<Conv2dImpl>(); conv && !detail::has_hooks()) {
        if (const auto packed = conv->packed(x)) {
          while (next != end() && is_folded(*next->ptr())) ++next;
          const auto activation = next == end() ? Activation::kNone : activation_of(*next->ptr());
          if (activation != Activation::kNone) ++next;
          x = packed->run(x, {.activation = activation});
          continue;
        }
      }
      x = detail::watched(*module, [&] { return layer.forward(std::move(x)); });
    }
    return std::move(x);
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
    for (auto& stage : stages_) {
      x = detail::watched(*stage.layer.ptr(), [&] { return stage.layer.forward(std::move(x)); });
      if (stage.after) x = stage.after(std::move(x));
    }
    return std::move(x);
  });
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
