#include "deploy/onnx_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::onnx {
namespace {

std::map<std::string, int> uses_of(const Graph& graph) {
  std::map<std::string, int> uses{{graph.output.name, 1}};
  for (const auto& node : graph.nodes) {
    for (const auto& name : node.in) ++uses[name];
  }
  return uses;
}

void drop_unused_constants(Graph& graph) {
  const auto uses = uses_of(graph);
  std::erase_if(graph.constants, [&](const auto& one) { return uses.count(one.first) == 0; });
}

float epsilon_of(const Node& norm) {
  return std::get<float>(norm.attributes.at(0).second);
}

// norm(conv(x)) = w x * f + (b - mean) * f + shift with f = scale / sqrt(var + eps); in double precision, so that only one
// rounding is added.
void fold(Graph& graph, Node& conv, const Node& norm, std::map<std::string, int>& uses) {
  const auto number = [&](std::size_t i) {
    return graph.constants.at(norm.in.at(i)).to(torch::kFloat64);
  };
  const auto factor = number(1) * (number(4) + static_cast<double>(epsilon_of(norm))).rsqrt();
  auto bias = -number(3);
  if (conv.in.size() > 2) bias = bias + graph.constants.at(conv.in[2]).to(torch::kFloat64);
  bias = bias * factor + number(2);
  const auto& weight = graph.constants.at(conv.in[1]);
  Ints per_filter(static_cast<std::size_t>(weight.dim()), 1);
  per_filter[0] = -1;
  auto folded = (weight.to(torch::kFloat64) * factor.view(per_filter)).to(weight.scalar_type());
  // Under the parameter's own name, unless others need what is there.
  const auto place = [&](const std::string& own, std::string name, const torch::Tensor& value) {
    while (graph.constants.count(name) && uses[name] > (name == own ? 1 : 0)) name += ".folded";
    graph.constants.insert_or_assign(name, value);
    uses[name] = 1;
    return name;
  };
  const bool has_bias = conv.in.size() > 2;
  const auto layer = conv.in[1].substr(0, conv.in[1].rfind('.'));
  conv.in.resize(3);
  conv.in[2] =
      place(conv.in[2], has_bias ? conv.in[2] : layer + ".bias", bias.to(weight.scalar_type()));
  conv.in[1] = place(conv.in[1], conv.in[1], folded);
}

}  // namespace

void fold_batch_norms(Graph& graph) {
  auto uses = uses_of(graph);
  std::map<std::string, std::string> renamed;  // of a norm that is gone
  std::map<std::string, std::size_t> convolutions;
  std::vector<Node> nodes;
  for (auto& node : graph.nodes) {
    for (auto& name : node.in) {
      const auto found = renamed.find(name);
      if (found != renamed.end()) name = found->second;
    }
    const bool constant = std::all_of(node.in.begin(), node.in.end(), [&](const auto& name) {
      return name == node.in[0] || graph.constants.count(name) > 0;
    });
    if (node.op == "Conv" && constant) convolutions[node.name] = nodes.size();
    if (node.op == "BatchNormalization" && constant && uses[node.in[0]] == 1) {
      if (const auto conv = convolutions.find(node.in[0]); conv != convolutions.end()) {
        fold(graph, nodes[conv->second], node, uses);
        renamed[node.name] = node.in[0];
        uses[node.in[0]] = uses[node.name];
        continue;
      }
    }
    nodes.push_back(std::move(node));
  }
  const auto last = renamed.find(graph.output.name);
  if (last != renamed.end()) {  // the convolution gives the output now
    for (auto& node : nodes) {
      if (node.name == last->second) node.name = graph.output.name;
      std::replace(node.in.begin(), node.in.end(), last->second, graph.output.name);
    }
  }
  graph.nodes = std::move(nodes);
  drop_unused_constants(graph);
}

namespace {

constexpr std::int64_t kItemsA = 2, kItemsB = 3;

[[noreturn]] void refuse_batch(const std::string& what) {
  throw ValueError(
      "value.export_batch",
      fmt::format("{} depends on the number of items in a batch in a way that a file cannot hold; "
                  "what the network computes for one item may not depend on the others, and shapes "
                  "are best changed by flatten(1)",
                  what));
}

// The shape for any number of items; where two lengths depend on it nothing can be done.
torch::Tensor free_shape(const torch::Tensor& a, const torch::Tensor& b, const Node& node) {
  auto shape = a.clone();
  auto* numbers = shape.data_ptr<std::int64_t>();
  const auto* others = b.data_ptr<std::int64_t>();
  bool done = false;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    if (numbers[i] == others[i]) continue;
    if (done || numbers[i] * kItemsB != others[i] * kItemsA) refuse_batch("'" + node.name + "'");
    numbers[i] = -1;
    done = true;
  }
  return shape;
}

bool alike(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.is_alias_of(b) && a.sizes() == b.sizes() && a.strides() == b.strides()) return true;
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && torch::equal(a, b);
}

}  // namespace

Graph with_free_batch(Graph a, const Graph& b) {
  if (a.nodes != b.nodes) refuse_batch("what the network computes");
  std::map<std::string, const Node*> shapes;
  for (const auto& node : a.nodes) {
    if (node.op == "Reshape") shapes[node.in.at(1)] = &node;
  }
  for (auto& [name, value] : a.constants) {
    const auto found = b.constants.find(name);
    if (found == b.constants.end()) refuse_batch("what the network computes");
    if (alike(value, found->second)) continue;
    const auto shape = shapes.find(name);
    if (shape == shapes.end() || value.sizes() != found->second.sizes()) {
      refuse_batch("the constant '" + name + "'");
    }
    value = free_shape(value, found->second, *shape->second);
  }
  std::vector<std::pair<Port*, const Port*>> ports{{&a.output, &b.output}};
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    ports.emplace_back(&a.inputs[i], &b.inputs.at(i));
  }
  for (auto [mine, other] : ports) {
    auto& shape = mine->shape;
    const bool items = !shape.empty() && shape[0] == kItemsA &&
                       shape.size() == other->shape.size() && other->shape[0] == kItemsB &&
                       std::equal(shape.begin() + 1, shape.end(), other->shape.begin() + 1);
    if (!items) refuse_batch("the shape of the output");
    shape[0] = kFree;
  }
  drop_unused_constants(a);
  return a;
}

}  // namespace fastcpp::onnx
