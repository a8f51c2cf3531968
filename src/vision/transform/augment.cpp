#include "vision/transform/augment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/transform/augment.hpp"

namespace fastcpp::inline v0 {
namespace detail {
namespace {

// The largest magnitude of each operation.
struct Widest {
  double shear, rows, cols, degrees, factor, bits;
};

// One of 0 .. n-1.
int one_of(int n, const Uniform& uniform) {
  return std::min(static_cast<int>(uniform() * n), n - 1);
}

bool has_sign(AugmentOp op) {
  return op >= AugmentOp::kShearX && op <= AugmentOp::kSharpness;
}

bool has_magnitude(AugmentOp op) {
  return has_sign(op) || op == AugmentOp::kPosterize || op == AugmentOp::kSolarize;
}

// That of bin i, without its sign. The bins are evenly spaced.
double magnitude_at(AugmentOp op, const Widest& widest, int i, int bins) {
  const auto of = [i, bins](double most) { return most * i / (bins - 1); };
  switch (op) {
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
      return of(widest.shear);
    case AugmentOp::kTranslateX:
      return of(widest.cols);
    case AugmentOp::kTranslateY:
      return of(widest.rows);
    case AugmentOp::kRotate:
      return of(widest.degrees);
    case AugmentOp::kPosterize:
      return 8 - std::nearbyint(of(widest.bits));
    case AugmentOp::kSolarize:
      return 255 - of(255);
    default:
      return has_magnitude(op) ? of(widest.factor) : 0;
  }
}

double with_sign(AugmentOp op, double magnitude, const Uniform& uniform) {
  return has_sign(op) && one_of(2, uniform) == 1 ? -magnitude : magnitude;
}

void erase_box(const Step& step, Planes& planes, const Uniform& uniform) {
  // Limits of scale and ratio, then the values.
  const auto& list = step.list;
  const auto values = list.size() - 4;
  if (values != 1 && values != static_cast<std::size_t>(planes.channels)) {
    throw ValueError("value.transform_argument",
                     fmt::format("random_erasing: {} values for a picture of {} channels; give one "
                                 "for each channel, or one for all",
                                 values, planes.channels));
  }
  const auto box = erasing_box(planes.size, {list[0], list[1]}, {list[2], list[3]}, uniform);
  if (!box) return;
  const bool noise = step.v[0] != 0;
  for (int c = 0; c < planes.channels; ++c) {
    const auto value = static_cast<float>(list[4 + (values > 1 ? static_cast<std::size_t>(c) : 0)]);
    for (int r = box->row; r < box->row + box->rows; ++r) {
      float* row = planes.plane(c) + static_cast<std::ptrdiff_t>(r) * planes.size.cols + box->col;
      for (int k = 0; k < box->cols; ++k) row[k] = noise ? static_cast<float>(uniform()) : value;
    }
  }
}

}  // namespace

bool is_augment(Kind kind) {
  return kind == Kind::kRandAugment || kind == Kind::kTrivialAugmentWide ||
         kind == Kind::kRandomErasing;
}

std::vector<AugmentChoice> rand_augment_choices(int num_ops, int magnitude, int bins,
                                                Resolution picture, const Uniform& uniform) {
  const Widest widest{.shear = 0.3,
                      .rows = 150.0 / 331 * picture.rows,
                      .cols = 150.0 / 331 * picture.cols,
                      .degrees = 30,
                      .factor = 0.9,
                      .bits = 4};
  std::vector<AugmentChoice> choices;
  for (int i = 0; i < num_ops; ++i) {
    const auto op = static_cast<AugmentOp>(one_of(kAugmentOps, uniform));
    choices.push_back({op, with_sign(op, magnitude_at(op, widest, magnitude, bins), uniform)});
  }
  return choices;
}

AugmentChoice trivial_augment_choice(int bins, const Uniform& uniform) {
  constexpr Widest kWidest{
      .shear = 0.99, .rows = 32, .cols = 32, .degrees = 135, .factor = 0.99, .bits = 6};
  const auto op = static_cast<AugmentOp>(one_of(kAugmentOps, uniform));
  const int i = has_magnitude(op) ? one_of(bins, uniform) : 0;
  return {op, with_sign(op, magnitude_at(op, kWidest, i, bins), uniform)};
}

std::optional<PixelBox> erasing_box(Resolution picture, ParamRange scale, ParamRange ratio,
                                    const Uniform& uniform) {
  const double area = static_cast<double>(picture.rows) * picture.cols;
  const double narrow = std::log(ratio.low), wide = std::log(ratio.high);
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    const double erased = area * (scale.low + (scale.high - scale.low) * uniform());
    const double aspect = std::exp(narrow + (wide - narrow) * uniform());
    const double rows = std::nearbyint(std::sqrt(erased * aspect)),
                 cols = std::nearbyint(std::sqrt(erased / aspect));
    if (!(rows < picture.rows && cols < picture.cols)) continue;
    PixelBox box{0, 0, static_cast<int>(rows), static_cast<int>(cols)};
    box.row = one_of(picture.rows - box.rows + 1, uniform);
    box.col = one_of(picture.cols - box.cols + 1, uniform);
    return box;
  }
  return std::nullopt;
}

Planes run_augment(const Step& step, Planes planes) {
  Rng rng(step.seed);
  const Uniform uniform = [&step, &rng, next = std::size_t{0}]() mutable {
    return next < step.uniform.size() ? step.uniform[next++] : rng.uniform();
  };
  const auto whole = [&step](std::size_t i) { return static_cast<int>(step.v[i]); };
  if (step.kind == Kind::kRandomErasing) {
    erase_box(step, planes, uniform);
  } else if (step.kind == Kind::kTrivialAugmentWide) {
    run_op(trivial_augment_choice(whole(0), uniform), planes);
  } else {
    for (const auto& choice :
         rand_augment_choices(whole(0), whole(1), whole(2), planes.size, uniform)) {
      run_op(choice, planes);
    }
  }
  return planes;
}

}  // namespace detail

Transform rand_augment(const RandAugmentOptions& o) {
  return Transform("rand_augment",
                   {{"num_ops", o.num_ops},
                    {"magnitude", o.magnitude},
                    {"num_magnitude_bins", ParamRange(o.num_magnitude_bins)}},
                   {.p = o.p});
}

Transform trivial_augment_wide(const TrivialAugmentWideOptions& o) {
  return Transform("trivial_augment_wide",
                   {{"num_magnitude_bins", ParamRange(o.num_magnitude_bins)}}, {.p = o.p});
}

Transform random_erasing(const RandomErasingOptions& o) {
  TransformValue value = o.value;
  if (!o.values.empty()) value = o.values;
  return Transform("random_erasing",
                   {{"scale", o.scale},
                    {"ratio", o.ratio},
                    {"value", value},
                    {"random", ParamRange(o.random ? 1 : 0)}},
                   {.p = o.p});
}

}  // namespace fastcpp
