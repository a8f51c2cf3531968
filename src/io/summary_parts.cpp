#include "io/summary_parts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/modules/container/sequential.h>

#include <algorithm>
#include <limits>
#include <locale>
#include <protozero/pbf_writer.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "io/png.hpp"

namespace fastcpp::inline v0::io {
namespace {

using Message = protozero::pbf_writer;

// Numbers of the fields.
namespace histogram_field {
constexpr int kMin = 1, kMax = 2, kNum = 3, kSum = 4, kSumSquares = 5, kLimit = 6, kBucket = 7;
}
namespace image_field {
constexpr int kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4;
}
namespace graph_def_field {
constexpr int kNode = 1, kVersions = 4;
}
namespace node_def_field {
constexpr int kName = 1, kOp = 2, kInput = 3, kAttr = 5;
}
namespace attr_value_field {
constexpr int kText = 2, kInt = 3;
}

// Upper limits of TensorFlow's buckets: 1.1 times the one before, from 1e-12 to 1e20 on both sides of 0.
const std::vector<double>& bucket_limits() {
  static const std::vector<double> limits = [] {
    std::vector<double> positive;
    for (double limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push_back(limit);
    std::vector<double> all(positive.rbegin(), positive.rend());
    for (double& limit : all) limit = -limit;
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    all.push_back(std::numeric_limits<double>::max());
    return all;
  }();
  return limits;
}

[[noreturn]] void no_picture(const torch::Tensor& found, const char* wanted) {
  throw ValueError("value.tensor",
                   fmt::format("{}, found {}", wanted,
                               found.defined() ? fmt::format("{}", fmt::join(found.sizes(), " x "))
                                               : std::string("an undefined tensor")));
}

// `torch::nn::Conv2dImpl` without what Python does not write.
std::string layer_kind(const torch::nn::Module& layer) {
  if (layer.as<torch::nn::SequentialImpl>()) return "Sequential";
  std::string name = layer.name();
  const auto colon = name.rfind("::");
  if (colon != std::string::npos) name.erase(0, colon + 2);
  if (name.ends_with("Impl")) name.erase(name.size() - 4);
  return name;
}

// What TensorFlow allows in a part of a node's name.
std::string node_name(std::string text) {
  for (char& c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_';
    if (!fits) c = '_';
  }
  return text.empty() ? "_" : text;
}

class GraphOfLayers {
 public:
  explicit GraphOfLayers(const torch::nn::Module& model) : to_(bytes_) {
    add("input", "Placeholder", nullptr);
    walk(model, node_name(layer_kind(model)));
    add("output", "Identity", nullptr);
    Message versions(to_, graph_def_field::kVersions);
    versions.add_int32(1, 22);  // the producer, as PyTorch has it
  }
  std::string bytes() && { return std::move(bytes_); }

 private:
  void walk(const torch::nn::Module& layer, const std::string& name) {
    const auto children = layer.named_children();
    if (children.is_empty()) return add(name, node_name(layer_kind(layer)), &layer);
    for (const auto& child : children) {
      if (child.value()) walk(*child.value(), name + "/" + node_name(child.key()));
    }
  }

  void add(const std::string& name, const std::string& op, const torch::nn::Module* layer) {
    Message node(to_, graph_def_field::kNode);
    node.add_string(node_def_field::kName, name);
    node.add_string(node_def_field::kOp, op);
    if (!previous_.empty()) node.add_string(node_def_field::kInput, previous_);
    previous_ = name;
    if (!layer) return;
    std::ostringstream text;
    text.imbue(std::locale::classic());
    layer->pretty_print(text);
    std::int64_t count = 0;
    for (const auto& parameter : layer->parameters()) count += parameter.numel();
    add_attribute(node, "layer",
                  [&](Message& value) { value.add_bytes(attr_value_field::kText, text.str()); });
    add_attribute(node, "parameters",
                  [&](Message& value) { value.add_int64(attr_value_field::kInt, count); });
  }

  template <typename F>
  static void add_attribute(Message& node, const char* key, F&& write) {
    Message entry(node, node_def_field::kAttr);
    entry.add_string(1, key);
    Message value(entry, 2);
    write(value);
  }

  std::string bytes_;
  Message to_;
  std::string previous_;
};

}  // namespace

std::string histogram_message(const torch::Tensor& given) {
  auto values = given.detach().to(torch::kCPU, torch::kFloat64).flatten();
  values = values.masked_select(torch::isfinite(values));
  const auto& limits = bucket_limits();
  const auto n = static_cast<std::int64_t>(limits.size());
  const auto index = torch::bucketize(values, torch::tensor(limits, torch::kFloat64));
  const auto counts = torch::bincount(index, {}, n).to(torch::kFloat64);
  const auto* count = counts.data_ptr<double>();
  const bool empty = values.numel() == 0;
  std::int64_t first = 0, last = 0;
  if (!empty) {
    while (count[first] == 0) ++first;
    last = n - 1;
    while (count[last] == 0) --last;
    // The limit below the first bucket is that of an empty one.
    first = std::max<std::int64_t>(0, first - 1);
  }

  std::string bytes;
  Message to(bytes);
  to.add_double(histogram_field::kMin, empty ? 0 : values.min().item<double>());
  to.add_double(histogram_field::kMax, empty ? 0 : values.max().item<double>());
  to.add_double(histogram_field::kNum, static_cast<double>(values.numel()));
  to.add_double(histogram_field::kSum, values.sum().item<double>());
  to.add_double(histogram_field::kSumSquares, values.square().sum().item<double>());
  to.add_packed_double(histogram_field::kLimit, limits.begin() + first, limits.begin() + last + 1);
  to.add_packed_double(histogram_field::kBucket, count + first, count + last + 1);
  return bytes;
}

std::string image_message(const torch::Tensor& picture) {
  auto px = picture;
  if (px.defined() && px.dim() == 2) px = px.unsqueeze(0);
  if (!px.defined() || px.dim() != 3 || (px.size(0) != 1 && px.size(0) != 3) || px.numel() == 0)
    no_picture(picture, "a picture has the shape 3 x H x W, 1 x H x W or H x W");
  px = px.detach().to(torch::kCPU);
  if (px.scalar_type() != torch::kUInt8) {
    px = px.to(torch::kFloat32).nan_to_num(0.0).clamp(0, 1).mul(255).to(torch::kUInt8);
  }
  px = px.permute({1, 2, 0}).contiguous();
  std::string bytes;
  Message to(bytes);
  to.add_int32(image_field::kHeight, static_cast<std::int32_t>(px.size(0)));
  to.add_int32(image_field::kWidth, static_cast<std::int32_t>(px.size(1)));
  to.add_int32(image_field::kColorspace, static_cast<std::int32_t>(px.size(2)));
  to.add_bytes(image_field::kEncoded, png_of(px));
  return bytes;
}

torch::Tensor image_grid(const torch::Tensor& pictures) {
  if (!pictures.defined() || pictures.dim() != 4 || pictures.numel() == 0)
    no_picture(pictures, "pictures have the shape n x 3 x H x W or n x 1 x H x W");
  constexpr std::int64_t kInRow = 8, kGap = 2;
  const auto n = pictures.size(0), height = pictures.size(2), width = pictures.size(3);
  const auto columns = std::min(n, kInRow), rows = (n + columns - 1) / columns;
  const auto px = pictures.detach().to(torch::kCPU);
  auto grid = torch::zeros(
      {px.size(1), rows * (height + kGap) - kGap, columns * (width + kGap) - kGap}, px.options());
  for (std::int64_t i = 0; i < n; ++i) {
    grid.narrow(1, i / columns * (height + kGap), height)
        .narrow(2, i % columns * (width + kGap), width)
        .copy_(px[i]);
  }
  return grid;
}

std::string graph_message(const torch::nn::Module& model) {
  return GraphOfLayers(model).bytes();
}

}  // namespace fastcpp::io
