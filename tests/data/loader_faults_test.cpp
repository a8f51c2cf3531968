// What a loader does when data sets, memory or the system fail.
#include <torch/types.h>

#include "fastcpp/data/data_loader.hpp"
#include "support/catch.hpp"
#include "support/limited_threads.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Samples of a shape the test chooses.
class Shaped : public Dataset {
 public:
  Shaped(std::vector<std::int64_t> says, std::vector<std::int64_t> has)
      : says_(std::move(says)), has_(std::move(has)) {}
  std::int64_t size() const override { return 12; }
  std::optional<SampleLayout> layout() const override {
    return SampleLayout{{{says_}}, {{{}, torch::kLong}}};
  }
  Sample get(std::int64_t index, Rng&) const override {
    if (index == throws_int) throw 7;
    if (index == undefined) return {};
    return {torch::full(has_, static_cast<double>(index), torch::kFloat64), torch::tensor(index)};
  }
  std::string item_name(std::int64_t index) const override {
    return "item_" + std::to_string(index);
  }
  std::int64_t throws_int = -1, undefined = -1;

 private:
  std::vector<std::int64_t> says_, has_;
};

std::int64_t items(const DataLoader& loader) {
  std::int64_t n = 0;
  for (auto& batch : loader) n += batch.x.size(0);
  return n;
}

}  // namespace

TEST_CASE("a loader goes on with the threads that start, or in the caller's") {
  const auto set =
      std::make_shared<Shaped>(std::vector<std::int64_t>{2}, std::vector<std::int64_t>{2});
  for (const int allowed : {0, 1, 3}) {
    const DataLoader loader(set, {.bs = 5, .num_workers = 4});
    CapturedLog log;
    const LimitedThreads limited(allowed);
    CHECK(items(loader) == 12);
    CHECK(items(loader) == 12);  // told once, not at every pass
    REQUIRE(log.warnings.size() == 1);
    CHECK(log.warnings[0].find(std::to_string(allowed) + " of 4") != std::string::npos);
  }
}

TEST_CASE("a batch without memory is an error of ours, with advice") {
  const std::vector<std::int64_t> huge{1 << 20, 1 << 20, 1 << 10};
  const auto set = std::make_shared<Shaped>(huge, huge);
  for (const int workers : {0, 2}) {
    auto pass = DataLoader(set, {.bs = 4, .num_workers = workers}).pass();
    const auto error = caught([&] { pass.next(); });
    CHECK(error.code == "train.out_of_memory");
    CHECK(error.message.find("batches of 4") != std::string::npos);
    CHECK(error.message.find("bs = 2") != std::string::npos);
  }
  const auto wrong =
      std::make_shared<Shaped>(std::vector<std::int64_t>{1LL << 40, 1LL << 40}, huge);
  CHECK(caught([&] { DataLoader(wrong, {.bs = 4}).pass(); }).code == "data.shape");
}

TEST_CASE("a sample of another shape than the set says is refused by name") {
  for (const int workers : {0, 2}) {
    const auto set =
        std::make_shared<Shaped>(std::vector<std::int64_t>{2, 2}, std::vector<std::int64_t>{3, 2});
    auto pass = DataLoader(set, {.bs = 3, .num_workers = workers}).pass();
    const auto error = caught([&] { pass.next(); });
    CHECK(error.code == "data.shape");
    CHECK(error.message.find("'item_0'") != std::string::npos);
    CHECK(error.message.find("3x2") != std::string::npos);
  }
}

TEST_CASE("numbers that would be cut are refused by name") {
  struct Cut : TensorDataset {
    using TensorDataset::TensorDataset;
    std::optional<SampleLayout> layout() const override {
      return SampleLayout{{{{2}, torch::kFloat32}}, {{{}, torch::kLong}}};
    }
  };
  // Whole numbers of another width are not.
  const auto whole =
      std::make_shared<Cut>(torch::ones({4, 2}, torch::kFloat64), torch::arange(4, torch::kInt32));
  CHECK(DataLoader(whole, {.bs = 4, .num_workers = 0}).first_batch().y.sum().item<int>() == 6);
  const auto real = std::make_shared<Cut>(torch::ones({4, 2}), torch::full({4}, 1.5));
  const auto error = caught([&] { DataLoader(real, {.bs = 4, .num_workers = 0}).first_batch(); });
  CHECK(error.code == "data.dtype");
}

TEST_CASE("an error is thrown by the batch it belongs to, and later batches go on") {
  for (const int workers : {0, 1, 3}) {
    const auto set =
        std::make_shared<Shaped>(std::vector<std::int64_t>{2}, std::vector<std::int64_t>{2});
    set->throws_int = 4;
    set->undefined = 9;
    auto pass = DataLoader(set, {.bs = 3, .num_workers = workers}).pass();
    CHECK(pass.next()->x.size(0) == 3);
    CHECK(caught([&] { pass.next(); }).code == "data.cannot_load");
    CHECK(pass.next()->x[0][0].item<float>() == 6);
    CHECK(caught([&] { pass.next(); }).code == "data.shape");
    CHECK_FALSE(pass.next());
  }
}

TEST_CASE("samples of other types are refused, those with gradients and sets that grow are not") {
  struct Loose : TensorDataset {
    using TensorDataset::TensorDataset;
    std::optional<SampleLayout> layout() const override { return std::nullopt; }
    std::int64_t size() const override { return TensorDataset::size() + more; }
    Sample get(std::int64_t index, Rng& rng) const override {
      auto sample = TensorDataset::get(index, rng);
      if (index == other_type) sample.x = sample.x.to(torch::kFloat64);
      return sample;
    }
    std::int64_t other_type = -1, more = 0;
  };
  for (const int workers : {0, 2}) {
    const auto set =
        std::make_shared<Loose>(torch::ones({6, 2}).requires_grad_(), torch::arange(6));
    const DataLoader loader(set, {.bs = 3, .num_workers = workers});
    CHECK_FALSE(loader.pass().next()->x.requires_grad());
    set->more = 5;  // a loader keeps what it was made with
    CHECK(items(loader) == 6);
    set->other_type = 1;
    const auto error = caught([&] { loader.first_batch(); });
    CHECK(error.code == "data.cannot_collate");
    CHECK(error.message.find("'item 1'") != std::string::npos);
  }
}

TEST_CASE("changed options keep the others") {
  const auto set =
      std::make_shared<Shaped>(std::vector<std::int64_t>{2}, std::vector<std::int64_t>{2});
  int ran = 0;
  const DataLoader loader(set, {.bs = 3,
                                .shuffle = true,
                                .drop_last = true,
                                .num_workers = 0,
                                .seed = 11,
                                .tfms = {[&](Batch&) { ++ran; }}});
  const auto other = loader.with({.bs = 4});
  CHECK(other.batch_size() == 4);
  CHECK(other.options().shuffle);
  CHECK(other.options().drop_last);
  CHECK(other.options().seed == 11);
  CHECK(items(other) == 12);
  CHECK(ran == 3);
}

TEST_CASE("loaders of nothing, of too much and of other lengths are refused") {
  CHECK(caught([] { DataLoader(std::shared_ptr<const Dataset>()); }).code == "value.dataset");
  const auto set =
      std::make_shared<Shaped>(std::vector<std::int64_t>{2}, std::vector<std::int64_t>{2});
  CHECK(caught([&] { DataLoader(set, {.bs = std::numeric_limits<std::int64_t>::max()}); }).code ==
        "value.batch_size");
  CHECK(caught([&] { DataLoader(set, {.tfms = {BatchTransform()}}); }).code ==
        "value.batch_transform");
  CHECK(caught([] { TensorDataset(torch::Tensor(), torch::zeros({2})); }).code == "data.length");
  CHECK(caught([] {
          Rng rng;
          TensorDataset(torch::zeros({2, 1}), torch::zeros({2})).get(99, rng);
        }).code == "value.index");
}
