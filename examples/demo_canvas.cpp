#include "demo_canvas.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

namespace demo {
namespace {

using fastcpp::Rng;

// Sixteenths of a pixel, so that small shapes keep their form.
constexpr int kShift = 4;

cv::Scalar scalar(const Colour& colour) {
  return {colour[0], colour[1], colour[2]};
}

cv::Vec3b to_bytes(const Colour& colour) {
  return {cv::saturate_cast<uchar>(colour[0]), cv::saturate_cast<uchar>(colour[1]),
          cv::saturate_cast<uchar>(colour[2])};
}

// Rooms and gardens: the same range of colours as the coats, so that the ground gives no hint and
// hides some edges.
Colour surface_colour(Rng& rng) {
  const double grey = rng.uniform(40, 220);
  return jitter({grey, grey, grey}, 45, rng);
}

}  // namespace

Colour mix(const Colour& colour, const Colour& other, double share) {
  return colour * (1 - share) + other * share;
}

Colour jitter(const Colour& colour, double by, Rng& rng) {
  Colour result = colour;
  for (int c = 0; c < 3; ++c) result[c] = std::clamp(result[c] + rng.uniform(-by, by), 0.0, 255.0);
  return result;
}

Points ellipse(cv::Point2d centre, double rx, double ry, double tilt) {
  constexpr int kCorners = 40;
  Points result;
  for (int i = 0; i < kCorners; ++i) {
    const double a = 2 * std::numbers::pi * i / kCorners, x = rx * std::cos(a),
                 y = ry * std::sin(a);
    result.push_back(centre + cv::Point2d(x * std::cos(tilt) - y * std::sin(tilt),
                                          x * std::sin(tilt) + y * std::cos(tilt)));
  }
  return result;
}

Points rounded(Points outline, int rounds) {
  for (; rounds > 0; --rounds) {
    Points cut;
    for (std::size_t i = 0; i < outline.size(); ++i) {
      const auto a = outline[i], b = outline[(i + 1) % outline.size()];
      cut.push_back(a * 0.75 + b * 0.25);
      cut.push_back(a * 0.25 + b * 0.75);
    }
    outline = std::move(cut);
  }
  return outline;
}

Points mirrored(Points points, double side) {
  for (auto& p : points) p.x *= side;
  return points;
}

Noise::Noise(std::uint64_t seed) : fine(640, 640) {
  Rng rng{seed, 0x6e6f697365};
  for (float& value : fine) value = static_cast<float>(rng.normal());
  cv::blur(fine, hair, {2, 9});
  cv::GaussianBlur(fine, cloud, {}, 9);
  for (cv::Mat1f* field : {&hair, &cloud}) {
    cv::Scalar mean, deviation;
    cv::meanStdDev(*field, mean, deviation);
    *field = (*field - mean[0]) / deviation[0];
  }
}

cv::Mat1f crop(const cv::Mat1f& field, cv::Size size, Rng& rng) {
  const auto x = static_cast<int>(rng.integer(0, field.cols - size.width));
  const auto y = static_cast<int>(rng.integer(0, field.rows - size.height));
  return field(cv::Rect({x, y}, size));
}

cv::Point2d Pose::operator()(cv::Point2d p) const {
  const double x = flip * p.x, c = std::cos(angle), s = std::sin(angle);
  return centre + unit * cv::Point2d(x * c - p.y * s, x * s + p.y * c);
}

Canvas::Canvas(cv::Size size, const Noise& noise, Rng& rng)
    : noise_(noise), rng_(rng), picture_(size), coat_(size) {}

std::vector<cv::Point> Canvas::pixels(const Points& points) const {
  std::vector<cv::Point> result;
  for (const auto& p : points) {
    const auto q = pose_(p) * double{1 << kShift};
    result.emplace_back(cvRound(q.x), cvRound(q.y));
  }
  return result;
}

cv::Mat1b Canvas::mask_of(const Points& outline) const {
  cv::Mat1b mask(picture_.size(), uchar{0});
  cv::fillPoly(mask, std::vector<std::vector<cv::Point>>{pixels(outline)}, 255, cv::LINE_AA,
               kShift);
  return mask;
}

void Canvas::fill(const Points& outline, const Colour& colour) {
  cv::fillPoly(picture_, std::vector<std::vector<cv::Point>>{pixels(outline)}, scalar(colour),
               cv::LINE_AA, kShift);
}

void Canvas::stroke(const Points& line, const Colour& colour, double width) {
  const int thickness = std::max(1, cvRound(width * pose_.unit));
  cv::polylines(picture_, std::vector<std::vector<cv::Point>>{pixels(line)}, false, scalar(colour),
                thickness, cv::LINE_AA, kShift);
}

void Canvas::scatter_things(int count, double low, double high) {
  const auto saved = pose_;
  for (int i = 0; i < count; ++i) {
    const double w = picture_.cols, h = picture_.rows;
    pose_ = {{rng_.uniform(0, w), rng_.uniform(low, high) * h},
             rng_.uniform(0.05, 0.2) * std::min(w, h),
             rng_.uniform(0, 2 * std::numbers::pi),
             1};
    const auto colour = surface_colour(rng_);
    switch (rng_.integer(0, 3)) {
      case 0:
        fill(ellipse({0, 0}, 1, rng_.uniform(0.4, 1)), colour);
        break;
      case 1:  // may be taken for an ear
        fill({{-0.9, 0.6}, {0, -1}, {0.9, 0.6}}, colour);
        break;
      case 2:
        fill({{-1, -0.5}, {1, -0.5}, {1, 0.5}, {-1, 0.5}}, colour);
        break;
      default:  // may be taken for stripes
        for (double y = -0.8; y < 0.9; y += 0.4) stroke({{-1, y}, {1, y}}, colour, 0.12);
    }
  }
  pose_ = saved;
}

void Canvas::draw_background() {
  const double w = picture_.cols, h = picture_.rows;
  const auto wall = surface_colour(rng_), wall_end = mix(wall, surface_colour(rng_), 0.5);
  const auto floor = surface_colour(rng_);
  const double horizon = h * rng_.uniform(0.35, 1.1), lean = rng_.uniform(-0.15, 0.15);
  const auto cloud = crop(noise_.cloud, picture_.size(), rng_);
  const double mottle = rng_.uniform(2, 16);
  for (int y = 0; y < picture_.rows; ++y) {
    for (int x = 0; x < picture_.cols; ++x) {
      const bool below = y > horizon + lean * (x - w / 2);
      const Colour here = below ? floor : mix(wall, wall_end, x / w);
      const double spot = mottle * cloud(y, x);
      picture_(y, x) = to_bytes(here + Colour(spot, spot, spot));
    }
  }
  // Boards or tiles, grass, or nothing.
  const auto line = mix(wall, surface_colour(rng_), 0.5);
  pose_ = {{0, 0}, 1, 0, 1};
  const auto kind = rng_.integer(0, 3);
  const double step = rng_.uniform(0.08, 0.25) * w, slope = rng_.uniform(-0.3, 0.3);
  if (kind <= 1) {
    for (double x = 0; x < w * 1.4; x += step)
      stroke({{x, 0}, {x - slope * h, h}}, line, rng_.uniform(1, 4));
  }
  if (kind == 1) {
    for (double y = 0; y < h; y += step) stroke({{0, y}, {w, y + slope * w}}, line, 2);
  }
  if (kind == 2) {
    for (int i = 0; i < 120; ++i) {
      const double x = rng_.uniform(0, w), y = rng_.uniform(std::min(horizon, h * 0.8), h + 10);
      stroke({{x, y}, {x + rng_.uniform(-6, 6), y - rng_.uniform(6, 24)}}, jitter(line, 40, rng_),
             1.5);
    }
  }
  scatter_things(static_cast<int>(rng_.integer(1, 7)), 0, 1);
}

void Canvas::draw_foreground() {
  if (rng_.chance(0.35)) scatter_things(static_cast<int>(rng_.integer(1, 2)), 0.85, 1);
}

void Canvas::start_coat(const Colour& base) {
  const auto hair = crop(noise_.hair, coat_.size(), rng_);
  const auto cloud = crop(noise_.cloud, coat_.size(), rng_);
  const double rough = rng_.uniform(0.05, 0.11);
  for (int y = 0; y < coat_.rows; ++y) {
    for (int x = 0; x < coat_.cols; ++x)
      coat_(y, x) = to_bytes(base * (1 + rough * hair(y, x) + 0.05 * cloud(y, x)));
  }
}

void Canvas::mark_coat(const Points& outline, const Colour& colour, double strength, double soft) {
  cv::Mat1b mask = mask_of(outline);
  if (soft > 0) {
    const int width = std::max(1, cvRound(soft * pose_.unit));
    cv::blur(mask, mask, {width, width});
    cv::blur(mask, mask, {width, width});
  }
  const auto box = cv::boundingRect(mask);
  for (int y = box.y; y < box.br().y; ++y) {
    for (int x = box.x; x < box.br().x; ++x) {
      if (mask(y, x) == 0) continue;
      coat_(y, x) = to_bytes(mix(coat_(y, x), colour, strength * mask(y, x) / 255));
    }
  }
}

void Canvas::fur(const Points& outline, double brightness) {
  const cv::Mat1b mask = mask_of(outline);
  const auto box = cv::boundingRect(mask);
  if (box.empty()) return;
  // A mask blurred over a third of the head falls off towards the edge as a round body does.
  cv::Mat1b round;
  const int width = std::max(3, cvRound(0.5 * pose_.unit));
  cv::blur(mask, round, {width, width});
  for (int y = box.y; y < box.br().y; ++y) {
    for (int x = box.x; x < box.br().x; ++x) {
      if (mask(y, x) == 0) continue;
      const Colour lit = Colour(coat_(y, x)) * (brightness * (0.62 + 0.4 * round(y, x) / 255));
      picture_(y, x) = to_bytes(mix(picture_(y, x), lit, mask(y, x) / 255.0));
    }
  }
}

cv::Mat3b Canvas::develop() {
  const double w = picture_.cols, h = picture_.rows;
  // A lamp from one side, exposure, contrast and a cast.
  const double side = rng_.uniform(0, 2 * std::numbers::pi), fall = rng_.uniform(0, 0.35);
  const double gain = rng_.log_uniform(0.7, 1.3), contrast = rng_.uniform(0.8, 1.2);
  const Colour cast = jitter({128, 128, 128}, 14, rng_) / 128;
  const double grain = rng_.uniform(2, 9);
  const auto noise = crop(noise_.fine, picture_.size(), rng_);
  const double blur = rng_.uniform(-0.6, 1.1);
  if (blur > 0.3) cv::GaussianBlur(picture_, picture_, {}, blur);
  for (int y = 0; y < picture_.rows; ++y) {
    for (int x = 0; x < picture_.cols; ++x) {
      const double along = (x / w - 0.5) * std::cos(side) + (y / h - 0.5) * std::sin(side);
      const double light = gain * (1 + fall * 2 * along), speck = grain * noise(y, x);
      Colour c = Colour(picture_(y, x)) * light;
      for (int i = 0; i < 3; ++i) c[i] = (c[i] * cast[i] - 120) * contrast + 120 + speck;
      picture_(y, x) = to_bytes(c);
    }
  }
  return picture_;
}

}  // namespace demo
