#include "fastcpp/train/loss.hpp"

#include <torch/torch.h>

namespace fastcpp {
namespace F = torch::nn::functional;

Loss::Loss(std::string name, Unreduced unreduced, Activation activation)
    : name_(std::move(name)),
      unreduced_(std::move(unreduced)),
      activation_(std::move(activation)) {}

torch::Tensor Loss::operator()(const torch::Tensor& output, const torch::Tensor& target) const {
  return unreduced_(output, target).mean();
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

Loss cross_entropy() {
  return {"FlattenedLoss of CrossEntropyLoss()",
          [](const torch::Tensor& output, const torch::Tensor& target) {
            return F::cross_entropy(output.reshape({-1, output.size(-1)}), target.reshape({-1}),
                                    F::CrossEntropyFuncOptions().reduction(torch::kNone));
          },
          softmax};
}

Loss label_smoothing_cross_entropy(double eps) {
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
