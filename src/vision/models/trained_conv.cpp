#include "vision/models/trained_conv.hpp"

#include <ATen/ops/convolution_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <tuple>

#include "fastcpp/kernels/packed_conv.hpp"

namespace fastcpp::inline v0::models {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using Variables = torch::autograd::variable_list;

// Of x: a convolution of the output's gradient with the filters turned round, inputs and outputs exchanged.
Tensor gradient_of_input(const Tensor& dy, const Tensor& weight, std::int64_t padding) {
  const auto turned = weight.detach().transpose(0, 1).flip({2, 3});
  return PackedConv::run_once(dy, turned, {}, 2 - padding);
}

// `filters`: the weight, and the bias where there is one.
struct TrainedConv : torch::autograd::Function<TrainedConv> {
  static Tensor forward(AutogradContext* context, const Tensor& x, at::TensorList filters,
                        std::int64_t padding) {
    const auto bias = filters.size() > 1 ? filters[1] : Tensor();
    // Only the gradient of the weight needs x.
    context->save_for_backward({filters[0].requires_grad() ? x : Tensor(), filters[0]});
    context->saved_data["padding"] = padding;
    context->saved_data["bias"] = bias.defined();
    return PackedConv::run_once(x, filters[0], bias, padding);
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &dy = gradients[0];
    const auto padding = context->saved_data["padding"].toInt();
    const bool bias = context->saved_data["bias"].toBool();
    const std::array<bool, 3> wanted{context->needs_input_grad(0), context->needs_input_grad(1),
                                     bias && context->needs_input_grad(2)};
    Variables result(bias ? 4 : 3);
    if (torch::GradMode::is_enabled()) {  // this pass makes a graph itself
      const c10::impl::ExcludeDispatchKeyGuard no_casts(c10::autocast_dispatch_keyset);
      if (wanted[0]) result[0] = torch::conv_transpose2d(dy, weight, {}, 1, padding);
      if (wanted[1]) {
        result[1] = std::get<1>(at::convolution_backward(dy, x, weight, at::OptionalIntArrayRef{},
                                                         {1, 1}, {padding, padding}, {1, 1}, false,
                                                         {0, 0}, 1, {false, true, false}));
      }
      if (wanted[2]) result[2] = dy.sum({0, 2, 3});
      return result;
    }
    if (wanted[0]) result[0] = gradient_of_input(dy, weight, padding);
    if (wanted[1]) result[1] = PackedConv::weight_gradient(x, dy, padding);
    if (wanted[2]) result[2] = dy.sum({0, 2, 3});
    return result;
  }
};

}  // namespace

Tensor trained_conv(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    std::int64_t padding) {
  Variables filters{weight};
  if (bias.defined()) filters.push_back(bias);
  return TrainedConv::apply(x, at::TensorList(filters), padding);
}

}  // namespace fastcpp::models
