// Tables, ratings and items of one's own from a file, without their data.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <any>
#include <filesystem>
#include <vector>

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
#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/model.hpp"
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

TEST_CASE("a table's model of several classes predicts from its file as it did") {
  const TempDir dir;
  std::string csv = "kind,age,flies,swims\n";
  for (int i = 0; i < 90; ++i) {
    csv += (i % 3 == 0 ? "owl," : i % 3 == 1 ? "duck," : "cat,") + std::to_string(i % 9);
    csv += i % 3 == 2 ? ",0" : ",1";
    csv += i % 3 == 1 ? ",1\n" : ",0\n";
  }
  const auto data = TabularDataBunch::from_df(
      dir.path(), Table::parse_csv(csv), {"flies", "swims"}, {0, 1, 2, 3, 4, 5},
      {.procs = {tabular::Categorify(), tabular::Normalize()},
       .cat_names = {"kind"},
       .bs = 14,
       .device = torch::kCPU,
       .seed = 3});
  auto learn = tabular_learner(data, {.layers = {8}, .silent = true, .seed = 1});
  learn.fit(12, 2e-2);
  const auto file = learn.export_model("habits.fcpp");
  const Predictor predictor(file, {.device = torch::kCPU});
  auto loaded = load_learner(file, {.device = torch::kCPU});
  const auto kind = [](const char* name) { return TabularRow{{"kind", name}, {"age", 4}}; };
  for (const char* name : {"owl", "duck", "cat", "dragon"}) {
    const auto want = learn.predict(kind(name));
    for (const auto& got : {predictor.predict(kind(name)), loaded.predict(kind(name))}) {
      CHECK(got.category == want.category);
      CHECK(torch::equal(got.index, want.index));
      CHECK((got.probabilities - want.probabilities).abs().max().item<double>() < 1e-6);
    }
  }
  CHECK(predictor.predict(kind("owl")).category == "flies");
  CHECK(predictor.predict(kind("duck")).category == "flies;swims");
  CHECK(predictor.predict(kind("cat")).category == "");
  CHECK(loaded.data().classes() == std::vector<std::string>{"flies", "swims"});
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

namespace {

// Adds what it is given: one tensor of three numbers, and one of one.
struct SumImpl : torch::nn::Cloneable<SumImpl> {
  explicit SumImpl(double factor_ = 1) : factor(factor_) { SumImpl::reset(); }
  void reset() override { layer = register_module("layer", torch::nn::Linear(4, 2)); }
  torch::Tensor forward(const torch::Tensor& a, const torch::Tensor& b) {
    return factor * layer(torch::cat({a, b}, 1));
  }
  double factor;
  torch::nn::Linear layer = nullptr;
};
TORCH_MODULE(Sum);

// Three numbers and one, of a text that holds them.
ItemReader numbers_reader(double factor) {
  return [factor](const std::any& item) -> Tensors {
    const auto* numbers = std::any_cast<std::vector<float>>(&item);
    if (!numbers) return {};
    const auto all = torch::tensor(*numbers) * factor;
    return {all.slice(0, 0, 3), all.slice(0, 3, 4)};
  };
}

void register_sums() {
  static const bool once = [] {
    register_items("four numbers", [](const Value& options) {
      return numbers_reader(options.at("factor").as_double());
    });
    register_model("sum", [](const Value&) { return Model(Sum()); });
    return true;
  }();
  CHECK(once);
}

Learner sum_learner(const Path& path, double factor) {
  register_sums();
  auto data = DataBunch::create(
      {std::make_shared<TensorDataset>(Tensors{torch::rand({8, 3}), torch::rand({8, 1})},
                                       torch::arange(8) % 2)},
      path, {.bs = 4, .device = torch::kCPU, .classes = {"a", "b"}});
  data.set_item_reader(numbers_reader(2), {"four numbers", Value::dict({{"factor", 2.0}})});
  return {data, Model(Sum(factor)).set_recipe({"sum", Value::dict()}), {.silent = true}};
}

}  // namespace

TEST_CASE("samples of several tensors, and a reader of one's own items, travel by their names") {
  const TempDir dir;
  auto learn = sum_learner(dir.path(), 1);
  const auto file = learn.export_model("sum.fcpp");
  const std::vector<float> item{0.5f, -1, 2, 0.25f};
  const auto want = learn.predict(item);
  const Predictor of_file(file, {.device = torch::kCPU}), of_learner(learn);
  auto loaded = load_learner(file, {.device = torch::kCPU});
  for (const auto& got : {of_file.predict(item), of_learner.predict(item), loaded.predict(item)}) {
    CHECK(torch::equal(got.probabilities, want.probabilities));
  }
  CHECK_FALSE(of_file.takes_rows());
  const auto prepared = of_file.prepare(item);
  CHECK(prepared.count() == 2);
  CHECK(prepared.at(1).item<float>() == 0.5f);
  CHECK(of_file.compute({prepared, of_file.prepare(item)}).size(0) == 2);
  // A sample as its tensors works too.
  const Tensors sample{torch::tensor({1.0f, -2.0f, 4.0f}), torch::tensor({0.5f})};
  CHECK(torch::equal(of_file.predict(sample).probabilities, want.probabilities));
  // The file knows the shapes, so other programs get it too.
  export_onnx(of_file, dir / "sum.onnx");
  CHECK(onnx_content(dir / "sum.onnx").inputs ==
        std::vector<std::string>{"input_0 float32 N 3", "input_1 float32 N 1"});
  // Exported once more, it is still the same.
  const Predictor again(loaded.export_model("again.fcpp"), {.device = torch::kCPU});
  CHECK(torch::equal(again.predict(item).probabilities, want.probabilities));
  CHECK(caught([&] { of_file.predict(std::vector<int>{1}); }).code == "value.item");
  CHECK(caught([&] { load_learner(file, {.test_df = animals()}); }).code == "data.no_table");
  CHECK_THROWS_AS(register_items("four numbers", [](const Value&) { return ItemReader(); }),
                  ValueError);
  CHECK_THROWS_AS(register_items("tabular", [](const Value&) { return ItemReader(); }), ValueError);
  CHECK_THROWS_AS(make_item_reader({"unknown", {}}), ValueError);
  // A reader that no maker knows is told now.
  learn.data().set_item_reader(numbers_reader(1), {"nobody's items", {}});
  const auto refused = caught([&] { learn.export_model("no.fcpp"); });
  CHECK(refused.code == "value.cannot_export");
  CHECK(refused.message.find("nobody's items") != std::string::npos);
}

TEST_CASE("a model that computes something else than its recipe is not written to a file") {
  const TempDir dir;
  CHECK(caught([&] { sum_learner(dir.path(), 3).export_model("sum.fcpp"); }).code ==
        "value.cannot_export");
  const auto data = animal_data(dir.path());
  const TabularModelOptions told{
      .emb_szs = data.get_emb_szs(), .n_cont = 2, .out_sz = 2, .layers = {4}};
  auto real = told;
  real.y_range = {-3.0, 3.0};
  const Learner learn(data, Model(TabularModel(real)).set_recipe(tabular_recipe(told)),
                      {.silent = true});
  CHECK(caught([&] { learn.export_model("animals.fcpp"); }).code == "value.cannot_export");
  CHECK_FALSE(std::filesystem::exists(dir / "animals.fcpp"));
}

TEST_CASE("a file whose network is larger than its weights makes none") {
  const TempDir dir;
  const auto learn = tabular_learner(animal_data(dir.path()), {.layers = {4}, .silent = true});
  learn.export_model("animals.fcpp");
  auto content = load_model_file(dir / "animals.fcpp");
  auto model = content.description.at("model");
  auto options = model.at("options");
  options.set("layers", Value::list({4000000000}));
  model.set("options", options);
  content.description.set("model", model);
  save_model_file(dir / "large.fcpp", content);
  CHECK(caught([&] { Predictor(dir / "large.fcpp"); }).code == "model.weights");
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
