#include "fastcpp/data/labels.hpp"

#include <ATen/Dispatch.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"
#include "labels_common.hpp"

namespace fastcpp::inline v0 {
namespace labels {

std::size_t checked(std::int64_t i, std::int64_t size) {
  if (i >= 0 && i < size) return static_cast<std::size_t>(i);
  throw ValueError("value.index",
                   fmt::format("there is no item {}: the labels have {}, counted from 0", i, size));
}

torch::Tensor flat(const torch::Tensor& numbers, std::int64_t count) {
  if (!numbers.defined() || numbers.numel() != count) {
    throw DataError(
        "data.shape",
        fmt::format(
            "{} numbers were expected, one for each class or number to predict, found {}", count,
            numbers.defined() ? fmt::format("{}", fmt::join(numbers.sizes(), "x")) : "none"));
  }
  return numbers.detach().to(torch::kCPU).reshape(-1);
}

}  // namespace labels

const std::vector<std::string>& Labels::classes() const {
  static const std::vector<std::string> none;
  return none;
}

std::string Labels::classes_str() const {
  return python_list(classes());
}

void Labels::encode_into(std::int64_t i, const SampleSlot& slot) const {
  boundary([&] {
    const auto target = encode(i).detach().to(torch::kCPU).contiguous();
    const auto expected = layout();
    if (target.sizes() != expected.shape || target.scalar_type() != expected.dtype) {
      throw DataError(
          target.sizes() != expected.shape ? "data.shape" : "data.dtype",
          fmt::format("the target of item {} is {} of {}, but the labels promise {} of {}; make "
                      "encode and layout agree",
                      i, fmt::join(target.sizes(), "x"), c10::toString(target.scalar_type()),
                      fmt::join(expected.shape, "x"), c10::toString(expected.dtype)));
    }
    AT_DISPATCH_ALL_TYPES_AND3(
        torch::kBool, torch::kHalf, torch::kBFloat16, expected.dtype, "encode_into",
        [&] { std::memcpy(slot.y<scalar_t>(), target.data_ptr(), target.nbytes()); });
  });
}

torch::Tensor Labels::targets() const {
  return boundary([&] {
    std::vector<torch::Tensor> all;
    for (std::int64_t i = 0; i < size(); ++i) all.push_back(encode(i));
    if (!all.empty()) return torch::stack(all);
    auto [shape, dtype] = layout();
    shape.insert(shape.begin(), 0);
    return torch::empty(shape, dtype);
  });
}

EmptyLabelList::EmptyLabelList(std::int64_t n) : n_(n) {
  if (n < 0)
    throw ValueError("value.items", fmt::format("a number of items must be >= 0, found {}", n));
}

torch::Tensor EmptyLabelList::encode(std::int64_t i) const {
  labels::checked(i, n_);
  return boundary([] { return torch::zeros({}, torch::kLong); });
}

void EmptyLabelList::encode_into(std::int64_t i, const SampleSlot& slot) const {
  labels::checked(i, n_);
  *slot.y<std::int64_t>() = 0;
}

torch::Tensor EmptyLabelList::targets() const {
  return boundary([&] { return torch::zeros({n_}, torch::kLong); });
}

std::string EmptyLabelList::text(std::int64_t i) const {
  labels::checked(i, n_);
  return "";
}

std::string EmptyLabelList::target_text(const torch::Tensor&) const {
  return "";
}

LabelPrediction EmptyLabelList::decode(const torch::Tensor& outputs, std::optional<double>) const {
  return {"", outputs};
}

std::shared_ptr<const Labels> EmptyLabelList::take(const std::vector<std::int64_t>& items) const {
  for (const auto i : items) labels::checked(i, n_);
  return std::make_shared<EmptyLabelList>(static_cast<std::int64_t>(items.size()));
}

std::shared_ptr<const Labels> EmptyLabelList::read(const std::vector<Label>& labels) const {
  return std::make_shared<EmptyLabelList>(static_cast<std::int64_t>(labels.size()));
}

}  // namespace fastcpp
