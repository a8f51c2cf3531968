#include "deploy/traced.hpp"

#include <ATen/TracerMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {
namespace jit = torch::jit;
namespace {

// Parameters and buffers of a module in TorchScript's kind of module: the tracer then knows them by name.
jit::Module mirrored(const torch::nn::Module& module,
                     const std::shared_ptr<jit::CompilationUnit>& unit, int& classes) {
  jit::Module mirror(c10::QualifiedName(fmt::format("__torch__.Part{}", classes++)), unit);
  mirror.register_attribute("training", c10::BoolType::get(), false);
  for (const auto& own : module.named_parameters(/*recurse=*/false)) {
    mirror.register_parameter(own.key(), own.value(), /*is_buffer=*/false);
  }
  for (const auto& own : module.named_buffers(/*recurse=*/false)) {
    mirror.register_buffer(own.key(), own.value());
  }
  for (const auto& child : module.named_children()) {
    const auto& part = *child.value();
    if (part.parameters().empty() && part.buffers().empty()) continue;
    mirror.register_module(child.key(), mirrored(part, unit, classes));
  }
  return mirror;
}

torch::Device device_of(const torch::nn::Module& module) {
  const auto parameters = module.parameters();
  return parameters.empty() ? torch::Device(torch::kCPU) : parameters.front().device();
}

// Mean and variance a channel of pixels from 0 to 255, on a device.
std::pair<torch::Tensor, torch::Tensor> of_bytes(const Stats& stats, torch::Device device) {
  const at::tracer::impl::NoTracerDispatchMode unseen;  // these are constants
  const auto per_channel = [&](const std::vector<float>& numbers) {
    return torch::tensor(numbers, torch::kFloat64).expand({3}) * 255;
  };
  const auto to = torch::TensorOptions(torch::kFloat32).device(device);
  return {per_channel(stats.mean).to(to), per_channel(stats.std).square().to(to)};
}

// (x - mean) / std by the one operation that every runtime has for it: numbers added or multiplied a channel make OpenCV 4.6
// refuse another number of items.
torch::Tensor normalized(const torch::Tensor& x, const Stats& stats) {
  const auto [mean, variance] = of_bytes(stats, x.device());
  return torch::batch_norm(x, {}, {}, mean, variance, /*training=*/false, /*momentum=*/0, /*eps=*/0,
                           /*cudnn_enabled=*/false);
}

}  // namespace

Exported Exported::of(const Learner& learn) {
  const auto data = learn.data();
  return {learn.model(), learn.loss_func(), data.labels(), input_of(data)};
}

Exported Exported::of(const Predictor& predictor) {
  const auto& parts = PredictorAccess::parts(predictor);
  return {parts.model, parts.loss, parts.labels, parts.input};
}

TraceOptions Exported::checked(TraceOptions options) const {
  const auto refuse = [](const std::string& why) { throw ValueError("value.export_options", why); };
  auto& shape = options.shape;
  if (options.preprocessing && !input.pictures) {
    refuse("the model predicts from tensors, not from pictures: say .preprocessing = false");
  }
  if (options.preprocessing && input.own_transforms) {
    refuse(
        "the data have functions of dl_tfms, which no file can hold: say .preprocessing = false "
        "and "
        "run them on what the network gets");
  }
  if (shape.empty() && input.size) shape = {3, input.size->rows, input.size->cols};
  if (shape.empty()) {
    refuse(input.pictures
               ? "the transforms do not fix the size of the pictures: say .shape = {3, rows, "
                 "columns}"
               : "the model predicts from tensors: say the shape of one sample by .shape");
  }
  const bool some = std::all_of(shape.begin(), shape.end(), [](auto side) { return side > 0; });
  if (!some || (input.pictures && (shape.size() != 3 || shape[0] != 3))) {
    refuse(fmt::format("shape = {{{}}}, expected {}", fmt::join(shape, ", "),
                       input.pictures ? "{3, rows, columns}" : "numbers above 0"));
  }
  const auto channels = [](const std::vector<float>& numbers) {
    return numbers.size() == 1 || numbers.size() == 3;
  };
  if (options.preprocessing && input.stats && !channels(input.stats->mean)) {
    refuse(fmt::format("statistics of {} channels, expected 3: say .preprocessing = false",
                       input.stats->mean.size()));
  }
  return options;
}

torch::Tensor Exported::example(const TraceOptions& options, std::int64_t n) const {
  auto shape = options.shape;
  if (options.preprocessing) std::rotate(shape.begin(), shape.begin() + 1, shape.end());
  shape.insert(shape.begin(), n);
  std::int64_t count = 1;
  for (const auto side : shape) count *= side;
  // No random numbers: those are the learner's.
  const auto numbers = torch::arange(count, torch::kInt64).mul(37).remainder(251).view(shape);
  const auto x = options.preprocessing ? numbers.to(torch::kUInt8)
                                       : numbers.to(torch::kFloat32).div(64).sub(2);
  return x.to(device_of(*model));
}

torch::Tensor Exported::run(const TraceOptions& options, const torch::Tensor& x) const {
  auto inside = x;
  if (options.preprocessing) {
    inside = x.permute({0, 3, 1, 2}).to(torch::kFloat32);
    inside = input.stats ? normalized(inside, *input.stats) : inside * (1 / 255.0);
  }
  const auto outputs = model(inside).one("an export");
  return options.softmax ? loss.activate(outputs) : outputs;
}

std::vector<std::pair<std::string, std::string>> Exported::metadata(
    const TraceOptions& options) const {
  const auto json = [](const Value& value) { return to_json(value, {.indent = -1}); };
  // fmt writes floats with no more digits than they have.
  const auto list = [](const auto& numbers) {
    return fmt::format("[{}]", fmt::join(numbers, ", "));
  };
  std::vector<Value> classes;
  for (const auto& name : labels->classes()) classes.emplace_back(name);
  std::vector<std::pair<std::string, std::string>> all{
      {"classes", json(Value::list(std::move(classes)))},
      {"labels", json(labels->name())},
      {"loss", json(loss.name())}};
  if (input.pictures) {
    all.emplace_back("size", list(std::vector{options.shape[1], options.shape[2]}));
  }
  if (input.stats) {
    all.emplace_back("mean", list(input.stats->mean));
    all.emplace_back("std", list(input.stats->std));
  }
  return all;
}

Traced trace(const Exported& net, const TraceOptions& options, std::int64_t n) {
  int classes = 0;
  Traced traced{mirrored(*net.model, std::make_shared<jit::CompilationUnit>(), classes), nullptr};
  const auto run = [&](jit::Stack in) {
    // It would warn on the console.
    jit::tracer::getTracingState()->warn = false;
    return jit::Stack{net.run(options, in.at(0).toTensor())};
  };
  const auto no_name = [](const torch::Tensor&) { return std::string(); };
  traced.graph = jit::tracer::trace({net.example(options, n)}, run, no_name, /*strict=*/true,
                                    /*force_outplace=*/false, &traced.module, {"input"})
                     .first->graph;
  return traced;
}

}  // namespace fastcpp
