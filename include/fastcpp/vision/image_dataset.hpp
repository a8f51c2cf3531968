/// \file
/// Labelled picture files as a data set.
#pragma once

#include <memory>
#include <string>

#include "fastcpp/data/data_loader.hpp"
#include "fastcpp/data/dataset.hpp"
#include "fastcpp/data/label_list.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/plot/picture.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image/picture_cache.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {

class FileSource;  // io/file_source.hpp

/// How files become pixels in memory. Without `scaled_decode` none of it changes a batch.
struct ImageLoading {
  /// Keeps decoded pictures; may be shared by several sets. Absent: every pass decodes anew.
  std::shared_ptr<PictureCache> cache = {};
  /// Decode large JPEG files at a half, a quarter or an eighth of their size where the result is
  /// still larger than what is asked for. Faster; pixels differ slightly from the exact ones.
  bool scaled_decode = false;
  /// Samples of a batch come as bytes and numbers, which `finish_batch` makes into pictures on the
  /// device. Needs transforms that fix the size of the result; others are done as ever.
  bool augment_on_device = false;
  /// Reads items that are addresses or in tar shards or packs; absent: `file_source()`.
  std::shared_ptr<const FileSource> files = {};
};

/// Picture files with labels of any kind, opened and transformed when they are asked for (fastai: a `LabelList` over an
/// `ImageList`). Never changes: copies share labels and cache. Threads: any number at once.
class FASTCPP_API ImageDataset : public Dataset {
 public:
  /// \param list    files and labels
  /// \param tfms    applied to every picture, with fresh draws each time
  /// \param options size and the like, as for `apply_tfms`
  /// \param loading how files become pixels
  ImageDataset(LabelList list, TfmList tfms, const ApplyTfmsOptions& options,
               ImageLoading loading = {});

  std::int64_t size() const override { return list_.size(); }
  std::optional<SampleLayout> layout() const override;
  Sample get(std::int64_t index, Rng& rng) const override;
  void get_into(std::int64_t index, Rng& rng, const SampleSlot& slot) const override;
  std::optional<torch::Tensor> targets() const override;
  std::string item_name(std::int64_t index) const override;
  /// Resamples, flips and lights a whole batch on its device, where that was left to it
  /// (`augment_on_device`); any other batch stays as it is.
  void finish_batch(Batch& batch) const;
  /// fastai's `LabelList`: at most five pictures, opened and transformed, and their labels.
  std::string describe(const Path& path) const override;

  /// Files and labels.
  const LabelList& list() const { return list_; }
  /// What is applied to every picture.
  const TfmList& tfms() const { return tfms_; }
  /// Size and sampling.
  const ApplyTfmsOptions& options() const { return options_; }
  /// How files become pixels.
  const ImageLoading& loading() const { return loading_; }
  /// The picture as it lies in the file.
  /// \throws ValueError `value.index` when there is no such item; ImageError `image.cannot_decode` and others of
  /// `open_image`
  Image open(std::int64_t index) const;
  /// A picture transformed as the items are.
  Image transformed(const Image& image, Rng& rng) const;

 private:
  Path file(std::int64_t index) const;
  cv::Mat pixels(std::int64_t index) const;
  void write(std::int64_t index, Rng& rng, float* slot, bool packed) const;

  LabelList list_;
  TfmList tfms_;
  ApplyTfmsOptions options_;
  ImageLoading loading_;
  std::optional<Resolution> out_;
};

/// A tensor 3 x H x W (or 1 x H x W) in 0..1 as a picture for a plot; values are clamped.
/// \throws ValueError `value.tensor` on another shape
FASTCPP_API Picture to_picture(const torch::Tensor& pixels);

}  // namespace fastcpp
