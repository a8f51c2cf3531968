// Trainings on tables and predictions of single rows beside the reference: tabular.json.
#include <ATen/Parallel.h>

#include "fastcpp/hooks/hook.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/support.hpp"
#include "support/table_training.hpp"
#include "tabular/tabular_golden.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

TabularLearnerOptions options_of(const Json& item) {
  TabularLearnerOptions options{.layers = item["layers"],
                                .metrics = table_metrics(item),
                                .use_bn = item.value("use_bn", true),
                                .opt_func = opt_of(item),
                                .bn_wd = item.value("bn_wd", true),
                                .wd = item.value("wd", 1e-2),
                                .silent = true};
  if (item.contains("emb_szs")) {
    options.emb_szs = item["emb_szs"].get<std::map<std::string, std::int64_t>>();
  }
  if (item.contains("y_range")) options.y_range = {item["y_range"][0], item["y_range"][1]};
  return options;
}

}  // namespace

namespace {

// \param by_layers LibTorch runs the network, not the fused pass
void check_training(const Json& item, const Json& bs, bool by_layers) {
  const bool wide = item["dtype"] == "float64";
  INFO(item["name"].get<std::string>()
       << ", " << item["dtype"].get<std::string>() << (by_layers ? ", by layers" : ""));
  TabularDatabunchOptions bunch{.bs = bs, .device = torch::kCPU};
  bunch.shuffle = false;
  if (wide) bunch.dl_tfms = {widen_batch};
  const auto data = lists_of(pipeline(item["pipe"])).databunch(bunch);
  auto trace = std::make_shared<FitTrace>();
  auto options = options_of(item);
  options.callbacks = {trace};
  auto learn = tabular_learner(data, options);
  set_weights_by_rule(*learn.model(), item["weights_key"], 1);
  if (wide) widen(*learn.model());
  std::optional<Hook> hook;
  if (by_layers) hook = hook_output(learn.model()->named_children()["layers"]);
  check_table_training(learn, trace, item, true);
}

}  // namespace

TEST_CASE("trainings on tables beside the reference") {
  at::set_num_threads(1);
  const auto& file = golden("tabular.json");
  const auto& bs = file["table"]["bs"];
  CHECK(file["training"].size() == 20);
  int fused = 0;
  for (const auto& item : file["training"]) {
    check_training(item, bs, true);
    // Where gradients cancel, Adam makes whole steps of what rounding leaves, and only LibTorch rounds as the reference does:
    // there the reference's own two precisions are far apart.
    if (item["dtype"] == "float64" || number(item["deviation"]["losses"]) > 1e-5) continue;
    check_training(item, bs, false);
    ++fused;
  }
  CHECK(fused > 0);
}

TEST_CASE("predictions of single rows beside the reference") {
  const auto& section = golden("tabular.json")["predict"];
  const auto data = lists_of(pipeline(section["pipe"])).databunch({.device = torch::kCPU});
  auto learn = tabular_learner(data, {.layers = section["layers"], .silent = true});
  set_weights_by_rule(*learn.model(), section["weights_key"], 1);
  const auto row_of = [](const Json& cells) {
    TabularRow row;
    for (const auto& [name, value] : cells.items()) {
      Cell cell;
      if (value.is_boolean())
        cell = value.get<bool>();
      else if (value.is_number_integer())
        cell = value.get<std::int64_t>();
      else if (value.is_number())
        cell = value.get<double>();
      else if (value.is_string())
        cell = value.get<std::string>();
      row.emplace(name, cell);
    }
    return row;
  };
  const auto reader = [&] {
    // As a file makes it again.
    const auto* recipe = data.item_recipe();
    REQUIRE(recipe);
    CHECK(recipe->name == "tabular");
    return tabular_reader(TabularProcessor::from_state(from_json(to_json(recipe->options))));
  }();
  CHECK(section["rows"].size() == 9);
  for (const auto& want : section["rows"]) {
    INFO(want["name"].get<std::string>());
    const auto row = row_of(want["row"]);
    const auto sample = reader(row);
    CHECK(farthest(sample.at(0), want["codes"]) == 0);
    CHECK(farthest(sample.at(1), want["conts"]) <= 2e-6);
    CHECK(data.processor().line(sample.at(0), sample.at(1)) == want["line"].get<std::string>());
    const auto found = learn.predict(row);
    CHECK(found.category == want["class"].get<std::string>());
    CHECK(found.index.item<std::int64_t>() == want["index"].get<std::int64_t>());
    // The file's are in double precision.
    CHECK(farthest(found.probabilities, want["probabilities"]) <= 2e-6);
  }
  for (const auto& want : section["errors"]) {
    const auto said = error_of([&] { learn.predict(row_of(want["row"])); });
    if (want["type"] == "KeyError") {
      CHECK(said.find("'age'") != said.npos);
    } else {
      CHECK(said.find(want["lines"][0].get<std::string>()) == 0);
    }
  }
}
