#include "fastcpp/train/prediction.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"

namespace fastcpp {
namespace {

// A model may have more outputs than the data have names.
std::string class_name(const std::vector<std::string>& classes, std::int64_t index) {
  const auto at = static_cast<std::size_t>(index);
  return at < classes.size() ? classes[at] : std::to_string(index);
}

// Along which dimension of one item's outputs the classes lie: C x H x W, unless only another one has their number.
std::int64_t class_dim(const torch::Tensor& outputs, const std::vector<std::string>& classes) {
  const auto sizes = outputs.sizes();
  const auto fits =
      std::find(sizes.begin(), sizes.end(), static_cast<std::int64_t>(classes.size()));
  return fits == sizes.end() ? 0 : fits - sizes.begin();
}

Prediction predicted(const DataBunch& data, const torch::Tensor& outputs) {
  const auto& classes = data.classes();
  const bool one_row = outputs.dim() <= 1;
  Prediction result;
  result.probabilities = outputs;
  if (data.label_kind() == LabelKind::kCategory) {
    if (!one_row) {
      result.index = outputs.argmax(class_dim(outputs, classes));
      return result;
    }
    result.index = outputs.argmax();
    result.category = class_name(classes, result.index.item<std::int64_t>());
    return result;
  }
  const bool multi = data.label_kind() == LabelKind::kMultiCategory;
  const auto values = outputs.to(torch::kFloat64).contiguous();
  result.index = multi ? values.ge(0.5).to(torch::kFloat32) : outputs;
  if (!one_row) return result;
  std::vector<std::string> parts;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double value = values.data_ptr<double>()[i];
    if (!multi) {
      parts.push_back(fmt::format("{}", value));
    } else if (value >= 0.5) {
      parts.push_back(class_name(classes, i));
    }
  }
  result.category = fmt::format("{}", fmt::join(parts, ";"));
  return result;
}

}  // namespace

Prediction to_prediction(const DataBunch& data, const torch::Tensor& probabilities) {
  return boundary([&] { return predicted(data, probabilities); });
}

}  // namespace fastcpp
