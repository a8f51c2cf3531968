// The operations of RandAugment and TrivialAugment, and erasing: what is drawn, and what it does to pixels.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0::detail {

// In torchvision's order: its number is drawn.
enum class AugmentOp {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize
};
inline constexpr int kAugmentOps = 14;

struct AugmentChoice {
  AugmentOp op;
  // Pixels along an axis, degrees, change of a factor, bits that stay, level of 255; 0 where the operation has none.
  double magnitude;
};

// Gives numbers in [0, 1).
using Uniform = std::function<double()>;

std::vector<AugmentChoice> rand_augment_choices(int num_ops, int magnitude, int bins,
                                                Resolution picture, const Uniform& uniform);
AugmentChoice trivial_augment_choice(int bins, const Uniform& uniform);
void run_op(const AugmentChoice& choice, Planes& planes);

struct PixelBox {
  int row, col, rows, cols;
};

// Absent when no try fits.
std::optional<PixelBox> erasing_box(Resolution picture, ParamRange scale, ParamRange ratio,
                                    const Uniform& uniform);

}  // namespace fastcpp::detail
