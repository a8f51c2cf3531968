/// \file
/// Pictures: reading files, the Image value, conversions between OpenCV and LibTorch.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <opencv2/core.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Rows and columns of a picture, in this order everywhere.
struct Resolution {
  int rows = 0;  ///< height in pixels
  int cols = 0;  ///< width in pixels
  bool operator==(const Resolution&) const = default;
};

/// The most pixels a file may claim; larger ones are refused before anything is allocated (Pillow's limit).
inline constexpr std::int64_t kMaxImagePixels = 178'956'970;

/// Decodes a file to 8-bit RGB, H x W x 3, rows contiguous. Thread-safe.
///
/// The content decides, not the extension: JPEG, PNG, GIF, BMP, WebP, TIFF, PNM; of an animation the first frame.
/// Grey is replicated to three channels, alpha is dropped without compositing, 16 bits are reduced to their upper 8
/// (Pillow clips a 16-bit grey picture instead), 32-bit numbers of a TIFF are cut to whole numbers 0..255 as Pillow
/// does, CMYK is converted as Pillow does (within 2 levels), Exif orientation is not applied. A file that was cut off
/// within its pixels is refused, bytes after its end are ignored, and so are the checksums of a PNG's pixels.
///
/// WebP, TIFF, BMP and PNM are read by OpenCV, which may write a line about a damaged file to stderr or to its own log
/// (`OPENCV_LOG_LEVEL` sets that); fastcpp changes none of OpenCV's settings.
/// \param file       the picture file; a pipe or device is refused without being opened
/// \param least_side when > 0, a JPEG file may be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides stay
///                   at least this long
/// \throws IoError `io.cannot_read`; ImageError `image.cannot_decode` (damaged, cut off, not a picture),
///         `image.too_large` (more than kMaxImagePixels); MemoryError `train.out_of_memory` naming the file
FASTCPP_API cv::Mat decode_image(const Path& file, int least_side = 0);

/// The same for bytes in memory.
/// \param bytes      the content of a picture file
/// \param name       what error messages call it
/// \param least_side as for `decode_image`
/// \throws ImageError `image.cannot_decode`, `image.too_large`; MemoryError `train.out_of_memory`
FASTCPP_API cv::Mat decode_image_bytes(std::string_view bytes, const std::string& name = "<memory>",
                                       int least_side = 0);

/// A matrix of OpenCV as a tensor that owns its memory.
/// \param mat 1 to 4 channels of 8 or 16 unsigned bits (scaled to 0..1) or float/double (kept); need not be contiguous;
///            channels keep their order (OpenCV reads files as BGR, fastcpp's decode_image as RGB)
/// \return float32, C x H x W
/// \throws ValueError `value.mat` when the matrix is empty or of another kind
FASTCPP_API torch::Tensor to_tensor(const cv::Mat& mat);

/// A tensor as a matrix of OpenCV that owns its memory.
/// \param tensor C x H x W with 1 to 4 channels, or H x W; uint8 or floating point, any strides, any device
/// \return H x W with C channels, 8-bit for uint8 and 32-bit float otherwise; channels keep their order
/// \throws ValueError `value.image_tensor`
FASTCPP_API cv::Mat to_mat(const torch::Tensor& tensor);

struct ApplyTfmsOptions;
class Rng;
class Transform;

/// A picture (fastai: `vision.Image`). A cheap value: copies share the pixels, which never change, so that one picture
/// may be used from several threads.
class FASTCPP_API Image {
 public:
  /// The absent picture, 0 x 0.
  Image() = default;

  /// From a tensor. The data are copied.
  /// \param px C x H x W with 1 to 4 channels, or H x W; floating point 0..1 (not checked), or uint8 0..255
  /// \throws ValueError `value.image_tensor`
  static Image from_tensor(const torch::Tensor& px);

  /// From 8-bit RGB, H x W x 3, as decode_image gives it. Shares the memory, which must not be changed afterwards.
  /// \throws ValueError `value.mat`
  static Image from_rgb(cv::Mat rgb8);

  /// The pixels, float32 C x H x W, usually 0..1, in memory of its own.
  torch::Tensor tensor() const;

  /// The 8-bit RGB pixels when the picture is still as it was read, else an empty matrix. Shared memory: do not write.
  cv::Mat rgb8() const { return rgb8_; }

  /// Rows and columns (fastai: `img.size`).
  Resolution size() const;
  /// {C, H, W} (fastai: `img.shape`).
  std::vector<std::int64_t> shape() const;
  /// True for the absent picture.
  bool empty() const;

  /// `Image (3, 224, 224)`.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const Image& x) { return to << x.str(); }

  /// Writes uint8(255 * x), truncated, values outside 0..1 clamped.
  /// \param file its extension names the format, in upper or lower case: `.png`, `.jpg`, `.webp`, `.bmp`, `.tiff`
  /// \throws ImageError `image.cannot_encode`; IoError `io.cannot_write`; MemoryError `train.out_of_memory`
  void save(const Path& file) const;

  /// Resizes and transforms; this picture stays as it is. See the function apply_tfms.
  Image apply_tfms(const std::vector<Transform>& tfms, const ApplyTfmsOptions& options,
                   Rng& rng) const;

 private:
  friend struct ImageAccess;
  cv::Mat rgb8_;
  torch::Tensor px_;
};

/// What open_image makes of the colours (fastai: `convert_mode`, Pillow's modes).
enum class ConvertMode {
  kRgb,  ///< three channels
  kL     ///< one channel, the luma of ITU-R 601
};

/// Options of open_image.
struct OpenImageOptions {
  bool div = true;                               ///< divide by 255
  ConvertMode convert_mode = ConvertMode::kRgb;  ///< channels of the result
  std::function<cv::Mat(cv::Mat)> after_open =
      {};  ///< gets the decoded 8-bit RGB, returns the matrix to use
};

/// Reads a picture file (fastai: `open_image`).
/// \throws IoError `io.cannot_read`; ImageError `image.cannot_decode`, `image.too_large`; ValueError `value.mat` where
///         `after_open` returns no picture; MemoryError `train.out_of_memory`
FASTCPP_API Image open_image(const Path& file, const OpenImageOptions& options = {});

}  // namespace fastcpp
