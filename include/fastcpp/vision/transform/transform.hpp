/// \file
/// Transforms: data first (name, arguments, probability), executed later in one go.
///
/// fastai: `vision.transform`, `Image.apply_tfms`. Names, defaults and order numbers are fastai's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/vision/image/image.hpp"

namespace fastcpp::inline v0 {

/// A number, or an interval from which every item draws anew (fastai: a pair as an argument of a transform). A value:
/// copies share nothing. Threads: const calls by any number at once.
struct ParamRange {
  double low = 0;   ///< smallest value
  double high = 0;  ///< largest value
  constexpr ParamRange() = default;
  /// Always this value.
  constexpr ParamRange(double value) : low(value), high(value) {}  // NOLINT: numbers are ranges
  /// Drawn anew from this interval.
  constexpr ParamRange(double from, double to) : low(from), high(to) {}
  /// Whether it is always one value.
  constexpr bool fixed() const { return low == high; }
  bool operator==(const ParamRange&) const = default;
};

/// What a transform's argument may hold: a number or an interval, a list of fixed numbers, a word.
using TransformValue = std::variant<ParamRange, std::vector<double>, std::string>;

/// One named argument.
struct TransformParam {
  std::string name;      ///< of the argument
  TransformValue value;  ///< a number, an interval, a list or a word
  bool operator==(const TransformParam&) const = default;
};

/// What every transform takes besides its own arguments.
struct TransformOptions {
  double p = 1.0;         ///< probability of running, 0..1
  bool is_random = true;  ///< false: arguments are used as they are and `p` is ignored
};

/// How points outside the picture are found.
enum class PaddingMode {
  kReflection,  ///< mirrored about the centre of the border pixel
  kZeros,       ///< black
  kBorder       ///< the nearest border pixel
};

/// How values between pixels are found.
enum class SampleMode { kBilinear, kNearest };

/// What `size` does (fastai: ResizeMethod).
enum class ResizeMethod {
  kCrop = 1,    ///< resize until the shorter side fits, crop the rest
  kPad = 2,     ///< resize until the longer side fits, pad the rest
  kSquish = 3,  ///< resize each side by itself
  kNo = 4       ///< do not resize
};

/// `reflection`, `zeros`, `border`.
FASTCPP_API std::string to_string(PaddingMode mode);
/// \throws ValueError `value.padding_mode`
FASTCPP_API PaddingMode padding_mode_from(std::string_view name);

namespace detail {
struct OwnTransform;
struct TransformAccess;
}  // namespace detail

/// One transform: its name, its arguments and how often it runs. A plain value: a copy shares nothing that changes, any
/// thread may read it, and two equal ones do the same.
class FASTCPP_API Transform {
 public:
  /// By name, for stored lists and for those made known by `register_transform`; the functions below are the usual way.
  /// \param name    fastai's name of a transform, or one's own
  /// \param params  arguments; those left out take their default
  /// \param options how often it runs
  /// \throws ValueError `value.transform` (no such transform), `value.transform_argument` (no such argument, missing,
  ///         out of range), `value.probability`
  explicit Transform(std::string name, std::vector<TransformParam> params = {},
                     TransformOptions options = {});

  /// fastai's name: `crop_pad` also for rand_crop, `zoom` also for rand_zoom.
  const std::string& name() const { return name_; }
  /// Transforms run in ascending order; ties keep list order.
  int order() const { return order_; }
  /// How often it runs, 0..1.
  double p() const { return options_.p; }
  /// False: arguments are used as they are and `p` is ignored.
  bool is_random() const { return options_.is_random; }
  /// All arguments, also those left at their default.
  const std::vector<TransformParam>& params() const { return params_; }
  /// One argument.
  /// \throws ValueError `value.transform_argument`
  const TransformValue& param(std::string_view name) const;
  /// The same transform with another probability.
  /// \throws ValueError `value.probability`
  Transform with_p(double p) const;
  /// For people: `rotate(degrees=(-10, 10), p=0.75)`.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const Transform& x) { return to << x.str(); }
  bool operator==(const Transform& other) const;

 private:
  friend struct detail::TransformAccess;
  std::string name_;
  std::vector<TransformParam> params_;
  TransformOptions options_;
  int order_ = 0;
  std::shared_ptr<const detail::OwnTransform> own_;  // empty for fastai's
};

/// Transforms in any order: they run by their order numbers.
using TfmList = std::vector<Transform>;

/// A transform of one's own (fastai: `TfmPixel(f, order)`).
struct TransformDefinition {
  std::string name;  ///< no fastai transform's name, and used once
  /// When it runs: below 4 before all geometry, from 6 on after it, from 9 on after lighting, above 99 after the crop.
  /// What came before, the resize included, is executed first, so that it sees real pixels: amid geometry this costs a
  /// second resampling.
  int order = 10;
  /// Names and defaults of its arguments: numbers, or intervals from which every item draws.
  std::vector<TransformParam> params = {};
  /// Gets a picture of floats 0..1, the arguments as they were drawn, in the order of `params`, and the source of all
  /// chance; returns a picture of the same rows, columns and channels. Called from several threads at once. What it
  /// throws becomes ImageError `image.cannot_transform` naming transform and picture.
  std::function<Image(const Image& img, const std::vector<double>& args, Rng& rng)> apply;
};

/// Makes a transform of one's own known, so that `Transform(name, ...)` makes it and lists may hold it. Once a program;
/// thread-safe.
///
///     register_transform({.name = "invert", .apply = [](const Image& img, const auto&, Rng&) {
///                           return Image::from_tensor(1 - img.tensor());
///                         }});
///     auto tfms = get_transforms({.xtra_tfms = {Transform("invert", {}, {.p = 0.5})}});
///
/// It runs on the workers, also where augmentation was asked for on the device.
/// \throws ValueError `value.transform` (the name is empty or taken, or there is no function),
///         `value.transform_argument` (a default that is no number or interval)
FASTCPP_API void register_transform(TransformDefinition definition);

/// A wanted size: absent, one number (resize and crop) or rows and columns (squish), as in `{.size = 224}` and
/// `{.size = {224, 224}}`. A value: copies share nothing. Threads: const calls by any number at once.
class ImageSize {
 public:
  constexpr ImageSize() = default;
  /// Keep the size.
  constexpr ImageSize(std::nullopt_t) {}  // NOLINT: reads like a value
  /// Resize and crop.
  constexpr ImageSize(int side)
      : rows_(side), cols_(side), given_(true) {}  // NOLINT: reads like a value
  /// Squish.
  constexpr ImageSize(int rows, int cols) : rows_(rows), cols_(cols), given_(true), pair_(true) {}
  /// Squish.
  constexpr ImageSize(Resolution size)
      : ImageSize(size.rows, size.cols) {}  // NOLINT: reads like a value
  /// Whether there is one.
  constexpr bool has_value() const { return given_; }
  /// Whether there is one.
  constexpr explicit operator bool() const { return given_; }
  /// True when rows and columns were given apart: the default method is then kSquish.
  constexpr bool is_pair() const { return pair_; }
  /// Rows and columns; a single side is both.
  constexpr Resolution value() const { return {rows_, cols_}; }
  bool operator==(const ImageSize&) const = default;

 private:
  int rows_ = 0, cols_ = 0;
  bool given_ = false, pair_ = false;
};

/// \name Affine transforms
/// All accumulate in one matrix and are executed by one resampling.
///@{
/// Arguments of zoom and squish.
struct ZoomOptions {
  ParamRange scale = 1.0;    ///< > 0
  ParamRange row_pct = 0.5;  ///< 0..1, fixed point of the zoom: 0 top, 1 bottom
  ParamRange col_pct = 0.5;  ///< 0..1, 0 left, 1 right
  double p = 1.0;
  bool is_random = true;
};
/// Turns by `degrees`, counter-clockwise.
FASTCPP_API Transform rotate(ParamRange degrees, TransformOptions options = {});
/// Enlarges by `scale`.
FASTCPP_API Transform zoom(const ZoomOptions& options = {});
/// Stretches one direction: horizontally for scale <= 1, vertically otherwise.
FASTCPP_API Transform squish(const ZoomOptions& options = {});
/// Mirrors left and right within the resampling.
FASTCPP_API Transform flip_affine(TransformOptions options = {});
/// One of the eight symmetries.
/// \param k integer 0..7; bit 0 x, bit 1 y, bit 2 swaps axes
FASTCPP_API Transform dihedral_affine(ParamRange k = {0, 7}, TransformOptions options = {});
/// zoom about a random point.
FASTCPP_API Transform rand_zoom(ParamRange scale = 1.0, double p = 1.0);
///@}

/// \name Coordinate transforms
///@{
/// Arguments of symmetric_warp and perspective_warp.
struct WarpOptions {
  ParamRange magnitude = 0.0;  ///< every value is drawn by itself
  std::vector<double> magnitudes =
      {};  ///< when given: the 4 (symmetric) or 8 (perspective) values, fixed
  double p = 1.0;
  bool is_random = true;
};
/// Moves corners in pairs: right and left edge heights, bottom and top edge widths.
FASTCPP_API Transform symmetric_warp(const WarpOptions& options = {});
/// Moves the four corners: x and y of top left, bottom left, top right, bottom right.
FASTCPP_API Transform perspective_warp(const WarpOptions& options = {});
/// Tilts.
/// \param direction integer: 0 right, 1 left, 2 bottom, 3 top edge grows
FASTCPP_API Transform tilt(ParamRange direction, ParamRange magnitude = 0.0,
                           TransformOptions options = {});
/// Moves one coordinate of one corner.
/// \param direction integer 0..7
FASTCPP_API Transform skew(ParamRange direction, ParamRange magnitude = 0.0,
                           TransformOptions options = {});
/// Moves every coordinate by itself.
/// \param magnitude in units of half a picture
FASTCPP_API Transform jitter(ParamRange magnitude, TransformOptions options = {});
/// Arguments of zoom_squish.
struct ZoomSquishOptions {
  ParamRange scale = 1.0;             ///< area factor, >= 1 to fit
  ParamRange squish = 1.0;            ///< aspect ratio, > 0
  double invert = 0.5;                ///< probability of swapping width and height
  int candidates = 8;                 ///< how many are drawn; the first that fits is used
  std::vector<double> scales = {};    ///< when given: the candidates themselves, three lists of
  std::vector<double> squishes = {};  ///< one length
  std::vector<double> inverts = {};   ///< 0 or 1
  ParamRange row_pct = 0.5;
  ParamRange col_pct = 0.5;
  double p = 1.0;
  bool is_random = true;
};
/// The first candidate crop that fits, or a centre crop (the geometry of random-resized-crop).
FASTCPP_API Transform zoom_squish(const ZoomSquishOptions& options = {});
///@}

/// \name Lighting
///@{
/// Adds logit(change).
/// \param change in (0, 1); 0.5 leaves the picture alone
FASTCPP_API Transform brightness(ParamRange change, TransformOptions options = {});
/// Multiplies logits; drawn log-uniformly.
/// \param scale > 0; 1 leaves the picture alone
FASTCPP_API Transform contrast(ParamRange scale, TransformOptions options = {});
///@}

/// \name Pixel transforms
///@{
/// Mirrors left and right.
FASTCPP_API Transform flip_lr(TransformOptions options = {});
/// One of the eight symmetries.
/// \param k integer 0..7; bit 0 reverses rows, bit 1 columns, bit 2 transposes
FASTCPP_API Transform dihedral(ParamRange k = {0, 7}, TransformOptions options = {});
/// Arguments of crop and crop_pad.
struct CropOptions {
  ParamRange row_pct = 0.5;  ///< 0..1, position of the window
  ParamRange col_pct = 0.5;
  double p = 1.0;
  bool is_random = true;
};
/// Cuts a window out.
/// \param size must not exceed the picture
FASTCPP_API Transform crop(ImageSize size, const CropOptions& options = {});
/// Cuts or pads to the size that apply_tfms is given; runs only with kCrop and kPad.
FASTCPP_API Transform crop_pad(const CropOptions& options = {});
/// crop_pad at a random position.
/// \param padding_mode for apply_tfm; a list's crop_pad pads as apply_tfms is told
FASTCPP_API Transform rand_crop(double p = 1.0,
                                PaddingMode padding_mode = PaddingMode::kReflection);
/// Adds lines on all four sides before everything else.
/// \param padding pixels >= 0
FASTCPP_API Transform pad(int padding, PaddingMode mode = PaddingMode::kReflection,
                          TransformOptions options = {});
/// Arguments of cutout.
struct CutoutOptions {
  ParamRange n_holes = 1;  ///< integer >= 0
  ParamRange length = 40;  ///< integer >= 0, side in pixels
  double p = 1.0;
  bool is_random = true;
};
/// Black squares at random places (DeVries and Taylor 2017).
FASTCPP_API Transform cutout(const CutoutOptions& options = {});
/// Arguments of rgb_randomize.
struct RgbRandomizeOptions {
  std::optional<int> channel =
      {};               ///< absent: drawn for every item; never the last one, as in fastai
  double thresh = 0.3;  ///< largest value of the noise, >= 0
  double p = 1.0;
  bool is_random = true;
};
/// Replaces one channel by noise.
FASTCPP_API Transform rgb_randomize(const RgbRandomizeOptions& options = {});
///@}

/// \name Helpers that make several
///@{
/// pad, then crop at a random position.
FASTCPP_API TfmList rand_pad(int padding, ImageSize size,
                             PaddingMode mode = PaddingMode::kReflection);
/// Arguments of zoom_crop.
struct ZoomCropOptions {
  bool do_rand = false;  ///< at random positions
  double p = 1.0;        ///< of the zoom
};
/// zoom, then crop_pad.
FASTCPP_API TfmList zoom_crop(ParamRange scale, const ZoomCropOptions& options = {});
/// Arguments of rand_resize_crop.
struct RandResizeCropOptions {
  double max_scale = 2.0;            ///< >= 1
  ParamRange ratios = {0.75, 1.33};  ///< aspect ratios
};
/// zoom_squish with eight candidates, then a centre crop.
FASTCPP_API TfmList rand_resize_crop(ImageSize size, const RandResizeCropOptions& options = {});
///@}

/// Transforms of the training and of the validation set.
struct ImageTransforms {
  TfmList train = {};  ///< of the training set
  TfmList valid = {};  ///< of the validation set
};

/// Options of get_transforms.
struct GetTransformsOptions {
  bool do_flip = true;        ///< mirror half of the pictures
  bool flip_vert = false;     ///< with do_flip: all eight symmetries instead
  double max_rotate = 10.0;   ///< degrees, 0: none
  double max_zoom = 1.1;      ///< <= 1: none
  double max_lighting = 0.2;  ///< below 1, 0: none
  double max_warp = 0.2;      ///< 0: none
  double p_affine = 0.75;     ///< of warp, rotation and zoom
  double p_lighting = 0.75;   ///< of brightness and contrast
  TfmList xtra_tfms = {};     ///< appended to the training list
};

/// fastai's usual lists.
/// \throws ValueError `value.transform_argument`, `value.probability`
FASTCPP_API ImageTransforms get_transforms(const GetTransformsOptions& options = {});

/// Options of apply_tfms.
struct ApplyTfmsOptions {
  ImageSize size = {};                                  ///< absent: keep the size
  std::optional<ResizeMethod> resize_method = {};       ///< absent: kSquish for a pair, else kCrop
  std::optional<int> mult = {};                         ///< round the size to a multiple of this
  PaddingMode padding_mode = PaddingMode::kReflection;  ///< what lies outside the picture
  SampleMode mode = SampleMode::kBilinear;              ///< what lies between pixels
};

/// Resizes and transforms a picture (fastai: `Image.apply_tfms`). Thread-safe with an Rng for each thread.
///
/// Draws all random arguments first, then executes: all geometry in one resampling, all lighting in one pass.
/// \param img     the picture, unchanged
/// \param tfms    applied in the order of their numbers
/// \param options size and sampling
/// \param rng     the only source of chance: the same state gives the same picture
/// \return a picture of the same number of channels
/// \throws ValueError `value.size`, `value.padding_too_large` (reflection needs the padding below the picture's side),
///         `value.crop_too_large`, `value.image_empty`; ImageError `image.too_large`, `image.cannot_transform` (a
///         transform of one's own failed); MemoryError `train.out_of_memory`
FASTCPP_API Image apply_tfms(const Image& img, const TfmList& tfms, const ApplyTfmsOptions& options,
                             Rng& rng);

/// Applies one transform alone; crop_pad uses the size and padding given here instead of those of a list.
/// \throws as apply_tfms
FASTCPP_API Image apply_tfm(const Image& img, const Transform& tfm, Rng& rng, ImageSize size = {},
                            PaddingMode padding_mode = PaddingMode::kReflection);

/// The size of every result, when list and options fix it for all pictures.
/// \throws ValueError `value.size`
FASTCPP_API std::optional<Resolution> output_size(const TfmList& tfms,
                                                  const ApplyTfmsOptions& options);

/// apply_tfms for loaders: from 8-bit RGB straight into a batch.
/// \param rgb8   H x W x 3, as decode_image gives it
/// \param planes receives 3 x rows x cols floats 0..1, where rows and cols are those of output_size
/// \throws as apply_tfms; ValueError `value.unknown_size` when output_size is absent, `value.mat`
FASTCPP_API void apply_tfms_into(const cv::Mat& rgb8, const TfmList& tfms,
                                 const ApplyTfmsOptions& options, Rng& rng, float* planes);

}  // namespace fastcpp
