// A function that is called when the gradient of a parameter is complete, for all versions of LibTorch.
#pragma once

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace fastcpp::inline v0::compat {

// While it lives, `f` is called in each backward pass after the parameter's gradient was added to `grad()`, by the thread
// that runs the pass.
class GradientHook {
 public:
  GradientHook(const at::Tensor& parameter, std::function<void()> f)
      // The parameter knows its node only as long as somebody keeps it.
      : node_(torch::autograd::impl::grad_accumulator(parameter)) {
    using torch::autograd::variable_list;
    key_ = node_->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
        [f = std::move(f)](const variable_list& outputs, const variable_list&) {
          f();
          return outputs;
        }));
  }
  ~GradientHook() { node_->del_post_hook(key_); }
  GradientHook(const GradientHook&) = delete;
  GradientHook& operator=(const GradientHook&) = delete;

 private:
  // A std::shared_ptr of LibTorch 2.13 and earlier, then a pointer of its own.
  decltype(torch::autograd::impl::grad_accumulator(std::declval<const at::Tensor&>())) node_;
  std::uintptr_t key_ = 0;
};

}  // namespace fastcpp::compat
