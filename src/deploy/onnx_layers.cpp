// Layers with weights, and pools.
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "deploy/onnx_step.hpp"

namespace fastcpp::inline v0::onnx {
namespace {

// An argument that may stand for all axes.
Ints per_axis(Ints numbers, std::size_t axes) {
  if (numbers.size() == 1) numbers.resize(axes, numbers[0]);
  return numbers;
}

// The same padding at both ends.
Ints both_ends(const Ints& padding) {
  Ints pads = padding;
  pads.insert(pads.end(), padding.begin(), padding.end());
  return pads;
}

void convolve(Step& s, const Ints& pads) {
  const auto weight = s.shape("weight");
  const auto axes = weight.size() - 2;
  const bool transposed = s.has("transposed") && s.flag("transposed");
  Attributes attributes{{"kernel_shape", Ints(weight.begin() + 2, weight.end())},
                        {"strides", per_axis(s.ints("stride"), axes)},
                        {"pads", pads},
                        {"dilations", per_axis(s.ints("dilation"), axes)},
                        {"group", s.integer("groups")}};
  if (transposed) {
    attributes.emplace_back("output_padding", per_axis(s.ints("output_padding"), axes));
  }
  s.result(s.emit(transposed ? "ConvTranspose" : "Conv",
                  {s.value("input"), s.value("weight"), s.value("bias")}, std::move(attributes)));
}

void convolution(Step& s) {
  convolve(s, both_ends(per_axis(s.ints("padding"), s.shape("weight").size() - 2)));
}

// With its padding in a word.
void convolution_mode(Step& s) {
  const auto weight = s.shape("weight");
  const auto axes = weight.size() - 2;
  Ints begin(axes, 0), end(axes, 0);
  if (s.text("padding") == "same") {
    const auto dilation = per_axis(s.ints("dilation"), axes);
    for (std::size_t i = 0; i < axes; ++i) {
      const auto all = dilation[i] * (weight[i + 2] - 1);
      begin[i] = all / 2;
      end[i] = all - begin[i];
    }
  }
  begin.insert(begin.end(), end.begin(), end.end());
  convolve(s, begin);
}

// Scale or shift a channel; where there is none, one that does nothing.
std::string per_channel(Step& s, const char* argument, std::int64_t channels, double neutral) {
  if (s.has(argument)) return s.value(argument);
  return s.constant(torch::full({channels}, neutral, torch::kFloat32));
}

void batch_norm(Step& s) {
  if (s.flag("training") || !s.has("running_mean")) {
    s.refuse("it normalises by the statistics of the batch; give it running statistics");
  }
  const auto channels = s.shape("running_mean").at(0);
  const auto scale = per_channel(s, "weight", channels, 1);
  const auto shift = per_channel(s, "bias", channels, 0);
  s.result(s.emit("BatchNormalization",
                  {s.value("input"), scale, shift, s.value("running_mean"), s.value("running_var")},
                  {{"epsilon", static_cast<float>(s.number("eps"))}}));
}

void instance_norm(Step& s) {
  if (!s.flag("use_input_stats")) s.refuse("it has running statistics");
  const auto channels = s.shape("input").at(1);
  const auto scale = per_channel(s, "weight", channels, 1);
  const auto shift = per_channel(s, "bias", channels, 0);
  s.result(s.emit("InstanceNormalization", {s.value("input"), scale, shift},
                  {{"epsilon", static_cast<float>(s.number("eps"))}}));
}

// An instance norm of each group as one channel, then scale and shift.
void group_norm(Step& s) {
  const auto groups = s.integer("num_groups");
  const auto shape = s.shape("input");
  const auto ones = s.constant(torch::ones({groups}, torch::kFloat32));
  const auto zeros = s.constant(torch::zeros({groups}, torch::kFloat32));
  auto x = s.emit("Reshape", {s.value("input"), s.constant(Ints{0, groups, -1})});
  x = s.emit("InstanceNormalization", {x, ones, zeros},
             {{"epsilon", static_cast<float>(s.number("eps"))}});
  x = s.emit("Reshape", {x, s.constant(shape)});
  Ints broadcast(shape.size() - 1, 1);
  broadcast[0] = -1;
  for (const auto& [argument, op] : {std::pair{"weight", "Mul"}, std::pair{"bias", "Add"}}) {
    if (!s.has(argument)) continue;
    const auto numbers = s.tensor(argument);
    if (!numbers) s.refuse("its scale depends on the batch");
    x = s.emit(op, {x, s.changed(argument, numbers->view(broadcast))});
  }
  s.result(x);
}

void layer_norm(Step& s) {
  if (s.opset() < 17) s.refuse("it needs .opset = 17 or later");
  if (!s.has("weight")) s.refuse("it has no weight");
  const auto axes = static_cast<std::int64_t>(s.ints("normalized_shape").size());
  s.result(s.emit("LayerNormalization", {s.value("input"), s.value("weight"), s.value("bias")},
                  {{"axis", -axes}, {"epsilon", static_cast<float>(s.number("eps"))}}));
}

// As many numbers as a constant has, if it is a matrix that was turned, the one before.
std::optional<torch::Tensor> turned_back(const std::optional<torch::Tensor>& matrix) {
  if (!matrix || matrix->dim() != 2 || !matrix->t().is_contiguous()) return std::nullopt;
  return matrix->t();
}

// beta c + alpha (a b)
void addmm(Step& s) {
  const auto weight = turned_back(s.tensor("mat2"));
  Attributes attributes;
  if (weight) attributes.emplace_back("transB", std::int64_t{1});
  for (const char* factor : {"alpha", "beta"}) {
    const auto number = static_cast<float>(s.number(factor));
    if (number != 1) attributes.emplace_back(factor, number);
  }
  const auto b = weight ? s.changed("mat2", *weight) : s.value("mat2");
  s.result(s.emit("Gemm", {s.value("mat1"), b, s.value("self")}, std::move(attributes)));
}

void linear(Step& s) {
  if (s.shape("input").size() == 2 && s.has("bias")) {
    s.result(s.emit("Gemm", {s.value("input"), s.value("weight"), s.value("bias")},
                    {{"transB", std::int64_t{1}}}));
    return;
  }
  const auto weight = s.tensor("weight");
  if (!weight) s.refuse("its weight depends on the batch");
  auto x = s.emit("MatMul", {s.value("input"), s.changed("weight", weight->t())});
  if (s.has("bias")) x = s.emit("Add", {x, s.value("bias")});
  s.result(x);
}

void matmul(Step& s) {
  const auto other = s.has("other") ? "other" : "mat2";
  s.result(s.emit("MatMul", {s.first(), s.value(other)}));
}

// Rows of a matrix by their numbers.
void embedding(Step& s) {
  s.result(s.emit("Gather", {s.value("weight"), s.value("indices")}, {{"axis", std::int64_t{0}}}));
}

struct Window {
  Ints kernel, stride, padding, dilation;
  bool ceil = false;
};

Window window_of(const Step& s) {
  const auto axes = s.shape("self").size() - 2;
  Window w;
  w.kernel = per_axis(s.ints("kernel_size"), axes);
  w.stride = per_axis(s.ints("stride"), axes);
  if (w.stride.empty()) w.stride = w.kernel;
  w.padding = per_axis(s.ints("padding"), axes);
  w.dilation = s.has("dilation") ? per_axis(s.ints("dilation"), axes) : Ints(axes, 1);
  w.ceil = s.flag("ceil_mode");
  return w;
}

// Where LibTorch leaves out a last window that ONNX would count, the padding says how many there are.
Ints pads_of(Step& s, Window& w) {
  auto pads = both_ends(w.padding);
  if (!w.ceil) return pads;
  const auto in = s.shape("self"), out = s.result_shape();
  const auto axes = w.kernel.size();
  bool same = true, exact = true;
  for (std::size_t i = 0; i < axes; ++i) {
    const auto reach = w.dilation[i] * (w.kernel[i] - 1) + 1;
    const auto room = in[i + 2] + 2 * w.padding[i] - reach;
    same = same && out[i + 2] == (room + w.stride[i] - 1) / w.stride[i] + 1;
    exact = exact && room % w.stride[i] == 0;
    const auto needed = (out[i + 2] - 1) * w.stride[i] + reach - in[i + 2] - w.padding[i];
    if (out[i + 2] != room / w.stride[i] + 1) pads[axes + i] = needed;
  }
  if (exact || !same) {
    w.ceil = false;
    return pads;
  }
  return both_ends(w.padding);
}

Attributes pool_attributes(const Window& w, const Ints& pads) {
  Attributes attributes{{"kernel_shape", w.kernel}, {"strides", w.stride}, {"pads", pads}};
  if (w.ceil) attributes.emplace_back("ceil_mode", std::int64_t{1});
  return attributes;
}

void max_pool(Step& s) {
  auto w = window_of(s);
  const auto pads = pads_of(s, w);
  auto attributes = pool_attributes(w, pads);
  const bool dilated =
      std::any_of(w.dilation.begin(), w.dilation.end(), [](auto d) { return d > 1; });
  if (dilated) attributes.emplace_back("dilations", w.dilation);
  s.result(s.emit("MaxPool", {s.value("self")}, std::move(attributes)));
}

void avg_pool(Step& s) {
  auto w = window_of(s);
  const bool padded = std::any_of(w.padding.begin(), w.padding.end(), [](auto p) { return p > 0; });
  const bool counted = padded && s.flag("count_include_pad");
  if (s.has("divisor_override")) s.refuse("it has a divisor of its own");
  const auto pads = pads_of(s, w);
  if ((w.ceil || pads != both_ends(w.padding)) && counted) {
    s.refuse("it counts its padding and rounds its size up; leave one of both");
  }
  auto attributes = pool_attributes(w, pads);
  if (counted) attributes.emplace_back("count_include_pad", std::int64_t{1});
  s.result(s.emit("AveragePool", {s.value("self")}, std::move(attributes)));
}

// Windows of equal size that lie side by side; nothing where there are none such.
std::optional<Ints> tiles(const Ints& in, const Ints& out) {
  Ints sides;
  for (std::size_t i = 2; i < in.size(); ++i) {
    if (in[i] % out[i] != 0) return std::nullopt;
    sides.push_back(in[i] / out[i]);
  }
  return sides;
}

bool is_one(const Ints& shape) {
  return std::all_of(shape.begin() + 2, shape.end(), [](auto side) { return side == 1; });
}

// in x out: column k holds the weights of the numbers that make the mean k.
torch::Tensor means(std::int64_t in, std::int64_t out) {
  auto matrix = torch::zeros({in, out}, torch::kFloat32);
  for (std::int64_t k = 0; k < out; ++k) {
    const auto begin = k * in / out, end = ((k + 1) * in + out - 1) / out;
    matrix.slice(0, begin, end).select(1, k).fill_(1.0 / static_cast<double>(end - begin));
  }
  return matrix;
}

void adaptive_avg_pool(Step& s) {
  const auto in = s.shape("self"), out = s.result_shape();
  auto x = s.value("self");
  if (in == out) return s.result(x);
  if (is_one(out)) return s.result(s.emit("GlobalAveragePool", {x}));
  if (const auto sides = tiles(in, out)) {
    return s.result(s.emit("AveragePool", {x}, {{"kernel_shape", *sides}, {"strides", *sides}}));
  }
  if (in.size() != 4) s.refuse("its windows are of several sizes");
  // Columns, then rows, each a product with a matrix of means.
  for (const std::size_t axis : {3, 2}) {
    if (in[axis] != out[axis]) x = s.emit("MatMul", {x, s.constant(means(in[axis], out[axis]))});
    x = s.emit("Transpose", {x}, {{"perm", Ints{0, 1, 3, 2}}});
  }
  s.result(x);
}

void adaptive_max_pool(Step& s) {
  const auto in = s.shape("self"), out = s.result_shape();
  const auto x = s.value("self");
  if (in == out) return s.result(x);
  if (is_one(out)) return s.result(s.emit("GlobalMaxPool", {x}));
  const auto sides = tiles(in, out);
  if (!sides) {
    s.refuse(
        fmt::format("its windows are of several sizes: {} x {} does not divide by {} x {}; "
                    "export for pictures of a size where it does",
                    in.at(2), in.back(), out.at(2), out.back()));
  }
  s.result(s.emit("MaxPool", {x}, {{"kernel_shape", *sides}, {"strides", *sides}}));
}

}  // namespace

void add_layers(Operations& operations) {
  operations.insert({{"_convolution", convolution},
                     {"convolution", convolution},
                     {"conv1d", convolution},
                     {"conv2d", convolution},
                     {"conv3d", convolution},
                     {"_convolution_mode", convolution_mode},
                     {"batch_norm", batch_norm},
                     {"instance_norm", instance_norm},
                     {"group_norm", group_norm},
                     {"layer_norm", layer_norm},
                     {"addmm", addmm},
                     {"linear", linear},
                     {"embedding", embedding},
                     {"matmul", matmul},
                     {"mm", matmul},
                     {"bmm", matmul},
                     {"max_pool1d", max_pool},
                     {"max_pool2d", max_pool},
                     {"max_pool3d", max_pool},
                     {"max_pool2d_with_indices", max_pool},
                     {"avg_pool1d", avg_pool},
                     {"avg_pool2d", avg_pool},
                     {"avg_pool3d", avg_pool},
                     {"adaptive_avg_pool1d", adaptive_avg_pool},
                     {"adaptive_avg_pool2d", adaptive_avg_pool},
                     {"adaptive_avg_pool3d", adaptive_avg_pool},
                     {"adaptive_max_pool1d", adaptive_max_pool},
                     {"adaptive_max_pool2d", adaptive_max_pool},
                     {"adaptive_max_pool3d", adaptive_max_pool}});
}

}  // namespace fastcpp::onnx
