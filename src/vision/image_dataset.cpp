#include "fastcpp/vision/image_dataset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/transform/device.hpp"
#include "vision/item_picture.hpp"

namespace fastcpp::inline v0 {

namespace {

// Runs `f`; what the transforms refuse is told with the picture.
template <typename F>
auto name_picture(const Path& file, F&& f) {
  const auto told = [&](const std::string& why) {
    return fmt::format(
        "It's not possible to apply those transforms to your dataset: {} (picture '{}')", why,
        file.string());
  };
  try {
    return f();
  } catch (const ValueError& e) {
    std::throw_with_nested(ImageError("image.cannot_transform", told(e.what())));
  } catch (const ImageError& e) {
    std::throw_with_nested(ImageError(e.code(), told(e.what())));
  }
}

}  // namespace

ImageDataset::ImageDataset(LabelList list, TfmList tfms, const ApplyTfmsOptions& options,
                           ImageLoading loading)
    : list_(std::move(list)),
      tfms_(std::move(tfms)),
      options_(options),
      loading_(std::move(loading)),
      out_(output_size(tfms_, options_)) {
  if (list_.size() != list_.y->size()) {
    throw DataError("data.length", fmt::format("expected one label per item, found {} items and {} "
                                               "labels",
                                               list_.size(), list_.y->size()));
  }
}

std::optional<SampleLayout> ImageDataset::layout() const {
  if (!out_) return std::nullopt;
  const auto shape = loading_.augment_on_device
                         ? std::vector<std::int64_t>{detail::packed_size(*out_)}
                         : std::vector<std::int64_t>{3, out_->rows, out_->cols};
  return SampleLayout{{{shape, torch::kFloat32}}, {list_.y->layout()}};
}

Sample ImageDataset::get(std::int64_t index, Rng& rng) const {
  file(index);  // checks the index
  const auto y = list_.y->encode(index);
  if (!out_) {
    const auto image = open(index);
    return {name_picture(file(index), [&] { return transformed(image, rng).tensor(); }), y};
  }
  auto sample = torch::empty({3, out_->rows, out_->cols}, torch::kFloat32);
  write(index, rng, sample.data_ptr<float>(), /*packed=*/false);
  return {sample, y};
}

void ImageDataset::get_into(std::int64_t index, Rng& rng, const SampleSlot& slot) const {
  file(index);  // checks the index
  list_.y->encode_into(index, slot);
  write(index, rng, slot.x<float>(), loading_.augment_on_device);
}

void ImageDataset::finish_batch(Batch& batch) const {
  if (!out_ || !loading_.augment_on_device || batch.x.dim() != 2) return;
  batch.x = detail::finish_on_device(batch.x, *out_, options_.padding_mode);
}

Path ImageDataset::file(std::int64_t index) const {
  if (index < 0 || index >= size()) {
    throw ValueError("value.index", fmt::format("item {} of a data set of {}: indices count from 0",
                                                index, size()));
  }
  return list_.items[static_cast<std::size_t>(index)];
}

cv::Mat ImageDataset::pixels(std::int64_t index) const {
  const auto& name = file(index);
  // A zoom of a third and a warp still find as many pixels as they show.
  constexpr double kSpare = 1.5;
  const int least = loading_.scaled_decode && out_
                        ? static_cast<int>(kSpare * std::max(out_->rows, out_->cols))
                        : 0;
  if (loading_.cache) {
    if (auto held = loading_.cache->find(name, least); !held.empty()) return held;
  }
  auto rgb = detail::decode_item(name, loading_.files.get(), least);
  if (loading_.cache) loading_.cache->add(name, rgb, least);
  return rgb;
}

void ImageDataset::write(std::int64_t index, Rng& rng, float* slot, bool packed) const {
  const auto rgb = pixels(index);
  name_picture(file(index), [&] {
    if (packed) {
      detail::pack_tfms_into(rgb, tfms_, options_, rng, *out_, slot);
    } else {
      apply_tfms_into(rgb, tfms_, options_, rng, slot);
    }
  });
}

std::optional<torch::Tensor> ImageDataset::targets() const {
  return list_.y->targets();
}

std::string ImageDataset::item_name(std::int64_t index) const {
  return file(index).string();
}

std::string ImageDataset::describe(const Path& path) const {
  constexpr std::int64_t kShown = 5;
  std::vector<std::string> pictures, labels;
  for (std::int64_t i = 0; i < std::min(kShown, size()); ++i) {
    Rng rng(static_cast<std::uint64_t>(i));
    pictures.push_back(transformed(open(i), rng).str());
    labels.push_back(list_.label(i));
  }
  return fmt::format("LabelList ({} items)\nx: ImageList\n{}\ny: {}\n{}\nPath: {}", size(),
                     fmt::join(pictures, ","), list_.y->name(), fmt::join(labels, ","),
                     path.string());
}

Image ImageDataset::open(std::int64_t index) const {
  return Image::from_rgb(detail::decode_item(file(index), loading_.files.get()));
}

Image ImageDataset::transformed(const Image& image, Rng& rng) const {
  return apply_tfms(image, tfms_, options_, rng);
}

Picture to_picture(const torch::Tensor& pixels) {
  return boundary([&] {
    if (!pixels.defined() || pixels.dim() != 3 || (pixels.size(0) != 1 && pixels.size(0) != 3)) {
      throw ValueError(
          "value.tensor",
          fmt::format("a picture has the shape 3 x H x W or 1 x H x W, found {}",
                      pixels.defined() ? fmt::format("{}", fmt::join(pixels.sizes(), " x "))
                                       : std::string("an undefined tensor")));
    }
    const auto rgb = pixels.size(0) == 1 ? pixels.expand({3, -1, -1}) : pixels;
    const auto bytes = rgb.detach()
                           .cpu()
                           .to(torch::kFloat32)
                           .clamp(0, 1)
                           .mul(255)
                           .to(torch::kUInt8)
                           .permute({1, 2, 0})
                           .contiguous();
    Picture picture;
    picture.height = static_cast<int>(bytes.size(0));
    picture.width = static_cast<int>(bytes.size(1));
    const auto* data = bytes.data_ptr<std::uint8_t>();
    picture.rgb.assign(data, data + bytes.numel());
    return picture;
  });
}

}  // namespace fastcpp
