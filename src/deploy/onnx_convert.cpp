#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/types.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "deploy/onnx_step.hpp"
#include "deploy/traced.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::onnx {
namespace jit = torch::jit;
namespace {

const Operations& operations() {
  static const auto all = [] {
    Operations table;
    add_layers(table);
    add_functions(table);
    return table;
  }();
  return all;
}

// Whether the result may share memory with the first argument.
bool may_be_view(std::string_view operation) {
  static const std::unordered_set<std::string_view> views{"alias",      "alpha_dropout",
                                                          "contiguous", "detach",
                                                          "dropout",    "feature_alpha_dropout",
                                                          "expand",     "feature_dropout",
                                                          "flatten",    "permute",
                                                          "reshape",    "select",
                                                          "slice",      "squeeze",
                                                          "t",          "to",
                                                          "transpose",  "unflatten",
                                                          "unsqueeze",  "view"};
  return views.contains(operation);
}

}  // namespace

class Converter {
 public:
  Converter(const Traced& from, int opset) : traced(from) { graph.opset = opset; }
  Graph run();
  std::string unique(const std::string& base);
  std::string constant(const torch::Tensor& value, const std::string& name);
  std::string name_of(const Step& step, const jit::Value* value);
  // The parameter that an operation has; else the last one before it; else the first one after it.
  std::string where(const jit::Node& node) const;
  std::string layer(const jit::Node& node) const;

  const Traced& traced;
  Graph graph;
  std::unordered_map<const jit::Value*, c10::IValue> known;  // before any batch comes
  std::unordered_map<const jit::Value*, std::string> names;
  std::unordered_map<const jit::Value*, std::string> paths;  // of parameters: `0.4.weight`

 private:
  void convert(const jit::Node& node);
  void evaluate(const jit::Node& node);
  void check_not_overwritten(const jit::Node& node, const jit::Value* value);
  void remember_memory(const jit::Node& node, std::string_view operation, bool in_place);
  void finish(const jit::Value* output);

  // Which tensor's memory a value lies in, and how often that had been overwritten when the value was made.
  struct Memory {
    const jit::Value* owner;
    int version;
  };
  std::unordered_map<const jit::Value*, Memory> memory_;
  std::unordered_map<const jit::Value*, int> versions_;
  std::set<std::string> taken_{"output"};
};

namespace {

Ints shape_of(const jit::Value* value) {
  const auto type = value->type()->cast<c10::TensorType>();
  const auto sizes = type ? type->sizes().concrete_sizes() : c10::nullopt;
  return sizes ? Ints(sizes->begin(), sizes->end()) : Ints();
}

torch::ScalarType type_of(const jit::Value* value) {
  const auto type = value->type()->cast<c10::TensorType>();
  return type ? type->scalarType().value_or(torch::kFloat32) : torch::kFloat32;
}

}  // namespace

std::string Converter::unique(const std::string& base) {
  auto name = base;
  for (int i = 2; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
  return name;
}

std::string Converter::constant(const torch::Tensor& value, const std::string& name) {
  const auto own = unique(name.empty() ? "constant" : name);
  graph.constants.emplace(own, value.detach());
  return own;
}

std::string Converter::name_of(const Step& step, const jit::Value* value) {
  const auto found = names.find(value);
  if (found != names.end()) return found->second;
  const auto constant_value = known.find(value);
  if (constant_value == known.end()) step.refuse("it takes what is no tensor");
  const auto& content = constant_value->second;
  if (content.isNone()) return "";
  if (!content.isTensor()) step.refuse("it takes a constant that is no tensor");
  const auto path = paths.find(value);
  return names[value] =
             constant(content.toTensor(), path == paths.end() ? std::string() : path->second);
}

std::string Converter::layer(const jit::Node& node) const {
  for (const auto* input : node.inputs()) {
    const auto path = paths.find(input);
    if (path == paths.end()) continue;
    const auto dot = path->second.rfind('.');
    return dot == std::string::npos ? std::string() : path->second.substr(0, dot);
  }
  return "";
}

std::string Converter::where(const jit::Node& node) const {
  const auto parameter = [&](const jit::Node& one) -> const std::string* {
    for (const auto* input : one.inputs()) {
      const auto path = paths.find(input);
      if (path != paths.end()) return &path->second;
    }
    return nullptr;
  };
  if (const auto* own = parameter(node)) return fmt::format("of '{}'", *own);
  const std::string* before = nullptr;
  bool passed = false;
  for (const auto* one : traced.graph->nodes()) {
    passed = passed || one == &node;
    const auto* found = one->kind().is_aten() ? parameter(*one) : nullptr;
    if (!passed && found) before = found;
    if (passed && before) return fmt::format("behind '{}'", *before);
    if (passed && found) return fmt::format("before '{}'", *found);
  }
  return "of a network without parameters";
}

void Converter::evaluate(const jit::Node& node) {
  jit::Stack stack;
  for (const auto* input : node.inputs()) stack.push_back(known.at(input));
  node.getOperation()(stack);
  for (std::size_t i = 0; i < node.outputs().size(); ++i) known[node.outputs()[i]] = stack.at(i);
  for (const auto* input : node.inputs()) {
    const auto path = paths.find(input);
    if (path != paths.end()) paths.emplace(node.outputs()[0], path->second);
  }
}

// A value that a later operation changed in place has another content than ONNX would give it.
void Converter::check_not_overwritten(const jit::Node& node, const jit::Value* value) {
  const auto memory = memory_.find(value);
  if (memory == memory_.end() || memory->second.version == versions_[memory->second.owner]) return;
  Step(*this, node)
      .refuse(
          "what it takes shares its memory with something that was changed in place meanwhile; "
          "change a "
          "clone() instead");
}

void Converter::remember_memory(const jit::Node& node, std::string_view operation, bool in_place) {
  const auto* result = node.outputs().at(0);
  Memory memory{result, 0};
  if (in_place || may_be_view(operation)) {
    const auto* source = node.inputs().at(0);
    memory = memory_.emplace(source, Memory{source, 0}).first->second;
  }
  if (in_place) memory.version = ++versions_[memory.owner];
  memory_[result] = memory;
}

void Converter::convert(const jit::Node& node) {
  const auto is_known = [&](const auto* value) { return known.count(value) > 0; };
  const auto inputs = node.inputs();
  const bool all_known = std::all_of(inputs.begin(), inputs.end(), is_known);
  if (node.kind() == c10::prim::Constant) {
    known[node.output()] = jit::toIValue(node.output()).value();
  } else if (node.kind() == c10::prim::GetAttr) {
    const auto& name = node.s(c10::attr::name);
    const auto parent = paths.find(node.input());
    paths[node.output()] = parent == paths.end() ? name : parent->second + "." + name;
    known[node.output()] = known.at(node.input()).toObject()->getAttr(name);
  } else if (node.kind() == c10::prim::ListConstruct) {
    if (!all_known) return;  // of tensors, which the operation that takes them looks for
    c10::impl::GenericList list(node.output()->type()->expect<c10::ListType>()->getElementType());
    for (const auto* input : inputs) list.push_back(known.at(input));
    known[node.output()] = list;
  } else if (node.kind().is_aten()) {
    std::string_view operation = node.kind().toUnqualString();
    const bool in_place = operation.ends_with('_') && !operation.ends_with("__");
    if (in_place) operation.remove_suffix(1);
    Step step(*this, node);
    if (all_known && !in_place) return evaluate(node);
    if (all_known) step.refuse("it changes a constant in place");
    for (const auto* input : inputs) {
      check_not_overwritten(node, input);
      if (input->node()->kind() != c10::prim::ListConstruct) continue;
      for (const auto* item : input->node()->inputs()) check_not_overwritten(node, item);
    }
    const auto convert_it = operations().find(operation);
    if (convert_it == operations().end()) {
      step.refuse("no operator is known for it; replace it, or use export_torchscript");
    }
    convert_it->second(step);
    remember_memory(node, operation, in_place);
  } else {
    Step(*this, node).refuse("it is no computation on tensors");
  }
}

Graph Converter::run() {
  const auto& from = *traced.graph;
  known[from.inputs().at(0)] = traced.module._ivalue();
  for (std::size_t i = 0; i < traced.names.size(); ++i) {
    const auto* batch = from.inputs().at(i + 1);
    names[batch] = unique(traced.names[i]);
    graph.inputs.push_back({traced.names[i], type_of(batch), shape_of(batch)});
  }
  for (const auto* node : from.nodes()) convert(*node);
  finish(from.outputs().at(0));
  return std::move(graph);
}

void Converter::finish(const jit::Value* output) {
  const auto last = names.find(output);
  const auto is_input = [&](const Port& port) { return port.name == last->second; };
  if (last == names.end() || graph.constants.count(last->second) ||
      std::any_of(graph.inputs.begin(), graph.inputs.end(), is_input)) {
    throw ValueError("value.onnx_operation",
                     "the network computes nothing from its input: there is nothing to export");
  }
  check_not_overwritten(*output->node(), output);
  graph.output = {"output", type_of(output), shape_of(output)};
  const auto former = last->second;
  for (auto& node : graph.nodes) {
    if (node.name == former) node.name = "output";
    std::replace(node.in.begin(), node.in.end(), former, std::string("output"));
  }
}

const jit::Value* Step::input(const std::string& argument) const {
  if (!node_.hasNamedInput(argument)) return nullptr;
  return node_.namedInput(argument);
}

bool Step::has(const std::string& argument) const {
  const auto* value = input(argument);
  if (!value) return false;
  const auto found = all_.known.find(value);
  return found == all_.known.end() || !found->second.isNone();
}

const c10::IValue& Step::known(const std::string& argument) const {
  const auto found = all_.known.find(input(argument));
  if (found == all_.known.end()) {
    refuse(fmt::format("its argument '{}' depends on the batch", argument));
  }
  return found->second;
}

bool Step::flag(const std::string& argument) const {
  return known(argument).toBool();
}
std::int64_t Step::integer(const std::string& argument) const {
  return known(argument).toInt();
}
double Step::number(const std::string& argument) const {
  return known(argument).toScalar().toDouble();
}
std::string Step::text(const std::string& argument) const {
  return known(argument).toStringRef();
}

Ints Step::ints(const std::string& argument) const {
  const auto& value = known(argument);
  if (value.isInt()) return {value.toInt()};
  return value.toIntVector();
}

std::optional<torch::Tensor> Step::tensor(const std::string& argument) const {
  const auto found = all_.known.find(input(argument));
  if (found == all_.known.end() || !found->second.isTensor()) return std::nullopt;
  return found->second.toTensor();
}

std::string Step::value(const std::string& argument) {
  return all_.name_of(*this, input(argument));
}

std::string Step::value_as_result(const std::string& argument) {
  const auto found = all_.known.find(input(argument));
  if (found != all_.known.end() && found->second.isScalar()) return constant(number(argument));
  if (type(argument) == result_type()) return value(argument);
  if (const auto fixed = tensor(argument)) return changed(argument, fixed->to(result_type()));
  return emit("Cast", {value(argument)}, {{"to", onnx_type(result_type())}});
}

std::vector<std::string> Step::values(const std::string& argument) {
  std::vector<std::string> all;
  const auto* list = input(argument);
  if (!list || list->node()->kind() != c10::prim::ListConstruct) {
    refuse("it takes a list that another operation made");
  }
  for (const auto* item : list->node()->inputs()) all.push_back(all_.name_of(*this, item));
  return all;
}

std::string Step::first() {
  return all_.name_of(*this, node_.inputs().at(0));
}

Ints Step::shape(const std::string& argument) const {
  if (const auto fixed = tensor(argument)) return fixed->sizes().vec();
  return shape_of(input(argument));
}

Ints Step::result_shape() const {
  return shape_of(node_.outputs().at(0));
}

torch::ScalarType Step::type(const std::string& argument) const {
  if (const auto fixed = tensor(argument)) return fixed->scalar_type();
  return type_of(input(argument));
}

torch::ScalarType Step::result_type() const {
  return type_of(node_.outputs().at(0));
}

int Step::opset() const {
  return all_.graph.opset;
}

std::string Step::constant(const torch::Tensor& value, const std::string& name) {
  return all_.constant(value, name);
}
std::string Step::constant(const Ints& value) {
  return constant(torch::tensor(value, torch::kInt64));
}
std::string Step::constant(double value) {
  return constant(torch::scalar_tensor(value, torch::dtype(result_type())));
}

std::string Step::changed(const std::string& argument, const torch::Tensor& value) {
  const auto path = all_.paths.find(input(argument));
  return constant(value, path == all_.paths.end() ? std::string() : path->second);
}

std::string Step::emit(const std::string& op, std::vector<std::string> in, Attributes attributes) {
  while (!in.empty() && in.back().empty()) in.pop_back();
  const auto layer = all_.layer(node_);
  auto name = all_.unique(layer.empty() ? op : layer + "/" + op);
  all_.graph.nodes.push_back({op, name, std::move(in), std::move(attributes)});
  return name;
}

void Step::result(const std::string& value) {
  all_.names[node_.outputs().at(0)] = value;
}

void Step::refuse(const std::string& why) const {
  throw ValueError("value.onnx_operation",
                   fmt::format("{} {} cannot be written as ONNX: {}", node_.kind().toQualString(),
                               all_.where(node_), why));
}

Graph convert(const Traced& traced, int opset) {
  return Converter(traced, opset).run();
}

}  // namespace fastcpp::onnx
