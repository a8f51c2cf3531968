/// \file
/// Looking at what the layers of a network give, while it runs (fastai: `callbacks.hooks`).
///
/// LibTorch's C++ modules have no hooks, so those who run layers tell: a `Model` of the layers of a `torch::nn::Sequential`,
/// a `models::Stack` and a `models::Network` of theirs, and a `Model` of itself. A layer with a weight of its own that a
/// network's `forward` calls by itself, such as the second convolution of a residual block, is known by the operation that
/// takes its weight. What is neither (a layer without weight inside a block) is not seen.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

namespace detail {
struct HookState;
}  // namespace detail

/// Options of Hook and Hooks, in fastai's order.
struct HookOptions {
  bool is_forward = true;  ///< see outputs; false: see the gradients of outputs
  bool detach = true;      ///< without the graph
};

/// Options of `hook_output` and `hook_outputs`, in fastai's order.
struct HookOutputOptions {
  bool detach = true;  ///< without the graph
  bool grad = false;   ///< the gradient of the output instead
};

/// Sees the outputs of one layer, or their gradients, from when it is made until it is removed (fastai: `Hook`).
///
/// A handle: copies are the same hook, and it ends with the last of them. Keeps the layer alive. It sees the passes of the
/// thread that made it (a training is one thread) through a `Model`, `forward`, or a network of the library; a layer that
/// runs several times in a pass is seen each time. Threads: one at a time.
class FASTCPP_API Hook {
 public:
  /// Called with the layer and its output (or the gradient of that); what it gives is kept in `stored`. It may run
  /// networks, which no hook sees. What it throws leaves the pass.
  using Function =
      std::function<torch::Tensor(const torch::nn::Module& module, const torch::Tensor& output)>;

  /// \param module    a layer, on its own or part of a network
  /// \param hook_func see Function
  /// \param options   outputs or gradients, with or without graph
  /// \throws ValueError `value.hook` when the layer is null or the function empty
  Hook(std::shared_ptr<torch::nn::Module> module, Function hook_func,
       const HookOptions& options = {});

  /// What the function gave last; undefined before.
  const torch::Tensor& stored() const;
  /// The layer.
  const std::shared_ptr<torch::nn::Module>& module() const;
  /// Forgets what is stored.
  void clear();
  /// Ends the hook, for all copies; what is stored stays.
  void remove();

 private:
  std::shared_ptr<detail::HookState> state_;
};

/// Hooks on several layers (fastai: `Hooks`). Lifetime and threads as Hook.
class FASTCPP_API Hooks {
 public:
  /// None.
  Hooks() = default;
  /// One for each layer.
  /// \throws ValueError `value.hook` when a layer is null or the function empty
  Hooks(const std::vector<std::shared_ptr<torch::nn::Module>>& modules,
        const Hook::Function& hook_func, const HookOptions& options = {});

  /// How many they are.
  std::size_t size() const { return hooks_.size(); }
  /// That of the layer at this place, 0 .. size() - 1.
  const Hook& operator[](std::size_t i) const { return hooks_[i]; }
  /// The first.
  std::vector<Hook>::const_iterator begin() const { return hooks_.begin(); }
  /// Behind the last.
  std::vector<Hook>::const_iterator end() const { return hooks_.end(); }
  /// What each of them has stored; undefined where a layer did not run.
  std::vector<torch::Tensor> stored() const;
  /// Forgets what is stored.
  void clear();
  /// Ends all of them; what is stored stays.
  void remove();

 private:
  std::vector<Hook> hooks_;
};

/// A hook that stores the output of a layer, or its gradient (fastai: `hook_output`).
/// \throws ValueError `value.hook` when the layer is null
FASTCPP_API Hook hook_output(std::shared_ptr<torch::nn::Module> module,
                             const HookOutputOptions& options = {});

/// Hooks that store the outputs of layers, or their gradients (fastai: `hook_outputs`). Those of a sequence:
/// `hook_outputs(body->children())`.
/// \throws ValueError `value.hook` when a layer is null
FASTCPP_API Hooks hook_outputs(const std::vector<std::shared_ptr<torch::nn::Module>>& modules,
                               const HookOutputOptions& options = {});

}  // namespace fastcpp
