// Tables and ratings from a file, without their data.
#include "deploy/small_tables.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

TabularRow animal(const Cell& kind, const Cell& age) {
  return {{"kind", kind}, {"age", age}, {"weight", 2.5}, {"not a column", "x"}};
}

}  // namespace

TEST_CASE("a table's model predicts from its file as it did") {
  const TempDir dir;
  const auto data = animal_data(dir.path());
  auto learn =
      tabular_learner(data, {.layers = {8}, .metrics = {accuracy}, .silent = true, .seed = 1});
  learn.fit(8, 1e-2);
  CHECK(learn.validate().at(1) == 1);
  const auto file = learn.export_model("animals.fcpp");
  const Predictor predictor(file, {.device = torch::kCPU});
  auto loaded = load_learner(file, {.test_df = animals(), .device = torch::kCPU});
  for (const auto& row : {animal("owl", 3), animal("cat", {}), animal("dragon", 5.5)}) {
    const auto want = learn.predict(row);
    for (const auto& got : {predictor.predict(row), loaded.predict(row)}) {
      CHECK(got.category == want.category);
      CHECK((got.probabilities - want.probabilities).abs().max().item<double>() < 1e-6);
    }
  }
  CHECK(predictor.predict(animal("owl", 3)).category == "yes");
  // All rows, whether they come from the bunch, a table of the test set, or in batches.
  const auto all = loaded.get_preds(DatasetType::Test).preds;
  CHECK(all.size(0) == 60);
  CHECK((predictor.predict_rows(animals()) - all).abs().max().item<double>() < 1e-6);
  const auto prepared = predictor.prepare(animal("owl", 3));
  CHECK(prepared.count() == 2);
  CHECK(predictor.compute({prepared, predictor.prepare(animal("hen", 1))}).size(0) == 2);
  CHECK(dynamic_cast<const TabularDataset*>(&loaded.data().train_ds())->processor().cat_names() ==
        std::vector<std::string>{"kind", "age_na"});
}

TEST_CASE("what a table's model cannot take is told with its column") {
  const TempDir dir;
  auto learn = tabular_learner(animal_data(dir.path()), {.layers = {4}, .silent = true});
  const Predictor predictor(learn.export_model("animals.fcpp"), {.device = torch::kCPU});
  const auto said = [&](const TabularRow& row) { return caught([&] { predictor.predict(row); }); };
  CHECK(said({{"kind", "owl"}, {"age", 1}}).code == "data.no_column");
  CHECK(said({{"kind", "owl"}, {"age", 1}}).message.find("'weight'") != std::string::npos);
  const auto hole = said({{"kind", "owl"}, {"age", 1}, {"weight", {}}});
  CHECK(hole.code == "data.missing_value");
  CHECK(hole.message.find("weight") != std::string::npos);
  const auto text = said({{"kind", "owl"}, {"age", "old"}, {"weight", 1}});
  CHECK(text.code == "data.not_a_number");
  CHECK(text.message.find("'age'") != std::string::npos);
  CHECK(caught([&] { predictor.predict("owl.jpg"); }).code == "value.item");
  const auto row = caught(
      [&] { predictor.predict_rows(Table::parse_csv("kind,age,weight\nowl,1,2\nhen,2,\n")); });
  CHECK(row.code == "data.missing_value");
  CHECK(row.message.find("row 1") == 0);
  CHECK(caught([&] { predictor.predict_rows(Table()); }).code == "data.empty");
}

TEST_CASE("ratings from their file") {
  const TempDir dir;
  const auto data = rating_data(dir.path());
  for (const bool use_nn : {false, true}) {
    auto learn =
        use_nn ? collab_learner(data, {.use_nn = true, .layers = {6}, .silent = true})
               : collab_learner(data, {.n_factors = 4, .y_range = {{0.0, 5.5}}, .silent = true});
    learn.fit(2, 5e-3);
    const auto file = learn.export_model(use_nn ? "network.fcpp" : "product.fcpp");
    const Predictor predictor(file, {.device = torch::kCPU});
    const CollabLearner loaded(load_learner(file, {.device = torch::kCPU}));
    for (const TabularRow& row : {TabularRow{{"user", 3}, {"film", "film 2"}},
                                  TabularRow{{"user", 99}, {"film", "film 9"}}}) {
      const auto want = learn.predict(row);
      CHECK((predictor.predict(row).probabilities - want.probabilities).abs().max().item<double>() <
            1e-6);
      CHECK(Learner(loaded).predict(row).category == want.category);
    }
    if (use_nn) continue;
    CHECK(torch::equal(loaded.bias({"film 1", "film 4"}), learn.bias({"film 1", "film 4"})));
    CHECK(loaded.names(CollabSide::kUser).size() == 8);
  }
}

TEST_CASE("a reader of one's own items travels by its name") {
  static const bool once = [] {
    register_items("pairs", [](const Value& options) -> ItemReader {
      const double factor = options.at("factor").as_double();
      return [factor](const std::any& item) -> Tensors {
        const auto* pair = std::any_cast<std::pair<float, float>>(&item);
        if (!pair) return {};
        return torch::tensor({pair->first * factor, pair->second * factor}, torch::kFloat32);
      };
    });
    return true;
  }();
  REQUIRE(once);
  CHECK_THROWS_AS(register_items("pairs", [](const Value&) { return ItemReader(); }), ValueError);
  CHECK_THROWS_AS(register_items("tabular", [](const Value&) { return ItemReader(); }), ValueError);
  const auto reader = make_item_reader({"pairs", Value::dict({{"factor", 2.0}})});
  const auto sample = reader(std::pair<float, float>{1.0f, 3.0f});
  CHECK(sample.at(0)[1].item<float>() == 6);
  CHECK(reader(std::string("no pair")).count() == 0);
  CHECK_THROWS_AS(make_item_reader({"unknown", {}}), ValueError);
}
