#include "deploy/batch_reader.hpp"

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"

namespace fastcpp::inline v0 {
namespace {

std::optional<Image> image_of(const std::any& item) {
  if (const auto* image = std::any_cast<Image>(&item)) return *image;
  if (const auto* file = std::any_cast<Path>(&item)) return open_image(*file);
  if (const auto* name = std::any_cast<std::string>(&item)) return open_image(*name);
  if (const auto* text = std::any_cast<const char*>(&item)) return open_image(*text);
  return std::nullopt;
}

Tensors sample_of(const std::any& item, const std::optional<BatchReader::Pictures>& pictures) {
  if (const auto* tensor = std::any_cast<torch::Tensor>(&item)) return *tensor;
  if (const auto* tensors = std::any_cast<Tensors>(&item)) return *tensors;
  if (pictures) {
    if (const auto image = image_of(item)) {
      Rng rng(0);  // validation transforms draw nothing
      return apply_tfms(*image, pictures->tfms, pictures->apply, rng).tensor();
    }
  }
  throw ValueError(
      "value.item",
      pictures
          ? "such an item is no picture: give a Path, a file name, an Image, a cv::Mat "
            "with its channels, or a sample as a tensor"
          : "this model does not predict from such an item: give a row of a table (TabularRow) "
            "where it learnt from one, or a sample as a tensor");
}

}  // namespace

Tensors BatchReader::operator()(const std::any& item) const {
  auto sample = reader ? reader(item) : Tensors();
  if (sample.count() == 0) sample = sample_of(item, pictures);
  std::size_t i = 0;
  auto batch = sample.each([&](const torch::Tensor& tensor) {
    const auto typed = dtypes.size() == sample.count() ? tensor.to(dtypes[i++]) : tensor;
    return typed.unsqueeze(0).clone().to(device);
  });
  if (!stats) return batch;
  return Normalize(*stats, device)(batch.one("normalize"));
}

}  // namespace fastcpp
