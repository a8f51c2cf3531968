#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "class_map.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/labels.hpp"
#include "labels_common.hpp"

namespace fastcpp::inline v0 {

CategoryList::CategoryList(std::vector<std::int64_t> y, const ClassNames& classes)
    : y_(std::move(y)), classes_(std::make_shared<ClassMap>(classes.names())) {
  for (const auto i : y_) {
    if (i != -1) classes_->name(i);
  }
}

std::int64_t CategoryList::c() const {
  return classes_->size();
}

const std::vector<std::string>& CategoryList::classes() const {
  return classes_->names();
}

std::string CategoryList::classes_str() const {
  return classes_->text();
}

const std::vector<Cell>& CategoryList::class_cells() const {
  return classes_->cells();
}

torch::Tensor CategoryList::encode(std::int64_t i) const {
  const auto y = y_[labels::checked(i, size())];
  return boundary([&] { return torch::scalar_tensor(std::max<std::int64_t>(y, 0), torch::kLong); });
}

void CategoryList::encode_into(std::int64_t i, const SampleSlot& slot) const {
  *slot.y<std::int64_t>() = std::max<std::int64_t>(y_[labels::checked(i, size())], 0);
}

torch::Tensor CategoryList::targets() const {
  return boundary([&] { return torch::tensor(y_, torch::kLong).clamp_min_(0); });
}

std::string CategoryList::text(std::int64_t i) const {
  const auto y = y_[labels::checked(i, size())];
  return y == -1 ? "0" : classes_->name(y);
}

std::string CategoryList::target_text(const torch::Tensor& target) const {
  return boundary([&] { return classes_->name(labels::flat(target, 1).item<std::int64_t>()); });
}

LabelPrediction CategoryList::decode(const torch::Tensor& outputs, std::optional<double>) const {
  return boundary([&] {
    const auto index = labels::flat(outputs, c()).argmax();
    return LabelPrediction{classes_->name(index.item<std::int64_t>()), index};
  });
}

std::shared_ptr<const Labels> CategoryList::take(const std::vector<std::int64_t>& items) const {
  auto taken = std::make_shared<CategoryList>(*this);
  taken->y_.clear();
  taken->y_.reserve(items.size());
  for (const auto i : items) taken->y_.push_back(y_[labels::checked(i, size())]);
  return taken;
}

std::shared_ptr<const Labels> CategoryList::read(const std::vector<Label>& labels) const {
  auto read = std::make_shared<CategoryList>(*this);
  read->y_.clear();
  read->y_.reserve(labels.size());
  for (const auto& label : labels) {
    read->y_.push_back(label.several() ? -1 : classes_->find(label.cells()[0]));
  }
  return read;
}

}  // namespace fastcpp
