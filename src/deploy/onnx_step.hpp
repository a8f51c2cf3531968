// One operation of a trace on its way to ONNX.
#pragma once

#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "deploy/onnx_graph.hpp"

namespace torch::jit {
struct Node;
struct Value;
}  // namespace torch::jit

namespace fastcpp::inline v0 {
struct Traced;
}

namespace fastcpp::inline v0::onnx {

class Converter;

// Arguments go by LibTorch's names for them. What does not fit ends in `refuse`.
class Step {
 public:
  Step(Converter& all, const torch::jit::Node& node) : all_(all), node_(node) {}

  // Whether there is such an argument, and it is not None.
  bool has(const std::string& argument) const;
  bool flag(const std::string& argument) const;
  std::int64_t integer(const std::string& argument) const;
  double number(const std::string& argument) const;
  Ints ints(const std::string& argument) const;
  std::string text(const std::string& argument) const;
  // Nothing when it is computed from the batch.
  std::optional<torch::Tensor> tensor(const std::string& argument) const;

  // What ONNX calls a tensor or number; "" for None. Numbers get the type of the result, and so do tensors if asked.
  std::string value(const std::string& argument);
  std::string value_as_result(const std::string& argument);
  std::vector<std::string> values(const std::string& argument);  // of a list of tensors
  std::string first();                                           // the first argument

  // Shapes as they are in this trace.
  Ints shape(const std::string& argument) const;
  Ints result_shape() const;
  torch::ScalarType type(const std::string& argument) const;
  torch::ScalarType result_type() const;

  int opset() const;
  // A constant. Without a name it gets one.
  std::string constant(const torch::Tensor& value, const std::string& name = "");
  std::string constant(const Ints& value);
  std::string constant(double value);  // of the type of the result
  // A constant argument under its name, but with another value.
  std::string changed(const std::string& argument, const torch::Tensor& value);

  // Appends a node; the name of its output.
  std::string emit(const std::string& op, std::vector<std::string> in, Attributes attributes = {});
  // What the first result of the operation is.
  void result(const std::string& value);
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  const torch::jit::Value* input(const std::string& argument) const;
  const c10::IValue& known(const std::string& argument) const;

  Converter& all_;
  const torch::jit::Node& node_;
};

using Operations = std::unordered_map<std::string_view, void (*)(Step&)>;
// Convolutions, norms, linear layers, pools.
void add_layers(Operations& operations);
// Activations, arithmetic, shapes.
void add_functions(Operations& operations);

// The trace of a network. Throws ValueError `value.onnx_operation`.
Graph convert(const Traced& traced, int opset);

}  // namespace fastcpp::onnx
