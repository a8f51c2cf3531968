// Transforms of the user's, and plans as they come: parts between such transforms, and those of augment.hpp, are executed
// as quickly as any list.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "vision/transform/geometry.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0 {
namespace detail {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const OwnTransform>, std::less<>> transforms;
};

Registry& registry() {
  static Registry all;
  return all;
}

Image picture_of(const Source& source) {
  if (source.rgb8) return Image::from_rgb(*source.rgb8);
  return Image::from_tensor(torch::from_blob(const_cast<float*>(source.planes),
                                             {source.channels, source.size.rows, source.size.cols},
                                             torch::kFloat32));
}

Planes planes_of(const Image& image) {
  const auto tensor = image.tensor().contiguous();
  return to_planes(
      {nullptr, tensor.data_ptr<float>(), static_cast<int>(tensor.size(0)), image.size()});
}

Planes run_own(const Step& step, const Source& source) {
  const auto& definition = step.own->definition;
  const auto fail = [&](const std::string& why) {
    std::string text = fmt::format("the transform '{}' failed: {}", definition.name, why);
    return ImageError("image.cannot_transform", text);
  };
  Image result;
  try {
    Rng rng(step.seed);
    result = boundary([&] { return definition.apply(picture_of(source), step.list, rng); });
  } catch (const MemoryError&) {
    throw;
  } catch (const Error& e) {
    std::throw_with_nested(fail(e.what()));
  }
  const auto shape = result.shape();
  const std::vector<std::int64_t> expected{source.channels, source.size.rows, source.size.cols};
  if (shape != expected) {
    throw fail(
        fmt::format("it must return a picture of {} x {} x {} (channels, rows, columns), as it "
                    "was given, and returned {} x {} x {}",
                    expected[0], expected[1], expected[2], shape[0], shape[1], shape[2]));
  }
  return planes_of(result);
}

void execute_part(const Plan& plan, const Source& source, const Place& place) {
  if (fast_form(plan, source)) return execute_fast(plan, source, place);
  const Planes planes = execute_slow(plan, source);
  std::copy(planes.v.begin(), planes.v.end(), place(planes.size));
}

bool is_geometry(const Step& step) {
  return is_affine(step.kind) || is_homography(step.kind) || step.kind == Kind::kJitter;
}

// Whether it gets pixels: what came before is executed before.
bool takes_pixels(const Step& step) {
  return step.kind == Kind::kOwn || is_augment(step.kind);
}

// Nothing to do for a plan.
bool is_idle(const Plan& plan, Resolution picture) {
  return plan.steps.empty() && resize_target(plan, picture).rows == 0;
}

}  // namespace

std::shared_ptr<const OwnTransform> find_own(std::string_view name) {
  auto& all = registry();
  const std::scoped_lock lock(all.mutex);
  const auto found = all.transforms.find(name);
  return found == all.transforms.end() ? nullptr : found->second;
}

void execute(const Plan& plan, const Source& source, const Place& place) {
  if (std::none_of(plan.steps.begin(), plan.steps.end(), takes_pixels)) {
    return execute_part(plan, source, place);
  }
  Plan part = plan;
  part.steps.clear();
  Source from = source;
  Planes pixels;  // what `from` points into after the first part
  const auto become = [&](Planes&& planes) {
    pixels = std::move(planes);
    from = {nullptr, pixels.v.data(), pixels.channels, pixels.size};
  };
  for (const auto& step : plan.steps) {
    if (!takes_pixels(step)) {
      part.steps.push_back(step);
      // Without a size asked for, the crop restores that of the whole list's picture.
      if (step.kind == Kind::kCropPad && step.size.rows == 0) part.steps.back().size = source.size;
      continue;
    }
    const bool resamples = resize_target(part, from.size).rows > 0 ||
                           std::any_of(part.steps.begin(), part.steps.end(), is_geometry);
    if (!is_idle(part, from.size)) {
      Planes done{from.channels, {}, {}};
      execute_part(part, from, [&](Resolution size) {
        done.size = size;
        done.v.resize(static_cast<std::size_t>(done.channels) * done.area());
        return done.v.data();
      });
      become(std::move(done));
    }
    become(step.kind == Kind::kOwn ? run_own(step, from) : run_augment(step, to_planes(from)));
    part.steps.clear();
    part.size = {};
    if (resamples) {
      // The first resampling uses up what the call asked for.
      part.padding = PaddingMode::kReflection;
      part.mode = SampleMode::kBilinear;
    }
  }
  if (!is_idle(part, from.size)) return execute_part(part, from, place);
  std::copy(pixels.v.begin(), pixels.v.end(), place(pixels.size));
}

}  // namespace detail

void register_transform(TransformDefinition definition) {
  using namespace detail;
  const auto refuse = [&](const char* code, const std::string& why) {
    return ValueError(code,
                      fmt::format("cannot register the transform '{}': {}", definition.name, why));
  };
  if (definition.name.empty()) throw refuse("value.transform", "it needs a name");
  if (!definition.apply) throw refuse("value.transform", "it needs a function");
  if (find_spec(definition.name)) throw refuse("value.transform", "fastai has one of that name");
  for (const auto& param : definition.params) {
    if (!std::holds_alternative<ParamRange>(param.value)) {
      throw refuse("value.transform_argument",
                   fmt::format("the default of {} must be a number or an interval", param.name));
    }
  }
  const auto own = std::make_shared<OwnTransform>();
  own->definition = std::move(definition);
  own->spec = {own->definition.name, Kind::kOwn, own->definition.order, {}};
  constexpr double kMost = std::numeric_limits<double>::max();
  for (const auto& param : own->definition.params) {
    own->spec.params.push_back({param.name, Draw::kUniform, -kMost, kMost, param.value});
  }
  auto& all = registry();
  const std::scoped_lock lock(all.mutex);
  if (!all.transforms.emplace(own->definition.name, own).second) {
    throw ValueError("value.transform",
                     fmt::format("cannot register the transform '{}': one of that "
                                 "name is registered",
                                 own->definition.name));
  }
}

}  // namespace fastcpp
