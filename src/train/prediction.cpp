#include "fastcpp/train/prediction.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

namespace fastcpp {

Prediction to_prediction(const DataBunch& data, const torch::Tensor& probabilities) {
  Prediction result;
  result.probabilities = probabilities;
  const auto& classes = data.classes();
  if (data.label_kind() == LabelKind::kCategory) {
    result.index = result.probabilities.argmax();
    const auto index = static_cast<std::size_t>(result.index.item<std::int64_t>());
    result.category = index < classes.size() ? classes[index] : std::to_string(index);
    return result;
  }
  std::vector<std::string> parts;
  const auto values = result.probabilities.to(torch::kFloat64);
  const bool multi = data.label_kind() == LabelKind::kMultiCategory;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double value = values[i].item<double>();
    if (!multi) {
      parts.push_back(fmt::format("{}", value));
    } else if (value >= 0.5) {
      parts.push_back(classes.at(static_cast<std::size_t>(i)));
    }
  }
  result.index = multi ? values.ge(0.5).to(torch::kFloat32) : result.probabilities;
  result.category = fmt::format("{}", fmt::join(parts, ";"));
  return result;
}

}  // namespace fastcpp
