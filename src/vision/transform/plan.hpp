// Between a list of transforms and pixels: what was drawn for one picture, and the two ways to
// execute it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <opencv2/core.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0::detail {

enum class Kind {
  kPad,
  kSymmetricWarp,
  kPerspectiveWarp,
  kTilt,
  kSkew,
  kJitter,
  kZoomSquish,
  kRotate,
  kZoom,
  kSquish,
  kFlipAffine,
  kDihedralAffine,
  kBrightness,
  kContrast,
  kFlipLr,
  kDihedral,
  kCrop,
  kRgbRandomize,
  kCutout,
  kCropPad,
  kRandAugment,
  kTrivialAugmentWide,
  kRandomErasing,
  kOwn  // made known by register_transform
};

// How an argument is drawn.
enum class Draw { kUniform, kLogUniform, kInteger, kCandidates, kFixedList, kText };

struct ParamSpec {
  std::string_view name;
  Draw draw;
  double low, high;                        // permitted values
  std::optional<TransformValue> fallback;  // absent: the argument is required
  std::size_t list =
      0;  // how many values a fixed list has, 0: a list is not permitted, 99: any number
  bool open = false;  // the limits themselves are not permitted
};

struct TransformSpec {
  std::string_view name;
  Kind kind;
  int order;
  std::vector<ParamSpec> params;
};

// Of fastai's; null when there is none.
const TransformSpec* find_spec(std::string_view name);

// A transform of the user's. The specification's names are the definition's.
struct OwnTransform {
  TransformDefinition definition;
  TransformSpec spec;
};
// Null when there is none.
std::shared_ptr<const OwnTransform> find_own(std::string_view name);

struct TransformAccess {
  static const std::shared_ptr<const OwnTransform>& own(const Transform& tfm) { return tfm.own_; }
};

// One transform with its arguments drawn.
struct Step {
  Kind kind;
  // In the order of the specification's parameters (row_pct and col_pct for crops); magnitudes
  // follow the direction.
  std::array<double, 8> v{};
  // zoom_squish: scale, squish, invert of every candidate; random_erasing: limits of scale and ratio, values; of one's
  // own: the arguments
  std::vector<double> list = {};
  Resolution size = {};  // crop, crop_pad
  PaddingMode padding = PaddingMode::kReflection;
  std::uint64_t seed = 0;  // for draws that depend on the picture's size
  // Tests put known numbers in the place of those draws.
  std::vector<float> noise = {};     // jitter, rgb_randomize
  std::vector<double> centres = {};  // cutout: row, column of each hole
  std::vector<double> uniform = {};  // augment transforms: numbers in [0, 1)
  std::shared_ptr<const OwnTransform> own = {};
};

struct Plan {
  std::vector<Step> steps;
  Resolution size;  // wanted size after rounding; rows 0: none
  ResizeMethod method = ResizeMethod::kCrop;
  PaddingMode padding = PaddingMode::kReflection;
  SampleMode mode = SampleMode::kBilinear;
};

// Sorts, completes and draws. Independent of the picture.
Plan draw_plan(const TfmList& tfms, const ApplyTfmsOptions& options, Rng& rng);

// What the picture is resized to; rows 0: not at all.
Resolution resize_target(const Plan& plan, Resolution picture);

// A wrong promise of output_size must not become a write beyond the caller's memory.
// \throws ValueError `value.unknown_size`
void check_fits(Resolution size, Resolution known);

// Where pixels come from: 8-bit interleaved RGB or float planes.
struct Source {
  const cv::Mat* rgb8 = nullptr;
  const float* planes = nullptr;
  int channels = 3;
  Resolution size;
};

struct Planes {
  int channels = 0;
  Resolution size;
  std::vector<float> v;
  std::size_t area() const {
    return static_cast<std::size_t>(size.rows) * static_cast<std::size_t>(size.cols);
  }
  float* plane(int c) { return v.data() + static_cast<std::size_t>(c) * area(); }
  const float* plane(int c) const { return v.data() + static_cast<std::size_t>(c) * area(); }
};

Planes to_planes(const Source& source);

// Shrinks by area averages (adaptive average pooling).
Planes area_shrink(const Source& source, Resolution to);

// Size of the intermediate picture for a flow of `flow` points spanning `extent` (max - min over x
// and y together); rows 0: none needed.
Resolution shrink_size(Resolution picture, Resolution flow, double extent);

// Those of vision/transform/augment.hpp: they get finished pixels, as a user's own do.
bool is_augment(Kind kind);
Planes run_augment(const Step& step, Planes planes);

// Step by step, each transform by itself; any list without augment transforms and those of one's own.
Planes execute_slow(const Plan& plan, const Source& source);

// One pass. False when the list is not of the form (warps, one jitter, affine, lighting; then flips, crops and pixels that are
// replaced) it can do.
bool fast_form(const Plan& plan, const Source& source);
// `place` is told the size of the result and returns where its planes go.
using Place = std::function<float*(Resolution)>;
void execute_fast(const Plan& plan, const Source& source, const Place& place);

// Any plan, as quickly as it can be done.
void execute(const Plan& plan, const Source& source, const Place& place);

}  // namespace fastcpp::detail
