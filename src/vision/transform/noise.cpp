#include "vision/transform/noise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::detail {

void check_flow(Resolution flow) {
  if (std::int64_t{flow.rows} * flow.cols > kMaxImagePixels) {
    throw ImageError(
        "image.too_large",
        fmt::format("the transforms would resample {} x {} points, more than {}; ask for a smaller "
                    "size, or resize by squish: a picture this long and thin keeps its shape "
                    "before it is cropped",
                    flow.rows, flow.cols, kMaxImagePixels));
  }
}

std::vector<double> jitter_shifts(const Step& step, Resolution flow) {
  check_flow(flow);
  std::vector<double> shifts(2 * static_cast<std::size_t>(flow.rows) *
                             static_cast<std::size_t>(flow.cols));
  Rng(step.seed).fill_uniform(shifts.data(), shifts.size());
  std::copy_n(step.noise.begin(), std::min(step.noise.size(), shifts.size()), shifts.begin());
  for (auto& shift : shifts) shift = (shift - 0.5) * 2 * step.v[0];
  return shifts;
}

std::vector<Hole> holes_of(const Step& step, Resolution picture) {
  Rng rng(step.seed);
  const double half = step.v[1] / 2;
  const auto bound = [half](double centre, int sign, int n) {
    return static_cast<int>(std::clamp(centre + sign * half, 0.0, static_cast<double>(n)));
  };
  std::vector<Hole> holes;
  for (std::size_t hole = 0; hole < static_cast<std::size_t>(step.v[0]); ++hole) {
    double y = static_cast<double>(rng.integer(0, picture.rows - 1)),
           x = static_cast<double>(rng.integer(0, picture.cols - 1));
    if (2 * hole + 1 < step.centres.size()) {
      y = step.centres[2 * hole];
      x = step.centres[2 * hole + 1];
    }
    holes.push_back({bound(y, -1, picture.rows), bound(y, 1, picture.rows),
                     bound(x, -1, picture.cols), bound(x, 1, picture.cols)});
  }
  return holes;
}

ChannelNoise::ChannelNoise(const Step& step, int channels)
    : step_(step), channel_(static_cast<int>(step.v[0])), factor_(step.v[1]), first_(step.seed) {
  // A random channel is never the last one: fastai's own draw.
  if (channel_ < 0) channel_ = static_cast<int>(first_.integer(0, std::max(channels - 2, 0)));
  if (channel_ >= channels) {
    throw ValueError(
        "value.transform_argument",
        fmt::format(
            "rgb_randomize: channel = {}, but the picture has {}; give a number below that, "
            "or none for a random one",
            channel_, channels));
  }
  // With known noise its factor is known as well.
  if (step.noise.empty()) factor_ = first_.uniform(0, step.v[1]);
}

const std::vector<double>& ChannelNoise::row(int r, int cols, int first, int count) {
  const auto start = static_cast<std::size_t>(r) * static_cast<std::size_t>(cols) +
                     static_cast<std::size_t>(first);
  row_.resize(static_cast<std::size_t>(count));
  Rng rng = first_;
  rng.discard(start);
  rng.fill_uniform(row_.data(), row_.size());
  for (std::size_t i = 0; i < row_.size() && start + i < step_.noise.size(); ++i) {
    row_[i] = static_cast<double>(step_.noise[start + i]);
  }
  for (auto& value : row_) value *= factor_;
  return row_;
}

}  // namespace fastcpp::detail
