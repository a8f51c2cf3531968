#include "fastcpp/train/metrics/loss.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/functional/loss.h>

#include <exception>

#include "compat/autograd_node.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "train/metrics/loss_recipes.hpp"
#include "train/metrics/small_cross_entropy.hpp"

namespace fastcpp::inline v0 {
namespace F = torch::nn::functional;

namespace {

std::string described(const torch::Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()),
                     fmt::join(tensor.sizes().vec(), ", "));
}

// `expected` continues "expected ".
void expect(bool fits, const char* loss, const char* expected, const torch::Tensor& output,
            const torch::Tensor& target) {
  if (fits) return;
  throw ValueError(
      "value.loss_input",
      fmt::format(
          "{}: expected {}, found outputs {} and targets {}; use a loss that fits the labels", loss,
          expected, described(output), described(target)));
}

void expect_some(const std::string& loss, const Tensors& output, const Tensors& target) {
  expect(output.count() > 0 && target.count() > 0, loss.c_str(), "outputs and targets", output,
         target);
}

// Whole numbers of any width as LibTorch's losses want them. Floating-point targets are refused, not cut.
torch::Tensor class_indices(const char* loss, const torch::Tensor& output,
                            const torch::Tensor& target) {
  expect(!target.is_floating_point() && !target.is_complex(), loss,
         "class indices (whole numbers) as targets", output, target);
  return target.to(torch::kLong);
}

void expect_weights(const char* argument, const torch::Tensor& weights) {
  if (!weights.defined() || (weights.dim() == 1 && weights.is_floating_point())) return;
  throw ValueError(
      "value.loss",
      fmt::format("{}: expected a vector of floating-point numbers, one a class, found {}",
                  argument, described(weights)));
}

// Weights on the outputs' device, in their type.
torch::Tensor weights_for(const char* argument, const torch::Tensor& weights,
                          const torch::Tensor& output, std::int64_t classes) {
  if (!weights.defined()) return weights;
  if (weights.size(0) != classes) {
    throw ValueError("value.loss", fmt::format("{}: expected {} numbers, one a class of the "
                                               "outputs, found {}",
                                               argument, classes, weights.size(0)));
  }
  return weights.to(output.options());
}

}  // namespace

Loss::Loss(std::string name, Unreduced unreduced, Activation activation, Reduced mean)
    : name_(std::move(name)),
      unreduced_(std::move(unreduced)),
      activation_(std::move(activation)),
      mean_(std::move(mean)) {
  if (!unreduced_) {
    throw ValueError(
        "value.loss",
        fmt::format(
            "the loss {} has an empty function: give one (outputs, targets) -> one value per item",
            name_));
  }
}

template <typename F>
torch::Tensor Loss::run(const F& f, const Tensors& output, const Tensors& target) const {
  expect_some(name_, output, target);
  try {
    return boundary([&] { return f(output, target); });
  } catch (const Error& e) {
    // A function of single tensors finds several undefined.
    if (output.count() == 1 && target.count() == 1) throw;
    std::throw_with_nested(ValueError(
        "value.loss_input",
        fmt::format("{}: failed on outputs of {} tensors and targets of {} ({}): a loss of several "
                    "takes `const Tensors&`",
                    name_, output.count(), target.count(), e.what())));
  }
}

torch::Tensor Loss::operator()(const Tensors& output, const Tensors& target) const {
  if (!mean_) return boundary([&] { return unreduced(output, target).mean(); });
  return run(mean_, output, target);
}

torch::Tensor Loss::unreduced(const Tensors& output, const Tensors& target) const {
  if (!unreduced_) throw ValueError("value.loss", "an empty Loss{} computes nothing: make one");
  return run(unreduced_, output, target);
}

Loss& Loss::set_recipe(Recipe recipe) {
  if (recipe.name.empty()) {
    throw ValueError("value.recipe", "a recipe needs the name that register_loss was given");
  }
  boundary([&] { recipe_ = std::make_shared<const Recipe>(std::move(recipe)); });
  return *this;
}

torch::Tensor Loss::activate(const torch::Tensor& output) const {
  if (!activation_) return output;
  return boundary([&] { return activation_(output); });
}

namespace {

torch::Tensor softmax(const torch::Tensor& output) {
  return output.softmax(-1);
}

// Per item, also where an item has several numbers.
torch::Tensor per_item(const torch::Tensor& values) {
  return values.dim() > 1 ? values.flatten(1).mean(1) : values;
}

void check_eps(double eps) {
  if (eps >= 0 && eps < 1) return;
  throw ValueError("value.eps",
                   fmt::format("eps of the label smoothing: expected 0 <= eps < 1, found {}", eps));
}

}  // namespace

Loss cross_entropy(const CrossEntropyOptions& options) {
  expect_weights("weight of cross_entropy", options.weight);
  const auto raw = [options](const torch::Tensor& output, const torch::Tensor& target,
                             const F::CrossEntropyFuncOptions::reduction_t& reduction) {
    constexpr const char* kName = "cross-entropy";
    const bool has_axis = options.axis >= -output.dim() && options.axis < output.dim();
    expect(has_axis && output.numel() == target.numel() * output.size(options.axis) &&
               target.dim() > 0,
           kName, "one class index for every place of the outputs", output, target);
    const auto rows = output.movedim(options.axis, -1).reshape({-1, output.size(options.axis)});
    return F::cross_entropy(rows, class_indices(kName, output, target).reshape({-1}),
                            F::CrossEntropyFuncOptions()
                                .weight(weights_for("weight of cross_entropy", options.weight, rows,
                                                    output.size(options.axis)))
                                .reduction(reduction));
  };
  Loss loss{"FlattenedLoss of CrossEntropyLoss()",
            [raw](const torch::Tensor& output, const torch::Tensor& target) {
              return per_item(raw(output, target, torch::kNone).reshape_as(target));
            },
            [axis = options.axis](const torch::Tensor& output) { return output.softmax(axis); },
            [raw, options](const torch::Tensor& output, const torch::Tensor& target) {
              // Behind other networks than ours the loss is rounded as LibTorch rounds it.
              const bool own = compat::is_chain_node(output.grad_fn());
              if (own && !options.weight.defined() && (options.axis == -1 || options.axis == 1)) {
                if (auto quick = losses::small_cross_entropy(output, target)) return *quick;
              }
              return raw(output, target, torch::kMean);
            }};
  return loss.set_recipe(
      {"cross_entropy",
       Value::dict({{"weight", losses::value_of(options.weight)}, {"axis", options.axis}})});
}

Loss label_smoothing_cross_entropy(double eps) {
  check_eps(eps);
  Loss loss{"LabelSmoothingCrossEntropy",
            [eps](const torch::Tensor& output, const torch::Tensor& target) {
              constexpr const char* kName = "label smoothing";
              expect(output.dim() == 2 && target.dim() == 1 && target.size(0) == output.size(0),
                     kName, "outputs n x classes and n class indices", output, target);
              const auto log_p = output.log_softmax(-1);
              const auto nll = F::nll_loss(log_p, class_indices(kName, output, target),
                                           F::NLLLossFuncOptions().reduction(torch::kNone));
              const auto classes = static_cast<double>(output.size(-1));
              return -log_p.sum(-1) * (eps / classes) + (1 - eps) * nll;
            },
            softmax};
  return loss.set_recipe({"label_smoothing_cross_entropy", Value::dict({{"eps", eps}})});
}

Loss bce_with_logits(const BceWithLogitsOptions& options) {
  constexpr const char *kWeight = "weight of bce_with_logits",
                       *kPosWeight = "pos_weight of bce_with_logits";
  expect_weights(kWeight, options.weight);
  expect_weights(kPosWeight, options.pos_weight);
  check_eps(options.eps);
  Loss loss{"FlattenedLoss of BCEWithLogitsLoss()",
            [options](const torch::Tensor& output, const torch::Tensor& target) {
              expect(output.numel() == target.numel() && output.dim() > 0, "binary cross-entropy",
                     "a 0/1 target for every output", output, target);
              const auto classes = output.size(-1);
              auto wanted = target.reshape(output.sizes()).to(output.dtype());
              if (options.eps > 0) wanted = wanted * (1 - options.eps) + options.eps / 2;
              return F::binary_cross_entropy_with_logits(
                  output, wanted,
                  F::BinaryCrossEntropyWithLogitsFuncOptions()
                      .reduction(torch::kNone)
                      .weight(weights_for(kWeight, options.weight, output, classes))
                      .pos_weight(weights_for(kPosWeight, options.pos_weight, output, classes)));
            },
            [](const torch::Tensor& output) { return output.sigmoid(); }};
  return loss.set_recipe(
      {"bce_with_logits", Value::dict({{"weight", losses::value_of(options.weight)},
                                       {"pos_weight", losses::value_of(options.pos_weight)},
                                       {"eps", options.eps}})});
}

Loss nll_loss() {
  Loss loss{"nll_loss",
            [](const torch::Tensor& output, const torch::Tensor& target) {
              constexpr const char* kName = "negative log-likelihood";
              expect(output.dim() == 2 && target.dim() == 1 && target.size(0) == output.size(0),
                     kName, "outputs n x classes and n class indices", output, target);
              return F::nll_loss(output, class_indices(kName, output, target),
                                 F::NLLLossFuncOptions().reduction(torch::kNone));
            },
            [](const torch::Tensor& output) { return output.exp(); }};
  return loss.set_recipe({"nll_loss"});
}

Loss mse_loss() {
  Loss loss{"FlattenedLoss of MSELoss()",
            [](const torch::Tensor& output, const torch::Tensor& target) {
              expect(output.numel() == target.numel() && target.dim() > 0, "mean squared error",
                     "a number as target for every output", output, target);
              return (output.reshape(target.sizes()) - target.to(output.dtype())).square();
            }};
  return loss.set_recipe({"mse_loss"});
}

}  // namespace fastcpp
