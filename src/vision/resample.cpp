#include "vision/resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace fastcpp::inline v0::detail {
namespace {

double sinc(double x) {
  const double angle = x * std::numbers::pi;
  return x == 0.0 ? 1.0 : std::sin(angle) / angle;
}

// How far a filter reaches, in pixels of the coarser picture.
double reach(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kBox:
      return 0.5;
    case ResampleFilter::kBicubic:
      return 2.0;
    case ResampleFilter::kLanczos:
      return 3.0;
    default:
      return 1.0;
  }
}

// The weight at a distance x >= 0 from the middle.
double weight(ResampleFilter filter, double x) {
  switch (filter) {
    case ResampleFilter::kBox:
      return x <= 0.5 ? 1.0 : 0.0;
    case ResampleFilter::kBicubic:  // Keys 1981, a = -0.5
      if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
      return x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
    case ResampleFilter::kLanczos:
      return x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
    default:
      return std::max(1.0 - x, 0.0);
  }
}

// The pixels one new pixel is made of.
struct Span {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Span> spans(int from, int to, ResampleFilter filter) {
  const double scale = static_cast<double>(from) / to;
  std::vector<Span> all(static_cast<std::size_t>(to));
  for (int i = 0; i < to; ++i) {
    Span& span = all[static_cast<std::size_t>(i)];
    const double middle = (i + 0.5) * scale;
    if (filter == ResampleFilter::kNearest) {
      span = {std::min(static_cast<int>(middle), from - 1), {1.0f}};
      continue;
    }
    const double stretch = std::max(scale, 1.0), support = reach(filter) * stretch;
    span.first = std::max(static_cast<int>(std::floor(middle - support + 0.5)), 0);
    const int last = std::min(static_cast<int>(std::floor(middle + support + 0.5)), from);
    double sum = 0.0;
    std::vector<double> exact;
    for (int x = span.first; x < last; ++x) {
      exact.push_back(weight(filter, std::abs(x + 0.5 - middle) / stretch));
      sum += exact.back();
    }
    if (sum == 0.0) {  // rounding has left a box without its pixel
      span = {std::min(static_cast<int>(middle), from - 1), {1.0f}};
      continue;
    }
    for (const double w : exact) span.weights.push_back(static_cast<float>(w / sum));
  }
  return all;
}

}  // namespace

cv::Mat resample(const cv::Mat& picture, Resolution size, ResampleFilter filter) {
  const auto channels = static_cast<std::size_t>(picture.channels());
  const auto across = spans(picture.cols, size.cols, filter);
  const auto down = spans(picture.rows, size.rows, filter);
  const auto width = static_cast<std::size_t>(size.cols) * channels;

  cv::Mat narrow(picture.rows, size.cols, CV_MAKETYPE(CV_32F, picture.channels()));
  for (int y = 0; y < picture.rows; ++y) {
    const auto* from = picture.ptr<std::uint8_t>(y);
    auto* to = narrow.ptr<float>(y);
    for (const Span& span : across) {
      const auto* at = from + static_cast<std::size_t>(span.first) * channels;
      std::fill(to, to + channels, 0.0f);
      for (const float w : span.weights) {
        for (std::size_t c = 0; c < channels; ++c) to[c] += w * static_cast<float>(*at++);
      }
      to += channels;
    }
  }

  cv::Mat result(size.rows, size.cols, picture.type());
  std::vector<float> row(width);
  for (int y = 0; y < size.rows; ++y) {
    const Span& span = down[static_cast<std::size_t>(y)];
    std::fill(row.begin(), row.end(), 0.0f);
    for (std::size_t k = 0; k < span.weights.size(); ++k) {
      const auto* from = narrow.ptr<float>(span.first + static_cast<int>(k));
      for (std::size_t x = 0; x < width; ++x) row[x] += span.weights[k] * from[x];
    }
    auto* to = result.ptr<std::uint8_t>(y);
    for (std::size_t x = 0; x < width; ++x) {
      to[x] = static_cast<std::uint8_t>(std::clamp(std::floor(row[x] + 0.5f), 0.0f, 255.0f));
    }
  }
  return result;
}

}  // namespace fastcpp::detail
