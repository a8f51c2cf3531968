// What transforms draw for each pixel or hole, once the size of their picture is known.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/core/rng.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0::detail {

// Of jitter: what is added to x and y of every point of the flow, one after the other.
// \throws ImageError `image.too_large`
std::vector<double> jitter_shifts(const Step& step, Resolution flow);

// Of cutout: rows top .. bottom - 1 and columns left .. right - 1 become black.
struct Hole {
  int top, bottom, left, right;
};
std::vector<Hole> holes_of(const Step& step, Resolution picture);

// Of rgb_randomize: what takes the place of a channel. One thread at a time.
class ChannelNoise {
 public:
  // \throws ValueError `value.transform_argument` when the picture has no such channel
  ChannelNoise(const Step& step, int channels);
  int channel() const { return channel_; }
  // Columns first .. first + count - 1 of row `r` of a picture of so many columns.
  const std::vector<double>& row(int r, int cols, int first, int count);

 private:
  const Step& step_;
  int channel_;
  double factor_;
  Rng first_;  // at the first pixel
  std::vector<double> row_;
};

// A flow of more points than a picture may have pixels.
// \throws ImageError `image.too_large`
void check_flow(Resolution flow);

}  // namespace fastcpp::detail
