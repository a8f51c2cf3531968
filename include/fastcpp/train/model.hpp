/// \file
/// Any network, as the learner sees it.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <utility>

#include "fastcpp/export.hpp"

namespace fastcpp {

/// A module and how to run it. A cheap handle: copies share the module.
///
/// Made from any LibTorch module (holder or shared pointer) whose `forward` maps one tensor to one
/// tensor, for example `torch::nn::Sequential`.
class Model {
 public:
  Model() = default;

  /// From a module holder such as `torch::nn::Sequential`.
  template <typename Contained>
  Model(const torch::nn::ModuleHolder<Contained>& holder) : Model(holder.ptr()) {}

  /// From a shared pointer to a module.
  template <typename M>
  Model(std::shared_ptr<M> module)
      : module_(module),
        forward_([raw = module.get()](const torch::Tensor& x) -> torch::Tensor {
          return raw->forward(x);
        }),
        clone_([](const torch::nn::Module& original) {
          return Model(std::dynamic_pointer_cast<M>(original.clone()));
        }) {}

  /// From a module and how to run it.
  Model(std::shared_ptr<torch::nn::Module> module,
        std::function<torch::Tensor(const torch::Tensor&)> forward)
      : module_(std::move(module)), forward_(std::move(forward)) {}

  /// A deep copy that shares nothing.
  /// \throws c10::Error when the module cannot be cloned (it is no `torch::nn::Cloneable`);
  /// std::bad_function_call for a model that was made with a function of its own
  Model clone() const { return clone_(*module_); }

  /// Runs the network.
  torch::Tensor operator()(const torch::Tensor& x) const { return forward_(x); }

  torch::nn::Module* operator->() const { return module_.get(); }
  torch::nn::Module& operator*() const { return *module_; }
  const std::shared_ptr<torch::nn::Module>& ptr() const { return module_; }
  explicit operator bool() const { return module_ != nullptr; }

 private:
  std::shared_ptr<torch::nn::Module> module_;
  std::function<torch::Tensor(const torch::Tensor&)> forward_;
  std::function<Model(const torch::nn::Module&)> clone_;
};

}  // namespace fastcpp
