#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <ranges>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "fastcpp/core/load_clock.hpp"
#include "fastcpp/data/data_loader.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Samples whose first number is the item and whose second is a random draw; counts what is alive.
class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t n, bool fixed = true) : n_(n), fixed_(fixed) {}
  std::int64_t size() const override { return n_; }
  std::optional<SampleLayout> layout() const override {
    if (!fixed_) return std::nullopt;
    return SampleLayout{{{{2}}}, {{{}, torch::kLong}}};
  }
  Sample get(std::int64_t index, Rng& rng) const override {
    ++loaded;
    if (delay.count() > 0) std::this_thread::sleep_for(delay * (index % 3));
    if (index == faulty) throw ImageError("image.cannot_decode", "cannot decode 'cat_7.jpg'");
    if (index == alien) throw std::runtime_error("out of cheese");
    const auto y = torch::tensor(index * 10);
    if (index == odd) return {torch::zeros({3}), y};
    return {torch::tensor({static_cast<float>(index), static_cast<float>(rng.uniform())}), y};
  }
  std::string item_name(std::int64_t index) const override {
    return "cat_" + std::to_string(index);
  }

  mutable std::atomic<int> loaded{0};
  std::int64_t faulty = -1, alien = -1, odd = -1;
  std::chrono::milliseconds delay{0};

 private:
  std::int64_t n_;
  bool fixed_;
};

std::vector<torch::Tensor> walk(const DataLoader& loader) {
  std::vector<torch::Tensor> all;
  for (auto& batch : loader) {
    CHECK(batch.x.size(0) == batch.y.size(0));
    CHECK(batch.x.select(1, 0).mul(10).eq(batch.y).all().item<bool>());
    all.push_back(batch.x.clone());
  }
  return all;
}

bool same(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!torch::equal(a[i], b[i])) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("batches do not depend on the number of workers") {
  for (bool fixed : {true, false}) {
    std::vector<std::vector<torch::Tensor>> first, second;
    for (int workers : {0, 1, 2, 5}) {
      auto set = std::make_shared<Numbers>(53, fixed);
      set->delay = std::chrono::milliseconds(workers > 0 ? 1 : 0);
      DataLoader loader(
          set, {.bs = 8, .shuffle = true, .drop_last = true, .num_workers = workers, .seed = 3});
      CHECK(loader.size() == 6);
      first.push_back(walk(loader));
      second.push_back(walk(loader));
      CHECK(first.back().size() == 6);
    }
    for (std::size_t i = 1; i < first.size(); ++i) {
      CHECK(same(first[0], first[i]));
      CHECK(same(second[0], second[i]));
    }
    // A second pass has another order and other draws.
    CHECK_FALSE(same(first[0], second[0]));
  }
}

TEST_CASE("a pass covers every item once, in order when not shuffled") {
  auto set = std::make_shared<Numbers>(10);
  DataLoader loader(set, {.bs = 4, .num_workers = 2});
  std::vector<float> items;
  for (auto& batch : loader) {
    for (std::int64_t i = 0; i < batch.x.size(0); ++i) items.push_back(batch.x[i][0].item<float>());
  }
  CHECK(items == std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(loader.size() == 3);

  DataLoader shuffled(set, {.bs = 4, .shuffle = true, .num_workers = 1});
  std::set<std::int64_t> seen;
  bool ascending = true;
  for (auto& batch : shuffled) {
    for (auto index : batch.indices) {
      ascending = ascending && (seen.empty() || index > *seen.rbegin());
      seen.insert(index);
    }
  }
  CHECK(seen.size() == 10);
  CHECK_FALSE(ascending);
}

TEST_CASE("a range-for over a loader is one pass, also over one that nobody else holds") {
  static_assert(std::input_iterator<DataLoader::Iterator>);
  static_assert(std::ranges::input_range<const DataLoader>);
  static_assert(!std::ranges::sized_range<const DataLoader>);  // batches may be left out

  auto set = std::make_shared<Numbers>(20);
  for (int workers : {0, 2}) {
    const DataLoaderOptions options{.bs = 4, .shuffle = true, .num_workers = workers, .seed = 5};
    DataLoader loader(set, options), twin(set, options);
    for (int epoch = 0; epoch < 2; ++epoch) {
      auto pass = twin.pass();
      int batches = 0;
      for (auto& batch : loader) {
        const auto expected = pass.next();
        REQUIRE(expected);
        CHECK(batch.indices == expected->indices);
        CHECK(torch::equal(batch.x, expected->x));
        ++batches;
      }
      CHECK(batches == 5);
    }

    std::int64_t items = 0;
    for (auto& batch : DataLoader(set, options)) items += batch.x.size(0);
    CHECK(items == 20);

    // The iterator keeps what it needs; a batch taken from a temporary one is a copy.
    auto owner = std::make_shared<Numbers>(6);
    std::weak_ptr<Numbers> alive = owner;
    {
      auto at =
          DataLoader(std::exchange(owner, nullptr), {.bs = 4, .num_workers = workers}).begin();
      const auto copy = at;
      CHECK_FALSE(alive.expired());
      CHECK((*at).indices == std::vector<std::int64_t>{0, 1, 2, 3});
      ++at;
      CHECK((*copy).indices == std::vector<std::int64_t>{4, 5});
      ++at;
      CHECK(at == std::default_sentinel);
    }
    CHECK(alive.expired());
    const auto& first = *DataLoader(set, {.bs = 4, .num_workers = workers}).begin();
    CHECK(first.indices == std::vector<std::int64_t>{0, 1, 2, 3});
  }

  for ([[maybe_unused]] auto& batch : DataLoader(set, {.bs = 64, .drop_last = true})) {
    FAIL("there is no batch");
  }
  CHECK(DataLoader::Iterator() == std::default_sentinel);
}

TEST_CASE("a worker's error reaches the caller with the item") {
  for (int workers : {0, 2}) {
    auto set = std::make_shared<Numbers>(20);
    set->faulty = 9;
    DataLoader loader(set, {.bs = 4, .num_workers = workers});
    auto pass = loader.pass();
    CHECK(pass.next());
    CHECK(pass.next());
    const auto error = caught([&] { pass.next(); });
    CHECK(error.code == "image.cannot_decode");
    CHECK(error.message.find("cat_7.jpg") != std::string::npos);
    // The batches behind the faulty one are still there.
    CHECK(pass.next());

    auto other = std::make_shared<Numbers>(20);
    other->alien = 2;
    const auto wrapped =
        caught([&] { walk(DataLoader(other, {.bs = 4, .num_workers = workers})); });
    CHECK(wrapped.code == "data.cannot_load");
    CHECK(wrapped.message.find("cat_2") != std::string::npos);
    CHECK(wrapped.message.find("out of cheese") != std::string::npos);
  }
}

TEST_CASE("samples of different shapes are refused with their names") {
  auto set = std::make_shared<Numbers>(8, false);
  set->odd = 5;
  const auto error = caught([&] { walk(DataLoader(set, {.bs = 4, .num_workers = 2})); });
  CHECK(error.code == "data.cannot_collate");
  CHECK(error.message.find("cat_5") != std::string::npos);
}

TEST_CASE("leaving a pass early joins its workers") {
  auto set = std::make_shared<Numbers>(1000);
  set->delay = std::chrono::milliseconds(1);
  for (int i = 0; i < 20; ++i) {
    DataLoader loader(set, {.bs = 8, .num_workers = 3});
    auto pass = loader.pass();
    if (i % 2 == 0) pass.next();
    for ([[maybe_unused]] auto& batch : loader) break;
  }
  // Loading ahead is bounded: nothing near the 40 x 1000 items was touched.
  CHECK(set->loaded < 40 * 8 * 6);
}

TEST_CASE("a batch stays as it is while later ones are loaded") {
  auto set = std::make_shared<Numbers>(64);
  DataLoader loader(set, {.bs = 4, .num_workers = 2});
  std::vector<Batch> kept;
  for (auto& batch : loader) kept.push_back(batch);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    CHECK(kept[i].x[0][0].item<float>() == static_cast<float>(4 * i));
  }
}

TEST_CASE("wrong loader options are refused") {
  auto set = std::make_shared<Numbers>(4);
  CHECK(caught([&] { DataLoader(set, {.bs = 0}); }).code == "value.batch_size");
  CHECK(caught([&] { DataLoader(set, {.num_workers = -1}); }).code == "value.num_workers");
  CHECK(caught([&] { DataLoader(set, {.bs = 8, .drop_last = true}).first_batch(); }).code ==
        "data.empty_loader");
}

TEST_CASE("a share of a loader is measured like the whole") {
  DataLoader loader(std::make_shared<Numbers>(10), {.bs = 2, .device = torch::kCPU});
  const auto clock = std::make_shared<LoadClock>();
  loader.measure(clock);
  for (const auto& batch : loader.share({.num_replicas = 2, .rank = 1})) static_cast<void>(batch);
  CHECK(clock->count(LoadClock::Part::kItem) == 5);
}

namespace {

// Gives whole batches, of which it keeps account.
class Together : public Numbers {
 public:
  explicit Together(std::int64_t n, bool own) : Numbers(n), own_(own) {}
  bool in_batches() const override { return true; }
  Sample get_batch(std::span<const std::int64_t> indices) const override {
    ++asked;
    if (!own_) return Numbers::get_batch(indices);
    if (std::find(indices.begin(), indices.end(), faulty) != indices.end())
      throw std::runtime_error("out of cheese");
    const auto at = torch::tensor(std::vector<std::int64_t>(indices.begin(), indices.end()));
    return {torch::stack({at.to(torch::kFloat32), torch::zeros({at.size(0)})}, 1), at * 10};
  }
  mutable std::atomic<int> asked{0};

 private:
  bool own_;
};

}  // namespace

TEST_CASE("a data set that gives whole batches is asked once for each") {
  for (const bool own : {true, false}) {
    const auto set = std::make_shared<Together>(10, own);
    // In the caller's thread, however many workers are allowed.
    const DataLoader loader(set, {.bs = 4, .shuffle = true, .num_workers = 3, .seed = 5});
    const DataLoader usual(std::make_shared<Numbers>(10),
                           {.bs = 4, .shuffle = true, .num_workers = 0, .seed = 5});
    std::vector<std::int64_t> sizes;
    auto other = usual.begin();
    for (const auto& batch : loader) {
      sizes.push_back(batch.x.size(0));
      CHECK(batch.indices == (*other).indices);
      CHECK(torch::equal(batch.x.select(1, 0), (*other).x.select(1, 0)));
      CHECK(torch::equal(batch.y, (*other).y));
      ++other;
    }
    CHECK(sizes == std::vector<std::int64_t>{4, 4, 2});
    CHECK(set->asked == 3);
    CHECK(set->loaded == (own ? 0 : 10));
    // The rest of a pass, a share of it, without the last, and put together by somebody else.
    CHECK((*loader.begin_after(2)).x.size(0) == 2);
    CHECK(loader.share({.num_replicas = 2, .rank = 1}).size() == 2);
    CHECK(walk(loader.with({.drop_last = true})).size() == 2);
    const auto asked = set->asked.load();
    CHECK(walk(loader.with({.collate = [](const auto& samples) {
            return data_collate(samples);
          }})).size() == 3);
    CHECK(set->asked == asked);
  }
}

TEST_CASE("what goes wrong in a whole batch is told by the call that would give it") {
  const auto set = std::make_shared<Together>(8, true);
  set->faulty = 5;
  const DataLoader loader(set, {.bs = 4, .num_workers = 0});
  auto pass = loader.pass();
  CHECK(pass.next().has_value());
  const auto error = caught([&] { pass.next(); });
  CHECK_FALSE(error.code.empty());
  CHECK(error.message.find("out of cheese") != std::string::npos);
}
