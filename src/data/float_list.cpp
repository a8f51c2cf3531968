#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>

#include "array_text.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/data/labels.hpp"
#include "label_reader.hpp"
#include "labels_common.hpp"

namespace fastcpp::inline v0 {

FloatList::FloatList(std::vector<float> y, std::int64_t c, bool log)
    : y_(std::move(y)), c_(c), log_(log) {
  if (c < 1 || y_.size() % static_cast<std::size_t>(c) != 0) {
    throw DataError("data.length", fmt::format("{} numbers are no items of c = {} numbers each; "
                                               "every item needs c of them, and at least one",
                                               y_.size(), c));
  }
}

TensorLayout FloatList::layout() const {
  return {c_ == 1 ? std::vector<std::int64_t>{} : std::vector{c_}, torch::kFloat32};
}

void FloatList::write(std::size_t first, std::size_t count, float* to) const {
  for (std::size_t k = 0; k < count; ++k) to[k] = log_ ? std::log(y_[first + k]) : y_[first + k];
}

torch::Tensor FloatList::encode(std::int64_t i) const {
  const auto item = labels::checked(i, size()), count = static_cast<std::size_t>(c_);
  return boundary([&] {
    auto target = torch::empty(layout().shape, torch::kFloat32);
    write(item * count, count, target.data_ptr<float>());
    return target;
  });
}

void FloatList::encode_into(std::int64_t i, const SampleSlot& slot) const {
  const auto count = static_cast<std::size_t>(c_);
  write(labels::checked(i, size()) * count, count, slot.y<float>());
}

torch::Tensor FloatList::targets() const {
  return boundary([&] {
    auto shape = layout().shape;
    shape.insert(shape.begin(), size());
    auto targets = torch::empty(shape, torch::kFloat32);
    write(0, y_.size(), targets.data_ptr<float>());
    return targets;
  });
}

std::string FloatList::text(std::int64_t i) const {
  const auto count = static_cast<std::size_t>(c_);
  std::vector<float> numbers(count);
  write(labels::checked(i, size()) * count, count, numbers.data());
  return c_ == 1 ? python_float(numbers[0]) : array_text(numbers);
}

std::string FloatList::target_text(const torch::Tensor& target) const {
  return boundary([&] {
    const auto numbers = labels::flat(target, c_).to(torch::kFloat32).contiguous();
    const auto* first = numbers.data_ptr<float>();
    // Predictions are vectors even of one number.
    return target.dim() == 0 ? python_float(*first)
                             : array_text({first, static_cast<std::size_t>(c_)});
  });
}

LabelPrediction FloatList::decode(const torch::Tensor& outputs, std::optional<double>) const {
  return boundary([&] {
    const auto numbers = labels::flat(outputs, c_);
    // A model that gives a number for an item, and no vector of one, is told as such.
    if (outputs.dim() == 0) return LabelPrediction{target_text(outputs), outputs};
    return LabelPrediction{target_text(numbers), numbers};
  });
}

std::shared_ptr<const Labels> FloatList::take(const std::vector<std::int64_t>& items) const {
  std::vector<float> taken;
  const auto count = static_cast<std::size_t>(c_);
  taken.reserve(items.size() * count);
  for (const auto i : items) {
    const auto first = labels::checked(i, size()) * count;
    for (std::size_t k = 0; k < count; ++k) taken.push_back(y_[first + k]);
  }
  return std::make_shared<FloatList>(std::move(taken), c_, log_);
}

std::shared_ptr<const Labels> FloatList::read(const std::vector<Label>& labels) const {
  std::vector<float> numbers;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels::add_numbers(labels[i], static_cast<std::size_t>(c_), numbers,
                        [i] { return fmt::format("item {}", i); });
  }
  return std::make_shared<FloatList>(std::move(numbers), c_, log_);
}

}  // namespace fastcpp
