// The file format: messages of protocol buffers, onnx.proto.
#include <fmt/format.h>

#include <limits>
#include <protozero/pbf_writer.hpp>

#include "deploy/onnx_graph.hpp"
#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/version.hpp"

namespace fastcpp::inline v0::onnx {

std::int64_t onnx_type(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat32:
      return 1;
    case torch::kUInt8:
      return 2;
    case torch::kInt8:
      return 3;
    case torch::kInt32:
      return 6;
    case torch::kInt64:
      return 7;
    case torch::kBool:
      return 9;
    case torch::kHalf:
      return 10;
    case torch::kFloat64:
      return 11;
    case torch::kBFloat16:
      return 16;
    default:
      throw ValueError("value.onnx_operation",
                       fmt::format("ONNX has no numbers of the type {}", c10::toString(type)));
  }
}

namespace {

using Writer = protozero::pbf_writer;

// Numbers of the fields.
namespace model {
constexpr int kIrVersion = 1, kProducerName = 2, kProducerVersion = 3, kGraph = 7, kOpset = 8,
              kMetadata = 14;
}
namespace graph_field {
constexpr int kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12;
}
namespace node_field {
constexpr int kInput = 1, kOutput = 2, kName = 3, kOp = 4, kAttribute = 5;
}
namespace attribute_field {
constexpr int kName = 1, kFloat = 2, kInt = 3, kString = 4, kInts = 8, kType = 20;
}
namespace attribute_type {
constexpr int kFloat = 1, kInt = 2, kString = 3, kInts = 7;
}
namespace tensor_field {
constexpr int kDims = 1, kType = 2, kName = 8, kRaw = 9;
}

// Tag and length of a field whose content follows.
std::string announced(int field, std::uint64_t length) {
  constexpr unsigned kLengthDelimited = 2;
  std::string bytes;
  protozero::add_varint_to_buffer(&bytes, (static_cast<unsigned>(field) << 3U) | kLengthDelimited);
  protozero::add_varint_to_buffer(&bytes, length);
  return bytes;
}

void write(Writer& to, const std::string& name, const Attribute& value) {
  to.add_string(attribute_field::kName, name);
  if (const auto* number = std::get_if<float>(&value)) {
    to.add_float(attribute_field::kFloat, *number);
    to.add_int32(attribute_field::kType, attribute_type::kFloat);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    to.add_int64(attribute_field::kInt, *integer);
    to.add_int32(attribute_field::kType, attribute_type::kInt);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    to.add_bytes(attribute_field::kString, *text);
    to.add_int32(attribute_field::kType, attribute_type::kString);
  } else {
    // One by one: older readers of proto2 expect these not packed.
    for (const auto one : std::get<Ints>(value)) to.add_int64(attribute_field::kInts, one);
    to.add_int32(attribute_field::kType, attribute_type::kInts);
  }
}

void write(Writer& to, const Node& node) {
  for (const auto& name : node.in) to.add_string(node_field::kInput, name);
  to.add_string(node_field::kOutput, node.name);
  to.add_string(node_field::kName, node.name);
  to.add_string(node_field::kOp, node.op);
  for (const auto& [name, value] : node.attributes) {
    Writer attribute(to, node_field::kAttribute);
    write(attribute, name, value);
  }
}

// ValueInfoProto, TypeProto, TypeProto.Tensor, TensorShapeProto
void write(Writer& to, const Port& port) {
  to.add_string(1, port.name);
  Writer type(to, 2);
  Writer tensor(type, 1);
  tensor.add_int32(1, static_cast<std::int32_t>(onnx_type(port.type)));
  Writer shape(tensor, 2);
  for (const auto side : port.shape) {
    Writer dimension(shape, 1);
    if (side == kFree) {
      dimension.add_string(2, "N");
    } else {
      dimension.add_int64(1, side);
    }
  }
}

// A TensorProto up to its bytes, which end it.
std::string initializer_head(const std::string& name, const torch::Tensor& value) {
  std::string content;
  Writer tensor(content);
  for (const auto side : value.sizes()) tensor.add_int64(tensor_field::kDims, side);
  tensor.add_int32(tensor_field::kType, static_cast<std::int32_t>(onnx_type(value.scalar_type())));
  tensor.add_string(tensor_field::kName, name);
  content += announced(tensor_field::kRaw, value.nbytes());
  return announced(graph_field::kInitializer, content.size() + value.nbytes()) + content;
}

// The oldest version of the format that has this version of the operators.
int ir_version(int opset) {
  return opset >= 19 ? 9 : opset >= 15 ? 8 : opset >= 12 ? 7 : opset - 5;
}

std::string model_head(const Graph& graph,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string bytes;
  Writer to(bytes);
  to.add_int64(model::kIrVersion, ir_version(graph.opset));
  to.add_string(model::kProducerName, "fastcpp");
  to.add_string(model::kProducerVersion, fmt::format("{}.{}.{}", FASTCPP_VERSION_MAJOR,
                                                     FASTCPP_VERSION_MINOR, FASTCPP_VERSION_PATCH));
  {
    Writer opset(to, model::kOpset);
    opset.add_string(1, "");
    opset.add_int64(2, graph.opset);
  }
  for (const auto& [key, value] : metadata) {
    Writer entry(to, model::kMetadata);
    entry.add_string(1, key);
    entry.add_string(2, value);
  }
  return bytes;
}

std::string graph_head(const Graph& graph) {
  std::string bytes;
  Writer to(bytes);
  to.add_string(graph_field::kName, "fastcpp");
  for (const auto& node : graph.nodes) {
    Writer message(to, graph_field::kNode);
    write(message, node);
  }
  for (const auto& port : graph.inputs) {
    Writer message(to, graph_field::kInput);
    write(message, port);
  }
  {
    Writer message(to, graph_field::kOutput);
    write(message, graph.output);
  }
  return bytes;
}

}  // namespace

// The weights go from their own memory to the file: they may be half of what there is.
void save(const Graph& graph, const std::vector<std::pair<std::string, std::string>>& metadata,
          const Path& file) {
  const auto head = graph_head(graph);
  std::uint64_t length = head.size();
  for (const auto& [name, value] : graph.constants) {
    length += initializer_head(name, value).size() + value.nbytes();
  }
  if (length > std::numeric_limits<std::int32_t>::max()) {
    throw ValueError(
        "value.export_options",
        fmt::format("'{}' would have {} bytes; an ONNX file ends at 2 GiB: take a smaller network",
                    file.string(), length));
  }
  AtomicWriter to(file);
  to.write(model_head(graph, metadata));
  to.write(announced(model::kGraph, length));
  to.write(head);
  for (const auto& [name, value] : graph.constants) {
    to.write(initializer_head(name, value));
    const auto bytes = value.cpu().contiguous();
    to.write(bytes.data_ptr(), bytes.nbytes());
  }
  to.commit();
}

}  // namespace fastcpp::onnx
