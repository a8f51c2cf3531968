#include "own_pictures_support.hpp"

#include <turbojpeg.h>

#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>
#include <stdexcept>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image/image.hpp"

namespace fastcpp::test {
namespace {

std::string cmyk_jpeg(const cv::Mat& rgb) {
  std::vector<unsigned char> pixels;
  for (int y = 0; y < rgb.rows; ++y) {
    for (int x = 0; x < rgb.cols; ++x) {
      const auto& p = rgb.at<cv::Vec3b>(y, x);
      pixels.insert(pixels.end(), {p[0], p[1], p[2], 200});
    }
  }
  tjhandle handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int failed = tjCompress2(handle, pixels.data(), rgb.cols, 0, rgb.rows, TJPF_CMYK, &bytes,
                                 &size, TJSAMP_444, 90, 0);
  const std::string text(reinterpret_cast<const char*>(bytes), failed ? 0 : size);
  tjFree(bytes);
  tjDestroy(handle);
  if (failed) throw std::runtime_error("no CMYK");
  return text;
}

}  // namespace

cv::Mat picture_of(int rows, int cols, int seed) {
  cv::Mat rgb(rows, cols, CV_8UC3);
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < cols; ++x) {
      const double u = 6.0 * x / cols, v = 6.0 * y / rows, s = seed;
      const auto wave = [&](double a, double b) {
        return static_cast<unsigned char>(127.5 + 60 * std::sin(u * a + s) +
                                          60 * std::cos(v * b + s * a));
      };
      rgb.at<cv::Vec3b>(y, x) = {wave(1 + 0.37 * seed, 1), wave(1.5, 1 + 0.21 * seed),
                                 wave(0.7, 0.9)};
    }
  }
  return rgb;
}

cv::Mat drawing_of(int rows, int cols, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed) + 1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto colour = [&] { return cv::Scalar(below(240), below(240), below(240)); };
  cv::Mat rgb(rows, cols, CV_8UC3, colour());
  for (int i = 0; i < 12; ++i) {
    const cv::Point at(below(cols), below(rows));
    cv::circle(rgb, at, rows / 12 + below(rows / 5), colour(), cv::FILLED, cv::LINE_AA);
    cv::rectangle(rgb, cv::Rect(below(cols), below(rows), 1 + below(cols / 3), 1 + below(rows / 3)),
                  colour(), cv::FILLED);
  }
  return rgb;
}

std::string encoded(const cv::Mat& rgb, const std::string& mode, const std::string& extension,
                    int quality) {
  if (mode == "CMYK") return cmyk_jpeg(rgb);
  cv::Mat mat;
  std::vector<int> parameters;
  if (extension == ".jpg") parameters = {cv::IMWRITE_JPEG_QUALITY, quality};
  if (mode == "RGB") cv::cvtColor(rgb, mat, cv::COLOR_RGB2BGR);
  if (mode == "RGBA") cv::cvtColor(rgb, mat, cv::COLOR_RGB2BGRA);
  if (mode == "L" || mode == "1") cv::cvtColor(rgb, mat, cv::COLOR_RGB2GRAY);
  if (mode == "1") {
    mat = mat > 127;
    parameters = {cv::IMWRITE_PNG_BILEVEL, 1};
  }
  if (mode == "RGBA") {
    for (int x = 0; x < mat.cols; ++x) mat.at<cv::Vec4b>(0, x)[3] = 100;
  }
  std::vector<unsigned char> bytes;
  if (!cv::imencode(extension, mat, bytes, parameters)) throw std::runtime_error("cannot encode");
  return {bytes.begin(), bytes.end()};
}

std::string format_of(const Path& file) {
  const std::string bytes = read_file(file);
  try {
    decode_image_bytes(bytes, "picture");
  } catch (const Error&) {
    return {};
  }
  return bytes.starts_with("\xFF\xD8") ? "JPEG" : bytes.starts_with("\x89PNG") ? "PNG" : "";
}

std::string mode_of(const Path& file) {
  const std::string bytes = read_file(file);
  if (format_of(file) == "PNG") {
    const int depth = bytes.at(24), colour = bytes.at(25);
    if (depth == 1) return "1";
    return colour == 0   ? "L"
           : colour == 2 ? "RGB"
           : colour == 3 ? "P"
           : colour == 4 ? "LA"
                         : "RGBA";
  }
  tjhandle handle = tjInitDecompress();
  int cols = 0, rows = 0, sampling = 0, colours = 0;
  tjDecompressHeader3(handle, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                      &cols, &rows, &sampling, &colours);
  tjDestroy(handle);
  return colours == TJCS_GRAY ? "L" : colours == TJCS_CMYK || colours == TJCS_YCCK ? "CMYK" : "RGB";
}

std::map<std::string, std::string> content(const Path& folder) {
  std::map<std::string, std::string> files;
  for (const Path& file : ls(folder)) {
    if (file.filename().string().front() != '.') files[file.filename().string()] = read_file(file);
  }
  return files;
}

}  // namespace fastcpp::test
