#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/load_clock.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "vision/image/gif.hpp"
#include "vision/image/image_header.hpp"
#include "vision/image/png.hpp"
#include "vision/image/webp.hpp"

namespace fastcpp::inline v0 {
namespace {

using detail::FileFormat;
using detail::FileHeader;

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

void check_size(const std::string& name, std::int64_t rows, std::int64_t cols) {
  // Sides first: their product might not fit.
  const bool long_side = rows > kMaxImagePixels || cols > kMaxImagePixels;
  if (long_side || rows * cols > kMaxImagePixels) refuse_size(name, rows, cols);
}

// The strongest of the JPEG decoder's reductions that leaves the shorter side at least so long.
int reduction(const FileHeader& header, int least_side) {
  const auto shorter = std::min(header.rows, header.cols);
  for (const int by : {8, 4, 2}) {
    if (least_side > 0 && shorter / by >= least_side) return by;
  }
  return 1;
}

// libjpeg-turbo writes red, green, blue itself and says nothing on stderr; OpenCV turns the colours round line by line,
// which takes nearly as long as decoding. Both give the same pixels. Empty when the picture is not of one of the usual
// kinds, or cannot be decoded.
cv::Mat decode_by_turbojpeg(std::string_view bytes, int by) {
  struct Close {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  thread_local std::unique_ptr<void, Close> decoder;
  if (!decoder) decoder.reset(tjInitDecompress());
  if (!decoder) throw std::bad_alloc();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  int cols = 0, rows = 0, sampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), data, size, &cols, &rows, &sampling, &colours) != 0 ||
      colours == TJCS_CMYK || colours == TJCS_YCCK) {
    return {};
  }
  cv::Mat pixels((rows + by - 1) / by, (cols + by - 1) / by, CV_8UC3);
  const int failed = tjDecompress2(decoder.get(), data, size, pixels.data, pixels.cols,
                                   static_cast<int>(pixels.step[0]), pixels.rows, TJPF_RGB, 0);
  // A warning tells of damage inside the picture, of which the rest is there.
  if (!failed || tjGetErrorCode(decoder.get()) == TJERR_WARNING) return pixels;
  if (std::strstr(tjGetErrorStr2(decoder.get()), "nsufficient memory")) throw std::bad_alloc();
  return {};
}

// Whether as much memory could be had as decoding takes: OpenCV's decoders call want of memory damage.
bool memory_for(const FileHeader& header) {
  constexpr std::size_t kBytesPerPixel = 8, kMore = std::size_t{8} << 20;
  const auto pixels = static_cast<std::size_t>(header.rows * header.cols);
  void* volatile memory = std::malloc(kBytesPerPixel * pixels + kMore);
  const bool had = memory != nullptr;
  std::free(memory);
  return had;
}

// Empty when the bytes cannot be decoded.
cv::Mat decode_by_opencv(std::string_view bytes, int flags, const FileHeader& header) {
  cv::Mat pixels;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    pixels = cv::imdecode(raw, flags);
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) throw;
  }
  if (pixels.empty() && !memory_for(header)) throw std::bad_alloc();
  return pixels;
}

void to_rgb(cv::Mat& bgr) {
  if (!bgr.empty()) cv::cvtColor(bgr, bgr, cv::COLOR_BGR2RGB);
}

cv::Mat decode_jpeg(std::string_view bytes, const FileHeader& header, int least_side) {
  const int by = reduction(header, least_side);
  auto pixels = decode_by_turbojpeg(bytes, by);
  if (!pixels.empty()) return pixels;
  const int flags = by == 8   ? cv::IMREAD_REDUCED_COLOR_8
                    : by == 4 ? cv::IMREAD_REDUCED_COLOR_4
                    : by == 2 ? cv::IMREAD_REDUCED_COLOR_2
                              : cv::IMREAD_COLOR;
  pixels = decode_by_opencv(bytes, flags | cv::IMREAD_IGNORE_ORIENTATION, header);
  to_rgb(pixels);
  return pixels;
}

// A PPM of bytes with the plainest of heads, as packs hold raw pictures: its pixels are copied as they stand. Empty for any
// other.
cv::Mat copy_ppm(std::string_view bytes, const FileHeader& header) {
  const auto head = fmt::format("P6\n{} {}\n255\n", header.cols, header.rows);
  const auto size = static_cast<std::size_t>(header.rows * header.cols) * 3;
  if (!bytes.starts_with(head) || bytes.size() - head.size() < size) return {};
  cv::Mat rgb(static_cast<int>(header.rows), static_cast<int>(header.cols), CV_8UC3);
  std::memcpy(rgb.data, bytes.data() + head.size(), size);
  return rgb;
}

// As Pillow shows the first frame: black where it does not reach, its transparency left out.
cv::Mat decode_animated_webp(const std::string& name, std::string_view bytes,
                             const FileHeader& header) {
  const auto frame = detail::first_webp_frame(bytes);
  if (!frame.fault.empty()) refuse(name, frame.fault);
  const auto inner = detail::inspect(frame.still);
  check_size(name, inner.rows, inner.cols);
  auto pixels = decode_by_opencv(frame.still, cv::IMREAD_COLOR, header);
  to_rgb(pixels);
  if (pixels.empty() || (pixels.rows == header.rows && pixels.cols == header.cols)) return pixels;
  if (frame.top + pixels.rows > header.rows || frame.left + pixels.cols > header.cols) {
    refuse(name, "its first frame reaches beyond the picture");
  }
  cv::Mat canvas(static_cast<int>(header.rows), static_cast<int>(header.cols), CV_8UC3,
                 cv::Scalar::all(0));
  pixels.copyTo(canvas(cv::Rect(static_cast<int>(frame.left), static_cast<int>(frame.top),
                                pixels.cols, pixels.rows)));
  return canvas;
}

// Grey numbers of 32 bits, as Pillow makes them visible: cut to whole numbers 0..255.
cv::Mat decode_tiff_numbers(std::string_view bytes, const FileHeader& header) {
  auto numbers = decode_by_opencv(bytes, cv::IMREAD_UNCHANGED, header);
  if (numbers.empty() || numbers.channels() != 1 || numbers.elemSize() != 4) return {};
  cv::Mat rgb(numbers.rows, numbers.cols, CV_8UC3);
  for (int y = 0; y < rgb.rows; ++y) {
    for (int x = 0; x < rgb.cols; ++x) {
      // OpenCV 4.6 gives integers as if they were floats.
      const auto* at = numbers.ptr(y, x);
      std::int32_t whole;
      float number;
      std::memcpy(&whole, at, sizeof whole);
      std::memcpy(&number, at, sizeof number);
      const auto level = header.tiff_float ? (number > 0 ? std::min(number, 255.0f) : 0.0f)
                                           : static_cast<float>(std::clamp(whole, 0, 255));
      rgb.at<cv::Vec3b>(y, x) = cv::Vec3b::all(static_cast<unsigned char>(level));
    }
  }
  return rgb;
}

cv::Mat decode(std::string_view bytes, const std::string& name, int least_side,
               const FileHeader& header) {
  check_size(name, header.rows, header.cols);
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
  if (header.format == FileFormat::kPnm) pixels = copy_ppm(whole, header);
  if (!pixels.empty()) return pixels;
  if (header.format == FileFormat::kJpeg) {
    pixels = decode_jpeg(whole, header, least_side);
  } else if (header.format == FileFormat::kPng) {
    auto png = detail::decode_png(whole);
    if (png.rgb.empty()) refuse(name, png.fault);
    return png.rgb;
  } else if (detail::is_animated_webp(whole)) {
    pixels = decode_animated_webp(name, whole, header);
  } else if (header.format == FileFormat::kTiff && header.tiff_bits == 32) {
    pixels = decode_tiff_numbers(whole, header);
  } else {
    pixels = decode_by_opencv(whole, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION, header);
    to_rgb(pixels);
    // OpenCV may read a header otherwise, such as a comment right behind a number of a PNM.
    if (!pixels.empty() && (pixels.rows != header.rows || pixels.cols != header.cols)) {
      refuse(name, "its header says another size than its pixels have");
    }
  }
  if (pixels.empty()) refuse(name, "its pixels cannot be decoded");
  return pixels;
}

// Runs `f`; want of memory is told with the file it was wanted for.
template <typename F>
cv::Mat with_memory_for(const std::string& name, F&& f) {
  try {
    return boundary(std::forward<F>(f));
  } catch (const MemoryError& e) {
    std::throw_with_nested(MemoryError(
        e.code(), fmt::format("there is not enough memory to decode '{}', which may be healthy: "
                              "free memory, use fewer workers, or make the picture smaller",
                              name)));
  }
}

}  // namespace

cv::Mat decode_image_bytes(std::string_view bytes, const std::string& name, int least_side) {
  return with_memory_for(name, [&] {
    if (bytes.empty()) refuse(name, "it is empty");
    if (bytes.size() > kMaxFileBytes) refuse(name, "it is larger than 2 GB");
    const auto header = detail::inspect(bytes);
    if (header.format == FileFormat::kUnknown) {
      refuse(name, "it is not a JPEG, PNG, GIF, BMP, WebP, TIFF or PNM picture");
    }
    return decode(bytes, name, least_side, header);
  });
}

cv::Mat decode_image(const Path& file, int least_side) {
  return with_memory_for(file.string(), [&] {
    std::error_code ec;
    const auto kind = std::filesystem::status(file, ec).type();
    using std::filesystem::file_type;
    if (kind == file_type::fifo || kind == file_type::socket || kind == file_type::character ||
        kind == file_type::block) {
      // Opening a pipe would wait for a writer, for ever.
      throw IoError("io.cannot_read", fmt::format("cannot read '{}': it is a pipe or a device, not "
                                                  "a file; remove it from the pictures",
                                                  file.string()));
    }
    const auto size = std::filesystem::file_size(file, ec);
    if (!ec && size > kMaxFileBytes) refuse(file.string(), "it is larger than 2 GB");
    const auto bytes = [&] {
      const ReadingTime reading;
      return read_file(file);
    }();
    return decode_image_bytes(bytes, file.string(), least_side);
  });
}

}  // namespace fastcpp
