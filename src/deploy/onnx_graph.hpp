// An ONNX model in memory, as far as exports need one.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0::onnx {

using Ints = std::vector<std::int64_t>;
using Attribute = std::variant<std::int64_t, float, std::string, Ints>;
using Attributes = std::vector<std::pair<std::string, Attribute>>;

// A node has one output, which has its name.
struct Node {
  std::string op, name;
  std::vector<std::string> in;  // "" stands for one that is left out
  Attributes attributes;
  bool operator==(const Node&) const = default;
};

constexpr std::int64_t kFree = -1;  // the number of items

struct Port {
  std::string name;
  torch::ScalarType type = torch::kFloat32;
  Ints shape;
};

struct Graph {
  int opset = 17;
  std::vector<Node> nodes;                         // in the order of computation
  std::map<std::string, torch::Tensor> constants;  // initializers
  std::vector<Port> inputs;
  Port output;
};

// ONNX's number of an element type. Throws ValueError `value.onnx_operation` on one that it does not have.
std::int64_t onnx_type(torch::ScalarType type);

// Multiplies the batch norms that directly follow a convolution into it.
void fold_batch_norms(Graph& graph);

// The graph for any number of items, out of those of a = 2 and b = 3 items.
// Throws ValueError `value.export_batch` when they differ in more than that number.
Graph with_free_batch(Graph a, const Graph& b);

// Throws IoError as AtomicWriter; ValueError `value.export_options` above 2 GiB, where the format ends.
void save(const Graph& graph, const std::vector<std::pair<std::string, std::string>>& metadata,
          const Path& file);

}  // namespace fastcpp::onnx
