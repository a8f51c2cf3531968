#include "fastcpp/train/model_sizes.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/hooks/hook.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/optim/layers.hpp"

namespace fastcpp::inline v0 {
namespace {

// The weight of the first layer that has one. A weight of one dimension says nothing of channels.
torch::Tensor first_weight(const Model& model) {
  if (!model) {
    throw ValueError("value.model", "a dummy batch is for a network, found none (null)");
  }
  for (const auto& layer : flatten_model(model.ptr())) {
    const auto own = layer->named_parameters(/*recurse=*/false);
    const auto* weight = own.find("weight");
    if (weight && weight->defined() && weight->dim() >= 2) return *weight;
  }
  throw ValueError("value.model",
                   "how many channels the network takes is not known: none of its layers has a "
                   "weight; run it on a batch of your own");
}

}  // namespace

torch::Tensor dummy_batch(const Model& model, std::pair<std::int64_t, std::int64_t> size) {
  if (size.first < 1 || size.second < 1) {
    throw ValueError("value.size", fmt::format("a dummy batch has a height and a width >= 1, found "
                                               "{} x {}",
                                               size.first, size.second));
  }
  return boundary([&] {
    const auto weight = first_weight(model);
    auto random = at::make_generator<at::CPUGeneratorImpl>(0);
    return torch::empty({1, weight.size(1), size.first, size.second}, torch::kFloat32)
        .uniform_(-1, 1, random)
        .to(weight.options().requires_grad(false));
  });
}

Tensors dummy_eval(const Model& model, std::pair<std::int64_t, std::int64_t> size) {
  const auto x = dummy_batch(model, size);
  return guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    const EvaluationMode evaluation(model);
    return forward(model, x);
  });
}

std::vector<std::vector<std::int64_t>> model_sizes(const Model& model,
                                                   std::pair<std::int64_t, std::int64_t> size) {
  if (!model) first_weight(model);  // says what is missing
  return guarded(1, [&] {
    const auto hooks = hook_outputs(model->children());
    dummy_eval(model, size);
    std::vector<std::vector<std::int64_t>> sizes;
    for (const auto& seen : hooks.stored())
      sizes.push_back(seen.defined() ? seen.sizes().vec() : std::vector<std::int64_t>{});
    return sizes;
  });
}

bool has_params(const torch::nn::Module& module) {
  return !module.parameters().empty();
}

}  // namespace fastcpp
