// Activations, arithmetic, and what changes shapes.
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "deploy/onnx_step.hpp"

namespace fastcpp::inline v0::onnx {
namespace {

template <char const* Op>
void unary(Step& s) {
  s.result(s.emit(Op, {s.first()}));
}

constexpr char kAbs[] = "Abs", kErf[] = "Erf", kExp[] = "Exp", kLog[] = "Log", kNeg[] = "Neg",
               kReciprocal[] = "Reciprocal", kRelu[] = "Relu", kSelu[] = "Selu",
               kSigmoid[] = "Sigmoid", kSoftsign[] = "Softsign", kSqrt[] = "Sqrt", kTanh[] = "Tanh";

std::int64_t axis_of(std::int64_t dim, std::size_t dims) {
  return dim < 0 ? dim + static_cast<std::int64_t>(dims) : dim;
}

void normalize_along(Step& s, const char* op) {
  const auto dims = s.result_shape().size();
  const auto axis = axis_of(s.integer("dim"), dims);
  if (s.opset() < 13 && axis + 1 != static_cast<std::int64_t>(dims)) {
    s.refuse("along another axis than the last it needs .opset = 13 or later");
  }
  s.result(s.emit(op, {s.first()}, {{"axis", axis}}));
}
void softmax(Step& s) {
  normalize_along(s, "Softmax");
}
void log_softmax(Step& s) {
  normalize_along(s, "LogSoftmax");
}

std::string clip(Step& s, std::optional<double> low, std::optional<double> high) {
  if (s.opset() >= 11) {
    return s.emit("Clip", {s.first(), low ? s.constant(*low) : "", high ? s.constant(*high) : ""});
  }
  Attributes limits;
  if (low) limits.emplace_back("min", static_cast<float>(*low));
  if (high) limits.emplace_back("max", static_cast<float>(*high));
  return s.emit("Clip", {s.first()}, std::move(limits));
}

void relu6(Step& s) {
  s.result(clip(s, 0, 6));
}
void hardtanh(Step& s) {
  s.result(clip(s, s.number("min_val"), s.number("max_val")));
}
void clamp(Step& s) {
  const auto limit = [&](const char* argument) {
    return s.has(argument) ? std::optional(s.number(argument)) : std::nullopt;
  };
  s.result(clip(s, limit("min"), limit("max")));
}

std::string hard_sigmoid(Step& s) {
  return s.emit("HardSigmoid", {s.first()}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
}
void hardsigmoid(Step& s) {
  s.result(hard_sigmoid(s));
}
void hardswish(Step& s) {
  s.result(s.emit("Mul", {s.first(), hard_sigmoid(s)}));
}
void silu(Step& s) {
  s.result(s.emit("Mul", {s.first(), s.emit("Sigmoid", {s.first()})}));
}
void mish(Step& s) {
  s.result(s.emit("Mul", {s.first(), s.emit("Tanh", {s.emit("Softplus", {s.first()})})}));
}
void softplus(Step& s) {
  if (s.number("beta") != 1) s.refuse("its beta is not 1");
  s.result(s.emit("Softplus", {s.first()}));
}

// x / 2 * (1 + erf(x / sqrt(2))), or tanh(sqrt(2 / pi) (x + 0.044715 x^3)) in the place of erf.
void gelu(Step& s) {
  const auto x = s.first();
  std::string inner;
  if (s.has("approximate") && s.text("approximate") == "tanh") {
    const auto cube = s.emit("Mul", {x, s.emit("Mul", {x, x})});
    const auto sum = s.emit("Add", {x, s.emit("Mul", {cube, s.constant(0.044715)})});
    inner = s.emit("Tanh", {s.emit("Mul", {sum, s.constant(std::sqrt(2 / M_PI))})});
  } else {
    inner = s.emit("Erf", {s.emit("Mul", {x, s.constant(std::sqrt(0.5))})});
  }
  const auto factor = s.emit("Add", {inner, s.constant(1.0)});
  s.result(s.emit("Mul", {s.emit("Mul", {x, factor}), s.constant(0.5)}));
}

void elu(Step& s) {
  if (s.number("scale") != 1 || s.number("input_scale") != 1) s.refuse("it has scales");
  s.result(s.emit("Elu", {s.first()}, {{"alpha", static_cast<float>(s.number("alpha"))}}));
}
void celu(Step& s) {
  if (s.opset() < 12) s.refuse("it needs .opset = 12 or later");
  s.result(s.emit("Celu", {s.first()}, {{"alpha", static_cast<float>(s.number("alpha"))}}));
}
void leaky_relu(Step& s) {
  s.result(s.emit("LeakyRelu", {s.first()},
                  {{"alpha", static_cast<float>(s.number("negative_slope"))}}));
}

void prelu(Step& s) {
  const auto slope = s.tensor("weight");
  if (!slope) s.refuse("its weight depends on the batch");
  Ints broadcast(s.result_shape().size() - 1, 1);
  if (!broadcast.empty()) broadcast[0] = -1;
  s.result(s.emit("PRelu", {s.first(), s.changed("weight", slope->view(broadcast))}));
}

// self op other
std::string binary(Step& s, const char* op, const char* other = "other") {
  return s.emit(op, {s.value_as_result("self"), s.value_as_result(other)});
}

// alpha times the second operand
std::string scaled(Step& s, const char* argument) {
  const auto operand = s.value_as_result(argument);
  const double alpha = s.has("alpha") ? s.number("alpha") : 1;
  return alpha == 1 ? operand : s.emit("Mul", {operand, s.constant(alpha)});
}
void add(Step& s) {
  s.result(s.emit("Add", {s.value_as_result("self"), scaled(s, "other")}));
}
void sub(Step& s) {
  s.result(s.emit("Sub", {s.value_as_result("self"), scaled(s, "other")}));
}
void rsub(Step& s) {
  s.result(s.emit("Sub", {s.value_as_result("other"), scaled(s, "self")}));
}
void mul(Step& s) {
  s.result(binary(s, "Mul"));
}
void div(Step& s) {
  if (s.has("rounding_mode")) s.refuse("it rounds");
  s.result(binary(s, "Div"));
}
void power(Step& s) {
  s.result(binary(s, "Pow", "exponent"));
}
void maximum(Step& s) {
  s.result(binary(s, "Max"));
}
void minimum(Step& s) {
  s.result(binary(s, "Min"));
}

// Axes are an input in later versions of the operator.
void reduce(Step& s, const char* op, int inputs_since) {
  const auto x = s.value_as_result("self");
  const Attributes keep{{"keepdims", std::int64_t{s.has("keepdim") && s.flag("keepdim")}}};
  if (!s.has("dim") || s.ints("dim").empty()) s.refuse("it takes all items together");
  auto axes = s.ints("dim");
  for (auto& axis : axes) axis = axis_of(axis, s.shape("self").size());
  if (s.opset() >= inputs_since) return s.result(s.emit(op, {x, s.constant(axes)}, keep));
  s.result(s.emit(op, {x}, {{"axes", axes}, keep[0]}));
}
void mean(Step& s) {
  reduce(s, "ReduceMean", 18);
}
void sum(Step& s) {
  reduce(s, "ReduceSum", 13);
}

void same(Step& s) {
  s.result(s.first());
}
void dropout(Step& s) {
  if (s.flag("train")) s.refuse("it draws random numbers: it is in training mode");
  same(s);
}
void to(Step& s) {
  s.result(s.value_as_result("self"));
}

void flatten(Step& s) {
  const auto in = s.shape("self"), out = s.result_shape();
  if (in == out) return same(s);
  if (out.size() == 2 && s.integer("start_dim") == 1) {
    return s.result(s.emit("Flatten", {s.first()}, {{"axis", std::int64_t{1}}}));
  }
  s.result(s.emit("Reshape", {s.first(), s.constant(out)}));
}

// What only lists the same numbers otherwise; `with_free_batch` frees the number of items.
void reshape(Step& s) {
  if (s.shape("self") == s.result_shape()) return same(s);
  s.result(s.emit("Reshape", {s.first(), s.constant(s.result_shape())}));
}

void permute(Step& s) {
  auto perm = s.ints("dims");
  for (auto& dim : perm) dim = axis_of(dim, perm.size());
  s.result(s.emit("Transpose", {s.first()}, {{"perm", perm}}));
}

void transpose(Step& s) {
  const auto dims = s.result_shape().size();
  Ints perm(dims);
  for (std::size_t i = 0; i < dims; ++i) perm[i] = static_cast<std::int64_t>(i);
  const bool matrix = !s.has("dim0");  // t()
  const auto a = matrix ? 0 : axis_of(s.integer("dim0"), dims);
  const auto b = matrix ? 1 : axis_of(s.integer("dim1"), dims);
  if (dims > 1)
    std::swap(perm.at(static_cast<std::size_t>(a)), perm.at(static_cast<std::size_t>(b)));
  s.result(s.emit("Transpose", {s.first()}, {{"perm", perm}}));
}

// One number everywhere, in the shape of the first argument whatever the batch. LibTorch's `1 - x` is made of these.
void filled(Step& s, double value) {
  // Of as many dimensions, which OpenCV asks for.
  const Ints ones(s.result_shape().size(), 1);
  const auto number = s.constant(torch::full(ones, value, s.result_type()));
  s.result(s.emit("Expand", {number, s.emit("Shape", {s.first()})}));
}
void fill(Step& s) {
  filled(s, s.number("value"));
}
void zeros_like(Step& s) {
  filled(s, 0);
}
void ones_like(Step& s) {
  filled(s, 1);
}
void full_like(Step& s) {
  filled(s, s.number("fill_value"));
}

void cat(Step& s) {
  const auto axis = axis_of(s.integer("dim"), s.result_shape().size());
  s.result(s.emit("Concat", s.values("tensors"), {{"axis", axis}}));
}

// Each gets an axis of length 1 before they are joined along it.
void stack(Step& s) {
  auto one = s.result_shape();
  const auto axis = axis_of(s.integer("dim"), one.size());
  one.at(static_cast<std::size_t>(axis)) = 1;
  auto parts = s.values("tensors");
  for (auto& part : parts) part = s.emit("Reshape", {part, s.constant(one)});
  s.result(s.emit("Concat", std::move(parts), {{"axis", axis}}));
}

void slice(Step& s) {
  const auto number = [&](const char* argument, std::int64_t otherwise) {
    return s.constant(Ints{s.has(argument) ? s.integer(argument) : otherwise});
  };
  const auto start = number("start", 0);
  const auto end = number("end", std::numeric_limits<std::int64_t>::max());
  const auto axis = s.constant(Ints{axis_of(s.integer("dim"), s.result_shape().size())});
  s.result(s.emit("Slice", {s.first(), start, end, axis, number("step", 1)}));
}

void select(Step& s) {
  const auto axis = axis_of(s.integer("dim"), s.shape("self").size());
  const auto length = s.shape("self").at(static_cast<std::size_t>(axis));
  const auto at = s.integer("index");
  const auto index = s.constant(torch::scalar_tensor(at < 0 ? at + length : at, torch::kInt64));
  s.result(s.emit("Gather", {s.first(), index}, {{"axis", axis}}));
}

// LibTorch's list goes from the last axis to the first and names both ends of each.
void pad_by(Step& s, const Ints& padding, const std::string& mode) {
  const auto dims = s.result_shape().size();
  Ints pads(2 * dims, 0);
  for (std::size_t i = 0; i < padding.size() / 2; ++i) {
    pads[dims - 1 - i] = padding[2 * i];
    pads[2 * dims - 1 - i] = padding[2 * i + 1];
  }
  const double value = s.has("value") ? s.number("value") : 0;
  if (s.opset() < 11) {
    return s.result(s.emit("Pad", {s.first()},
                           {{"mode", mode}, {"pads", pads}, {"value", static_cast<float>(value)}}));
  }
  std::vector<std::string> in{s.first(), s.constant(pads)};
  if (mode == "constant") in.push_back(s.constant(value));
  s.result(s.emit("Pad", in, {{"mode", mode}}));
}
void constant_pad(Step& s) {
  pad_by(s, s.ints("pad"), "constant");
}
void reflection_pad(Step& s) {
  pad_by(s, s.ints("padding"), "reflect");
}
void replication_pad(Step& s) {
  pad_by(s, s.ints("padding"), "edge");
}
void pad_enum(Step& s) {
  static constexpr const char* kModes[] = {"reflect", "edge", nullptr, "constant"};
  const auto mode = s.integer("mode");
  if (mode < 0 || mode > 3 || !kModes[mode]) s.refuse("it pads in a circle");
  pad_by(s, s.ints("pad"), kModes[mode]);
}
void pad(Step& s) {
  const auto mode = s.text("mode");
  if (mode == "circular") s.refuse("it pads in a circle");
  pad_by(s, s.ints("pad"), mode == "replicate" ? "edge" : mode);
}

}  // namespace

void add_functions(Operations& operations) {
  operations.insert({{"abs", unary<kAbs>},
                     {"erf", unary<kErf>},
                     {"exp", unary<kExp>},
                     {"log", unary<kLog>},
                     {"neg", unary<kNeg>},
                     {"reciprocal", unary<kReciprocal>},
                     {"relu", unary<kRelu>},
                     {"selu", unary<kSelu>},
                     {"sigmoid", unary<kSigmoid>},
                     {"softsign", unary<kSoftsign>},
                     {"sqrt", unary<kSqrt>},
                     {"tanh", unary<kTanh>},
                     {"softmax", softmax},
                     {"_softmax", softmax},
                     {"log_softmax", log_softmax},
                     {"_log_softmax", log_softmax},
                     {"relu6", relu6},
                     {"hardtanh", hardtanh},
                     {"clamp", clamp},
                     {"clamp_min", clamp},
                     {"clamp_max", clamp},
                     {"hardsigmoid", hardsigmoid},
                     {"hardswish", hardswish},
                     {"silu", silu},
                     {"mish", mish},
                     {"softplus", softplus},
                     {"gelu", gelu},
                     {"elu", elu},
                     {"celu", celu},
                     {"leaky_relu", leaky_relu},
                     {"prelu", prelu}});
  operations.insert({{"add", add},
                     {"sub", sub},
                     {"rsub", rsub},
                     {"mul", mul},
                     {"div", div},
                     {"pow", power},
                     {"maximum", maximum},
                     {"minimum", minimum},
                     {"mean", mean},
                     {"sum", sum}});
  operations.insert({{"empty_like", zeros_like},
                     {"zeros_like", zeros_like},
                     {"ones_like", ones_like},
                     {"full_like", full_like},
                     {"fill", fill}});
  operations.insert({{"alias", same},
                     {"clone", same},
                     {"contiguous", same},
                     {"detach", same},
                     {"dropout", dropout},
                     {"alpha_dropout", dropout},
                     {"feature_dropout", dropout},
                     {"feature_alpha_dropout", dropout},
                     {"to", to},
                     {"flatten", flatten},
                     {"reshape", reshape},
                     {"view", reshape},
                     {"_unsafe_view", reshape},
                     {"unflatten", reshape},
                     {"squeeze", reshape},
                     {"unsqueeze", reshape},
                     {"permute", permute},
                     {"transpose", transpose},
                     {"t", transpose},
                     {"cat", cat},
                     {"stack", stack},
                     {"slice", slice},
                     {"select", select},
                     {"_pad_enum", pad_enum},
                     {"pad", pad},
                     {"constant_pad_nd", constant_pad},
                     {"reflection_pad1d", reflection_pad},
                     {"reflection_pad2d", reflection_pad},
                     {"replication_pad1d", replication_pad},
                     {"replication_pad2d", replication_pad}});
}

}  // namespace fastcpp::onnx
