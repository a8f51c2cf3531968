// The adult sample beside the reference: table_runs.json. Needs shared/data/adult_sample.tgz.
#include <ATen/Parallel.h>

#include <chrono>
#include <numeric>

#include "fastcpp/data/files.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/support.hpp"
#include "support/table_training.hpp"
#include "tabular/tabular_golden.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// The sample, taken out of its archive; nothing where there is none.
std::optional<Path> adult_sample(const TempDir& dir) {
  const auto shared = shared_dir();
  if (!shared || !std::filesystem::exists(*shared / "data/adult_sample.tgz")) return std::nullopt;
  extract_archive(*shared / "data/adult_sample.tgz", dir / "adult");
  for (const auto& file : get_files(dir.path(), {.extensions = {".csv"}, .recurse = true}))
    return file.parent_path();
  return std::nullopt;
}

TabularLabelLists adult_lists(const Table& table, const Json& run) {
  std::vector<std::int64_t> valid(run["valid"][1].get<std::size_t>() -
                                  run["valid"][0].get<std::size_t>());
  std::iota(valid.begin(), valid.end(), run["valid"][0].get<std::int64_t>());
  return TabularList::from_df(table, {.cat_names = run["cat"],
                                      .cont_names = run["cont"],
                                      .procs = {tabular::FillMissing(), tabular::Categorify(),
                                                tabular::Normalize()}})
      .split_by_idx(valid)
      .label_from_df("salary");
}

void check_sums(const TabularDataset& set, const Json& want) {
  CHECK(set.size() == want["n"].get<std::int64_t>());
  const auto codes = set.codes();
  CHECK(farthest(codes.sum(0), want["codes_sum"]) == 0);
  CHECK(farthest((codes * codes).sum(0), want["codes_sumsq"]) == 0);
  CHECK(farthest((codes == 0).sum(0), want["zero_codes"]) == 0);
  const auto conts = set.conts().to(torch::kFloat64);
  CHECK((conts.sum(0) - torch::tensor(numbers(want["conts_sum"]), torch::kFloat64))
            .abs()
            .max()
            .item<double>() < 2e-3);
  CHECK(farthest((conts * conts).sum(0), want["conts_sumsq"]) <= 1e-6);
}

}  // namespace

TEST_CASE("the adult sample beside the reference") {
  const TempDir dir;
  const auto path = adult_sample(dir);
  if (!path) return skip("no adult_sample.tgz in shared/data");
  at::set_num_threads(1);
  const auto table = Table::read_csv(*path / "adult.csv");
  for (const auto& run : golden("table_runs.json")["adult"]["runs"]) {
    INFO(run["name"].get<std::string>());
    const auto lists = adult_lists(table, run);
    CHECK(lists.processor().cat_names() == run["cat_names"].get<std::vector<std::string>>());
    check_sums(lists.train(), run["train_sums"]);
    check_sums(lists.valid(), run["valid_sums"]);
    double accuracy_sum = 0;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const auto data = lists.databunch({.device = torch::kCPU, .seed = seed});
      auto learn = tabular_learner(
          data, {.layers = {200, 100},
                 .emb_szs = run["name"] == "documentation"
                                ? std::map<std::string, std::int64_t>{{"native-country", 10}}
                                : std::map<std::string, std::int64_t>{},
                 .metrics = {accuracy},
                 .silent = true});
      if (run["ops"][0]["op"] == "fit") {
        learn.fit(1, 1e-2);
      } else {
        learn.fit_one_cycle(1, {.max_lr = 1e-2});
      }
      accuracy_sum += learn.validate().at(1);
    }
    const auto want = number(run["accuracy"]["mean"][0]);
    INFO(run["name"].get<std::string>()
         << ": accuracy " << accuracy_sum / 5 << ", reference " << want);
    CHECK(std::abs(accuracy_sum / 5 - want) <= 0.01);
  }
}

TEST_CASE("a training on the adult sample, weight by weight") {
  const TempDir dir;
  const auto path = adult_sample(dir);
  if (!path) return skip("no adult_sample.tgz in shared/data");
  at::set_num_threads(1);
  const auto& run = golden("table_runs.json")["adult"]["runs"][0];
  const auto lists = adult_lists(Table::read_csv(*path / "adult.csv"), run);
  const auto& want = run["fixed_float64"];
  TabularDatabunchOptions bunch{.dl_tfms = {widen_batch}, .device = torch::kCPU};
  bunch.shuffle = false;
  auto trace = std::make_shared<FitTrace>();
  auto learn = tabular_learner(
      lists.databunch(bunch),
      {.layers = {200, 100}, .metrics = {accuracy}, .callbacks = {trace}, .silent = true});
  set_weights_by_rule(*learn.model(), want["weights_key"], number(want["bn_gain"]));
  const auto factor = static_cast<float>(number(want["embedding_scale"]));
  {
    const torch::NoGradGuard no_grad;
    for (auto& entry : learn.model()->named_parameters()) {
      if (entry.key().starts_with("embeds.")) entry.value().mul_(factor);
    }
  }
  widen(*learn.model());
  CHECK(farthest(learn.validate(), want["initial_validate"]) <= 1e-6);
  learn.fit(1, 1e-2);
  REQUIRE(trace->raw.size() == want["batches"].get<std::size_t>());
  const std::vector<double> first(trace->raw.begin(), trace->raw.begin() + 40);
  CHECK(farthest(first, want["raw_loss_first_40"]) <= 1e-9);
}

TEST_CASE("fastai's own checkpoint of the adult sample") {
  const TempDir dir;
  const auto path = adult_sample(dir);
  if (!path) return skip("no adult_sample.tgz in shared/data");
  const auto& want = golden("table_runs.json")["adult"]["mini_train"];
  const auto lists = adult_lists(Table::read_csv(*path / "adult.csv"), want);
  auto learn = tabular_learner(lists.databunch({.path = *path, .device = torch::kCPU}),
                               {.layers = {200, 100}, .metrics = {accuracy}, .silent = true});
  learn.load("mini_train", {.with_opt = false});
  const auto figures = learn.validate();
  CHECK(std::abs(figures[0] - number(want["loss"])) < 1e-5);
  CHECK(std::abs(figures[1] - number(want["accuracy"])) < 1e-5);
  const auto preds = learn.get_preds().preds;
  CHECK(farthest(preds.slice(0, 0, 5), want["first_probabilities"]) <= 1e-5);
  CHECK(farthest(preds.sum(0), want["probability_sums"]) <= 1e-5);
}
