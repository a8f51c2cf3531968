// Over- and under-sampling: section "oversampling" of datablock.json, and what surrounds it.
#include "fastcpp/train/callbacks/over_sampling.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <map>
#include <set>

#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// A learner whose training items are their own index, with these classes.
Learner learner_of(const Path& dir, const torch::Tensor& targets, std::vector<std::string> classes,
                   std::int64_t bs = 2, LabelKind kind = LabelKind::kCategory) {
  const auto n = targets.size(0);
  auto set =
      std::make_shared<TensorDataset>(torch::arange(n).reshape({n, 1}).to(torch::kFloat), targets);
  const auto c = static_cast<std::int64_t>(classes.size());
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = bs,
                                 .num_workers = 0,
                                 .device = torch::kCPU,
                                 .seed = 4,
                                 .kind = kind,
                                 .classes = std::move(classes)});
  return {data, Model(torch::nn::Sequential(torch::nn::Linear(1, c))), {.silent = true}};
}

// Items of the training batches, and what the sampler says.
struct Watch : Callback {
  std::vector<std::int64_t> items;
  std::int64_t per_epoch = 0, validated = 0;
  void on_epoch_begin(TrainState&) override {
    const auto loader = learn().data().train_dl();
    per_epoch = loader.options().sampler ? loader.options().sampler->size(0) : -1;
  }
  void on_batch_begin(TrainState& state) override {
    if (!state.train) {
      validated += state.last_input.size(0);
      return;
    }
    for (std::int64_t i = 0; i < state.last_input.size(0); ++i) {
      items.push_back(state.last_input[i][0].item<std::int64_t>());
    }
  }
};

}  // namespace

TEST_CASE("weights and items an epoch as fastai has them") {
  TempDir dir;
  int cases = 0;
  for (const auto& kase : golden("datablock.json").at("oversampling")) {
    INFO(kase.dump());
    const auto& expect = kase.at("expect");
    const auto labels = kase.at("labels").get<std::vector<std::string>>();
    auto classes = kase.value("classes", std::vector<std::string>());
    if (classes.empty()) {
      const std::set<std::string> names(labels.begin(), labels.end());
      classes.assign(names.begin(), names.end());
    }
    CHECK(classes == expect.at("classes").get<std::vector<std::string>>());
    std::vector<std::int64_t> targets;
    for (const auto& label : labels) {
      targets.push_back(std::find(classes.begin(), classes.end(), label) - classes.begin());
    }
    auto learner = learner_of(dir.path(), torch::tensor(targets), classes, 1);
    CHECK(balanced_weights(learner.data()) == numbers(expect.at("weights")));
    for (const bool over : {true, false}) {
      const auto want =
          expect.at(over ? "over_items_per_epoch" : "under_items_per_epoch").get<std::int64_t>();
      auto watch = std::make_shared<Watch>();
      learner.fit(1, 1e-4, {.callbacks = {over ? over_sampling() : under_sampling(), watch}});
      CHECK(watch->per_epoch == want);
      CHECK(static_cast<std::int64_t>(watch->items.size()) == want);
      CHECK(watch->validated == static_cast<std::int64_t>(labels.size()));
    }
    ++cases;
  }
  CHECK(cases == 5);
}

TEST_CASE("classes are drawn in equal shares, other ones every fit, and the loader comes back") {
  TempDir dir;
  // 90 items of one class, 10 of another.
  const auto targets = torch::arange(100).ge(90).to(torch::kLong);
  auto learner = learner_of(dir.path(), targets, {"a", "b"}, 8);
  const auto before = learner.data().train_dl();
  std::vector<std::vector<std::int64_t>> drawn;
  for (int i = 0; i < 2; ++i) {
    auto watch = std::make_shared<Watch>();
    auto scheduled = std::make_shared<OverSamplingCallback>();
    // The schedule counts the batches of the fit as it is: it ends at the last of them.
    learner.fit_one_cycle(20, {.max_lr = 1e-3, .final_div = 10, .callbacks = {watch, scheduled}});
    CHECK(learner.recorder().lrs.back() < 2e-4);
    CHECK(watch->items.size() == 20 * 176);  // 2 x 90, without the last 4
    const auto rare = std::count_if(watch->items.begin(), watch->items.end(),
                                    [](std::int64_t item) { return item >= 90; });
    const auto share = static_cast<double>(rare) / static_cast<double>(watch->items.size());
    CHECK(share > 0.45);
    CHECK(share < 0.55);
    drawn.push_back(watch->items);
    CHECK(&learner.data().train_dl().options() == &before.options());
  }
  CHECK(drawn[0] != drawn[1]);

  // A new learner draws the same.
  auto again = learner_of(dir.path(), targets, {"a", "b"}, 8);
  auto watch = std::make_shared<Watch>();
  again.fit(20, 1e-3, {.callbacks = {over_sampling(), watch}});
  CHECK(watch->items == drawn[0]);
}

TEST_CASE("given weights are those of the items") {
  TempDir dir;
  auto learner = learner_of(dir.path(), torch::tensor({0, 0, 0, 1}, torch::kLong), {"a", "b"});
  auto watch = std::make_shared<Watch>();
  learner.fit(1, 1e-3, {.callbacks = {over_sampling({.weights = {0, 1, 0, 0}}), watch}});
  CHECK(watch->items == std::vector<std::int64_t>(6, 1));
  const auto three = caught([&] {
    learner.fit(1, 1e-3, {.callbacks = {over_sampling({.weights = {1, 1, 1}})}});
  });
  CHECK(three.code == "value.weights");
  CHECK(caught([] { over_sampling({.weights = {0, 0}}); }).code == "value.weights");
  CHECK(caught([] { under_sampling({.weights = {1, -1}}); }).code == "value.weights");
}

TEST_CASE("a fit that fails gives the loader back") {
  TempDir dir;
  auto learner = learner_of(dir.path(), torch::tensor({0, 0, 0, 1}, torch::kLong), {"a", "b"});
  const auto before = learner.data().train_dl();
  const auto same = [&] { return &learner.data().train_dl().options() == &before.options(); };
  const auto fail = make_callback(
      {.on_batch_end = [](Learner&, TrainState&) { throw ValueError("value.test", "no"); }});
  CHECK(caught([&] {
          learner.fit(1, 1e-3, {.callbacks = {over_sampling(), fail}});
        }).code == "value.test");
  CHECK(same());
  // One that fails to begin, too; and two at once, which would not know whose loader is the first.
  CHECK(caught([&] {
          learner.fit(1, 1e-3, {.callbacks = {over_sampling(), under_sampling()}});
        }).code == "value.sampler");
  CHECK(same());
  // Data that another callback gives stay.
  auto other = learner_of(dir.path(), torch::tensor({1, 1}, torch::kLong), {"a", "b"}).data();
  learner.fit(1, 1e-3,
              {.callbacks = {over_sampling(),
                             make_callback({.on_epoch_end = [&](Learner& learn, TrainState&) {
                               learn.set_data(other);
                             }})}});
  CHECK(&learner.data().train_dl().options() == &other.train_dl().options());
}

TEST_CASE("only one class an item can be balanced") {
  TempDir dir;
  const auto refused = [&](const torch::Tensor& targets, LabelKind kind,
                           const CallbackFn& sampling) {
    auto learner = learner_of(dir.path(), targets, {"a", "b"}, 2, kind);
    return caught([&] { learner.fit(1, 1e-3, {.callbacks = {sampling}}); });
  };
  const auto several = refused(torch::ones({4, 2}), LabelKind::kMultiCategory, over_sampling());
  CHECK(several.code == "value.targets");
  CHECK(several.message.find("Can only oversample integer values") == 0);
  const auto real = refused(torch::ones({4}), LabelKind::kFloat, under_sampling());
  CHECK(real.code == "value.targets");
  CHECK(real.message.find("Can only undersample integer values") == 0);
  CHECK(refused(torch::ones({4, 3}, torch::kLong), LabelKind::kCategory, over_sampling()).code ==
        "value.targets");

  auto learner = learner_of(dir.path(), torch::tensor({0, 0, 0, 1}, torch::kLong), {"a", "b"}, 4);
  const auto few = caught([&] { learner.fit(1, 1e-3, {.callbacks = {under_sampling()}}); });
  CHECK(few.code == "train.empty_loader");
  CHECK(few.message.find("2 items an epoch make no batch of 4") != std::string::npos);
}
