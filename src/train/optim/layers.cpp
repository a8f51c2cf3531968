#include "fastcpp/train/optim/layers.hpp"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace nn = torch::nn;

namespace {

// Parameters that stand on a module with children, as a leaf of their own.
class LoneParameters : public nn::Module {
 public:
  LoneParameters() : nn::Module("ParameterModule") {}
  void add(const std::string& name, torch::Tensor parameter) {
    const bool wanted = parameter.requires_grad();
    register_parameter(name, std::move(parameter), wanted);
  }
};

}  // namespace

std::vector<Layer> flatten_model(const Layer& model) {
  if (!model) throw ValueError("value.model", "flatten_model needs a module, found none (null)");
  const auto children = model->children();
  if (children.empty()) return {model};
  std::vector<Layer> leaves;
  for (const auto& child : children) {
    const auto below = flatten_model(child);
    leaves.insert(leaves.end(), below.begin(), below.end());
  }
  std::shared_ptr<LoneParameters> lone;
  for (const auto& item : model->named_parameters(/*recurse=*/false)) {
    if (!lone) lone = std::make_shared<LoneParameters>();
    lone->add(item.key(), item.value());
  }
  if (lone) leaves.push_back(lone);
  return leaves;
}

std::vector<LayerGroup> split_model(const Layer& model, const std::vector<Layer>& boundaries) {
  const auto leaves = flatten_model(model);
  std::vector<std::ptrdiff_t> cuts{0};
  for (const auto& boundary : boundaries) {
    if (!boundary)
      throw ValueError("value.split", "a layer group must start at a module, found none (null)");
    const auto first = flatten_model(boundary).front();
    const auto found = std::find(leaves.begin(), leaves.end(), first);
    if (found == leaves.end()) {
      throw ValueError("value.split",
                       "a layer group must start at a module of the model, found another module");
    }
    cuts.push_back(found - leaves.begin());
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  cuts.push_back(static_cast<std::ptrdiff_t>(leaves.size()));
  std::vector<LayerGroup> groups;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    groups.emplace_back(leaves.begin() + cuts[i], leaves.begin() + cuts[i + 1]);
  }
  return groups;
}

namespace {

template <typename... Types>
bool is_any(const nn::Module& layer) {
  return (... || (layer.as<Types>() != nullptr));
}

}  // namespace

bool is_batchnorm(const nn::Module& layer) {
  return is_any<nn::BatchNorm1dImpl, nn::BatchNorm2dImpl, nn::BatchNorm3dImpl>(layer);
}

bool is_normalisation(const nn::Module& layer) {
  return is_batchnorm(layer) || is_any<nn::LayerNormImpl>(layer);
}

bool has_plain_bias(const nn::Module& layer) {
  return is_any<nn::LinearImpl, nn::Conv1dImpl, nn::Conv2dImpl, nn::Conv3dImpl,
                nn::ConvTranspose1dImpl, nn::ConvTranspose2dImpl, nn::ConvTranspose3dImpl>(layer);
}

void requires_grad(const nn::Module& layer, bool value) {
  for (auto& parameter : layer.parameters()) parameter.set_requires_grad(value);
}

}  // namespace fastcpp
