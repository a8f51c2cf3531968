// The table of all transforms: names, order numbers, arguments.
#include <limits>

#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0::detail {
namespace {

constexpr double kInf = std::numeric_limits<double>::max();
constexpr double kMaxInt = 1e6;

using Fallback = std::optional<TransformValue>;
constexpr auto kRequired = std::nullopt;

ParamSpec number(std::string_view name, const Fallback& fallback, double low = -kInf,
                 double high = kInf) {
  return {name, Draw::kUniform, low, high, fallback};
}
ParamSpec integer(std::string_view name, const Fallback& fallback, double low, double high) {
  return {name, Draw::kInteger, low, high, fallback};
}
ParamSpec positive(std::string_view name, const Fallback& fallback, Draw draw = Draw::kUniform) {
  return {name, draw, 0, kInf, fallback, 0, true};
}
ParamSpec word(std::string_view name, const char* fallback) {
  return {name, Draw::kText, 0, 0, std::string(fallback)};
}
ParamSpec magnitudes(std::size_t count) {
  return {"magnitude", Draw::kUniform, -kInf, kInf, ParamRange(0), count};
}

const std::vector<TransformSpec>& specs() {
  static const auto row = number("row_pct", ParamRange(0.5), 0, 1),
                    col = number("col_pct", ParamRange(0.5), 0, 1);
  static const std::vector<TransformSpec> table = {
      {"pad",
       Kind::kPad,
       -10,
       {integer("padding", kRequired, 0, kMaxInt), word("mode", "reflection")}},
      {"symmetric_warp", Kind::kSymmetricWarp, 4, {magnitudes(4)}},
      {"perspective_warp", Kind::kPerspectiveWarp, 4, {magnitudes(8)}},
      {"tilt",
       Kind::kTilt,
       4,
       {integer("direction", kRequired, 0, 3), number("magnitude", ParamRange(0))}},
      {"skew",
       Kind::kSkew,
       4,
       {integer("direction", kRequired, 0, 7), number("magnitude", ParamRange(0))}},
      {"jitter", Kind::kJitter, 4, {number("magnitude", kRequired)}},
      {"zoom_squish",
       Kind::kZoomSquish,
       4,
       {{"scale", Draw::kCandidates, 0, kInf, ParamRange(1), 99, true},
        {"squish", Draw::kCandidates, 0, kInf, ParamRange(1), 99, true},
        {"invert", Draw::kCandidates, 0, 1, ParamRange(0.5), 99},
        integer("candidates", ParamRange(8), 1, 1000),
        row,
        col}},
      {"rotate", Kind::kRotate, 5, {number("degrees", kRequired)}},
      {"zoom", Kind::kZoom, 5, {positive("scale", ParamRange(1)), row, col}},
      {"squish", Kind::kSquish, 5, {positive("scale", ParamRange(1)), row, col}},
      {"flip_affine", Kind::kFlipAffine, 5, {}},
      {"dihedral_affine", Kind::kDihedralAffine, 5, {integer("k", ParamRange(0, 7), 0, 7)}},
      {"brightness", Kind::kBrightness, 8, {{"change", Draw::kUniform, 0, 1, kRequired, 0, true}}},
      {"contrast", Kind::kContrast, 8, {positive("scale", kRequired, Draw::kLogUniform)}},
      {"flip_lr", Kind::kFlipLr, 10, {}},
      {"dihedral", Kind::kDihedral, 10, {integer("k", ParamRange(0, 7), 0, 7)}},
      {"crop", Kind::kCrop, 10, {row, col, {"size", Draw::kFixedList, 0, kMaxInt, kRequired, 2}}},
      {"rgb_randomize",
       Kind::kRgbRandomize,
       10,
       {integer("channel", ParamRange(-1), -1, 3), number("thresh", ParamRange(0.3), 0)}},
      {"cutout",
       Kind::kCutout,
       20,
       {integer("n_holes", ParamRange(1), 0, kMaxInt),
        integer("length", ParamRange(40), 0, kMaxInt)}},
      {"crop_pad", Kind::kCropPad, 99, {row, col, word("padding_mode", "reflection")}},
      {"rand_augment",
       Kind::kRandAugment,
       100,
       {integer("num_ops", ParamRange(2), 0, 100), integer("magnitude", ParamRange(9), 0, kMaxInt),
        integer("num_magnitude_bins", ParamRange(31), 2, kMaxInt)}},
      {"trivial_augment_wide",
       Kind::kTrivialAugmentWide,
       100,
       {integer("num_magnitude_bins", ParamRange(31), 2, kMaxInt)}},
      {"random_erasing",
       Kind::kRandomErasing,
       110,
       {{"scale", Draw::kCandidates, 0, 1, ParamRange(0.02, 0.33)},
        positive("ratio", ParamRange(0.3, 3.3), Draw::kCandidates),
        {"value", Draw::kCandidates, 0, 1, ParamRange(0), 99},
        integer("random", ParamRange(0), 0, 1)}},
  };
  return table;
}

}  // namespace

const TransformSpec* find_spec(std::string_view name) {
  for (const auto& spec : specs()) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

}  // namespace fastcpp::detail
