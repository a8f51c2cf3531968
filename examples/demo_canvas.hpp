/// \file
/// A small drawing board: shapes in the animal's own units, fur, backgrounds and light. Used by
/// demo_pictures.cpp only.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

#include "fastcpp/core/rng.hpp"

namespace demo {

using Points = std::vector<cv::Point2d>;
/// Blue, green, red in 0 .. 255.
using Colour = cv::Vec3d;

/// `colour` moved by `share` of the way to `other`.
Colour mix(const Colour& colour, const Colour& other, double share);
/// `colour` with every channel moved by up to `by`.
Colour jitter(const Colour& colour, double by, fastcpp::Rng& rng);

/// The outline of an ellipse, leaning by `tilt` radians.
Points ellipse(cv::Point2d centre, double rx, double ry, double tilt = 0);
/// The corners of a closed outline rounded off (Chaikin's corner cutting).
Points rounded(Points outline, int rounds = 3);
/// The points with x multiplied by `side`, which is -1 or 1.
Points mirrored(Points points, double side);

/// Random fields made once a set: drawing them anew for every picture would take most of the time.
struct Noise {
  explicit Noise(std::uint64_t seed);
  /// Standard normal values: `fine` without neighbourhood, `hair` in short upright streaks, `cloud`
  /// in wide patches.
  cv::Mat1f fine, hair, cloud;
};
/// A crop of a field at a random place.
cv::Mat1f crop(const cv::Mat1f& field, cv::Size size, fastcpp::Rng& rng);

/// Where the animal's units lie in the picture: the head is the unit circle at the origin, y points
/// down.
struct Pose {
  cv::Point2d centre;
  double unit = 1;   // pixels
  double angle = 0;  // radians
  double flip = 1;   // -1 mirrors

  cv::Point2d operator()(cv::Point2d p) const;
};

/// The picture being drawn, and the coat that every piece of fur is cut from.
class Canvas {
 public:
  Canvas(cv::Size size, const Noise& noise, fastcpp::Rng& rng);

  void set_pose(const Pose& pose) { pose_ = pose; }

  /// A wall, a floor and things lying about.
  void draw_background();
  /// A few strokes and a thing in front of the animal's lower part.
  void draw_foreground();

  /// Starts a coat of one colour with hair.
  void start_coat(const Colour& base);
  /// Paints a marking on the coat; `soft` is the width of its edge in units, 0 is sharp.
  void mark_coat(const Points& outline, const Colour& colour, double strength, double soft = 0);
  /// Cuts a shape out of the coat and lays it on the picture, darker towards its edge.
  void fur(const Points& outline, double brightness = 1);

  /// A flat shape, and an open line of a width in units.
  void fill(const Points& outline, const Colour& colour);
  void stroke(const Points& line, const Colour& colour, double width);

  /// Light, sharpness and noise of a camera; the picture is finished then.
  cv::Mat3b develop();

 private:
  cv::Mat1b mask_of(const Points& outline) const;
  std::vector<cv::Point> pixels(const Points& points) const;
  void scatter_things(int count, double low, double high);

  const Noise& noise_;
  fastcpp::Rng& rng_;
  Pose pose_;
  cv::Mat3b picture_, coat_;
};

}  // namespace demo
