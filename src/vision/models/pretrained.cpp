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
#include "vision/models/cnn_parts.hpp"
#include "vision/models/layers.hpp"

namespace fastcpp::inline v0 {

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

std::shared_ptr<models::Network> models::Arch::build(const ArchOptions& options) const {
  return boundary([&] {
    if (options.num_classes <= 0) {
      throw ValueError("value.num_classes", fmt::format("{}: num_classes = {}, expected at least 1",
                                                        name, options.num_classes));
    }
    auto network = make_network(*this, options.num_classes);
    if (options.pretrained) {
      load_pretrained(*network, *this, options.weights);
    } else if (init) {
      init(*network, options.seed);
    }
    return network;
  });
}

torch::nn::Sequential create_body(const models::Arch& arch, const CreateBodyOptions& options) {
  return boundary([&] {
    constexpr std::int64_t kImageNetClasses = 1000;
    auto network = models::make_network(arch, kImageNetClasses);
    if (options.pretrained) load_pretrained(*network, arch, options.weights);
    auto body = models::cut_body(*network, arch, options.cut);
    // After the cut, so that no time goes into a head that is thrown away.
    if (!options.pretrained && arch.init) arch.init(*body, options.seed);
    return body;
  });
}

torch::nn::Sequential create_cnn_model(const models::Arch& arch, std::int64_t nc,
                                       const CreateCnnModelOptions& options) {
  return boundary([&] {
    // A field more in the options of the body does not compile here: it must be given.
    const CreateBodyOptions of_body{.pretrained = options.pretrained,
                                    .cut = options.cut,
                                    .weights = options.weights,
                                    .seed = Rng{options.seed, 0}.next()};
    [[maybe_unused]] const auto& [b1, b2, b3, b4] = of_body;
    return models::with_head(create_body(arch, of_body), nc, options);
  });
}

}  // namespace fastcpp
