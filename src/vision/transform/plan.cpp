#include "vision/transform/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace detail {
namespace {

double draw(const ParamSpec& spec, ParamRange range, Rng& rng) {
  if (range.fixed()) return range.low;
  if (spec.draw == Draw::kLogUniform) return rng.log_uniform(range.low, range.high);
  if (spec.draw == Draw::kInteger) {
    return static_cast<double>(
        rng.integer(static_cast<std::int64_t>(range.low), static_cast<std::int64_t>(range.high)));
  }
  return rng.uniform(range.low, range.high);
}

// Scale, squish and invert of every candidate, one after the other.
void draw_candidates(const Transform& tfm, const TransformSpec& spec, Step& step, Rng& rng) {
  const auto& scale = spec.params[0];
  std::size_t count = 0;
  std::array<std::vector<double>, 3> columns;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& value = tfm.param(spec.params[i].name);
    if (const auto* list = std::get_if<std::vector<double>>(&value)) {
      columns[i] = *list;
    } else {
      const auto range = std::get<ParamRange>(value);
      count = static_cast<std::size_t>(std::get<ParamRange>(tfm.param("candidates")).low);
      for (std::size_t n = 0; n < count; ++n) {
        columns[i].push_back(i == 2 ? (rng.chance(range.low) ? 1.0 : 0.0)
                                    : draw(scale, range, rng));
      }
    }
  }
  for (std::size_t n = 0; n < columns[0].size(); ++n) {
    for (const auto& column : columns) step.list.push_back(column[n]);
  }
}

// Limits of scale and ratio, between which every try draws, then what fills the place.
void draw_erasing(const Transform& tfm, Step& step, Rng& rng) {
  for (const char* name : {"scale", "ratio"}) {
    const auto range = std::get<ParamRange>(tfm.param(name));
    step.list.push_back(range.low);
    step.list.push_back(range.high);
  }
  const auto& value = tfm.param("value");
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    step.list.insert(step.list.end(), list->begin(), list->end());
  } else {
    const auto range = std::get<ParamRange>(value);
    step.list.push_back(range.fixed() ? range.low : rng.uniform(range.low, range.high));
  }
}

Step draw_step(const Transform& tfm, Rng& rng) {
  const auto& own = TransformAccess::own(tfm);
  const auto& spec = own ? own->spec : *find_spec(tfm.name());
  Step step;
  step.kind = spec.kind;
  if (own) {
    step.own = own;
    for (const auto& param : spec.params) {
      step.list.push_back(draw(param, std::get<ParamRange>(tfm.param(param.name)), rng));
    }
    step.seed = rng.next();
    return step;
  }
  std::size_t next = 0;
  if (step.kind == Kind::kZoomSquish) draw_candidates(tfm, spec, step, rng);
  if (step.kind == Kind::kRandomErasing) draw_erasing(tfm, step, rng);
  for (const auto& param : spec.params) {
    const auto& value = tfm.param(param.name);
    if (param.draw == Draw::kText) {
      step.padding = padding_mode_from(std::get<std::string>(value));
    } else if (param.draw == Draw::kFixedList) {
      const auto& sides = std::get<std::vector<double>>(value);
      step.size = {static_cast<int>(sides[0]), static_cast<int>(sides[1])};
    } else if (param.draw == Draw::kCandidates || param.name == "candidates") {
      continue;
    } else if (const auto* list = std::get_if<std::vector<double>>(&value)) {
      std::copy(list->begin(), list->end(), step.v.begin());
    } else {
      for (std::size_t i = 0; i < std::max<std::size_t>(param.list, 1); ++i) {
        step.v[next++] = draw(param, std::get<ParamRange>(value), rng);
      }
    }
  }
  const bool later = step.kind == Kind::kJitter || step.kind == Kind::kCutout ||
                     step.kind == Kind::kRgbRandomize || is_augment(step.kind);
  if (later) step.seed = rng.next();
  return step;
}

Resolution wanted_size(const ApplyTfmsOptions& options) {
  if (!options.size) return {};
  auto [rows, cols] = options.size.value();
  const auto fits = [](int side) { return side >= 1 && side <= 1'000'000; };
  if (!fits(rows) || !fits(cols) || std::int64_t{rows} * cols > kMaxImagePixels) {
    throw ValueError(
        "value.size",
        fmt::format("the size must be at least 1 x 1 and at most {} pixels, got {} x {}",
                    kMaxImagePixels, rows, cols));
  }
  if (options.mult) {
    const int mult = *options.mult;
    if (mult < 1)
      throw ValueError("value.size", fmt::format("mult must be at least 1, got {}", mult));
    const auto round = [mult](int side) {
      return static_cast<int>(static_cast<double>(side) / mult + 0.5) * mult;
    };
    rows = round(rows);
    cols = round(cols);
    if (rows < 1 || cols < 1) {
      throw ValueError("value.size",
                       fmt::format("the size {} x {} rounded to a multiple of {} is nothing",
                                   options.size.value().rows, options.size.value().cols, mult));
    }
  }
  return {rows, cols};
}

ResizeMethod method_of(const ApplyTfmsOptions& options) {
  return options.resize_method.value_or(options.size.is_pair() ? ResizeMethod::kSquish
                                                               : ResizeMethod::kCrop);
}

bool crops(ResizeMethod method) {
  return method == ResizeMethod::kCrop || method == ResizeMethod::kPad;
}

TfmList arranged(const TfmList& tfms, const ApplyTfmsOptions& options) {
  TfmList list = tfms;
  const auto is_crop_pad = [](const Transform& tfm) { return tfm.name() == "crop_pad"; };
  if (options.size && crops(method_of(options)) &&
      std::none_of(list.begin(), list.end(), is_crop_pad)) {
    list.push_back(crop_pad());
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Transform& a, const Transform& b) { return a.order() < b.order(); });
  return list;
}

}  // namespace

Plan draw_plan(const TfmList& tfms, const ApplyTfmsOptions& options, Rng& rng) {
  Plan plan;
  plan.size = wanted_size(options);
  plan.method = method_of(options);
  plan.padding = options.padding_mode;
  plan.mode = options.mode;
  for (const auto& tfm : arranged(tfms, options)) {
    Step step = draw_step(tfm, rng);
    const bool runs = !tfm.is_random() || tfm.p() >= 1 || rng.chance(tfm.p());
    if (!runs) continue;
    if (step.kind == Kind::kCropPad) {
      if (!crops(plan.method)) continue;
      step.size = plan.size;
      step.padding = plan.padding;
    }
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

void check_fits(Resolution size, Resolution known) {
  if (size == known) return;
  throw ValueError(
      "value.unknown_size",
      fmt::format("the transforms gave a picture of {} x {} where {} x {} was expected", size.rows,
                  size.cols, known.rows, known.cols));
}

Resolution resize_target(const Plan& plan, Resolution picture) {
  if (plan.size.rows == 0 || plan.method == ResizeMethod::kNo) return {};
  Resolution target = plan.size;
  if (plan.method != ResizeMethod::kSquish) {
    const double by_rows = static_cast<double>(picture.rows) / plan.size.rows;
    const double by_cols = static_cast<double>(picture.cols) / plan.size.cols;
    const double ratio = plan.method == ResizeMethod::kCrop ? std::min(by_rows, by_cols)
                                                            : std::max(by_rows, by_cols);
    constexpr double kLongestSide = 1e7;
    // nearbyint rounds halves to even, as the reference does.
    const auto side = [ratio](int length) {
      const double wanted = std::max(1.0, std::nearbyint(length / ratio));
      if (wanted > kLongestSide)
        throw ImageError("image.too_large",
                         "the picture is too long and thin to be resized like this");
      return static_cast<int>(wanted);
    };
    target = {side(picture.rows), side(picture.cols)};
  }
  return target == picture ? Resolution{} : target;
}

}  // namespace detail

// Lets results and sources pass without a copy.
struct ImageAccess {
  static Image own(torch::Tensor planes) {
    Image image;
    image.px_ = std::move(planes);
    return image;
  }
  static const torch::Tensor& pixels(const Image& image) { return image.px_; }
};

namespace {

using detail::Source;

Image execute(const Image& img, const detail::Plan& plan) {
  const cv::Mat rgb8 = img.rgb8();
  Source source{&rgb8, nullptr, 3, img.size()};
  if (rgb8.empty()) {
    const auto& px = ImageAccess::pixels(img);
    source = {nullptr, px.data_ptr<float>(), static_cast<int>(px.size(0)), img.size()};
  }
  torch::Tensor result;
  const auto place = [&](Resolution size) {
    result = torch::empty({source.channels, size.rows, size.cols}, torch::kFloat32);
    return result.data_ptr<float>();
  };
  detail::execute(plan, source, place);
  return ImageAccess::own(std::move(result));
}

void check_not_empty(const Image& img) {
  if (img.size().rows < 1 || img.size().cols < 1) {
    throw ValueError("value.image_empty",
                     fmt::format("cannot transform an empty picture: {}", img.str()));
  }
}

bool always(const Transform& tfm) {
  return !tfm.is_random() || tfm.p() >= 1;
}

}  // namespace

Image apply_tfms(const Image& img, const TfmList& tfms, const ApplyTfmsOptions& options, Rng& rng) {
  return boundary([&] {
    if (tfms.empty() && !options.size) return img;
    check_not_empty(img);
    const auto plan = detail::draw_plan(tfms, options, rng);
    if (plan.steps.empty() && detail::resize_target(plan, img.size()).rows == 0) return img;
    return execute(img, plan);
  });
}

Image apply_tfm(const Image& img, const Transform& tfm, Rng& rng, ImageSize size,
                PaddingMode padding_mode) {
  return boundary([&] {
    check_not_empty(img);
    auto plan = detail::draw_plan({tfm}, {.padding_mode = padding_mode}, rng);
    for (auto& step : plan.steps) {
      if (step.kind == detail::Kind::kCropPad)
        step.size = detail::draw_plan({}, {.size = size}, rng).size;
    }
    return execute(img, plan);
  });
}

namespace {

std::optional<Resolution> fixed_size(const TfmList& tfms, const ApplyTfmsOptions& options) {
  const Resolution wanted = detail::wanted_size(options);
  const bool crop_pads = detail::crops(detail::method_of(options));
  std::optional<Resolution> size;
  if (wanted.rows > 0 && detail::method_of(options) == ResizeMethod::kSquish) size = wanted;
  for (const auto& tfm : detail::arranged(tfms, options)) {
    if (tfm.name() == "crop_pad" && crop_pads && wanted.rows > 0) {
      size = always(tfm) ? std::optional(wanted) : size == wanted ? size : std::nullopt;
    } else if (tfm.name() == "crop") {
      const auto& sides = std::get<std::vector<double>>(tfm.param("size"));
      const Resolution cut{static_cast<int>(sides[0]), static_cast<int>(sides[1])};
      size = always(tfm) ? std::optional(cut) : size == cut ? size : std::nullopt;
    } else if (tfm.name() == "pad" && size) {
      const auto padding = std::get<ParamRange>(tfm.param("padding"));
      const int lines = 2 * static_cast<int>(padding.low);
      size = always(tfm) && padding.fixed()
                 ? std::optional(Resolution{size->rows + lines, size->cols + lines})
                 : std::nullopt;
    } else if (tfm.name() == "dihedral" && size && size->rows != size->cols) {
      const auto k = std::get<ParamRange>(tfm.param("k"));
      const bool turns = k.low >= 4 && always(tfm);
      if (k.high >= 4)
        size = turns ? std::optional(Resolution{size->cols, size->rows}) : std::nullopt;
    }
  }
  return size;
}

void write_planes(const cv::Mat& rgb8, const TfmList& tfms, const ApplyTfmsOptions& options,
                  Rng& rng, float* planes) {
  const auto known = fixed_size(tfms, options);
  if (!known) {
    throw ValueError("value.unknown_size",
                     "the transforms do not fix the size of the result, so pictures cannot be put "
                     "into one batch; give "
                     "a size, with resize method crop, pad or squish");
  }
  if (rgb8.empty() || rgb8.type() != CV_8UC3) {
    throw ValueError("value.mat",
                     fmt::format("expected a matrix of 8-bit RGB, got {} x {} of OpenCV type {}",
                                 rgb8.rows, rgb8.cols, rgb8.type()));
  }
  const auto plan = detail::draw_plan(tfms, options, rng);
  const Source source{&rgb8, nullptr, 3, {rgb8.rows, rgb8.cols}};
  detail::execute(plan, source, [&](Resolution size) {
    detail::check_fits(size, *known);
    return planes;
  });
}

}  // namespace

std::optional<Resolution> output_size(const TfmList& tfms, const ApplyTfmsOptions& options) {
  return boundary([&] { return fixed_size(tfms, options); });
}

void apply_tfms_into(const cv::Mat& rgb8, const TfmList& tfms, const ApplyTfmsOptions& options,
                     Rng& rng, float* planes) {
  boundary([&] { write_planes(rgb8, tfms, options, rng, planes); });
}

}  // namespace fastcpp
