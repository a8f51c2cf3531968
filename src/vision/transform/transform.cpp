#include "fastcpp/vision/transform/transform.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "fastcpp/core/error.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0 {
namespace {

using detail::Draw;
using detail::ParamSpec;

template <typename... Args>
[[noreturn]] void refuse(const char* code, fmt::format_string<Args...> text, Args&&... args) {
  throw ValueError(code, fmt::format(text, std::forward<Args>(args)...));
}

std::string show(double value) {
  return fmt::format("{:g}", value);
}

std::string show(const TransformValue& value) {
  if (const auto* range = std::get_if<ParamRange>(&value)) {
    return range->fixed() ? show(range->low)
                          : fmt::format("({}, {})", show(range->low), show(range->high));
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    return fmt::format("[{:g}]", fmt::join(*list, ", "));
  }
  return std::get<std::string>(value);
}

void check_number(const std::string& owner, const ParamSpec& spec, double value) {
  const bool inside =
      spec.open ? value > spec.low && value < spec.high : value >= spec.low && value <= spec.high;
  const bool whole = spec.draw != Draw::kInteger || value == std::floor(value);
  if (std::isfinite(value) && inside && whole) return;
  constexpr double kWide = 1e300;
  const bool below = spec.high > kWide, above = spec.low < -kWide;
  const std::string limits = above && below ? ""
                             : below ? fmt::format(" {} {:g}", spec.open ? ">" : ">=", spec.low)
                                     : fmt::format(" between {:g} and {:g}", spec.low, spec.high);
  refuse("value.transform_argument", "{}: {} must be {}{}{}, got {:g}", owner, spec.name,
         spec.draw == Draw::kInteger ? "an integer" : "a finite number", limits,
         spec.open && !below ? " (both excluded)" : "", value);
}

void check_value(const std::string& owner, const ParamSpec& spec, const TransformValue& value,
                 bool is_random) {
  if (spec.draw == Draw::kText) {
    const auto* word = std::get_if<std::string>(&value);
    if (!word) refuse("value.transform_argument", "{}: {} must be a word", owner, spec.name);
    padding_mode_from(*word);
  } else if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    const bool any = spec.list == 99 && !list->empty();
    if (!any && (list->empty() || list->size() != spec.list)) {
      refuse("value.transform_argument", "{}: {} cannot be a list of {} numbers", owner, spec.name,
             list->size());
    }
    for (const double item : *list) check_number(owner, spec, item);
  } else if (const auto* range = std::get_if<ParamRange>(&value)) {
    if (spec.draw == Draw::kFixedList)
      refuse("value.transform_argument", "{}: {} must be a list", owner, spec.name);
    check_number(owner, spec, range->low);
    check_number(owner, spec, range->high);
    if (range->low > range->high) {
      refuse("value.transform_argument", "{}: the range of {} must ascend, got {}", owner,
             spec.name, show(value));
    }
    if (!is_random && !range->fixed()) {
      refuse("value.transform_argument",
             "{}: with is_random = false {} must be one number, got the range {}", owner, spec.name,
             show(value));
    }
  } else {
    refuse("value.transform_argument", "{}: {} must be a number or a range, got '{}'", owner,
           spec.name, show(value));
  }
}

std::vector<double> sides(ImageSize size, const char* owner) {
  const auto [rows, cols] = size.value();
  if (!size || rows < 1 || cols < 1) {
    refuse("value.transform_argument", "{}: the size must be at least 1 x 1, got {} x {}", owner,
           rows, cols);
  }
  return {static_cast<double>(rows), static_cast<double>(cols)};
}

TransformValue listed_or(const std::vector<double>& list, ParamRange range) {
  if (list.empty()) return range;
  return list;
}

}  // namespace

std::string to_string(PaddingMode mode) {
  switch (mode) {
    case PaddingMode::kZeros:
      return "zeros";
    case PaddingMode::kBorder:
      return "border";
    default:
      return "reflection";
  }
}

PaddingMode padding_mode_from(std::string_view name) {
  if (name == "reflection") return PaddingMode::kReflection;
  if (name == "zeros") return PaddingMode::kZeros;
  if (name == "border") return PaddingMode::kBorder;
  refuse("value.padding_mode",
         "the padding mode must be 'reflection', 'zeros' or 'border', got '{}'", name);
}

Transform::Transform(std::string name, std::vector<TransformParam> params, TransformOptions options)
    : name_(std::move(name)), options_(options) {
  const auto* spec = detail::find_spec(name_);
  if (!spec) {
    own_ = detail::find_own(name_);
    if (!own_) {
      refuse("value.transform",
             "there is no transform '{}': it is none of fastai's, and none was registered by "
             "register_transform",
             name_);
    }
    spec = &own_->spec;
  }
  order_ = spec->order;
  if (!(options.p >= 0 && options.p <= 1)) {
    refuse("value.probability", "{}: p must be between 0 and 1, got {:g}", name_, options.p);
  }
  for (const auto& wanted : spec->params) {
    const TransformParam* given = nullptr;
    for (const auto& param : params) {
      if (param.name == wanted.name) given = &param;
    }
    if (!given && !wanted.fallback)
      refuse("value.transform_argument", "{}: {} is missing", name_, wanted.name);
    params_.push_back({std::string(wanted.name), given ? given->value : *wanted.fallback});
    check_value(name_, wanted, params_.back().value, options.is_random);
  }
  for (const auto& param : params) {
    (void)this->param(param.name);  // throws where the transform has no such argument
  }
  if (name_ == "rand_augment") {
    const auto strongest = std::get<ParamRange>(this->param("magnitude")).high,
               bins = std::get<ParamRange>(this->param("num_magnitude_bins")).low;
    if (!(strongest < bins)) {
      refuse("value.transform_argument",
             "rand_augment: magnitude must be below num_magnitude_bins = {:g}, got {:g}", bins,
             strongest);
    }
  }
  if (name_ == "zoom_squish") {
    const auto length = [&](const char* which) {
      const auto* list = std::get_if<std::vector<double>>(&this->param(which));
      return list ? list->size() : 0;
    };
    if (length("scale") != length("squish") || length("scale") != length("invert")) {
      refuse("value.transform_argument",
             "zoom_squish: scale, squish and invert need candidate lists of one length");
    }
  }
}

const TransformValue& Transform::param(std::string_view name) const {
  for (const auto& param : params_) {
    if (param.name == name) return param.value;
  }
  refuse("value.transform_argument", "{} has no argument '{}'", name_, name);
}

Transform Transform::with_p(double p) const {
  return Transform(name_, params_, {p, options_.is_random});
}

std::string Transform::str() const {
  std::string text = name_ + "(";
  for (const auto& param : params_) text += fmt::format("{}={}, ", param.name, show(param.value));
  return text + fmt::format("p={:g}{})", options_.p, options_.is_random ? "" : ", is_random=false");
}

bool Transform::operator==(const Transform& other) const {
  return name_ == other.name_ && params_ == other.params_ && options_.p == other.options_.p &&
         options_.is_random == other.options_.is_random;
}

Transform rotate(ParamRange degrees, TransformOptions options) {
  return Transform("rotate", {{"degrees", degrees}}, options);
}

Transform zoom(const ZoomOptions& o) {
  return Transform("zoom", {{"scale", o.scale}, {"row_pct", o.row_pct}, {"col_pct", o.col_pct}},
                   {o.p, o.is_random});
}

Transform squish(const ZoomOptions& o) {
  return Transform("squish", {{"scale", o.scale}, {"row_pct", o.row_pct}, {"col_pct", o.col_pct}},
                   {o.p, o.is_random});
}

Transform flip_affine(TransformOptions options) {
  return Transform("flip_affine", {}, options);
}

Transform dihedral_affine(ParamRange k, TransformOptions options) {
  return Transform("dihedral_affine", {{"k", k}}, options);
}

Transform rand_zoom(ParamRange scale, double p) {
  return zoom({.scale = scale, .row_pct = {0, 1}, .col_pct = {0, 1}, .p = p});
}

Transform symmetric_warp(const WarpOptions& o) {
  return Transform("symmetric_warp", {{"magnitude", listed_or(o.magnitudes, o.magnitude)}},
                   {o.p, o.is_random});
}

Transform perspective_warp(const WarpOptions& o) {
  return Transform("perspective_warp", {{"magnitude", listed_or(o.magnitudes, o.magnitude)}},
                   {o.p, o.is_random});
}

Transform tilt(ParamRange direction, ParamRange magnitude, TransformOptions options) {
  return Transform("tilt", {{"direction", direction}, {"magnitude", magnitude}}, options);
}

Transform skew(ParamRange direction, ParamRange magnitude, TransformOptions options) {
  return Transform("skew", {{"direction", direction}, {"magnitude", magnitude}}, options);
}

Transform jitter(ParamRange magnitude, TransformOptions options) {
  return Transform("jitter", {{"magnitude", magnitude}}, options);
}

Transform zoom_squish(const ZoomSquishOptions& o) {
  return Transform("zoom_squish",
                   {{"scale", listed_or(o.scales, o.scale)},
                    {"squish", listed_or(o.squishes, o.squish)},
                    {"invert", listed_or(o.inverts, o.invert)},
                    {"candidates", ParamRange(o.candidates)},
                    {"row_pct", o.row_pct},
                    {"col_pct", o.col_pct}},
                   {o.p, o.is_random});
}

Transform brightness(ParamRange change, TransformOptions options) {
  return Transform("brightness", {{"change", change}}, options);
}

Transform contrast(ParamRange scale, TransformOptions options) {
  return Transform("contrast", {{"scale", scale}}, options);
}

Transform flip_lr(TransformOptions options) {
  return Transform("flip_lr", {}, options);
}

Transform dihedral(ParamRange k, TransformOptions options) {
  return Transform("dihedral", {{"k", k}}, options);
}

Transform crop(ImageSize size, const CropOptions& o) {
  return Transform("crop",
                   {{"row_pct", o.row_pct}, {"col_pct", o.col_pct}, {"size", sides(size, "crop")}},
                   {o.p, o.is_random});
}

Transform crop_pad(const CropOptions& o) {
  return Transform("crop_pad", {{"row_pct", o.row_pct}, {"col_pct", o.col_pct}},
                   {o.p, o.is_random});
}

Transform rand_crop(double p, PaddingMode padding_mode) {
  const ParamRange anywhere(0, 1);
  return Transform(
      "crop_pad",
      {{"row_pct", anywhere}, {"col_pct", anywhere}, {"padding_mode", to_string(padding_mode)}},
      {.p = p});
}

Transform pad(int padding, PaddingMode mode, TransformOptions options) {
  return Transform("pad", {{"padding", ParamRange(padding)}, {"mode", to_string(mode)}}, options);
}

Transform cutout(const CutoutOptions& o) {
  return Transform("cutout", {{"n_holes", o.n_holes}, {"length", o.length}}, {o.p, o.is_random});
}

Transform rgb_randomize(const RgbRandomizeOptions& o) {
  if (o.channel && *o.channel < 0) {
    refuse("value.transform_argument", "rgb_randomize: channel must be >= 0, got {}", *o.channel);
  }
  return Transform(
      "rgb_randomize",
      {{"channel", ParamRange(o.channel.value_or(-1))}, {"thresh", ParamRange(o.thresh)}},
      {o.p, o.is_random});
}

TfmList rand_pad(int padding, ImageSize size, PaddingMode mode) {
  return {pad(padding, mode), crop(size, {.row_pct = {0, 1}, .col_pct = {0, 1}})};
}

TfmList zoom_crop(ParamRange scale, const ZoomCropOptions& o) {
  if (o.do_rand) return {rand_zoom(scale, o.p), rand_crop()};
  return {zoom({.scale = scale, .p = o.p}), crop_pad()};
}

TfmList rand_resize_crop(ImageSize size, const RandResizeCropOptions& o) {
  return {
      zoom_squish(
          {.scale = {1.0, o.max_scale}, .squish = o.ratios, .row_pct = {0, 1}, .col_pct = {0, 1}}),
      crop(size)};
}

ImageTransforms get_transforms(const GetTransformsOptions& o) {
  // fastai accepts a negative maximum: the interval is the same.
  const double degrees = std::abs(o.max_rotate), warp = std::abs(o.max_warp),
               light = std::abs(o.max_lighting);
  ImageTransforms lists;
  lists.train = {rand_crop()};
  if (o.do_flip) lists.train.push_back(o.flip_vert ? dihedral_affine() : flip_lr({.p = 0.5}));
  if (warp > 0)
    lists.train.push_back(symmetric_warp({.magnitude = {-warp, warp}, .p = o.p_affine}));
  if (degrees > 0) lists.train.push_back(rotate({-degrees, degrees}, {.p = o.p_affine}));
  if (o.max_zoom > 1) lists.train.push_back(rand_zoom({1.0, o.max_zoom}, o.p_affine));
  if (light > 0) {
    lists.train.push_back(brightness({0.5 * (1 - light), 0.5 * (1 + light)}, {.p = o.p_lighting}));
    lists.train.push_back(contrast({1 - light, 1 / (1 - light)}, {.p = o.p_lighting}));
  }
  lists.train.insert(lists.train.end(), o.xtra_tfms.begin(), o.xtra_tfms.end());
  lists.valid = {crop_pad()};
  return lists;
}

// Declared by the picture, which knows no transforms.
Image Image::apply_tfms(const std::vector<Transform>& tfms, const ApplyTfmsOptions& options,
                        Rng& rng) const {
  return fastcpp::apply_tfms(*this, tfms, options, rng);
}

}  // namespace fastcpp
