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

// n samples. No random numbers: those are the learner's. Whole numbers may be codes: 0 is always one.
torch::Tensor numbers_of(torch::ScalarType type, std::vector<std::int64_t> shape, std::int64_t n) {
  shape.insert(shape.begin(), n);
  std::int64_t count = 1;
  for (const auto side : shape) count *= side;
  if (type == torch::kInt64) return torch::zeros(shape, type);
  const auto numbers = torch::arange(count, torch::kInt64).mul(37).remainder(251).view(shape);
  return c10::isFloatingType(type) ? numbers.to(torch::kFloat32).div(64).sub(2).to(type)
                                   : numbers.to(type);
}

// A table may have no categories, or no numbers.
bool holds_anything(const ModelInput::Part& part) {
  return std::all_of(part.shape.begin(), part.shape.end(), [](auto side) { return side > 0; });
}

torch::Tensor nothing(const ModelInput::Part& part, const torch::Tensor& beside) {
  const at::tracer::impl::NoTracerDispatchMode unseen;  // no network computes with it
  auto shape = part.shape;
  shape.insert(shape.begin(), beside.size(0));
  return torch::empty(shape, torch::dtype(part.type).device(beside.device()));
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
  const bool several = !input.parts.empty();
  if (options.preprocessing && !input.pictures && !several) {
    refuse("the model predicts from tensors, not from pictures: say .preprocessing = false");
  }
  if (options.preprocessing && input.own_transforms) {
    refuse(
        "the data have functions of dl_tfms, which no file can hold: say .preprocessing = false "
        "and "
        "run them on what the network gets");
  }
  if (several) {
    if (options.preprocessing && input.stats) {
      refuse("the data have statistics: say .preprocessing = false and normalise what goes in");
    }
    if (!shape.empty())
      refuse("the model takes several tensors, whose shapes it knows: leave .shape out");
    options.preprocessing = false;
    return options;
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

std::vector<std::string> Exported::names() const {
  if (input.parts.empty()) return {"input"};
  std::vector<std::string> names;
  for (const auto& part : input.parts) {
    if (holds_anything(part)) names.push_back(part.name);
  }
  return names;
}

std::vector<torch::Tensor> Exported::example(const TraceOptions& options, std::int64_t n) const {
  const auto device = device_of(*model);
  if (input.parts.empty()) {
    auto shape = options.shape;
    if (options.preprocessing) std::rotate(shape.begin(), shape.begin() + 1, shape.end());
    const auto type = options.preprocessing ? torch::kUInt8 : torch::kFloat32;
    return {numbers_of(type, std::move(shape), n).to(device)};
  }
  std::vector<torch::Tensor> all;
  for (const auto& part : input.parts) {
    if (holds_anything(part)) all.push_back(numbers_of(part.type, part.shape, n).to(device));
  }
  return all;
}

torch::Tensor Exported::run(const TraceOptions& options,
                            const std::vector<torch::Tensor>& inputs) const {
  Tensors inside = inputs.at(0);
  if (!input.parts.empty()) {
    std::vector<torch::Tensor> all;
    auto next = inputs.begin();
    for (const auto& part : input.parts) {
      all.push_back(holds_anything(part) ? *next++ : nothing(part, inputs.at(0)));
    }
    inside = std::move(all);
  } else if (options.preprocessing) {
    const auto x = inside.permute({0, 3, 1, 2}).to(torch::kFloat32);
    inside = input.stats ? normalized(x, *input.stats) : x * (1 / 255.0);
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
  // Columns, their categories, fillers and statistics.
  if (input.rows) all.emplace_back("items", json(input.items->options));
  return all;
}

Traced trace(const Exported& net, const TraceOptions& options, std::int64_t n) {
  int classes = 0;
  Traced traced{mirrored(*net.model, std::make_shared<jit::CompilationUnit>(), classes), nullptr,
                net.names()};
  const auto run = [&](jit::Stack in) {
    // It would warn on the console.
    jit::tracer::getTracingState()->warn = false;
    std::vector<torch::Tensor> inputs;
    for (const auto& value : in) inputs.push_back(value.toTensor());
    return jit::Stack{net.run(options, inputs)};
  };
  const auto no_name = [](const torch::Tensor&) { return std::string(); };
  const auto inputs = net.example(options, n);
  traced.graph = jit::tracer::trace({inputs.begin(), inputs.end()}, run, no_name, /*strict=*/true,
                                    /*force_outplace=*/false, &traced.module, traced.names)
                     .first->graph;
  return traced;
}

}  // namespace fastcpp
