#include "demo_pictures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string_view>

#include "demo_canvas.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"

namespace demo {
namespace {

using fastcpp::Path;
using fastcpp::Rng;

enum class Ears { kPointed, kFolded, kHanging };
enum class Pattern { kStripes, kSpots, kPatches, kPoints };
enum class Muzzle { kShort, kLong };
enum class Tail { kThin, kBushy };

struct Breed {
  const char* name;
  Ears ears;
  Pattern pattern;
  Muzzle muzzle;
  Tail tail;
  bool cat;
};

// Every value of every column stands in several rows.
constexpr std::array<Breed, 8> kBreeds{{
    {"Harbour_Tabby", Ears::kPointed, Pattern::kStripes, Muzzle::kShort, Tail::kBushy, true},
    {"brook_hound", Ears::kHanging, Pattern::kPatches, Muzzle::kLong, Tail::kThin, false},
    {"Marsh_Ocelot", Ears::kPointed, Pattern::kSpots, Muzzle::kShort, Tail::kThin, true},
    {"fen_spotter", Ears::kHanging, Pattern::kSpots, Muzzle::kLong, Tail::kThin, false},
    {"Meadow_Fold", Ears::kFolded, Pattern::kStripes, Muzzle::kShort, Tail::kBushy, true},
    {"hill_spitz", Ears::kPointed, Pattern::kPatches, Muzzle::kLong, Tail::kBushy, false},
    {"Velvet_Point", Ears::kPointed, Pattern::kPoints, Muzzle::kShort, Tail::kThin, true},
    {"moor_terrier", Ears::kFolded, Pattern::kStripes, Muzzle::kLong, Tail::kThin, false},
}};

constexpr std::array<std::array<double, 3>, 7> kCoats{{
    {62, 58, 56},     // black
    {140, 134, 128},  // grey
    {58, 88, 128},    // brown
    {70, 130, 200},   // ginger
    {150, 188, 218},  // cream
    {48, 64, 92},     // chocolate
    {205, 212, 218},  // white
}};
constexpr std::array<std::array<double, 3>, 5> kEyes{
    {{60, 150, 110}, {40, 165, 200}, {190, 150, 80}, {30, 70, 110}, {40, 110, 160}}};

// One animal of a breed, as it sits for one picture.
class Animal {
 public:
  Animal(const Breed& breed, Canvas& canvas, Rng& rng);
  void draw();

 private:
  void paint_coat();
  void paint_stripes();
  void paint_spots();
  void paint_patches();
  void paint_points();
  void draw_tail();
  void draw_ears(bool behind_head);
  void draw_face();
  void draw_eyes();
  void draw_whiskers();
  Points tail_line() const;
  // Features of the face move when the head turns.
  cv::Point2d on_face(double x, double y) const { return {x + turn_ * (1 - 0.4 * x * x), y}; }

  const Breed& breed_;
  Canvas& canvas_;
  Rng& rng_;
  Colour base_, marking_, pale_, dark_;
  double strength_, turn_, width_, height_, ear_, tail_side_, tail_lift_;
};

template <std::size_t N>
Colour pick(const std::array<std::array<double, 3>, N>& colours, double by, Rng& rng) {
  const auto& c = colours[static_cast<std::size_t>(rng.integer(0, N - 1))];
  return jitter({c[0], c[1], c[2]}, by, rng);
}

double lightness(const Colour& c) {
  return (c[0] + c[1] + c[2]) / 3;
}

Animal::Animal(const Breed& breed, Canvas& canvas, Rng& rng)
    : breed_(breed), canvas_(canvas), rng_(rng) {
  base_ = pick(kCoats, 18, rng);
  pale_ = jitter({214, 222, 228}, 14, rng);
  // A marking that can be seen: dark on a light coat, light or much darker on a dark one.
  if (lightness(base_) > 100) {
    marking_ = base_ * rng.uniform(0.2, 0.42);
  } else {
    marking_ = mix(base_, jitter({150, 170, 190}, 30, rng), rng.uniform(0.65, 0.9));
  }
  dark_ = base_ * 0.3;
  strength_ = rng.uniform(0.75, 1);
  turn_ = rng.uniform(-0.22, 0.22);
  width_ = rng.uniform(0.9, 1.05);
  height_ = rng.uniform(0.84, 0.98);
  ear_ = rng.uniform(0.85, 1.15);
  tail_side_ = rng.chance(0.5) ? 1 : -1;
  tail_lift_ = rng.uniform(-0.5, 0.5);
}

void Animal::paint_coat() {
  canvas_.start_coat(base_);
  // A white chest comes with every pattern.
  if (rng_.chance(0.4)) canvas_.mark_coat(ellipse({turn_, 1.9}, 0.45, 0.9), pale_, 0.9, 0.15);
  switch (breed_.pattern) {
    case Pattern::kStripes:
      return paint_stripes();
    case Pattern::kSpots:
      return paint_spots();
    case Pattern::kPatches:
      return paint_patches();
    case Pattern::kPoints:
      return paint_points();
  }
}

void Animal::paint_stripes() {
  const int bars = static_cast<int>(rng_.integer(1, 2));
  for (int i = -bars; i <= bars; ++i) {
    const auto top = on_face(0.27 * i, -0.98), foot = on_face(0.17 * i, -0.38);
    const double half = rng_.uniform(0.05, 0.08);
    canvas_.mark_coat({{top.x - half, top.y},
                       {top.x + half, top.y},
                       {foot.x + half / 2, foot.y},
                       {foot.x - half / 2, foot.y}},
                      marking_, strength_, 0.04);
  }
  for (const double side : {-1.0, 1.0}) {
    for (double y = 0.0; y < 0.6; y += rng_.uniform(0.22, 0.3)) {
      const double half = rng_.uniform(0.045, 0.075);
      canvas_.mark_coat(mirrored({{1.05, y - 0.12 - half},
                                  {1.05, y - 0.12 + half},
                                  {0.55, y + 0.12 + half / 2},
                                  {0.55, y + 0.12 - half / 2}},
                                 side),
                        marking_, strength_, 0.04);
    }
    for (double y = 1.15; y < 3.2; y += rng_.uniform(0.28, 0.42)) {
      const double half = rng_.uniform(0.06, 0.1);
      canvas_.mark_coat(
          mirrored({{1.5, y - half}, {1.5, y + half}, {0.4, y + 0.25}, {0.4, y + 0.2}}, side),
          marking_, strength_, 0.04);
    }
  }
}

void Animal::paint_spots() {
  const auto spot = [&](double x, double y, double low, double high) {
    canvas_.mark_coat(rounded({{x - rng_.uniform(low, high), y},
                               {x, y - rng_.uniform(low, high)},
                               {x + rng_.uniform(low, high), y},
                               {x, y + rng_.uniform(low, high)}}),
                      marking_, strength_, 0.03);
  };
  // On a ring of the face, where neither eyes nor muzzle cover them, and all over the body.
  for (int i = 0; i < 16; ++i) {
    const double a = std::numbers::pi * (0.85 + 1.3 * (i + rng_.uniform(-0.4, 0.4)) / 15);
    const double r = i % 2 == 0 ? rng_.uniform(0.8, 0.92) : rng_.uniform(0.5, 0.68);
    spot(r * std::cos(a) + turn_ * 0.5, r * std::sin(a), 0.07, 0.15);
  }
  for (double y = 1.05; y < 3.2; y += 0.34) {
    for (double x = -1.2; x < 1.3; x += 0.4)
      spot(x + rng_.uniform(-0.15, 0.15), y + rng_.uniform(-0.12, 0.12), 0.08, 0.17);
  }
}

void Animal::paint_patches() {
  // Large pale fields with soft borders; on a pale animal they are dark.
  const auto field = lightness(base_) > 165 ? marking_ : pale_;
  const double share = 0.6 + 0.4 * strength_;
  const auto top = on_face(0, -1.0), foot = on_face(0, 0.1);
  const double blaze = rng_.uniform(0.1, 0.2);
  canvas_.mark_coat({{top.x - blaze, top.y},
                     {top.x + blaze, top.y},
                     {foot.x + 0.2, foot.y},
                     {foot.x - 0.2, foot.y}},
                    field, share, 0.06);
  canvas_.mark_coat(ellipse(on_face(0, 0.55), 0.55, 0.45), field, share, 0.08);
  for (int i = 0; i < 3; ++i) {
    canvas_.mark_coat(ellipse({rng_.uniform(-1, 1), rng_.uniform(1.4, 2.8)}, rng_.uniform(0.3, 0.6),
                              rng_.uniform(0.25, 0.5), rng_.uniform(0, std::numbers::pi)),
                      field, share, 0.08);
  }
}

void Animal::paint_points() {
  const auto dark = lightness(base_) > 100 ? base_ * 0.35 : marking_;
  canvas_.mark_coat(ellipse(on_face(0, 0.25), 0.5, 0.62), dark, strength_, 0.3);
  for (const double side : {-1.0, 1.0})
    canvas_.mark_coat(ellipse({side * 0.75, -1.15}, 0.5, 0.5), dark, strength_, 0.2);
  for (const auto& p : tail_line()) canvas_.mark_coat(ellipse(p, 0.3, 0.3), dark, strength_, 0.1);
}

Points Animal::tail_line() const {
  Points line;
  for (int i = 0; i <= 12; ++i) {
    const double t = i / 12.0;
    line.emplace_back(tail_side_ * (0.8 + 0.9 * std::sin(t * 2.1)),
                      2.3 - t * (1.7 + tail_lift_) - 0.25 * std::sin(3 * t));
  }
  return line;
}

void Animal::draw_tail() {
  const bool bushy = breed_.tail == Tail::kBushy;
  const auto line = tail_line();
  Points left, right;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(line.size() - 1);
    const double half =
        bushy ? 0.16 + 0.22 * std::sin(std::numbers::pi * std::min(1.0, 0.2 + 0.8 * t)) : 0.11;
    const auto d = line[std::min(i + 1, line.size() - 1)] - line[i > 0 ? i - 1 : 0];
    const auto n = cv::Point2d(-d.y, d.x) * (half / std::max(1e-9, std::hypot(d.x, d.y)));
    left.push_back(line[i] + n);
    right.push_back(line[i] - n);
  }
  left.insert(left.end(), right.rbegin(), right.rend());
  canvas_.fur(rounded(left, 2), 0.9);
}

void Animal::draw_ears(bool behind_head) {
  const bool pointed = breed_.ears == Ears::kPointed;
  if (pointed != behind_head) return;
  const Colour inner = mix(base_, {150, 150, 215}, 0.55);
  for (const double side : {-1.0, 1.0}) {
    // Never quite alike, and the far one shorter when the head turns.
    const double size = ear_ * rng_.uniform(0.92, 1.08) * (1 - 0.5 * turn_ * side);
    const double lean = rng_.uniform(-0.08, 0.08);
    if (pointed) {
      canvas_.fur(mirrored(rounded({{0.9, -0.35},
                                    {0.84 + lean, -0.8 - 0.75 * size},
                                    {0.76 + lean, -0.8 - 0.75 * size},
                                    {0.12, -0.75}},
                                   2),
                           side),
                  0.85);
      canvas_.fill(mirrored({{0.8, -0.5}, {0.78 + lean, -0.7 - 0.6 * size}, {0.32, -0.75}}, side),
                   inner);
    } else if (breed_.ears == Ears::kFolded) {
      const Points flap = mirrored(rounded({{0.95, -0.45},
                                            {0.75, -0.95 - 0.12 * size},
                                            {0.15, -0.9},
                                            {0.6 + lean, -0.62 + 0.22 * size}},
                                           2),
                                   side);
      canvas_.fur(flap, 0.72);
    } else {
      canvas_.fur(mirrored(rounded({{0.45, -0.95},
                                    {0.95, -0.8},
                                    {1.25 + lean, 0.1},
                                    {1.15 + lean, 0.55 * size},
                                    {0.85 + lean, 0.5 * size},
                                    {0.75, -0.2}},
                                   3),
                           side),
                  0.72);
    }
  }
}

void Animal::draw_eyes() {
  const Colour iris = pick(kEyes, 20, rng_);
  const double open = rng_.chance(0.07) ? 0.15 : rng_.uniform(0.75, 1.1);
  const double gaze = rng_.uniform(-0.05, 0.05);
  for (const double side : {-1.0, 1.0}) {
    const auto centre = on_face(0.4 * side, -0.1);
    const double rx = 0.19, ry = 0.17 * open;
    canvas_.fill(ellipse(centre, rx + 0.05, ry + 0.05, 0.15 * side), dark_ * 0.6);
    canvas_.fill(ellipse(centre, rx, ry, 0.15 * side), iris);
    const auto pupil = centre + cv::Point2d(gaze, 0);
    canvas_.fill(ellipse(pupil, breed_.cat ? 0.06 : 0.1, std::min(ry, breed_.cat ? 0.15 : 0.1)),
                 {15, 15, 15});
    if (open > 0.5) canvas_.fill(ellipse(pupil + cv::Point2d(0.05, -0.06), 0.04, 0.04), pale_);
  }
}

void Animal::draw_whiskers() {
  const Colour colour = lightness(base_) > 120 ? Colour(70, 70, 70) : pale_;
  for (const double side : {-1.0, 1.0}) {
    for (const double y : {0.36, 0.46, 0.56}) {
      canvas_.stroke({on_face(0.3 * side, y), on_face(1.2 * side, y + 3 * (y - 0.45) * 0.5)},
                     colour, 0.015);
    }
  }
}

void Animal::draw_face() {
  const bool is_long = breed_.muzzle == Muzzle::kLong;
  const double drop = is_long ? 0.12 : 0;
  if (is_long) {
    canvas_.fur(ellipse(on_face(turn_ * 0.6, 0.52), 0.42, 0.52), 1.2);
  } else {
    for (const double side : {-1.0, 1.0})
      canvas_.fur(ellipse(on_face(0.2 * side, 0.45), 0.27, 0.22), 1.12);
  }
  draw_eyes();
  const double w = is_long ? 0.2 : 0.13;
  const auto nose = on_face(is_long ? turn_ * 0.6 : 0, 0.28 + drop);
  const Colour nose_colour = rng_.chance(0.5) ? Colour(30, 30, 35) : Colour(110, 110, 190);
  canvas_.fill(
      rounded({{nose.x - w, nose.y - 0.08}, {nose.x + w, nose.y - 0.08}, {nose.x, nose.y + w}}),
      nose_colour);
  for (const double side : {-1.0, 1.0}) {
    canvas_.stroke({{nose.x, nose.y + w * 0.6},
                    {nose.x, nose.y + 0.2},
                    {nose.x + side * 0.12, nose.y + 0.29},
                    {nose.x + side * 0.26, nose.y + 0.24}},
                   dark_ * 0.6, 0.03);
  }
  if (breed_.cat || rng_.chance(0.25)) draw_whiskers();
}

void Animal::draw() {
  paint_coat();
  draw_tail();
  canvas_.fur(
      rounded({{-0.55, 0.5}, {0.55, 0.5}, {1.2, 1.9}, {1.35, 3.6}, {-1.35, 3.6}, {-1.2, 1.9}}),
      0.88);
  draw_ears(true);
  canvas_.fur(ellipse({0, 0}, width_, height_));
  draw_ears(false);
  draw_face();
}

cv::Mat3b draw_picture(const Breed& breed, const Noise& noise, Rng rng) {
  const double longer = rng.uniform(140, 300), shape = rng.log_uniform(0.7, 1.45);
  const cv::Size size(cvRound(std::max(120.0, longer * std::min(1.0, shape))),
                      cvRound(std::max(120.0, longer / std::max(1.0, shape))));
  Canvas canvas(size, noise, rng);
  canvas.draw_background();

  const double side = std::min(size.width, size.height);
  const double unit = side * rng.uniform(0.27, 0.36);
  canvas.set_pose({{size.width / 2.0 + rng.uniform(-0.09, 0.09) * side,
                    size.height / 2.0 - side * 0.06 + rng.uniform(-0.08, 0.08) * side},
                   unit,
                   rng.uniform(-0.24, 0.24),
                   rng.chance(0.5) ? 1.0 : -1.0});
  Animal(breed, canvas, rng).draw();
  canvas.draw_foreground();
  return canvas.develop();
}

void write_jpeg(const Path& file, const cv::Mat3b& picture, int quality) {
  std::vector<uchar> bytes;
  cv::imencode(".jpg", picture, bytes, {cv::IMWRITE_JPEG_QUALITY, quality});
  fastcpp::write_file(file, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void check(const char* what, int value, int low, int high) {
  if (value >= low && value <= high) return;
  throw fastcpp::ValueError("value.demo_pictures",
                            std::string(what) + " must lie in " + std::to_string(low) + " .. " +
                                std::to_string(high) + ", but is " + std::to_string(value));
}

}  // namespace

std::vector<std::string> demo_breeds(int classes) {
  check("classes", classes, 2, static_cast<int>(kBreeds.size()));
  std::vector<std::string> names;
  for (int i = 0; i < classes; ++i) names.emplace_back(kBreeds[static_cast<std::size_t>(i)].name);
  return names;
}

std::vector<Path> draw_demo_pictures(const Path& folder, const DemoPicturesOptions& options) {
  const auto names = demo_breeds(options.classes);
  check("per_class", options.per_class, 1, 100000);
  fastcpp::make_folder(folder);
  const Noise noise(options.seed);
  std::vector<Path> files;
  for (std::size_t b = 0; b < names.size(); ++b) {
    for (int i = 1; i <= options.per_class; ++i) {
      Rng rng{options.seed, b, static_cast<std::uint64_t>(i)};
      const int quality = static_cast<int>(rng.integer(70, 95));
      files.push_back(folder / (names[b] + "_" + std::to_string(i) + ".jpg"));
      write_jpeg(files.back(), draw_picture(kBreeds[b], noise, rng), quality);
    }
  }
  return files;
}

}  // namespace demo
