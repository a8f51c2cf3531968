#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image.hpp"
#include "vision/gif.hpp"
#include "vision/image_header.hpp"

namespace fastcpp {
namespace {

using detail::FileFormat;

constexpr std::uintmax_t kMaxFileBytes = INT_MAX;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw ImageError(
      "image.cannot_decode",
      fmt::format("cannot identify image file '{}': {}; fetch it again or remove it", name, why));
}

[[noreturn]] void refuse_size(const std::string& name, std::int64_t rows, std::int64_t cols) {
  throw ImageError(
      "image.too_large",
      fmt::format("the image file '{}' claims {} x {} pixels, more than the limit of {}; "
                  "make it smaller or remove it",
                  name, rows, cols, kMaxImagePixels));
}

// OpenCV tells of damaged files on stderr; here the exception tells.
void silence_opencv() {
  static std::once_flag once;
  std::call_once(once,
                 [] { cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT); });
}

// The strongest reduction of OpenCV's JPEG decoder that leaves both sides at least so long.
int decode_flags(const detail::FileHeader& header, int least_side) {
  const auto shorter = std::min(header.rows, header.cols);
  int flags = cv::IMREAD_COLOR;
  if (header.format == FileFormat::kJpeg && least_side > 0) {
    if (shorter / 8 >= least_side) {
      flags = cv::IMREAD_REDUCED_COLOR_8;
    } else if (shorter / 4 >= least_side) {
      flags = cv::IMREAD_REDUCED_COLOR_4;
    } else if (shorter / 2 >= least_side) {
      flags = cv::IMREAD_REDUCED_COLOR_2;
    }
  }
  return flags | cv::IMREAD_IGNORE_ORIENTATION;
}

cv::Mat decode_by_opencv(std::string_view bytes, int flags) {
  silence_opencv();
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    cv::Mat pixels = cv::imdecode(raw, flags);
    if (!pixels.empty()) cv::cvtColor(pixels, pixels, cv::COLOR_BGR2RGB);
    return pixels;
  } catch (const cv::Exception&) {
    return {};
  }
}

}  // namespace

cv::Mat decode_image_bytes(std::string_view bytes, const std::string& name, int least_side) {
  if (bytes.empty()) refuse(name, "it is empty");
  if (bytes.size() > kMaxFileBytes) refuse(name, "it is larger than 2 GB");
  const auto header = detail::inspect(bytes);
  if (header.format == FileFormat::kUnknown) {
    refuse(name, "it is not a JPEG, PNG, GIF, BMP, WebP, TIFF or PNM picture");
  }
  // Sides first: their product might not fit.
  const bool long_side = header.rows > kMaxImagePixels || header.cols > kMaxImagePixels;
  if (long_side || header.rows * header.cols > kMaxImagePixels)
    refuse_size(name, header.rows, header.cols);
  if (!header.fault.empty()) refuse(name, header.fault);
  if (header.format == FileFormat::kGif) {
    auto gif = detail::decode_gif(bytes, kMaxImagePixels);
    if (gif.too_large) refuse_size(name, header.rows, header.cols);
    if (gif.rgb.empty()) refuse(name, gif.fault);
    return gif.rgb;
  }
  if (header.rows == 0 || header.cols == 0) refuse(name, "its size cannot be found");
  cv::Mat pixels =
      decode_by_opencv(header.cleaned.empty() ? bytes : std::string_view(header.cleaned),
                       decode_flags(header, least_side));
  if (pixels.empty()) refuse(name, "its pixels cannot be decoded");
  return pixels;
}

cv::Mat decode_image(const Path& file, int least_side) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(file, ec);
  if (!ec && size > kMaxFileBytes) refuse(file.string(), "it is larger than 2 GB");
  return decode_image_bytes(read_file(file), file.string(), least_side);
}

}  // namespace fastcpp
