// Decoding of every format. A JPEG must have the pixels that OpenCV finds in it.
#include "fastcpp/vision/image/image.hpp"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "fuzz.hpp"
#include "vision/image/gif.hpp"
#include "vision/image/image_header.hpp"
#include "vision/image/png.hpp"
#include "vision/image/webp.hpp"

using namespace fastcpp;

namespace {

constexpr std::int64_t kMost = 1 << 18;

// Larger pictures take time and show nothing else.
bool is_small(std::string_view input) {
  const auto header = fastcpp::detail::inspect(input);
  // Sides first: their product might not fit.
  if (header.rows > kMost || header.cols > kMost || header.rows * header.cols > kMost) return false;
  if (header.format == ImageFileFormat::kGif)
    return !fastcpp::detail::decode_gif(input, kMost).too_large;
  if (!fastcpp::detail::is_animated_webp(input)) return true;
  const auto frame = fastcpp::detail::inspect(fastcpp::detail::first_webp_frame(input).still);
  return frame.rows * frame.cols <= kMost;
}

}  // namespace

FASTCPP_FUZZ_TARGET(image)(std::string_view input) {
  if (!is_small(input)) return;
  cv::Mat pixels;
  const bool read = fuzz::accepted([&] { pixels = decode_image_bytes(input); });
  const auto header = fastcpp::detail::inspect(input);
  if (read) {
    fuzz::require(!pixels.empty() && pixels.type() == CV_8UC3, "no picture of three channels");
    fuzz::require(header.format == ImageFileFormat::kGif ||
                      (pixels.rows == header.rows && pixels.cols == header.cols),
                  "another size than the header says");
  }
  fuzz::accepted([&] { pixels.empty() ? cv::Mat() : decode_image_bytes(input, "small", 8); });
  if (header.format == ImageFileFormat::kPng && header.fault.empty()) {
    // Exactly so many bytes on the heap, so that a byte beyond them is found.
    const std::vector<char> exact(header.cleaned.begin(), header.cleaned.end());
    const auto again = fastcpp::detail::decode_png({exact.data(), exact.size()});
    fuzz::require(again.rgb.empty() != read, "another answer the second time");
  }
  if (!read || header.format != ImageFileFormat::kJpeg) return;
  const std::string whole = header.cleaned.empty() ? std::string(input) : header.cleaned;
  const cv::Mat raw(1, static_cast<int>(whole.size()), CV_8UC1, const_cast<char*>(whole.data()));
  auto other = cv::imdecode(raw, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  if (other.empty()) return;
  cv::cvtColor(other, other, cv::COLOR_BGR2RGB);
  fuzz::require(other.size() == pixels.size(), "OpenCV finds another size");
  fuzz::require(cv::norm(other, pixels, cv::NORM_INF) == 0, "OpenCV finds other pixels");
}
