// What the golden files say of networks on tables: their parts in Python's words, and weights by rule in double precision.
#pragma once

#include <fmt/format.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <string>
#include <vector>

#include "support/golden.hpp"
#include "support/weight_rule.hpp"

namespace fastcpp::test {

// A layer as Python prints it, without what is default.
inline std::string layer_text(const torch::nn::Module& layer) {
  namespace nn = torch::nn;
  if (const auto* l = layer.as<nn::EmbeddingImpl>()) {
    return fmt::format("Embedding({}, {})", l->weight.size(0), l->weight.size(1));
  }
  if (const auto* l = layer.as<nn::LinearImpl>()) {
    return fmt::format("Linear({}, {})", l->weight.size(1), l->weight.size(0));
  }
  if (const auto* l = layer.as<nn::BatchNorm1dImpl>()) {
    return fmt::format("BatchNorm1d({})", l->weight.size(0));
  }
  if (const auto* l = layer.as<nn::DropoutImpl>())
    return fmt::format("Dropout({})", l->options.p());
  if (layer.as<nn::ReLUImpl>()) return "ReLU";
  if (layer.as<nn::ModuleListImpl>()) return "ModuleList";
  if (layer.as<nn::SequentialImpl>()) return "Sequential";
  return "?";
}

// Children in words.
inline Json layer_texts(const torch::nn::Module& module) {
  auto texts = Json::array();
  for (const auto& layer : module.children()) texts.push_back(layer_text(*layer));
  return texts;
}

// Names and shapes of the state dict, in order.
inline Json state_shapes(const torch::nn::Module& module) {
  auto entries = Json::array();
  walk_state(module, [&](const std::string& name, const torch::Tensor& value) {
    entries.push_back({name, value.sizes().vec()});
  });
  return entries;
}

inline std::int64_t count_parameters(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const auto& one : module.parameters()) count += one.numel();
  return count;
}

// Floating-point entries become double; counters stay integers, which `Module::to` would convert.
inline void widen(torch::nn::Module& module) {
  walk_state(module, [](const std::string&, torch::Tensor value) {
    if (value.is_floating_point()) value.set_data(value.detach().to(torch::kFloat64));
  });
}

}  // namespace fastcpp::test
