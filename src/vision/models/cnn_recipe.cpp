// A body with a head in words that a file can hold, and back.
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/recipe.hpp"
#include "vision/models/cnn_parts.hpp"
#include "vision/models/layers.hpp"

namespace fastcpp::inline v0 {
namespace {

// The features that come out of the pool of a head made by create_head: its third layer takes them.
std::int64_t head_features(const torch::nn::Sequential& model) {
  const auto* head = model->ptr(1)->as<models::Stack>();
  return head->ptr(2)->as<torch::nn::BatchNorm1d>()->options.num_features();
}

template <typename T>
Value list_of(const std::vector<T>& numbers) {
  return Value::list({numbers.begin(), numbers.end()});
}

bool is_known(const std::string& arch) {
  const auto names = models::names();
  return std::find(names.begin(), names.end(), arch) != names.end();
}

}  // namespace

std::optional<Recipe> cnn_recipe(const models::Arch& arch, std::int64_t nc,
                                 const CreateCnnModelOptions& options,
                                 const torch::nn::Sequential& model) {
  return boundary([&]() -> std::optional<Recipe> {
    if (!options.custom_head.is_empty() || options.cut.function() || !is_known(arch.name)) {
      return std::nullopt;
    }
    const auto& cut = options.cut.at();
    return Recipe{"cnn", Value::dict({{"arch", arch.name},
                                      {"cut", cut ? Value(*cut) : Value()},
                                      {"nf", head_features(model)},
                                      {"nc", nc},
                                      {"lin_ftrs", list_of(options.lin_ftrs)},
                                      {"ps", list_of(options.ps)},
                                      {"concat_pool", options.concat_pool},
                                      {"bn_final", options.bn_final}})};
  });
}

torch::nn::Sequential make_cnn(const Value& recipe) {
  return boundary([&] {
    const auto& arch = models::find(recipe.at("arch").as_string());
    CreateHeadOptions head{.lin_ftrs = {},
                           .ps = {},
                           .concat_pool = recipe.at("concat_pool").as_bool(),
                           .bn_final = recipe.at("bn_final").as_bool()};
    for (const auto& width : recipe.at("lin_ftrs").items()) head.lin_ftrs.push_back(width.as_int());
    for (const auto& p : recipe.at("ps").items()) head.ps.push_back(p.as_double());
    // The networks of architectures are made with the outputs of ImageNet, which the cut takes away.
    constexpr std::int64_t kImageNetClasses = 1000;
    const auto network = models::make_network(arch, kImageNetClasses);
    const auto& cut = recipe.at("cut");
    const auto body = models::cut_body(*network, arch, cut.is_none() ? Cut() : Cut(cut.as_int()));
    return models::sequential(models::stack(
        models::Stack::from(body), models::Stack::from(create_head(
                                       recipe.at("nf").as_int(), recipe.at("nc").as_int(), head))));
  });
}

}  // namespace fastcpp
