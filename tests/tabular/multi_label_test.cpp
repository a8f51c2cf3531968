// Rows with several classes each: columns of 0 and 1, or names in one cell.
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/tabular/tabular_list.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// A person reads if old, and runs if light; `tags` says the same in words.
Table habits(int rows) {
  std::string csv = "town,age,weight,reads,runs,tags\n";
  for (int i = 0; i < rows; ++i) {
    const int age = 10 + i * 7 % 80, weight = 40 + i * 11 % 60;
    const bool reads = age >= 50, runs = weight < 70;
    csv += (i % 3 ? "A," : "B,") + std::to_string(age) + "," + std::to_string(weight) + "," +
           (reads ? "1," : "0,") + (runs ? "1," : "0,") + (reads ? "reads" : "") +
           (reads && runs ? " " : "") + (runs ? "runs" : "") + "\n";
  }
  return Table::parse_csv(csv);
}

TabularLabelLists labelled(const Table& df, const ColumnIds& cols, const LabelOptions& options) {
  std::vector<std::int64_t> valid;
  for (std::int64_t row = 300; row < 400; ++row) valid.push_back(row);
  return TabularList::from_df(df, {.cat_names = {"town"},
                                   .cont_names = {"age", "weight"},
                                   .procs = {tabular::Categorify(), tabular::Normalize()}})
      .split_by_idx(valid)
      .label_from_df(cols, options);
}

const std::vector<std::string> kHabits{"reads", "runs"};

}  // namespace

TEST_CASE("columns of 0 and 1 are classes of a row, and so are names in a cell") {
  const auto df = habits(400);
  const auto columns = labelled(df, {"reads", "runs"}, {});
  const auto words = labelled(df, "tags", {.label_delim = " ", .allow_empty = true});
  for (const auto& lists : {columns, words}) {
    const auto data = lists.databunch({.bs = 32, .device = torch::kCPU});
    CHECK(data.label_kind() == LabelKind::kMultiCategory);
    CHECK(data.c() == 2);
    CHECK(data.classes() == kHabits);
    const auto batch = data.one_batch();
    CHECK(batch.y.sizes().vec() == std::vector<std::int64_t>{32, 2});
    CHECK(batch.y.scalar_type() == torch::kFloat32);
  }
  CHECK(torch::equal(columns.train().y()->targets(), words.train().y()->targets()));
  CHECK(torch::equal(columns.valid().y()->targets(), words.valid().y()->targets()));
  // Row 6 is 52 years old and weighs 46.
  CHECK(columns.train().y()->text(6) == "reads;runs");
  CHECK(words.train().y()->text(6) == "reads;runs");
  // The columns of the target are none of the input, named or not.
  const auto data =
      TabularDataBunch::from_df(".", df, {"reads", "runs"}, {1, 2, 3},
                                {.procs = {tabular::Categorify()}, .cat_names = {"town", "tags"}});
  CHECK(data.cont_names() == std::vector<std::string>{"age", "weight"});
  CHECK(data.show_batch(2).names() ==
        std::vector<std::string>{"town", "tags", "age", "weight", "target"});
  const auto named = TabularDataBunch::from_df(".", df, {"reads", "runs"}, {1, 2, 3},
                                               {.cont_names = std::vector<std::string>{"age"},
                                                .classes = ClassNames({"a reader", "a runner"})});
  CHECK(named.classes() == std::vector<std::string>{"a reader", "a runner"});
}

TEST_CASE("a table's learner of several classes learns, predicts and tells its metrics") {
  const auto data = labelled(habits(400), {"reads", "runs"}, {})
                        .databunch({.bs = 30, .device = torch::kCPU, .seed = 1});
  auto learn = tabular_learner(
      data, {.layers = {20},
             .metrics = {accuracy_thresh, fbeta({.thresh = 0.5, .beta = 1}), MultiLabelFbeta()},
             .silent = true,
             .seed = 2});
  // The loss is that of a class alone, mean over rows and classes.
  const auto batch = data.one_batch(DatasetType::Valid);
  const auto loss =
      learn.loss_func()(torch::zeros({2, 2}), torch::tensor({{0.f, 1.f}, {1.f, 1.f}}));
  CHECK(loss.item<double>() == Approx(std::log(2)));
  CHECK(batch.y.size(1) == 2);
  learn.fit_one_cycle(8, 2e-2);
  const auto figures = learn.validate();
  CHECK(figures.at(1) > 0.95);
  // A row without any class counts 0 there, as in the reference; not in the counts of the epoch.
  CHECK(figures.at(2) > 0.7);
  CHECK(figures.at(3) > 0.95);
  const auto preds = learn.get_preds();
  CHECK(preds.preds.sizes().vec() == std::vector<std::int64_t>{100, 2});
  // Each class is sure of itself: the rows sum to something else than 1.
  CHECK(preds.preds.min().item<double>() >= 0);
  CHECK(preds.preds.max().item<double>() <= 1);
  CHECK((preds.preds.sum(1) - 1).abs().max().item<double>() > 0.5);
  const auto row = [](int age, int weight) {
    return TabularRow{{"town", "A"}, {"age", age}, {"weight", weight}};
  };
  CHECK(learn.predict(row(80, 45)).category == "reads;runs");
  CHECK(learn.predict(row(80, 95)).category == "reads");
  CHECK(learn.predict(row(15, 95)).category == "");
  CHECK(torch::equal(learn.predict(row(15, 45)).index.to(torch::kFloat32),
                     torch::tensor({0.f, 1.f})));
  CHECK(learn.predict(row(15, 95), {.thresh = 0.0}).category == "reads;runs");
}

TEST_CASE("labels of several columns that are no classes of a row are refused in words") {
  const auto df = habits(400);
  const auto code = [&](const ColumnIds& cols, const LabelOptions& options) {
    return caught([&] { labelled(df, cols, options); }).code;
  };
  CHECK(code({"reads", "runs"}, {.label_cls = LabelKind::kCategory}) == "value.label_cls");
  CHECK(code({"reads", "age"}, {}) != "");
  CHECK(code("tags", {.label_delim = " "}) == "data.missing_value");
  CHECK(code({"reads", "nobody"}, {}) == "data.no_column");
  // As numbers they are several targets.
  const auto numbers = labelled(df, {"age", "weight"}, {.label_cls = LabelKind::kFloat});
  CHECK(numbers.train().y()->c() == 2);
}
