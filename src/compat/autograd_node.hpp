// An operation of one's own in the graph, for all versions of LibTorch: the later ones count references inside the node.
#pragma once

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/version.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace fastcpp::inline v0::compat {

// One that the training may run backward without LibTorch's engine (train/chain.hpp): it has one output, and makes gradients of the
// right sizes and types.
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
#if TORCH_VERSION_MAJOR >= 2
  if (!node.tensor_pre_hooks().empty() || !node.retains_grad_hooks().empty() ||
      node.tensor_post_acc_grad_hooks()) {
    return true;
  }
#endif
  return !node.pre_hooks().empty() || !node.post_hooks().empty();
}

}  // namespace fastcpp::compat
