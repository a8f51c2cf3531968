#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "class_map.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/labels.hpp"
#include "label_reader.hpp"
#include "labels_common.hpp"

namespace fastcpp::inline v0 {
namespace {

// Adds a name to those joined so far.
void join(std::string& text, bool& first, const std::string& name) {
  if (!first) text += ';';
  first = false;
  text += name;
}

labels::ItemName nameless(std::size_t i) {
  return [i] { return fmt::format("item {}", i); };
}

}  // namespace

MultiCategoryList::MultiCategoryList(std::vector<std::vector<std::int64_t>> y,
                                     const ClassNames& classes,
                                     std::optional<std::string> label_delim)
    : y_(std::move(y)),
      classes_(std::make_shared<ClassMap>(classes.names())),
      label_delim_(std::move(label_delim)) {
  if (label_delim_) labels::check_delimiter(*label_delim_);
  for (const auto& indices : y_) {
    for (const auto i : indices) classes_->name(i);
  }
}

MultiCategoryList MultiCategoryList::one_hot(std::vector<float> y, const ClassNames& classes) {
  MultiCategoryList list({}, classes);
  const auto c = static_cast<std::size_t>(list.c());
  if (c == 0) throw ValueError("value.classes", "one-hot labels need at least one class");
  if (y.size() % c != 0) {
    throw DataError("data.length", fmt::format("one-hot labels of {} classes were expected, but {} "
                                               "numbers are no whole number of items",
                                               c, y.size()));
  }
  for (std::size_t i = 0; i < y.size() / c; ++i) {
    labels::check_one_hot(y.data() + i * c, c, nameless(i));
  }
  list.one_hot_ = true;
  list.numbers_ = std::move(y);
  return list;
}

std::int64_t MultiCategoryList::size() const {
  return static_cast<std::int64_t>(one_hot_ ? numbers_.size() / classes_->names().size()
                                            : y_.size());
}

std::int64_t MultiCategoryList::c() const {
  return classes_->size();
}

const std::vector<std::string>& MultiCategoryList::classes() const {
  return classes_->names();
}

std::string MultiCategoryList::classes_str() const {
  return classes_->text();
}

const std::vector<Cell>& MultiCategoryList::class_cells() const {
  return classes_->cells();
}

void MultiCategoryList::write(std::int64_t i, float* to) const {
  const auto item = labels::checked(i, size()), count = classes_->names().size();
  if (one_hot_) {
    std::copy_n(numbers_.data() + item * count, count, to);
    return;
  }
  std::fill_n(to, count, 0.0F);
  for (const auto index : y_[item]) to[index] = 1;
}

torch::Tensor MultiCategoryList::encode(std::int64_t i) const {
  return boundary([&] {
    auto target = torch::empty({c()}, torch::kFloat32);
    write(i, target.data_ptr<float>());
    return target;
  });
}

void MultiCategoryList::encode_into(std::int64_t i, const SampleSlot& slot) const {
  write(i, slot.y<float>());
}

torch::Tensor MultiCategoryList::targets() const {
  return boundary([&] {
    auto targets = torch::empty({size(), c()}, torch::kFloat32);
    for (std::int64_t i = 0; i < size(); ++i) write(i, targets.data_ptr<float>() + i * c());
    return targets;
  });
}

std::vector<std::int64_t> MultiCategoryList::indices(std::int64_t i) const {
  const auto item = labels::checked(i, size());
  if (!one_hot_) return y_[item];
  std::vector<std::int64_t> indices;
  const auto* numbers = numbers_.data() + item * classes_->names().size();
  for (std::int64_t k = 0; k < c(); ++k) {
    if (numbers[k] == 1) indices.push_back(k);
  }
  return indices;
}

std::string MultiCategoryList::text(std::int64_t i) const {
  std::string text;
  bool first = true;
  for (const auto index : indices(i)) join(text, first, classes_->name(index));
  return text;
}

std::string MultiCategoryList::names_of(const float* numbers) const {
  std::string text;
  bool first = true;
  for (std::size_t k = 0; k < classes_->names().size(); ++k) {
    if (numbers[k] == 1) join(text, first, classes_->names()[k]);
  }
  return text;
}

std::string MultiCategoryList::target_text(const torch::Tensor& target) const {
  return boundary([&] {
    const auto numbers = labels::flat(target, c()).to(torch::kFloat32).contiguous();
    return names_of(numbers.data_ptr<float>());
  });
}

LabelPrediction MultiCategoryList::decode(const torch::Tensor& outputs,
                                          std::optional<double> thresh) const {
  return boundary([&] {
    const auto data = labels::flat(outputs, c()).ge(thresh.value_or(0.5)).to(torch::kFloat32);
    return LabelPrediction{names_of(data.data_ptr<float>()), data};
  });
}

std::shared_ptr<const Labels> MultiCategoryList::take(
    const std::vector<std::int64_t>& items) const {
  auto taken = std::make_shared<MultiCategoryList>(*this);
  taken->y_.clear();
  taken->numbers_.clear();
  const auto count = classes_->names().size();
  for (const auto i : items) {
    const auto item = labels::checked(i, size());
    if (one_hot_) {
      const auto first = numbers_.begin() + static_cast<std::ptrdiff_t>(item * count);
      taken->numbers_.insert(taken->numbers_.end(), first,
                             first + static_cast<std::ptrdiff_t>(count));
    } else {
      taken->y_.push_back(y_[item]);
    }
  }
  return taken;
}

std::shared_ptr<const Labels> MultiCategoryList::read(const std::vector<Label>& labels) const {
  auto read = std::make_shared<MultiCategoryList>(*this);
  read->y_.clear();
  read->numbers_.clear();
  const auto count = classes_->names().size();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto item = nameless(i);
    if (one_hot_) {
      labels::add_numbers(labels[i], count, read->numbers_, item);
      labels::check_one_hot(read->numbers_.data() + i * count, count, item);
      continue;
    }
    auto& indices = read->y_.emplace_back();
    for (const auto& cell : labels::labels_of(labels[i], label_delim_, item)) {
      if (const auto index = classes_->find(cell); index >= 0) indices.push_back(index);
    }
  }
  return read;
}

}  // namespace fastcpp
