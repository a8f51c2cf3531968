// Where the time of a training goes: planted culprits are found.
#include "fastcpp/train/profile.hpp"

#include <torch/nn/modules/container/functional.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "fastcpp/core/load_clock.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

void rest(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

// Points that take their time.
class SlowPoints : public Dataset {
 public:
  SlowPoints(int reading, int transforming, bool says = true)
      : reading_(reading), transforming_(transforming), says_(says) {}
  std::int64_t size() const override { return 64; }
  Sample get(std::int64_t index, Rng&) const override {
    if (says_) {
      const ReadingTime reading;
      const ReadingTime inside;  // counts once
      rest(reading_);
    } else {
      rest(reading_);
    }
    rest(transforming_);
    return {torch::full({2}, static_cast<float>(index % 2), torch::kFloat32),
            torch::tensor(index % 2, torch::kLong)};
  }

 private:
  int reading_, transforming_;
  bool says_;
};

Learner profiled(
    const Path& dir, std::shared_ptr<const Dataset> set, int num_workers,
    std::vector<BatchTransform> dl_tfms = {}, std::int64_t bs = 8,
    std::function<void(std::int64_t items)> work = [](std::int64_t) {}) {
  torch::manual_seed(3);
  const auto worked = [work = std::move(work)](const torch::Tensor& x) {
    work(x.size(0));
    return x;
  };
  nn::Sequential net(nn::Functional(worked), nn::Linear(2, 2));
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = bs,
                                 .num_workers = num_workers,
                                 .dl_tfms = std::move(dl_tfms),
                                 .device = torch::kCPU,
                                 .classes = {"left", "right"}});
  return {data, Model(net), {.silent = true}};
}

struct SleepyCallback : Callback {
  // Long beside a step that waits for a busy processor.
  void on_batch_end(TrainState&) override { rest(40); }
};

}  // namespace

TEST_CASE("a profile names a slow disk") {
  TempDir dir;
  for (const int workers : {0, 2}) {
    auto learn = profiled(dir.path(), std::make_shared<SlowPoints>(3, 0), workers);
    const auto p = learn.profile(5);
    INFO(p);
    CHECK(p.culprit == ProfileCulprit::kReading);
    CHECK(p.sentence.starts_with("slow disk: a step waits"));
    CHECK(p.steps == 5);
    CHECK(p.bs == 8);
    CHECK(p.item_seconds >= 0.003);
    REQUIRE(p.reading.has_value());
    CHECK(*p.reading > 0.9);
    CHECK(*p.reading <= 1);
    // Eight items of 3 ms by one thread or two.
    CHECK(p.seconds.wait > (workers == 0 ? 0.023 : 0.009));
    CHECK(p.items_per_second == Approx(8 / p.seconds.total()));
    CHECK(p.items_in_memory > 3 * p.items_per_second);
    std::ostringstream text;
    text << p;
    CHECK(text.str().find("wait for data") != std::string::npos);
    CHECK(text.str().ends_with(p.sentence));
  }
}

TEST_CASE(
    "a profile names slow transforms, of items and of batches, and loading of which it knows no "
    "more") {
  TempDir dir;
  const auto items = profiled(dir.path(), std::make_shared<SlowPoints>(0, 3), 2).profile(5);
  INFO(items);
  CHECK(items.culprit == ProfileCulprit::kTransform);
  CHECK(items.sentence.starts_with("slow transform: a step waits"));
  CHECK(*items.reading < 0.1);

  const auto batches =
      profiled(dir.path(), points(64, 1), 2, {[](Batch&) { rest(40); }}).profile(5);
  INFO(batches);
  CHECK(batches.culprit == ProfileCulprit::kTransform);
  CHECK(batches.sentence.find("dl_tfms") != std::string::npos);
  CHECK(batches.seconds.transform >= 0.04);

  const auto loading =
      profiled(dir.path(), std::make_shared<SlowPoints>(3, 0, false), 2).profile(5);
  CHECK(loading.culprit == ProfileCulprit::kLoading);
  CHECK_FALSE(loading.reading.has_value());
}

TEST_CASE("a profile names a slow callback") {
  TempDir dir;
  auto learn = profiled(dir.path(), points(64, 1), 0);
  learn.callbacks().push_back(std::make_shared<GradientClipping>(0.1));
  const auto p = learn.profile(5, {.callbacks = {std::make_shared<SleepyCallback>()}});
  INFO(p);
  CHECK(p.culprit == ProfileCulprit::kCallback);
  CHECK(p.sentence.find("SleepyCallback") != std::string::npos);
  CHECK(p.seconds.callbacks >= 0.04);
  REQUIRE(p.callbacks.size() >= 3);
  CHECK(p.callbacks.front().first == "SleepyCallback");
  CHECK(p.callbacks.front().second >= 0.004);
}

TEST_CASE("a profile names a tiny batch, and nothing where the network has its work") {
  TempDir dir;
  // Networks that rest, because how long they compute depends on what else the machine does. No workers: a step would wait for
  // them longer than it computes.
  const auto tiny =
      profiled(dir.path(), points(64, 1), 0, {}, 1, [](std::int64_t) { rest(3); }).profile(10);
  {
    INFO(tiny);
    CHECK(tiny.culprit == ProfileCulprit::kSmallBatch);
    CHECK(tiny.sentence.starts_with("tiny batch"));
    REQUIRE(tiny.overhead.has_value());
    CHECK(*tiny.overhead > 0.5);
  }
  const auto p = profiled(dir.path(), points(64, 1), 0, {}, 8, [](std::int64_t items) {
                   rest(static_cast<int>(items));
                 }).profile(5);
  INFO(p);
  CHECK(p.culprit == ProfileCulprit::kCompute);
  REQUIRE(p.overhead.has_value());
  CHECK(*p.overhead < 0.5);
  CHECK(p.seconds.forward > 0.007);
  CHECK(p.seconds.forward > p.seconds.backward + p.seconds.step);
}

TEST_CASE("a profile leaves the learner as it was") {
  TempDir dir;
  auto learn = profiled(dir.path(), points(64, 1), 0),
       plain = profiled(dir.path(), points(64, 1), 0);
  learn.callback_fns().push_back(csv_logger());
  learn.profile(3);
  CHECK_FALSE(std::filesystem::exists(dir / "history.csv"));
  CHECK(caught([&] { learn.recorder(); }).code == "train.nothing_recorded");
  learn.callback_fns().clear();
  learn.fit(2, 1e-2);
  plain.fit(2, 1e-2);
  CHECK(learn.recorder().losses == plain.recorder().losses);
  CHECK(caught([&] { learn.profile(0); }).code == "value.n_batches");
  std::stop_source stop;
  stop.request_stop();
  CHECK(caught([&] { learn.profile(3, {.stop = stop.get_token()}); }).code == "train.stopped");
}
