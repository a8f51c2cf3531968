// Losses in words that a file can hold, and back.
#include <torch/types.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/registry.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "train/metrics/loss_recipes.hpp"

namespace fastcpp::inline v0 {
namespace {

torch::Tensor weights_of(const Value& value) {
  if (value.is_none()) return {};
  std::vector<double> numbers;
  for (const auto& one : value.items()) numbers.push_back(one.as_double());
  return torch::tensor(numbers, torch::kFloat32);
}

detail::Registry<Loss>& loss_registry() {
  static detail::Registry<Loss> all(
      "loss", "register_loss",
      {{"cross_entropy",
        [](const Value& o) {
          return cross_entropy(
              {.weight = weights_of(o.at("weight")), .axis = o.at("axis").as_int()});
        }},
       {"label_smoothing_cross_entropy",
        [](const Value& o) { return label_smoothing_cross_entropy(o.at("eps").as_double()); }},
       {"bce_with_logits",
        [](const Value& o) {
          return bce_with_logits({.weight = weights_of(o.at("weight")),
                                  .pos_weight = weights_of(o.at("pos_weight")),
                                  .eps = o.at("eps").as_double()});
        }},
       {"mse_loss", [](const Value&) { return mse_loss(); }},
       {"nll_loss", [](const Value&) { return nll_loss(); }}});
  return all;
}

}  // namespace

Value losses::value_of(const torch::Tensor& weights) {
  if (!weights.defined()) return {};
  auto list = Value::list();
  const auto numbers = weights.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  for (std::int64_t i = 0; i < numbers.numel(); ++i) list.append(numbers.data_ptr<double>()[i]);
  return list;
}

void register_loss(std::string name, LossMaker make) {
  boundary([&] { loss_registry().add(std::move(name), std::move(make)); });
}

Loss make_loss(const Recipe& recipe) {
  return boundary([&] {
    auto loss = loss_registry().make(recipe);
    if (!loss) throw ValueError("value.loss", "the maker of a loss gave an empty one");
    return loss.set_recipe(recipe);
  });
}

}  // namespace fastcpp
