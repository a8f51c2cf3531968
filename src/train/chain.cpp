#include "train/chain.hpp"

#include <ATen/EmptyTensor.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/utils.h>

#include <utility>
#include <vector>

#include "compat/autograd_node.hpp"

namespace fastcpp::inline v0 {
namespace {

using compat::ChainNode;
using torch::autograd::AccumulateGrad;
using torch::autograd::Edge;
using torch::autograd::Node;
using Variables = torch::autograd::variable_list;

// The first edge whose end is not a parameter's; null when there is none.
const Edge* onward(const Node& node) {
  for (const auto& edge : node.next_edges()) {
    if (edge.is_valid() && !dynamic_cast<AccumulateGrad*>(edge.function.get())) return &edge;
  }
  return nullptr;
}

// The operations behind a loss, when each leads to parameters and to one other of them, and nobody looks on.
std::vector<ChainNode*> chain_of(const torch::Tensor& loss) {
  const bool plain = loss.dim() == 0 && loss.device().is_cpu() &&
                     loss.scalar_type() == torch::kFloat32 &&
                     !torch::autograd::AnomalyMode::is_enabled();
  if (!plain) return {};
  std::vector<ChainNode*> chain;
  for (auto* node = loss.grad_fn().get(); node;) {
    auto* const own = dynamic_cast<ChainNode*>(node);
    if (!own || compat::has_hooks(*own)) return {};
    chain.push_back(own);
    const auto* const on = onward(*own);
    for (const auto& edge : own->next_edges()) {
      if (!edge.is_valid() || &edge == on) continue;
      auto* const parameter = dynamic_cast<AccumulateGrad*>(edge.function.get());
      if (!parameter || compat::has_hooks(*parameter) ||
          !compat::takes_float32(parameter->variable)) {
        return {};
      }
    }
    node = on ? on->function.get() : nullptr;
  }
  return chain;
}

}  // namespace

void backward(const torch::Tensor& loss) {
  if (!backward_of_chain(loss)) loss.backward();
}

bool backward_of_chain(const torch::Tensor& loss) {
  const auto chain = chain_of(loss);
  if (chain.empty()) return false;
  const torch::NoGradGuard no_grad;
  torch::Tensor gradient(at::detail::empty_cpu({}, torch::kFloat32));
  *gradient.data_ptr<float>() = 1;
  for (auto* const node : chain) {
    auto made = (*node)({std::move(gradient)});
    gradient.reset();
    const auto* const on = onward(*node);
    for (std::size_t i = 0; i < made.size(); ++i) {
      const auto& edge = node->next_edge(i);
      if (&edge == on) {
        gradient = std::move(made[i]);
      } else if (edge.is_valid()) {
        Variables one;
        // Moved: what someone else refers to is copied there.
        one.push_back(std::move(made[i]));
        (*edge.function)(std::move(one));
      }
    }
    node->release_variables();
  }
  return true;
}

}  // namespace fastcpp
