// An operation of one's own in the graph, for all versions of LibTorch: the later ones count references inside the node.
#pragma once

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace fastcpp::inline v0::compat {

// One that the training may run backward without LibTorch's engine (train/chain.hpp). It runs on the CPU and has one output. `apply`
// takes one gradient, float32, and returns one for each edge, of the right sizes, contiguous and shared with nobody;
// `release_variables` may follow it.
class ChainNode : public torch::autograd::Node {
 public:
  using Node::Node;
};

using NodePtr = decltype(torch::autograd::Edge::function);

// \tparam NodeType derived from torch::autograd::Node
template <typename NodeType, typename... Args>
NodePtr make_node(Args&&... args) {
  if constexpr (std::is_same_v<NodePtr, std::shared_ptr<torch::autograd::Node>>) {
    return std::make_shared<NodeType>(std::forward<Args>(args)...);
  } else {
    return c10::make_intrusive<NodeType>(std::forward<Args>(args)...);
  }
}

// Null is none.
inline bool is_chain_node(const NodePtr& node) {
  return node && dynamic_cast<const ChainNode*>(&*node);
}

// Whether someone wants to see the gradients that the node is given or makes.
inline bool has_hooks(torch::autograd::Node& node) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)
  if (node.tensor_post_acc_grad_hooks()) return true;
#endif
#if TORCH_VERSION_MAJOR >= 2
  if (!node.tensor_pre_hooks().empty() || !node.retains_grad_hooks().empty()) return true;
#else
  // The node of a parameter asks it for its hooks.
  const auto* const parameter = dynamic_cast<torch::autograd::AccumulateGrad*>(&node);
  if (parameter && !torch::autograd::impl::hooks(parameter->variable).empty()) return true;
#endif
  return !node.pre_hooks().empty() || !node.post_hooks().empty();
}

// Whether the gradient of a parameter in single precision is to be in single precision too: newer versions let one choose.
template <typename Parameter>
bool takes_float32(const Parameter& parameter) {
  if constexpr (requires { parameter.grad_dtype(); }) {
    return parameter.grad_dtype().value_or(at::kFloat) == at::kFloat;
  }
  return true;
}

}  // namespace fastcpp::compat
