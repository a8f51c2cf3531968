#include "fastcpp/train/loss.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace F = torch::nn::functional;

Loss::Loss(std::string name, Unreduced unreduced, Activation activation, Reduced mean)
    : name_(std::move(name)),
      unreduced_(std::move(unreduced)),
      activation_(std::move(activation)),
      mean_(std::move(mean)) {}

torch::Tensor Loss::operator()(const torch::Tensor& output, const torch::Tensor& target) const {
  return mean_ ? mean_(output, target) : unreduced_(output, target).mean();
}

torch::Tensor Loss::unreduced(const torch::Tensor& output, const torch::Tensor& target) const {
  return unreduced_(output, target);
}

torch::Tensor Loss::activate(const torch::Tensor& output) const {
  return activation_ ? activation_(output) : output;
}

namespace {

torch::Tensor softmax(const torch::Tensor& output) {
  return output.softmax(-1);
}

// Per item, also where an item has several numbers.
torch::Tensor per_item(const torch::Tensor& values) {
  return values.dim() > 1 ? values.flatten(1).mean(1) : values;
}

}  // namespace

Loss cross_entropy(const CrossEntropyOptions& options) {
  const auto raw = [options](const torch::Tensor& output, const torch::Tensor& target,
                             const F::CrossEntropyFuncOptions::reduction_t& reduction) {
    const auto& weight = options.weight;
    const auto rows = output.movedim(options.axis, -1).reshape({-1, output.size(options.axis)});
    return F::cross_entropy(rows, target.reshape({-1}),
                            F::CrossEntropyFuncOptions()
                                .weight(weight.defined() ? weight.to(rows.options()) : weight)
                                .reduction(reduction));
  };
  return {"FlattenedLoss of CrossEntropyLoss()",
          [raw](const torch::Tensor& output, const torch::Tensor& target) {
            return per_item(raw(output, target, torch::kNone).reshape_as(target));
          },
          [axis = options.axis](const torch::Tensor& output) { return output.softmax(axis); },
          [raw](const torch::Tensor& output, const torch::Tensor& target) {
            return raw(output, target, torch::kMean);
          }};
}

Loss label_smoothing_cross_entropy(double eps) {
  if (!(eps >= 0 && eps < 1)) {
    throw ValueError(
        "value.eps",
        fmt::format("eps of the label smoothing: expected 0 <= eps < 1, found {}", eps));
  }
  return {"LabelSmoothingCrossEntropy",
          [eps](const torch::Tensor& output, const torch::Tensor& target) {
            const auto log_p = output.log_softmax(-1);
            const auto nll =
                F::nll_loss(log_p, target, F::NLLLossFuncOptions().reduction(torch::kNone));
            const auto classes = static_cast<double>(output.size(-1));
            return -log_p.sum(-1) * (eps / classes) + (1 - eps) * nll;
          },
          softmax};
}

Loss bce_with_logits() {
  return {"FlattenedLoss of BCEWithLogitsLoss()",
          [](const torch::Tensor& output, const torch::Tensor& target) {
            return per_item(F::binary_cross_entropy_with_logits(
                output, target.to(output.dtype()),
                F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kNone)));
          },
          [](const torch::Tensor& output) { return output.sigmoid(); }};
}

Loss mse_loss() {
  return {"FlattenedLoss of MSELoss()",
          [](const torch::Tensor& output, const torch::Tensor& target) {
            return per_item((output.reshape(target.sizes()) - target.to(output.dtype())).square());
          }};
}

}  // namespace fastcpp
