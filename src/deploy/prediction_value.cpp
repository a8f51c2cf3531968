#include "fastcpp/deploy/prediction_value.hpp"

#include <torch/types.h>

#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/text.hpp"

namespace fastcpp::inline v0 {
namespace {

Value number(double x) {
  return std::isfinite(x) ? Value(x) : Value();
}

}  // namespace

Value prediction_value(const Predictor& predictor, const Prediction& prediction, int top_k) {
  return boundary([&] {
    auto value = Value::dict({{"prediction", clean_text(prediction.category)}});
    if (!predictor.classes().empty() && prediction.probabilities.dim() == 1) {
      auto top = Value::list();
      for (const auto& one : predictor.top_k(prediction, top_k)) {
        top.append(Value::dict({{"class", clean_text(one.category)},
                                {"index", one.index},
                                {"probability", number(one.probability)}}));
      }
      value.set("top", top);
      return value;
    }
    auto numbers = Value::list();
    const auto flat = prediction.probabilities.to(torch::kFloat64).reshape(-1).contiguous();
    for (std::int64_t i = 0; i < flat.numel(); ++i)
      numbers.append(number(flat.data_ptr<double>()[i]));
    value.set("numbers", numbers);
    return value;
  });
}

}  // namespace fastcpp
