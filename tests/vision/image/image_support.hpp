// Helpers for the tests of pictures: a drawing, its file in memory, how far two pictures differ.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "fastcpp/vision/image/image.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

namespace fastcpp::test {

// A smooth drawing, so that lossy formats stay close to it.
inline cv::Mat drawing(int rows, int cols) {
  cv::Mat rgb(rows, cols, CV_8UC3);
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < cols; ++x) {
      rgb.at<cv::Vec3b>(y, x) =
          cv::Vec3b(static_cast<uchar>(255 * x / cols), static_cast<uchar>(255 * y / rows),
                    static_cast<uchar>(127 + 100 * std::sin(0.1 * (x + y))));
    }
  }
  return rgb;
}

inline std::string encoded(const cv::Mat& rgb, const std::string& extension,
                           const std::vector<int>& settings = {}) {
  cv::Mat bgr = rgb.clone();
  if (rgb.channels() == 3) cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  if (rgb.channels() == 4) cv::cvtColor(rgb, bgr, cv::COLOR_RGBA2BGRA);
  std::vector<uchar> bytes;
  REQUIRE(cv::imencode(extension, bgr, bytes, settings));
  return {bytes.begin(), bytes.end()};
}

inline double largest_gap(const cv::Mat& a, const cv::Mat& b) {
  REQUIRE(a.size() == b.size());
  REQUIRE(a.type() == b.type());
  return cv::norm(a, b, cv::NORM_INF);
}

inline std::string code_of(const std::string& bytes) {
  return caught([&] { decode_image_bytes(bytes); }).code;
}

// The lowest bytes of a number, the lowest first.
inline std::string le(std::size_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

// The bytes of a number, the highest first.
inline std::string be32(std::uint32_t v) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(v >> shift & 255);
  return bytes;
}

}  // namespace fastcpp::test
