#include "fastcpp/train/prediction.hpp"

#include <torch/types.h>

#include <algorithm>
#include <string>

#include "fastcpp/core/boundary.hpp"

namespace fastcpp::inline v0 {
namespace {

// Along which dimension of one item's outputs the classes lie: C x H x W, unless only another one has their number.
std::int64_t class_dim(const torch::Tensor& outputs, std::int64_t classes) {
  const auto sizes = outputs.sizes();
  const auto fits = std::find(sizes.begin(), sizes.end(), classes);
  return fits == sizes.end() ? 0 : fits - sizes.begin();
}

// A model may have other outputs than the labels know: those without a name are called by their number.
LabelPrediction decoded(const Labels& labels, const torch::Tensor& outputs,
                        std::optional<double> thresh) {
  const auto n = outputs.numel();
  if (n == labels.c() || labels.kind() == LabelKind::kEmpty) return labels.decode(outputs, thresh);
  if (labels.kind() == LabelKind::kFloat) return FloatList({}, n).decode(outputs);
  auto names = labels.classes();
  names.resize(std::min(names.size(), static_cast<std::size_t>(n)));
  while (static_cast<std::int64_t>(names.size()) < n) {
    auto name = std::to_string(names.size());
    if (std::find(names.begin(), names.end(), name) != names.end()) name = "output " + name;
    names.push_back(std::move(name));
  }
  if (labels.kind() == LabelKind::kMultiCategory) {
    return MultiCategoryList({}, ClassNames(names)).decode(outputs, thresh);
  }
  return CategoryList({}, ClassNames(names)).decode(outputs);
}

Prediction predicted(const Labels& labels, const torch::Tensor& outputs,
                     std::optional<double> thresh) {
  if (outputs.dim() <= 1) {
    auto found = decoded(labels, outputs, thresh);
    return {std::move(found.text), std::move(found.data), outputs};
  }
  switch (labels.kind()) {
    case LabelKind::kCategory:
      return {{}, outputs.argmax(class_dim(outputs, labels.c())), outputs};
    case LabelKind::kMultiCategory:
      return {
          {}, outputs.to(torch::kFloat64).ge(thresh.value_or(0.5)).to(torch::kFloat32), outputs};
    default:
      return {{}, outputs, outputs};
  }
}

}  // namespace

Prediction to_prediction(const Labels& labels, const torch::Tensor& probabilities,
                         std::optional<double> thresh) {
  return boundary([&] { return predicted(labels, probabilities, thresh); });
}

}  // namespace fastcpp
