// Tables as data: what bad input gets, batches, splits, processors of one's own.
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/utils.h>

#include <chrono>
#include <functional>
#include <set>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/tabular/tabular_list.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

const std::vector<TabularProcArg> kUsual{tabular::FillMissing(), tabular::Categorify(),
                                         tabular::Normalize()};

Table people() {
  return Table::parse_csv(
      "job,age,size,pay\n"
      " Private,20,1.5,low\n"
      " State,30,,high\n"
      " Private,40,2.5,high\n"
      ",50,3.5,low\n"
      " State,60,4.5,low\n"
      " Private,70,5.5,high\n");
}

TabularDataBunch bunch(const Table& df, TabularDataBunchOptions options = {}) {
  options.procs = kUsual;
  options.cat_names = {"job"};
  options.bs = 2;
  options.device = torch::kCPU;
  return TabularDataBunch::from_df(".", df, "pay", {4, 5}, options);
}

// Doubles one column; a processor of a user's own.
class Twice : public TabularProc {
 public:
  std::string name() const override { return "Twice"; }
  void apply_train(TabularFrame& frame) override { apply_test(frame); }
  void apply_test(TabularFrame& frame) const override {
    for (auto& number : frame.numbers("age")) number *= 2;
  }
  Value state() const override { return Value::dict(); }
};

}  // namespace

TEST_CASE("from_df takes all columns but categories and target for numbers, in table order") {
  const auto df = people();
  const auto data = bunch(df);
  CHECK(data.cat_names() == std::vector<std::string>{"job", "size_na"});
  CHECK(data.cont_names() == std::vector<std::string>{"age", "size"});
  CHECK(data.col_names() == std::vector<std::string>{"job", "size_na", "age", "size"});
  CHECK(data.get_emb_szs({{"job", 7}, {"nobody", 3}}) ==
        std::vector<std::pair<std::int64_t, std::int64_t>>{{3, 7}, {3, 3}});
  CHECK(caught([&] { data.get_emb_szs({{"job", 0}}); }).code == "value.emb_szs");
  // The user's table stays as it is.
  CHECK(df.names() == people().names());
  CHECK(df["size"].missing(1));
}

TEST_CASE("batches are rows of the matrices, which nobody can change through a batch") {
  int seen = 0;
  const auto data = bunch(people(), {.dl_tfms = {[&](Batch& batch) {
                                       batch.x.at(1).mul_(2);
                                       ++seen;
                                     }}});
  const auto before = data.train().conts().clone();
  std::set<std::int64_t> rows;
  for (const auto& batch : data.train_dl()) {
    REQUIRE(batch.x.count() == 2);
    CHECK(batch.x.at(0).sizes().vec() == std::vector<std::int64_t>{2, 2});
    for (std::size_t i = 0; i < batch.indices.size(); ++i) {
      rows.insert(batch.indices[i]);
      CHECK(
          torch::equal(batch.x.at(1)[static_cast<std::int64_t>(i)], before[batch.indices[i]] * 2));
    }
  }
  CHECK(rows.size() == 4);
  CHECK(seen == 2);
  CHECK(torch::equal(data.train().conts(), before));
  const auto own = bunch(people(), {.collate_fn = [](const std::vector<Sample>& samples) {
                           auto batch = data_collate(samples);
                           return Batch{batch.x.at(0), batch.y};
                         }});
  CHECK(own.one_batch(DatasetType::Valid).x.count() == 1);
}

TEST_CASE("filters and splits keep rows with their labels") {
  const auto list = TabularList::from_df(people(), {.cont_names = {"age"}})[{5, 3, 1, 0}];
  CHECK(list.get(1).at("age") == Cell(50));
  const auto ages = [](const auto& lists) {
    return lists.databunch({.bs = 1, .device = torch::kCPU})
        .train()
        .conts()
        .sum()
        .template item<double>();
  };
  CHECK(ages(list.split_by_idx({0}).label_from_df("pay")) == 100);
  auto both = list;
  both.add(list);
  CHECK(both.size() == 8);
  CHECK(ages(both.split_none().label_from_df("pay")) == 340);
}

TEST_CASE("what bad tables get names column and row") {
  const auto code = [](const auto& f) { return caught(f).code; };
  CHECK(code([] { TabularList::from_df(Table()); }) == "data.empty");
  CHECK(code([] { bunch(people().take({0, 1, 2})); }) == "value.index");
  CHECK(code([] { TabularList::from_df(people(), {.cat_names = {"nobody"}}); }) ==
        "data.no_column");
  const auto list = [](const std::string& csv, std::vector<std::string> cats,
                       std::vector<std::string> conts) {
    return TabularList::from_df(
               Table::parse_csv(csv),
               {.cat_names = std::move(cats), .cont_names = std::move(conts), .procs = kUsual})
        .split_by_idx({1})
        .label_from_df("y");
  };
  const auto none = caught([&] { list("a,y\n,1\n,2\n,3\n", {}, {"a"}); });
  CHECK(none.code == "data.all_missing");
  CHECK(none.message.find("'a'") != std::string::npos);
  const auto hole = caught([&] { list("a,y\n1,x\n,x\n3,x\n", {}, {"a"}); });
  CHECK(hole.code == "data.missing_value");
  CHECK(hole.message.find("field a") != std::string::npos);
  CHECK(hole.message.find("row 0") != std::string::npos);
  const auto text = caught([&] { list("a,y\n1,x\n2,x\nold,x\n", {}, {"a"}); });
  CHECK(text.code == "data.not_numeric");
  const auto target = caught([&] { list("a,y\n1,1.5\n2,2.5\n3,\n", {}, {"a"}); });
  CHECK(target.code == "data.missing_value");
  CHECK(target.message.find("y") != std::string::npos);
  CHECK(code([&] { list("a,y\n1,x\n2,x\n3,x\n", {"a"}, {"a"}); }) == "value.names");
  CHECK(code([] { Table::parse_csv("a,b\n1,2\n1,2,3\n"); }) == "table.row_length");
  CHECK(code([] { TabularList::from_df(Table::parse_csv("a,b\n")); }) == "data.empty");
  // A category never seen is `#na#`; they are counted, but for holes, which are none.
  CapturedLog log;
  auto unseen = list("a,y\nx,p\nnew,p\nz,q\n", {"a"}, {});
  CHECK(unseen.valid().codes()[0][0].item<std::int64_t>() == 0);
  REQUIRE(log.info.size() == 1);
  CHECK(log.info[0] ==
        "the valid set has values that training never saw, which count as #na#: 'a' 1");
  unseen.add_test(Table::parse_csv("a,b\n,1\nx,2\n"));
  CHECK(log.info.size() == 1);
  unseen.add_test(Table::parse_csv("a\nq\nx\nr\n"));
  REQUIRE(log.info.size() == 2);
  CHECK(log.info[1] ==
        "the test set has values that training never saw, which count as #na#: 'a' 2");
  const auto data = DataBunch::create(
      {std::make_shared<TensorDataset>(torch::zeros({4, 2}), torch::zeros({4}, torch::kLong))}, ".",
      {.classes = {"a"}});
  CHECK(code([&] { tabular_learner(data, {.layers = {4}}); }) == "value.tabular_data");
}

namespace {
// Labels of a user's own that keep what they promise in number, not in targets.
struct ShortList : FloatList {
  using FloatList::FloatList;
  torch::Tensor targets() const override { return FloatList::targets().slice(0, 0, 1); }
};
}  // namespace

TEST_CASE("a target is missing: found before a batch reads it") {
  const TabularItems items{torch::zeros({3, 0}, torch::kLong), torch::zeros({3, 2})};
  const auto processor = bunch(people()).train().processor();
  const auto made = [&](std::shared_ptr<const Labels> y) {
    return TabularDataset(items, std::move(y), processor).size();
  };
  CHECK(made(std::make_shared<FloatList>(std::vector<float>{1, 2, 3})) == 3);
  CHECK_THROWS_AS(made(std::make_shared<ShortList>(std::vector<float>{1, 2, 3})), DataError);
}

TEST_CASE("rows in words, also where a column is called as another one") {
  const auto lists =
      TabularList::from_df(
          Table::parse_csv("target,n,y\nx,1,p\nz,2,q\nx,3,p\n"),
          {.cat_names = {"target"}, .cont_names = {"n"}, .procs = {tabular::Categorify()}})
          .split_none()
          .label_from_df("y");
  auto options = TabularDatabunchOptions{.bs = 3, .device = torch::kCPU};
  options.shuffle = false;
  const auto shown = lists.databunch(options).show_batch(2);
  CHECK(shown.names() == std::vector<std::string>{"target", "n", "target_"});
  CHECK(shown.to_csv_text() == "target,n,target_\nx,1.0000,p\nz,2.0000,q\n");
  CHECK(lists.train().in_words({2}).to_csv_text() == "target,n\nx,3.0000\n");
  CHECK(caught([&] { lists.train().in_words({3}); }).code == "value.index");
  CHECK(caught([&] { lists.databunch(options).show_batch(0); }).code == "value.rows");
}

TEST_CASE("a processor of one's own takes part, and travels by its name") {
  register_tabular_proc("Twice", [](const Value&) { return std::make_shared<Twice>(); });
  const auto lists = TabularList::from_df(people(), {.cont_names = {"age"}, .procs = {Twice()}})
                         .split_none()
                         .label_from_df("pay");
  CHECK(lists.train().conts().sum().item<double>() == 540);
  const auto again = TabularProcessor::from_state(from_json(to_json(lists.processor().state())));
  CHECK(again.process_one({{"age", 7}}).at(1)[0].item<float>() == 14);
  CHECK(caught([] {
          register_tabular_proc("Twice", [](const Value&) { return std::make_shared<Twice>(); });
        }).code == "value.recipe");
}

namespace {

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double peak_megabytes() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

}  // namespace

// Figures for the documentation, on a quiet machine: see "long" in CONTRIBUTING.md.
TEST_CASE("a million rows of 15 columns", "[.long]") {
  at::set_num_threads(1);
  const TempDir dir;
  std::string csv = "target";
  for (int c = 0; c < 7; ++c) csv += ",cat" + std::to_string(c) + ",num" + std::to_string(c);
  csv += '\n';
  std::uint64_t state = 1;
  const auto draw = [&](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  for (int row = 0; row < 1000000; ++row) {
    csv += draw(2) ? "yes" : "no";
    for (int c = 0; c < 7; ++c) {
      csv += ",value " + std::to_string(draw(20 + 30 * static_cast<std::uint64_t>(c)));
      csv += draw(50) ? "," + std::to_string(draw(100000)) + ".25" : ",";
    }
    csv += '\n';
  }
  write_file(dir / "large.csv", csv);
  csv = {};
  const double before = peak_megabytes();
  std::optional<TabularDataBunch> data;
  const double loading = seconds_of([&] {
    std::vector<std::int64_t> valid(10000);
    for (std::size_t i = 0; i < valid.size(); ++i) valid[i] = static_cast<std::int64_t>(100 * i);
    std::vector<std::string> cats;
    for (int c = 0; c < 7; ++c) cats.push_back("cat" + std::to_string(c));
    data = TabularDataBunch::from_df(
        dir.path(), Table::read_csv(dir / "large.csv"), "target", valid,
        {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
         .cat_names = cats,
         .bs = 64,
         .device = torch::kCPU});
  });
  const double peak = peak_megabytes() - before;
  const double walking = seconds_of([&] {
    std::int64_t rows = 0;
    for (auto& batch : data->train_dl()) rows += batch.x.length();
    CHECK(rows == 990000 / 64 * 64);
  });
  auto learn = tabular_learner(*data, {.layers = {200, 100}, .silent = true});
  const double training = seconds_of([&] { learn.fit(1, 1e-2); });
  WARN("from CSV to loaders " << loading << " s, " << peak
                              << " MB at the peak; a pass of the loader " << walking
                              << " s, an epoch " << training << " s");
  CHECK(data->train().size() == 990000);
}
