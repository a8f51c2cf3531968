#include "fastcpp/data/sample.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <cstring>
#include <string>

#include "data/stack_samples.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

std::string told(const TensorLayout& layout) {
  return fmt::format("{} of {}", fmt::join(layout.shape, "x"), c10::toString(layout.dtype));
}
std::string told(const torch::Tensor& tensor) {
  return tensor.defined() ? told({tensor.sizes().vec(), tensor.scalar_type()})
                          : "an undefined tensor";
}

using Name = std::function<std::string(std::size_t)>;

// One part (x or y) of all samples, tensor by tensor.
Tensors stacked(const std::vector<Sample>& samples, Tensors Sample::*part, const Name& name) {
  const auto& first = samples.front().*part;
  std::vector<std::vector<torch::Tensor>> columns(first.count());
  const auto refuse = [&](const char* what, std::size_t s, const std::string& one,
                          const std::string& other, const char* give) {
    throw DataError(
        "data.cannot_collate",
        fmt::format("items of one batch differ in {}: '{}' has {}, '{}' has {}; give {}, "
                    "or a collate function",
                    what, name(0), one, name(s), other, give));
  };
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const auto& tensors = samples[s].*part;
    if (tensors.count() != first.count()) {
      refuse("their number of tensors", s, std::to_string(first.count()),
             std::to_string(tensors.count()), "as many of each");
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto &tensor = tensors.at(i), &model = first.at(i);
      if (tensor.scalar_type() != model.scalar_type()) {
        refuse("type", s, c10::toString(model.scalar_type()), c10::toString(tensor.scalar_type()),
               "samples of one type");
      }
      if (tensor.sizes() != model.sizes()) {
        refuse("shape", s, fmt::format("{}", fmt::join(model.sizes(), "x")),
               fmt::format("{}", fmt::join(tensor.sizes(), "x")),
               "a size so that all become equal");
      }
      columns[i].push_back(tensor);
    }
  }
  std::vector<torch::Tensor> batch;
  for (const auto& column : columns) batch.push_back(torch::stack(column));
  return Tensors(std::move(batch));
}

std::size_t bytes_of(const TensorLayout& layout) {
  std::size_t bytes = torch::elementSize(layout.dtype);
  for (const auto side : layout.shape) bytes *= static_cast<std::size_t>(side);
  return bytes;
}

}  // namespace

Batch stack_samples(const std::vector<Sample>& samples, const Name& name) {
  if (samples.empty()) return {};
  return {stacked(samples, &Sample::x, name), stacked(samples, &Sample::y, name), {}};
}

Batch data_collate(const std::vector<Sample>& samples) {
  return boundary([&] {
    return stack_samples(samples, [](std::size_t i) { return fmt::format("sample {}", i); });
  });
}

void* SampleSlot::place(const std::vector<TensorLayout>& layouts, const std::vector<void*>& memory,
                        std::size_t i, torch::ScalarType dtype) const {
  if (i >= layouts.size()) {
    throw DataError("data.tensors", fmt::format("place for tensor {} was asked for, but the data "
                                                "set says that a sample has {}",
                                                i, layouts.size()));
  }
  if (layouts[i].dtype != dtype) {
    throw DataError("data.dtype",
                    fmt::format("place for {} was asked for, but the data set says that the "
                                "tensor is {}",
                                c10::toString(dtype), told(layouts[i])));
  }
  return static_cast<char*>(memory[i]) + static_cast<std::size_t>(position_) * bytes_of(layouts[i]);
}

void SampleSlot::copy(const char* part, const Tensors& tensors,
                      const std::vector<TensorLayout>& layouts,
                      const std::vector<void*>& memory) const {
  if (tensors.count() != layouts.size()) {
    throw DataError("data.shape",
                    fmt::format("{} has {} tensors, but the data set says that all samples have {}",
                                part, tensors.count(), layouts.size()));
  }
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const auto& tensor = tensors.at(i);
    if (!tensor.defined() || tensor.sizes() != layouts[i].shape) {
      throw DataError("data.shape",
                      fmt::format("{} is {}, but the data set says that all samples have {}", part,
                                  told(tensor), told(layouts[i])));
    }
    // Numbers of another width are converted; those that would be cut are not meant.
    if (!torch::can_cast(tensor.scalar_type(), layouts[i].dtype)) {
      throw DataError(
          "data.dtype",
          fmt::format("{} is {}, which would be cut: the data set says that all samples "
                      "have {}; make get and layout agree",
                      part, told(tensor), told(layouts[i])));
    }
    const auto plain = tensor.to(torch::kCPU, layouts[i].dtype).contiguous();
    std::memcpy(place(layouts, memory, i, layouts[i].dtype), plain.data_ptr(), plain.nbytes());
  }
}

void SampleSlot::set(const Sample& sample) const {
  copy("x", sample.x, layout_->x, *x_);
  copy("y", sample.y, layout_->y, *y_);
}

}  // namespace fastcpp
