#include "support/transform_golden.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::test {
namespace {

using detail::Kind;

// An independent double-precision implementation agrees with the reference to 1.7e-5; its own
// arithmetic is float32.
constexpr double kTolerance = 1e-4;

Json load(const std::filesystem::path& file) {
  std::ifstream in(file);
  REQUIRE(in);
  return Json::parse(in);
}

TransformValue value_of(const std::string& name, const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (name == "size") {
    if (json.is_array()) return numbers(json);
    return std::vector<double>{json.get<double>(), json.get<double>()};
  }
  if (!json.is_array()) return ParamRange(json.get<double>());
  std::vector<double> list;
  for (const auto& item : json)
    list.push_back(item.is_boolean() ? (item.get<bool>() ? 1 : 0) : item.get<double>());
  return list;
}

bool replaces_draw(const std::string& name) {
  return name == "noise_key" || name == "centres" || name == "uniform";
}

Transform fixed_transform(const Json& json) {
  const auto name = json.at("name").get<std::string>();
  std::vector<TransformParam> params;
  for (const auto& [key, value] : json.at("args").items()) {
    if (replaces_draw(key) || (name == "crop_pad" && key == "size")) continue;
    params.push_back({key, value_of(key, value)});
  }
  return Transform(name, params, {.p = 1, .is_random = false});
}

ImageSize size_of(const Json& json) {
  if (json.is_array()) return {json[0].get<int>(), json[1].get<int>()};
  return json.get<int>();
}

bool given(const Json& item, const char* name) {
  return item.contains(name) && !item[name].is_null();
}

ApplyTfmsOptions options_of(const Json& item) {
  ApplyTfmsOptions options;
  if (given(item, "size")) options.size = size_of(item["size"]);
  if (given(item, "mult")) options.mult = item["mult"].get<int>();
  if (given(item, "padding_mode"))
    options.padding_mode = padding_mode_from(item["padding_mode"].get<std::string>());
  if (given(item, "mode") && item["mode"] == "nearest") options.mode = SampleMode::kNearest;
  if (given(item, "resize_method")) {
    const auto name = item["resize_method"].get<std::string>();
    options.resize_method = name == "CROP"     ? ResizeMethod::kCrop
                            : name == "PAD"    ? ResizeMethod::kPad
                            : name == "SQUISH" ? ResizeMethod::kSquish
                                               : ResizeMethod::kNo;
  }
  return options;
}

// Puts the numbers of the file in the place of draws that depend on the picture.
void replace_draws(detail::Step& step, const Json& args, std::size_t area) {
  if (args.contains("noise_key")) {
    const auto key = args["noise_key"].get<std::string>();
    for (std::size_t i = 0; i < 2 * area; ++i)
      step.noise.push_back(static_cast<float>(u01(key, i)));
  }
  if (args.contains("uniform")) step.v[1] = args["uniform"].get<double>();
  if (!args.contains("centres")) return;
  for (const auto& centre : args["centres"]) {
    for (const auto& coordinate : centre) step.centres.push_back(coordinate.get<double>());
  }
}

// `area`: no flow of the case has more points.
detail::Plan plan_of(const Json& item, const TfmList& tfms, std::size_t area) {
  Rng rng(1);
  auto options = options_of(item);
  if (item.value("call", "") == "direct") {
    auto direct = detail::draw_plan(tfms, options, rng);
    const auto& args = item["tfms"][0]["args"];
    if (direct.steps[0].kind == Kind::kCropPad) {
      const auto sides = std::get<std::vector<double>>(value_of("size", args["size"]));
      direct.steps[0].size = {static_cast<int>(sides[0]), static_cast<int>(sides[1])};
      direct.steps[0].padding = padding_mode_from(args.value("padding_mode", "reflection"));
    }
    return direct;
  }
  auto plan = detail::draw_plan(tfms, options, rng);
  for (auto& step : plan.steps) {
    for (const auto& json : item["tfms"]) {
      const auto* spec = detail::find_spec(json["name"].get<std::string>());
      if (spec->kind == step.kind) replace_draws(step, json["args"], area);
    }
  }
  return plan;
}

struct Difference {
  double largest = 0, share_beyond = 0;
};

Difference difference(const float* got, const std::vector<double>& want) {
  Difference result;
  std::size_t beyond = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double gap = std::abs(static_cast<double>(got[i]) - want[i]);
    result.largest = std::max(result.largest, gap);
    if (!(gap <= kTolerance)) ++beyond;
  }
  result.share_beyond = static_cast<double>(beyond) / static_cast<double>(want.size());
  return result;
}

void compare(const std::string& way, Resolution size, const float* got, const Array& want,
             bool nearest, Deviation& deviation) {
  INFO(way);
  REQUIRE(std::vector<std::int64_t>{3, size.rows, size.cols} == want.shape);
  const auto gap = difference(got, want.values);
  INFO("largest difference " << gap.largest);
  // Ties of rounding may fall either way between nearest neighbours.
  if (nearest) {
    CHECK(deviation.add(gap.share_beyond) <= 1e-3);
  } else {
    CHECK(deviation.add(gap.largest) <= kTolerance);
  }
}

bool same(const TransformValue& value, const Json& want) {
  if (want.is_string()) return value == TransformValue(want.get<std::string>());
  if (!want.is_array()) {
    if (const auto* list = std::get_if<std::vector<double>>(&value)) {
      return *list == std::vector<double>(list->size(), want.get<double>());
    }
    return value == TransformValue(ParamRange(want.get<double>()));
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value)) return *list == numbers(want);
  const auto& range = std::get<ParamRange>(value);
  return std::abs(range.low - want[0].get<double>()) < 1e-12 &&
         std::abs(range.high - want[1].get<double>()) < 1e-12;
}

void compare_transform(const Transform& tfm, const Json& want) {
  INFO(tfm.str() << " against " << want.dump());
  CHECK(tfm.name() == want["name"].get<std::string>());
  CHECK(tfm.order() == want["order"].get<int>());
  CHECK(tfm.p() == want["p"].get<double>());
  CHECK(tfm.is_random() == want["is_random"].get<bool>());
  for (const auto& [key, value] : want["args"].items()) {
    INFO(key);
    // The candidate lists of zoom_squish carry their length; invert is a probability.
    if (tfm.name() == "zoom_squish" && value.size() == 3) {
      CHECK(same(tfm.param(key), Json::array({value[0], value[1]})));
      CHECK(same(tfm.param("candidates"), value[2]));
    } else if (key == "invert") {
      CHECK(same(tfm.param(key), value[0]));
    } else {
      CHECK(same(tfm.param(key), value));
    }
  }
}

void compare_lists(const TfmList& got, const Json& want) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) compare_transform(got[i], want[i]);
}

GetTransformsOptions get_transforms_options(const Json& args) {
  GetTransformsOptions o;
  o.do_flip = args.value("do_flip", o.do_flip);
  o.flip_vert = args.value("flip_vert", o.flip_vert);
  o.max_rotate = args.value("max_rotate", o.max_rotate);
  o.max_zoom = args.value("max_zoom", o.max_zoom);
  o.max_lighting = args.value("max_lighting", o.max_lighting);
  o.max_warp = args.value("max_warp", o.max_warp);
  o.p_affine = args.value("p_affine", o.p_affine);
  o.p_lighting = args.value("p_lighting", o.p_lighting);
  if (args.contains("xtra_tfms")) {
    for (const auto& extra : args["xtra_tfms"]) {
      std::vector<TransformParam> params;
      for (const auto& [key, value] : extra["args"].items()) {
        params.push_back({key, ParamRange(value[0].get<double>(), value[1].get<double>())});
      }
      o.xtra_tfms.emplace_back(extra["name"].get<std::string>(), params,
                               TransformOptions{.p = extra["p"].get<double>()});
    }
  }
  return o;
}

ParamRange range_of(const Json& json) {
  if (json.is_array()) return {json[0].get<double>(), json[1].get<double>()};
  return json.get<double>();
}

// A helper that makes several transforms, with all its arguments from the file; what is not there has the default.
TfmList call(const std::string& name, const Json& args) {
  const double p = args.value("p", 1.0);
  const auto padding = [&](const char* key) {
    return padding_mode_from(args.value(key, "reflection"));
  };
  if (name == "rand_zoom")
    return {rand_zoom(args.contains("scale") ? range_of(args["scale"]) : ParamRange(1.0), p)};
  if (name == "rand_crop") return {rand_crop(p, padding("padding_mode"))};
  if (name == "zoom_crop")
    return zoom_crop(range_of(args["scale"]), {.do_rand = args.value("do_rand", false), .p = p});
  if (name == "rand_pad")
    return rand_pad(args["padding"].get<int>(), size_of(args["size"]), padding("mode"));
  REQUIRE(name == "rand_resize_crop");
  RandResizeCropOptions options;
  options.max_scale = args.value("max_scale", options.max_scale);
  if (args.contains("ratios")) options.ratios = range_of(args["ratios"]);
  return rand_resize_crop(size_of(args["size"]), options);
}

}  // namespace

int check_transform_cases(const std::filesystem::path& folder) {
  const auto file = load(folder / "transforms.json");
  std::map<std::string, cv::Mat> pictures;
  for (const auto& [name, entry] : file["images"].items()) {
    auto& picture = pictures[name] = decode_image(folder / entry["file"].get<std::string>());
    const auto sums = cv::sum(picture);
    for (int c = 0; c < 3; ++c)
      CHECK(sums[c] == entry["channel_sums"][static_cast<std::size_t>(c)].get<double>());
  }
  int fast = 0, count = 0;
  Deviation step_by_step("transforms/step_by_step"), one_pass("transforms/one_pass"),
      share_beyond("transforms/nearest/share_beyond");
  for (const auto& item : file["cases"]) {
    INFO(item["name"].get<std::string>());
    const auto& picture = pictures.at(item["image"].get<std::string>());
    TfmList tfms;
    for (const auto& json : item["tfms"]) tfms.push_back(fixed_transform(json));
    const auto want = array(item["out"], folder.string());
    const auto plan = plan_of(item, tfms, std::max(picture.total(), want.values.size()));
    const bool nearest = plan.mode == SampleMode::kNearest;
    const detail::Source source{&picture, nullptr, 3, {picture.rows, picture.cols}};
    const auto planes = detail::execute_slow(plan, source);
    compare("step by step", planes.size, planes.v.data(), want, nearest,
            nearest ? share_beyond : step_by_step);
    if (detail::fast_form(plan, source)) {
      detail::Planes result{3, {}, {}};
      detail::execute_fast(plan, source, [&](Resolution size) {
        result.size = size;
        result.v.resize(3 * result.area());
        return result.v.data();
      });
      compare("one pass", result.size, result.v.data(), want, nearest,
              nearest ? share_beyond : one_pass);
      ++fast;
    }
    if (const auto known = output_size(tfms, options_of(item));
        known && item.value("call", "") != "direct") {
      CHECK(*known == planes.size);
    }
    ++count;
  }
  CHECK(fast > 0);
  return count;
}

int check_transform_lists(const std::filesystem::path& folder) {
  const auto file = load(folder / "transforms.json");
  int count = 0;
  for (const auto& item : file["get_transforms"]) {
    INFO(item["args"].dump());
    const auto lists = get_transforms(get_transforms_options(item["args"]));
    compare_lists(lists.train, item["train"]);
    compare_lists(lists.valid, item["valid"]);
    ++count;
  }
  for (const auto& item : file["lists"]) {
    INFO(item["call"].get<std::string>());
    compare_lists(call(item["call"].get<std::string>(), item["args"]), item["result"]);
    ++count;
  }
  return count;
}

}  // namespace fastcpp::test
