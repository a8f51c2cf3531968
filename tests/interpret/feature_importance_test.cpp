// Which columns predictions rest on, and rows beside their predictions.
#include "fastcpp/interpret/feature_importance.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <stop_token>

#include "deploy/small_tables.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/interpret/result_rows.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/tabular/tabular_list.hpp"
#include "interpret/titles.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// The target is told by one column of three; the third has holes.
Table told_by_one(bool numbers) {
  Rng rng(7);
  std::string csv = "signal,noise,shade,holes,target\n";
  for (int i = 0; i < 400; ++i) {
    const bool yes = rng.chance(0.5);
    csv += fmt::format("{},{:.3f},{},{},", yes ? 1.5 + rng.uniform() : rng.uniform() - 1.5,
                       rng.normal(), rng.chance(0.5) ? "dark" : "light",
                       i % 5 == 0 ? std::string() : fmt::format("{:.3f}", rng.normal()));
    csv += numbers ? (yes ? "2.5\n" : "0.5\n") : (yes ? "yes\n" : "no\n");
  }
  return Table::parse_csv(csv);
}

std::vector<std::int64_t> first_rows(std::int64_t n) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) rows[static_cast<std::size_t>(i)] = i;
  return rows;
}

TabularDataBunch told_data(const Path& path, bool numbers = false) {
  return TabularDataBunch::from_df(
      path, told_by_one(numbers), "target", first_rows(100),
      {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
       .cat_names = {"shade"},
       .cont_names = {{"signal", "noise", "holes"}},
       .bs = 20,
       .device = torch::kCPU,
       .seed = 1});
}

Learner told_learner(const DataBunch& data) {
  auto learn =
      tabular_learner(data, {.layers = {16}, .metrics = {accuracy, error_rate}, .silent = true});
  learn.fit(4, 2e-2);
  return learn;
}

// Asks for a stop when the third piece of work begins.
class StopsAtThird : public ProgressSink {
 public:
  std::stop_source stop;
  int begun = 0;
  void begin(const ProgressTask&) override {
    if (++begun == 3) stop.request_stop();
  }
};

double importance_of(const FeatureImportance& found, const std::string& name) {
  for (const auto& one : found.columns()) {
    if (one.column == name) return one.importance;
  }
  FAIL("no column " << name);
  return 0;
}

}  // namespace

TEST_CASE("the column that tells the target is the most important one") {
  TempDir dir;
  auto learn = told_learner(told_data(dir.path()));
  const auto found = FeatureImportance::from_learner(learn, {.repeats = 3, .seed = 5});
  REQUIRE(found.columns().size() == 4);  // holes and holes_na are one
  CHECK(found.columns()[0].column == "signal");
  CHECK(found.columns()[0].importance > 0.5);
  CHECK(found.columns()[0].deviation > 0);
  for (const auto* name : {"noise", "shade", "holes"}) {
    INFO(name);
    CHECK(std::abs(importance_of(found, name)) < 0.1 * found.columns()[0].importance);
  }
  CHECK(found.measure() == "loss");
  CHECK(found.baseline() == Approx(learn.validate()[0]).epsilon(1e-5));
  const auto table = found.table();
  CHECK(table.names() == std::vector<std::string>{"column", "importance", "deviation"});
  REQUIRE(table.rows() == 4);
  CHECK(table["column"].raw(0) == "signal");
  CHECK(table["importance"].number(0) == found.columns()[0].importance);
  // Of a single shuffle nothing is known of the deviation.
  const auto single = FeatureImportance::from_learner(learn, {.seed = 5});
  CHECK(single.table().names() == std::vector<std::string>{"column", "importance"});
  CHECK_FALSE(found.plot({.k = 2}).png().empty());
  CHECK(found.plot({.figsize = {{3, 2}}, .dpi = 50}).pixel_width() == 150);
  CHECK(caught([&] { found.plot({.k = 0}); }).code == "value.k");
}

TEST_CASE("importance is the growth of the loss of a set whose column was shuffled") {
  TempDir dir;
  auto learn = told_learner(told_data(dir.path()));
  const auto found = FeatureImportance::from_learner(learn, {.seed = 9});
  // By hand: columns in the order shade, signal, noise, holes (with holes_na).
  const auto data = learn.data();
  const auto& set = *tabular_dataset(data.valid_ds());
  REQUIRE(set.processor().cat_names() == std::vector<std::string>{"shade", "holes_na"});
  REQUIRE(set.processor().cont_names() == std::vector<std::string>{"signal", "noise", "holes"});
  const auto loss_with = [&](std::uint64_t place, const std::vector<std::int64_t>& cats,
                             const std::vector<std::int64_t>& conts) {
    const auto order =
        torch::tensor(Rng{std::uint64_t{9}, 1, place, 0}.permutation(set.size()), torch::kLong);
    auto codes = set.codes().clone(), numbers = set.conts().clone();
    for (const auto c : cats) codes.select(1, c).copy_(set.codes().select(1, c).index({order}));
    for (const auto c : conts) numbers.select(1, c).copy_(set.conts().select(1, c).index({order}));
    learn.model()->eval();
    const torch::NoGradGuard no_grad;
    return learn.loss_func()(learn.model()(Tensors{codes, numbers}), *set.targets()).item<double>();
  };
  const auto check = [&](const std::string& name, double loss) {
    CHECK(importance_of(found, name) == Approx(loss - found.baseline()).margin(1e-5));
  };
  check("shade", loss_with(0, {0}, {}));
  check("signal", loss_with(1, {}, {0}));
  check("noise", loss_with(2, {}, {1}));
  check("holes", loss_with(3, {1}, {2}));
}

TEST_CASE("the same seed gives the same importance, and nothing of the learner changes") {
  TempDir dir;
  auto learn = told_learner(told_data(dir.path()));
  learn.model()->train();
  const auto weights = learn.model()->parameters()[0].clone();
  const auto preds = learn.get_preds().preds;
  const auto data = learn.data();
  const auto codes = tabular_dataset(data.valid_ds())->codes().clone(),
             conts = tabular_dataset(data.valid_ds())->conts().clone();
  std::vector<std::uint64_t> passes;
  for (const auto& loader : data.dls()) passes.push_back(loader.next_pass());
  torch::manual_seed(3);
  const auto drawn = torch::rand({4});
  torch::manual_seed(3);
  const auto a = FeatureImportance::from_learner(learn, {.repeats = 2, .seed = 5});
  CHECK(torch::equal(torch::rand({4}), drawn));
  const auto b = FeatureImportance::from_learner(learn, {.repeats = 2, .seed = 5});
  const auto c = FeatureImportance::from_learner(learn, {.repeats = 2, .seed = 6});
  CHECK(a.table().to_csv_text() == b.table().to_csv_text());
  CHECK(a.table().to_csv_text() != c.table().to_csv_text());
  CHECK(torch::equal(learn.model()->parameters()[0], weights));
  for (const auto& module : learn.model()->modules()) CHECK(module->is_training());
  CHECK(torch::equal(tabular_dataset(data.valid_ds())->codes(), codes));
  CHECK(torch::equal(tabular_dataset(data.valid_ds())->conts(), conts));
  std::vector<std::uint64_t> later;
  for (const auto& loader : data.dls()) later.push_back(loader.next_pass());
  CHECK(later == passes);
  CHECK(torch::equal(learn.get_preds().preds, preds));
  // All sets, and a part of one.
  const auto train =
                 FeatureImportance::from_learner(learn, {.ds_type = DatasetType::Train, .seed = 5}),
             fix = FeatureImportance::from_learner(learn, {.ds_type = DatasetType::Fix, .seed = 5});
  CHECK(train.table().to_csv_text() == fix.table().to_csv_text());
  const auto part = FeatureImportance::from_learner(learn, {.seed = 5, .rows = 50});
  CHECK(part.columns()[0].column == "signal");
  CHECK(part.baseline() != a.baseline());
}

TEST_CASE("a metric may be what is measured") {
  TempDir dir;
  auto learn = told_learner(told_data(dir.path()));
  const auto right = FeatureImportance::from_learner(learn, {.seed = 5, .metric = "accuracy"});
  const auto wrong = FeatureImportance::from_learner(
      learn, {.seed = 5, .metric = "error_rate", .lower_is_better = true});
  CHECK(right.measure() == "accuracy");
  CHECK(right.columns()[0].column == "signal");
  CHECK(right.columns()[0].importance > 0.2);
  CHECK(wrong.columns()[0].importance == Approx(right.columns()[0].importance).margin(1e-6));
  CHECK(caught([&] { FeatureImportance::from_learner(learn, {.metric = "f1"}); }).code ==
        "value.metric");
}

TEST_CASE("numbers, several numbers, several labels and ratings have importances too") {
  TempDir dir;
  auto floats = tabular_learner(told_data(dir.path(), true), {.layers = {16}, .silent = true});
  floats.fit(6, 2e-2);
  CHECK(FeatureImportance::from_learner(floats).columns()[0].column == "signal");

  const auto lists = [&](const Table& table, const LabelOptions& options) {
    return TabularList::from_df(table, {.cat_names = {"shade"},
                                        .cont_names = {"signal", "noise"},
                                        .procs = {tabular::Categorify(), tabular::Normalize()},
                                        .path = dir.path()})
        .split_by_idx(first_rows(100))
        .label_from_df(ColumnIds{"target", "second"}, options)
        .databunch({.bs = 20, .device = torch::kCPU, .seed = 1});
  };
  const auto with_second = [](Cell a, Cell b) {
    const auto table = told_by_one(true);
    std::vector<Cell> first, second;
    for (std::int64_t i = 0; i < table.rows(); ++i) {
      const bool yes = table["target"].number(i) > 1;
      first.push_back(yes ? a : b);
      second.push_back(yes ? b : a);
    }
    return table.with_column(Column("target", first)).with_column(Column("second", second));
  };
  for (const bool labels : {false, true}) {
    INFO(labels);
    const auto data = labels ? lists(with_second(std::int64_t{1}, std::int64_t{0}), {})
                             : lists(with_second(0.5, 2.5), {.label_cls = LabelKind::kFloat});
    CHECK(data.label_kind() == (labels ? LabelKind::kMultiCategory : LabelKind::kFloat));
    auto learn = tabular_learner(data, {.layers = {16}, .silent = true});
    learn.fit(6, 2e-2);
    const auto found = FeatureImportance::from_learner(learn, {.repeats = 2});
    CHECK(found.columns().size() == 3);
    CHECK(found.columns()[0].column == "signal");
  }

  auto ratings = collab_learner(rating_data(dir.path()), {.n_factors = 4, .silent = true});
  ratings.fit(2, 1e-2);
  const auto found = FeatureImportance::from_learner(ratings, {.repeats = 2});
  std::set<std::string> names;
  for (const auto& one : found.columns()) names.insert(one.column);
  CHECK(names == std::set<std::string>{"film", "user"});
}

TEST_CASE("importance refuses what has none, and can be stopped") {
  TempDir dir;
  auto learn = told_learner(told_data(dir.path()));
  const auto refused = [](const Learner& of, const FeatureImportanceOptions& options) {
    return caught([&] { FeatureImportance::from_learner(of, options); }).code;
  };
  CHECK(refused(learn, {.repeats = 0}) == "value.repeats");
  CHECK(refused(learn, {.repeats = 1001}) == "value.repeats");
  CHECK(refused(learn, {.rows = 0}) == "value.rows");
  CHECK(refused(learn, {.ds_type = DatasetType::Test}) == "data.no_test");
  std::stop_source stop;
  stop.request_stop();
  CHECK(refused(learn, {.stop = stop.get_token()}) == "train.stopped");
  const auto sink = std::make_shared<StopsAtThird>();
  const auto told = tabular_learner(learn.data(), {.layers = {4}, .progress = sink});
  const auto late =
      caught([&] { FeatureImportance::from_learner(told, {.stop = sink->stop.get_token()}); });
  CHECK(late.code == "train.stopped");
  CHECK(sink->begun == 3);

  const auto tensors = std::make_shared<TensorDataset>(torch::rand({8, 2}), torch::arange(8) % 2);
  const Learner other(
      DataBunch::create({tensors, tensors, nullptr, nullptr}, dir.path(),
                        {.bs = 4, .num_workers = 0, .device = torch::kCPU, .classes = {"a", "b"}}),
      Model(torch::nn::Sequential(torch::nn::Linear(2, 2))), {.silent = true});
  CHECK(refused(other, {}) == "data.no_table");
  CHECK(caught([&] { result_rows(other); }).code == "data.no_table");

  const auto table = told_by_one(false);
  const auto with_test = TabularDataBunch::from_df(
      dir.path(), table, "target", {},
      {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
       .cat_names = {"shade"},
       .cont_names = {{"signal", "noise", "holes"}},
       .test_df = table,
       .bs = 20,
       .device = torch::kCPU});
  const auto untrained = tabular_learner(with_test, {.layers = {4}, .silent = true});
  CHECK(refused(untrained, {.ds_type = DatasetType::Test}) == "data.no_labels");
  const auto without_valid = refused(untrained, {});
  CHECK((without_valid == "data.empty" || without_valid == "data.no_valid"));
}

TEST_CASE("a column named like one of holes stands for itself when the user gave it") {
  TempDir dir;
  auto table = told_by_one(false);
  std::vector<Cell> marks;
  for (std::int64_t i = 0; i < table.rows(); ++i) marks.emplace_back(i % 2 == 0 ? "odd" : "even");
  table = table.with_column(Column("holes_na", marks));
  const auto data =
      TabularDataBunch::from_df(dir.path(), table, "target", first_rows(100),
                                {.procs = {tabular::FillMissing({.add_col = false}),
                                           tabular::Categorify(), tabular::Normalize()},
                                 .cat_names = {"shade", "holes_na"},
                                 .cont_names = {{"signal", "noise", "holes"}},
                                 .bs = 20,
                                 .device = torch::kCPU});
  const auto found =
      FeatureImportance::from_learner(tabular_learner(data, {.layers = {4}, .silent = true}));
  CHECK(found.columns().size() == 5);
}

TEST_CASE("a long name of a column is cut in the plot only") {
  TempDir dir;
  const std::string name = "\u00e4" + std::string(40, 'x');
  const auto table = told_by_one(false);
  std::vector<Cell> cells;
  for (std::int64_t i = 0; i < table.rows(); ++i) cells.push_back(table["noise"].cell(i));
  const auto data = TabularDataBunch::from_df(
      dir.path(), table.with_column(Column(name, cells)), "target", first_rows(100),
      {.procs = {tabular::Normalize()}, .cont_names = {{name}}, .bs = 20, .device = torch::kCPU});
  const auto found =
      FeatureImportance::from_learner(tabular_learner(data, {.layers = {4}, .silent = true}));
  CHECK(found.table()["column"].raw(0) == name);
  const auto texts = titles(found.plot());
  CHECK(std::count(texts.begin(), texts.end(), "\u00e4" + std::string(23, 'x') + "\u2026") == 1);
}

TEST_CASE("rows of a table beside their predictions") {
  TempDir dir;
  auto learn = told_learner(told_data(dir.path()));
  const auto table = result_rows(learn, {.rows = 3});
  CHECK(table.names() == std::vector<std::string>{"shade", "holes_na", "signal", "noise", "holes",
                                                  "target", "prediction"});
  REQUIRE(table.rows() == 3);
  const auto data = learn.data();
  const auto shown = show_rows(data, 3, DatasetType::Valid);
  const auto preds = learn.get_preds().preds;
  for (std::int64_t row = 0; row < 3; ++row) {
    for (const auto& name : shown.names()) CHECK(table[name].raw(row) == shown[name].raw(row));
    const auto cls = static_cast<std::size_t>(preds[row].argmax().item<std::int64_t>());
    CHECK(table["prediction"].raw(row) == data.classes()[cls]);
  }
  CHECK(result_rows(learn, {.rows = 1000}).rows() == 20);  // a batch
  CHECK(caught([&] { result_rows(learn, {.rows = 0}); }).code == "value.rows");

  // Drawn.
  const auto drawn = titles(learn.show_results(DatasetType::Valid, {.rows = 3}));
  for (const auto& column : table.columns()) {
    INFO(column.name());
    CHECK(std::count(drawn.begin(), drawn.end(), column.name()) >= 1);
  }
  CHECK(std::count(drawn.begin(), drawn.end(), std::string(table["prediction"].raw(0))) >= 1);
  CHECK(caught([&] { learn.show_results(DatasetType::Valid, {.rows = 0}); }).code == "value.rows");

  auto ratings = collab_learner(rating_data(dir.path()), {.n_factors = 4, .silent = true});
  const auto rated = result_rows(ratings, {.rows = 2, .ds_type = DatasetType::Train});
  CHECK(rated.names() == std::vector<std::string>{"user", "film", "target", "prediction"});
  CHECK(rated.rows() == 2);
}
