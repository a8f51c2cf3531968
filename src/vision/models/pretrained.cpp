#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/hub.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"

namespace fastcpp {

namespace {

// DenseNet's published files are older than its present names: `denselayer1.norm.1.weight` is
// `denselayer1.norm1.weight`.
std::string present_name(std::string name) {
  if (name.find(".denselayer") == std::string::npos) return name;
  for (const std::string_view part : {".norm.", ".relu.", ".conv."}) {
    const auto at = name.find(part);
    if (at == std::string::npos) continue;
    const auto digit = at + part.size();
    if (digit < name.size() && std::isdigit(static_cast<unsigned char>(name[digit]))) {
      name.erase(digit - 1, 1);
    }
  }
  return name;
}

// Training scripts save the network inside a wrapper of one name: `module.` (DataParallel), `model.` (Lightning).
StateDict without_wrapper(const StateDict& weights, const models::Network& network) {
  if (weights.empty()) return weights;
  const std::string& first = weights.begin()->first;
  const std::string wrapper = first.substr(0, first.find('.') + 1);
  const auto wrapped = [&](const auto& entry) { return entry.first.starts_with(wrapper); };
  const StateDict own = state_dict(network);
  if (wrapper.empty() || !std::all_of(weights.begin(), weights.end(), wrapped) ||
      std::any_of(own.begin(), own.end(), wrapped)) {
    return weights;
  }
  StateDict inner;
  for (const auto& [name, tensor] : weights) inner.insert(name.substr(wrapper.size()), tensor);
  return inner;
}

}  // namespace

void load_pretrained(models::Network& network, const models::Arch& arch,
                     const std::optional<Path>& weights) {
  boundary([&] {
    if (!weights && arch.weights_file.empty()) {
      throw ValueError(
          "value.no_weights",
          fmt::format("{}: no pretrained weights are published; give a file as `weights`, "
                      "or pretrained = false",
                      arch.name));
    }
    const auto file = weights ? *weights : hub_weights(arch.weights_file);
    StateDict state;
    for (const auto& [name, tensor] : load_weights(file)) state.insert(present_name(name), tensor);
    try {
      load_state_dict(network, without_wrapper(state, network));
    } catch (const WeightsError& e) {
      throw WeightsError(
          e.code(),
          fmt::format("{}: expected the weights of a whole {}, with all its layers and as "
                      "many outputs as the network has: {}",
                      file.string(), arch.name, e.what()));
    }
  });
}

}  // namespace fastcpp
