// Networks on ratings beside the reference: section "models" of collab.json.
#include "fastcpp/collab/model.hpp"

#include <torch/utils.h>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/model.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/network_golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::optional<std::pair<double, double>> range_of(const Json& item) {
  if (!item.contains("y_range")) return std::nullopt;
  return std::pair(number(item["y_range"][0]), number(item["y_range"][1]));
}

Model model_of(const Json& item) {
  if (item["kind"] == "dot") {
    EmbeddingDotBias model(item["n_factors"].get<std::int64_t>(),
                           item["n_users"].get<std::int64_t>(), item["n_items"].get<std::int64_t>(),
                           EmbeddingDotBiasOptions{.y_range = range_of(item)});
    return Model(model).set_recipe(model->recipe());
  }
  TabularModelOptions options{.out_sz = 1,
                              .layers = item["layers"],
                              .emb_drop = item.value("emb_drop", 0.0),
                              .y_range = range_of(item),
                              .use_bn = item.value("use_bn", true),
                              .bn_final = item.value("bn_final", false)};
  for (const auto& one : item["emb_szs"]) options.emb_szs.emplace_back(one[0], one[1]);
  if (item.contains("ps")) options.ps = numbers(item["ps"]);
  const EmbeddingNN model(options);
  return Model(model).set_recipe(model->recipe());
}

}  // namespace

TEST_CASE("networks on ratings beside the reference") {
  constexpr double kTolerance = 1e-10;  // the golden README's, of doubles
  const auto& cases = golden("collab.json")["models"];
  CHECK(cases.size() >= 6);
  Deviation deviation("collab.models");
  for (const auto& item : cases) {
    INFO(item["name"].get<std::string>());
    const auto model = model_of(item);
    auto children = Json::array();
    for (const auto& child : model->named_children()) {
      children.push_back({child.key(), layer_text(*child.value())});
    }
    CHECK(children == item["children"]);
    if (item.contains("layer_list")) {
      CHECK(layer_texts(*model->named_children()["layers"]) == item["layer_list"]);
    }
    CHECK(state_shapes(*model) == item["state"]);
    CHECK(count_parameters(*model) == item["n_params"].get<std::int64_t>());
    set_weights_by_rule(*model, item["weights_key"], number(item["bn_gain"]));
    widen(*model);
    model->eval();
    const auto codes = [&](const char* name) {
      return torch::tensor(item[name].get<std::vector<std::int64_t>>());
    };
    const auto users = codes("users"), items = codes("items");
    const auto out = model({users, items}).at(0);
    CHECK(out.sizes().vec() == item["out_shape"].get<std::vector<std::int64_t>>());
    const auto flat = out.reshape(-1);
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
      const auto want = number(item["out"][static_cast<std::size_t>(i)]);
      CHECK(deviation(flat[i].item<double>(), want) <= kTolerance);
    }
    // A copy gives the same, shares nothing, and so does what a file makes again.
    const auto copy = model.clone();
    const auto again = make_collab(from_json(to_json(model.recipe()->options)));
    CHECK(state_shapes(*again) == item["state"]);
    CHECK(again.recipe()->name == "collab");
    {
      const torch::NoGradGuard no_grad;
      for (auto& parameter : model->parameters()) parameter.zero_();
    }
    CHECK(torch::equal(copy({users, items}).at(0), out));
    CHECK(state_shapes(*copy) == item["state"]);
    copy->train();
    copy({users, items}).at(0).sum().backward();
    for (const auto& parameter : copy->named_parameters()) {
      INFO(parameter.key());
      CHECK((parameter.value().numel() == 0 || parameter.value().grad().defined()));
      // Dense: Adam moves the rows that a batch lacks.
      if (parameter.value().numel()) CHECK_FALSE(parameter.value().grad().is_sparse());
    }
  }
}

TEST_CASE("untrained ratings lie in the middle of the range") {
  EmbeddingDotBias model(40, 50, 60, EmbeddingDotBiasOptions{.y_range = {{0.0, 5.5}}, .seed = 2});
  const auto out = model->forward(torch::arange(50), torch::arange(50));
  CHECK((out - 2.75).abs().max().item<double>() < 0.06);
  CHECK(model->u_bias->weight.abs().max().item<double>() > 0);
  CHECK_FALSE(torch::equal(model->u_weight->weight.slice(0, 0, 50),
                           model->i_weight->weight.slice(0, 0, 50)));
}

TEST_CASE("principal components") {
  const auto rows = torch::tensor({1., 2., 3., 4., 5., 6.5, 7., 1., 9., 0., 2., 2.})
                        .reshape({4, 3})
                        .to(torch::kFloat64);
  const auto found = pca(rows);
  const auto want =
      torch::tensor({2.9124, .5326, 1.6567, 2.5290, 5.5821, 1.4511, 4.3265, .5453}).reshape({4, 2});
  CHECK((found.abs() - want).abs().max().item<double>() < 1e-4);
  CHECK((found[0][0] * found[1][0]).item<double>() < 0);
  CHECK(pca(rows, {.k = 3}).size(1) == 3);
  CHECK(pca(rows, {.k = 1, .center = false}).sizes().vec() == std::vector<std::int64_t>{4, 1});
  for (const auto& bad : {torch::Tensor(), torch::zeros({3}), torch::zeros({3, 2}, torch::kLong),
                          torch::zeros({1, 4})}) {
    CHECK_THROWS_AS(pca(bad), ValueError);
  }
}

TEST_CASE("networks on ratings that cannot be") {
  CHECK_THROWS_AS(EmbeddingDotBias(0, 2, 3), ValueError);
  CHECK_THROWS_AS(EmbeddingDotBias(4, 0, 3), ValueError);
  CHECK_THROWS_AS(EmbeddingNN(TabularModelOptions{.emb_szs = {{3, 2}}, .layers = {4}}), ValueError);
  CHECK_THROWS_AS(make_collab(Value::dict({{"kind", "other"}})), ValueError);
}
