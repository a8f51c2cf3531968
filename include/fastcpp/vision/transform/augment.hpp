/// \file
/// Augmentation by lists of operations with one strength, and erasing: for finished pictures of a batch's size.
///
/// They run on the workers after everything else, the crop too, in this order: RandAugment and TrivialAugment (order
/// number 100), erasing (110). Where augmentation was asked for on the device, pictures that they change are finished on
/// the workers. Like all transforms they change the pictures alone; targets that lie in the picture do not follow.
#pragma once

#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {

/// Arguments of rand_augment, torchvision's.
struct RandAugmentOptions {
  ParamRange num_ops = 2;       ///< integer >= 0, how many operations, one after the other
  ParamRange magnitude = 9;     ///< integer, 0 <= magnitude < num_magnitude_bins
  int num_magnitude_bins = 31;  ///< >= 2, how many strengths there are
  double p = 1.0;               ///< how often it runs, 0..1
};
/// RandAugment (Cubuk et al. 2019, arXiv:1909.13719; torchvision: `RandAugment`): `num_ops` of fourteen operations, each
/// drawn alike, with one strength for all of them and a drawn sign where they have one.
///
/// Identity, ShearX, ShearY (up to 0.3), TranslateX, TranslateY (up to 150/331 of the picture), Rotate (up to 30
/// degrees), Brightness, Color, Contrast, Sharpness (by a factor of up to 1 - 0.9 or 1 + 0.9), Posterize (down to 4 bits),
/// Solarize (from 255 down to 0), AutoContrast, Equalize. Pixels that move are the nearest ones, what lies beyond the
/// picture is black.
/// \throws ValueError `value.transform_argument`, `value.probability`
FASTCPP_API Transform rand_augment(const RandAugmentOptions& options = {});

/// Arguments of trivial_augment_wide, torchvision's.
struct TrivialAugmentWideOptions {
  int num_magnitude_bins = 31;  ///< >= 2, how many strengths there are
  double p = 1.0;               ///< how often it runs, 0..1
};
/// TrivialAugment (Müller and Hutter 2021, arXiv:2103.10158; torchvision: `TrivialAugmentWide`): one of the operations of
/// rand_augment, its strength drawn from all of wider ranges: shear up to 0.99, 32 pixels, 135 degrees, factors up to
/// 1 - 0.99 or 1 + 0.99, down to 2 bits.
/// \throws ValueError `value.transform_argument`, `value.probability`
FASTCPP_API Transform trivial_augment_wide(const TrivialAugmentWideOptions& options = {});

/// Arguments of random_erasing, torchvision's.
struct RandomErasingOptions {
  double p = 0.5;                   ///< how often it runs, 0..1
  ParamRange scale = {0.02, 0.33};  ///< share of the picture that is erased, 0..1
  ParamRange ratio = {0.3, 3.3};    ///< height over width, > 0; drawn log-uniformly
  ParamRange value = 0;             ///< what the place is filled with, 0 black to 1
  std::vector<double> values = {};  ///< when given: instead of value, one for each channel
  bool random = false;              ///< noise instead: every value uniform in 0..1, as in the paper
};
/// Erases a rectangle (Zhong et al. 2017, arXiv:1708.04896; torchvision: `RandomErasing`): ten tries to place one that is
/// smaller than the picture in both directions; none is erased when all fail. It works on pictures of 0..1, before they
/// are normalised, so that 0 is black; `.values = {0.485, 0.456, 0.406}` gives torchvision's 0 of a normalised picture.
/// \throws ValueError `value.transform_argument`, `value.probability`; while it runs `value.transform_argument` where
///         `values` has another length than the picture has channels
FASTCPP_API Transform random_erasing(const RandomErasingOptions& options = {});

}  // namespace fastcpp
