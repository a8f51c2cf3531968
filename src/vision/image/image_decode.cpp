#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "vision/image/gif.hpp"
#include "vision/image/image_header.hpp"

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

// The strongest of the JPEG decoder's reductions that leaves the shorter side at least so long.
int reduction(const detail::FileHeader& header, int least_side) {
  const auto shorter = std::min(header.rows, header.cols);
  for (const int by : {8, 4, 2}) {
    if (least_side > 0 && shorter / by >= least_side) return by;
  }
  return 1;
}

// libjpeg-turbo writes red, green, blue itself and says nothing on stderr; OpenCV turns the colours
// round line by line, which takes nearly as long as decoding. Both give the same pixels. Empty when
// the picture is not of one of the usual kinds, or cannot be decoded.
cv::Mat decode_by_turbojpeg(std::string_view bytes, int by) {
  struct Close {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  thread_local const std::unique_ptr<void, Close> decoder(tjInitDecompress());
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  int cols = 0, rows = 0, sampling = 0, colours = 0;
  if (!decoder ||
      tjDecompressHeader3(decoder.get(), data, size, &cols, &rows, &sampling, &colours) != 0 ||
      colours == TJCS_CMYK || colours == TJCS_YCCK) {
    return {};
  }
  cv::Mat pixels((rows + by - 1) / by, (cols + by - 1) / by, CV_8UC3);
  const int failed = tjDecompress2(decoder.get(), data, size, pixels.data, pixels.cols,
                                   static_cast<int>(pixels.step[0]), pixels.rows, TJPF_RGB, 0);
  // A warning tells of damage inside the picture, of which the rest is there.
  if (failed && tjGetErrorCode(decoder.get()) != TJERR_WARNING) return {};
  return pixels;
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
  const auto whole = header.cleaned.empty() ? bytes : std::string_view(header.cleaned);
  cv::Mat pixels;
  int flags = cv::IMREAD_COLOR;
  if (header.format == FileFormat::kJpeg) {
    const int by = reduction(header, least_side);
    pixels = decode_by_turbojpeg(whole, by);
    flags = by == 8   ? cv::IMREAD_REDUCED_COLOR_8
            : by == 4 ? cv::IMREAD_REDUCED_COLOR_4
            : by == 2 ? cv::IMREAD_REDUCED_COLOR_2
                      : cv::IMREAD_COLOR;
  }
  if (pixels.empty()) pixels = decode_by_opencv(whole, flags | cv::IMREAD_IGNORE_ORIENTATION);
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
