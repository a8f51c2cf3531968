// Tables, ratings and items of one's own from a file, without their data.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <any>
#include <filesystem>

#include "deploy/onnx_runtimes.hpp"
#include "deploy/small_tables.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/dataset.hpp"
#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/deploy/export_onnx.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/train/registry.hpp"
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

TEST_CASE("bad rows among many are told or left out") {
  const TempDir dir;
  auto learn = tabular_learner(animal_data(dir.path()), {.layers = {4}, .silent = true});
  const Predictor predictor(learn.export_model("animals.fcpp"), {.device = torch::kCPU});
  // More than are computed at once, in several threads.
  std::string csv = "kind,age,weight\n";
  for (int i = 0; i < 600; ++i) {
    csv += std::string(i % 2 ? "owl," : "cat,") + std::to_string(i % 9) + ",";
    csv += i == 300 || i == 599 ? "\n" : std::to_string(0.25 * (i % 13)) + "\n";
  }
  const auto rows = Table::parse_csv(csv);
  const auto raised = caught([&] { predictor.predict_rows(rows); });
  CHECK(raised.code == "data.missing_value");
  CHECK(raised.message.find("row 300: ") == 0);
  std::vector<SkippedItem> skipped;
  const auto got = predictor.predict_rows(rows, {.on_error = OnError::kSkip, .skipped = &skipped});
  REQUIRE(skipped.size() == 2);
  CHECK(skipped[0].index == 300);
  CHECK(skipped[1].name == "row 599");
  CHECK(got.sizes() == torch::IntArrayRef({600, 2}));
  CHECK(got.isnan().select(1, 0).nonzero().view(-1).sum().item<std::int64_t>() == 300 + 599);
  for (const std::int64_t row : {0, 255, 256, 301, 598}) {
    const auto want = predictor.predict(rows.row(row)).probabilities;
    CHECK((got[row] - want).abs().max().item<double>() < 1e-6);
  }
  CHECK(caught([&] { predictor.predict_rows(rows, {.on_error = OnError::kReplace}); }).code ==
        "value.on_error");
}

namespace {

// A pair of measurements as two tensors, to a network that takes both.
struct Pair {
  float low = 0, high = 0;
};

ItemReader pair_reader(double factor) {
  return [factor](const std::any& item) -> Tensors {
    const auto* pair = std::any_cast<Pair>(&item);
    if (!pair) return {};
    const auto scaled = [&](float x) { return static_cast<float>(x * factor); };
    return {torch::tensor({scaled(pair->low), 1.0f}), torch::tensor({scaled(pair->high)})};
  };
}

struct OfPairs : torch::nn::Cloneable<OfPairs> {
  OfPairs() { reset(); }
  void reset() override {
    a = register_module("a", torch::nn::Linear(2, 2));
    b = register_module("b", torch::nn::Linear(1, 2));
  }
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& y) { return a(x) + b(y); }
  torch::nn::Linear a{nullptr}, b{nullptr};
};

void know_pairs() {
  static const bool done = [] {
    register_items("measured pairs", [](const Value& options) {
      return pair_reader(options.at("factor").as_double());
    });
    register_model("of pairs", [](const Value&) { return Model(std::make_shared<OfPairs>()); });
    return true;
  }();
  (void)done;
}

}  // namespace

TEST_CASE("a network of two tensors and items of one's own travel in a file") {
  know_pairs();
  const TempDir dir;
  torch::manual_seed(1);
  const auto x = torch::randn({24, 2}), y = torch::randn({24, 1});
  const auto target = torch::cat({x.select(1, 0).unsqueeze(1) + y, y}, 1);
  const auto set = std::make_shared<TensorDataset>(Tensors{x, y}, Tensors(target));
  auto data = DataBunch::create({set, set, {}, {}}, dir.path(),
                                {.bs = 8, .device = torch::kCPU, .kind = LabelKind::kFloat});
  data.set_item_reader(pair_reader(0.5), {"measured pairs", Value::dict({{"factor", 0.5}})});
  Learner learn(data, Model(std::make_shared<OfPairs>()).set_recipe({"of pairs", {}}),
                {.loss_func = mse_loss(), .silent = true});
  learn.fit(1, 1e-2);
  const auto want = learn.predict(Pair{2, -3}).probabilities;
  const auto file = learn.export_model("pairs.fcpp");
  const Predictor predictor(file, {.device = torch::kCPU});
  auto loaded = load_learner(file, {.device = torch::kCPU});
  CHECK((predictor.predict(Pair{2, -3}).probabilities - want).abs().max().item<double>() < 1e-6);
  CHECK((loaded.predict(Pair{2, -3}).probabilities - want).abs().max().item<double>() < 1e-6);
  CHECK_FALSE(predictor.takes_rows());
  CHECK(predictor.prepare(Pair{2, -3}).count() == 2);
  CHECK(predictor.prepare(Pair{2, -3}).at(1).item<float>() == -1.5f);
  CHECK(
      predictor.compute({predictor.prepare(Pair{2, -3}), predictor.prepare(Pair{1, 0})}).size(0) ==
      2);
  // A sample as its tensors works too.
  const Tensors sample{torch::tensor({1.0f, 1.0f}), torch::tensor({-1.5f})};
  CHECK((predictor.predict(sample).probabilities - want).abs().max().item<double>() < 1e-6);
  CHECK(caught([&] { predictor.predict(3.5); }).code == "value.item");
  // The file knows the shapes, so other programs get it too.
  export_onnx(predictor, dir / "pairs.onnx");
  CHECK(onnx_content(dir / "pairs.onnx").inputs ==
        std::vector<std::string>{"input_0 float32 N 2", "input_1 float32 N 1"});
  // A reader that no maker knows is told now.
  data.set_item_reader(pair_reader(1), {"nobody's items", {}});
  const auto refused = caught([&] { learn.export_model("no.fcpp"); });
  CHECK(refused.code == "value.cannot_export");
  CHECK(refused.message.find("nobody's items") != std::string::npos);
}

TEST_CASE("a table whose rows a file would read otherwise is not exported") {
  const TempDir dir;
  auto data = animal_data(dir.path());
  auto learn = tabular_learner(data, {.layers = {4}, .silent = true});
  const auto recipe = *data.item_recipe();
  const auto reader = tabular_reader(TabularProcessor::from_state(recipe.options));
  learn.data().set_item_reader(
      [reader](const std::any& item) {
        auto sample = reader(item);
        return sample.count() == 2 ? Tensors{sample.at(0), sample.at(1) * 2} : sample;
      },
      recipe);
  const auto refused = caught([&] { learn.export_model("no.fcpp"); });
  CHECK(refused.code == "value.cannot_export");
  CHECK(refused.message.find("rows go to the network otherwise") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir / "no.fcpp"));
}
