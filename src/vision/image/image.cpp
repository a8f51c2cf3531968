#include "fastcpp/vision/image/image.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// 8-bit or 16-bit interleaved rows to float planes. Division, not multiplication by a reciprocal:
// the reference divides, and the last bit is visible when a picture is saved.
template <typename T>
void unpack(const cv::Mat& mat, float divisor, float* planes) {
  const auto channels = static_cast<std::size_t>(mat.channels());
  const auto cols = static_cast<std::size_t>(mat.cols),
             area = cols * static_cast<std::size_t>(mat.rows);
  for (int y = 0; y < mat.rows; ++y) {
    const T* row = mat.ptr<T>(y);
    for (std::size_t c = 0; c < channels; ++c) {
      float* out = planes + c * area + static_cast<std::size_t>(y) * cols;
      for (std::size_t x = 0; x < cols; ++x)
        out[x] = static_cast<float>(row[x * channels + c]) / divisor;
    }
  }
}

void check_image_tensor(const torch::Tensor& tensor) {
  const bool kind = tensor.defined() && (tensor.scalar_type() == torch::kUInt8 ||
                                         torch::isFloatingType(tensor.scalar_type()));
  const bool shape = kind && (tensor.dim() == 2 ||
                              (tensor.dim() == 3 && tensor.size(0) >= 1 && tensor.size(0) <= 4));
  if (shape && tensor.numel() > 0) return;
  const std::string found =
      tensor.defined() ? fmt::format("{} of shape ({})", c10::toString(tensor.scalar_type()),
                                     fmt::join(tensor.sizes(), ", "))
                       : "an undefined tensor";
  throw ValueError(
      "value.image_tensor",
      fmt::format("a picture needs a floating-point or uint8 tensor of shape (C, H, W) with 1 to 4 "
                  "channels, got {}",
                  found));
}

}  // namespace

torch::Tensor to_tensor(const cv::Mat& mat) {
  if (mat.empty() || mat.dims != 2 || mat.channels() > 4 ||
      (mat.depth() != CV_8U && mat.depth() != CV_16U && mat.depth() != CV_32F &&
       mat.depth() != CV_64F)) {
    throw ValueError(
        "value.mat",
        fmt::format("a picture needs a matrix of 1 to 4 channels of uint8, uint16, float or "
                    "double, got {} x {} of OpenCV type {}",
                    mat.rows, mat.cols, mat.type()));
  }
  return boundary([&] {
    auto planes = torch::empty({mat.channels(), mat.rows, mat.cols}, torch::kFloat32);
    float* out = planes.data_ptr<float>();
    if (mat.depth() == CV_8U) {
      unpack<std::uint8_t>(mat, 255.0f, out);
    } else if (mat.depth() == CV_16U) {
      unpack<std::uint16_t>(mat, 65535.0f, out);
    } else if (mat.depth() == CV_32F) {
      unpack<float>(mat, 1.0f, out);
    } else {
      unpack<double>(mat, 1.0f, out);
    }
    return planes;
  });
}

cv::Mat to_mat(const torch::Tensor& tensor) {
  check_image_tensor(tensor);
  return boundary([&] {
    const bool bytes = tensor.scalar_type() == torch::kUInt8;
    const auto image = tensor.dim() == 2 ? tensor.unsqueeze(0) : tensor;
    const auto rows = image.detach()
                          .cpu()
                          .to(bytes ? torch::kUInt8 : torch::kFloat32)
                          .permute({1, 2, 0})
                          .contiguous();
    const int type = CV_MAKETYPE(bytes ? CV_8U : CV_32F, static_cast<int>(image.size(0)));
    return cv::Mat(static_cast<int>(image.size(1)), static_cast<int>(image.size(2)), type,
                   rows.data_ptr())
        .clone();
  });
}

Image Image::from_tensor(const torch::Tensor& px) {
  check_image_tensor(px);
  return boundary([&] {
    Image image;
    const auto planes = px.dim() == 2 ? px.unsqueeze(0) : px;
    image.px_ =
        px.scalar_type() == torch::kUInt8
            ? planes.detach().cpu().to(torch::kFloat32).div(255.0)
            : planes.detach().cpu().to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
    image.px_ = image.px_.contiguous();
    return image;
  });
}

Image Image::from_rgb(cv::Mat rgb8) {
  if (rgb8.empty() || rgb8.type() != CV_8UC3) {
    throw ValueError("value.mat",
                     fmt::format("expected a matrix of 8-bit RGB, got {} x {} of OpenCV type {}",
                                 rgb8.rows, rgb8.cols, rgb8.type()));
  }
  Image image;
  image.rgb8_ = std::move(rgb8);
  return image;
}

torch::Tensor Image::tensor() const {
  if (!rgb8_.empty()) return to_tensor(rgb8_);
  return boundary([&] {
    return px_.defined() ? px_.clone() : torch::zeros({3, 0, 0}, torch::kFloat32);
  });
}

Resolution Image::size() const {
  if (!rgb8_.empty()) return {rgb8_.rows, rgb8_.cols};
  return px_.defined() ? Resolution{static_cast<int>(px_.size(1)), static_cast<int>(px_.size(2))}
                       : Resolution{};
}

std::vector<std::int64_t> Image::shape() const {
  const auto [rows, cols] = size();
  return {px_.defined() ? px_.size(0) : 3, rows, cols};
}

bool Image::empty() const {
  return rgb8_.empty() && !px_.defined();
}

std::string Image::str() const {
  return fmt::format("Image ({})", fmt::join(shape(), ", "));
}

namespace {

// Empty when OpenCV knows no such format, or not for so many channels.
std::vector<std::uint8_t> encode(const Image& image, std::string extension) {
  // As bytes: what is a capital does not depend on the locale.
  for (auto& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto bytes = image.tensor().mul(255.0).nan_to_num(0.0).clamp(0.0, 255.0).to(torch::kUInt8);
  cv::Mat mat = to_mat(bytes);
  std::vector<std::uint8_t> encoded;
  try {
    if (mat.channels() == 2) return {};
    if (mat.channels() == 3) cv::cvtColor(mat, mat, cv::COLOR_RGB2BGR);
    if (mat.channels() == 4) cv::cvtColor(mat, mat, cv::COLOR_RGBA2BGRA);
    if (!cv::imencode(extension, mat, encoded)) encoded.clear();
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) throw;
    encoded.clear();
  }
  return encoded;
}

}  // namespace

void Image::save(const Path& file) const {
  boundary([&] {
    if (empty()) {
      throw ImageError("image.cannot_encode",
                       fmt::format("cannot save '{}': the picture is empty", file.string()));
    }
    const auto encoded = encode(*this, file.extension().string());
    if (encoded.empty()) {
      throw ImageError("image.cannot_encode",
                       fmt::format("cannot save {} as '{}': the extension must name a format such "
                                   "as .png or .jpg, and the picture must have 1, 3 or 4 channels",
                                   str(), file.string()));
    }
    write_file(file, {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
  });
}

Image open_image(const Path& file, const OpenImageOptions& options) {
  return boundary([&] {
    const bool grey = options.convert_mode == ConvertMode::kL;
    cv::Mat pixels = decode_image(file);
    if (options.after_open) pixels = options.after_open(std::move(pixels));
    if (!grey && options.div && pixels.type() == CV_8UC3) return Image::from_rgb(std::move(pixels));
    if (grey && pixels.channels() == 3) cv::cvtColor(pixels, pixels, cv::COLOR_RGB2GRAY);
    auto planes = to_tensor(pixels);
    if (!options.div) planes.mul_(255.0).round_();
    return Image::from_tensor(planes);
  });
}

}  // namespace fastcpp
