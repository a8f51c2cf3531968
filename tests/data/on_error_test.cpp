// What loaders do with items that cannot be loaded: `on_error`.
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <new>
#include <set>
#include <thread>

#include "fastcpp/data/data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

using Indices = std::vector<std::int64_t>;

enum class Fault { kImage, kFile, kFormat, kForeign, kNumber, kValue, kMemory, kShape };

// Items whose sample is (item, a random draw) and whose target is 10 times the item, with some that fail.
class Flawed : public Dataset {
 public:
  explicit Flawed(std::int64_t n, std::map<std::int64_t, Fault> faults, bool fixed = true)
      : n_(n), faults_(std::move(faults)), fixed_(fixed) {}
  std::int64_t size() const override { return n_; }
  std::optional<SampleLayout> layout() const override {
    if (!fixed_) return std::nullopt;
    return SampleLayout{{{{2}}}, {{{}, torch::kLong}}};
  }
  Sample get(std::int64_t index, Rng& rng) const override {
    // The later items of a batch are done first.
    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(3 - index % 4));
    const auto found = faults_.find(index);
    if (found != faults_.end()) fail(found->second);
    if (found != faults_.end()) return {torch::zeros({3}), torch::tensor(index)};  // kShape
    return {torch::tensor({static_cast<float>(index), static_cast<float>(rng.uniform())}),
            torch::tensor(index * 10)};
  }
  std::string item_name(std::int64_t index) const override {
    return "cat_" + std::to_string(index) + ".jpg";
  }
  bool slow = false;

 private:
  static void fail(Fault fault) {
    switch (fault) {
      case Fault::kImage:
        throw ImageError("image.cannot_decode", "cannot decode it");
      case Fault::kFile:
        throw IoError("io.cannot_read", "cannot read it");
      case Fault::kFormat:
        throw FormatError("npy.header", "not what it says");
      case Fault::kForeign:
        throw std::runtime_error("out of cheese");
      case Fault::kNumber:
        throw 7;
      case Fault::kValue:
        throw ValueError("value.size", "a wrong argument");
      case Fault::kMemory:
        throw std::bad_alloc();
      case Fault::kShape:
        return;
    }
  }

  std::int64_t n_;
  std::map<std::int64_t, Fault> faults_;
  bool fixed_;
};

std::shared_ptr<Flawed> flawed(std::int64_t n, const Indices& bad, bool fixed = true) {
  std::map<std::int64_t, Fault> faults;
  for (const auto i : bad) faults[i] = Fault::kImage;
  return std::make_shared<Flawed>(n, faults, fixed);
}

// The items of each batch. Checks that samples and targets are theirs.
std::vector<Indices> walk_indices(const DataLoader& loader) {
  std::vector<Indices> all;
  for (auto& batch : loader) {
    const auto n = static_cast<std::int64_t>(batch.indices.size());
    CHECK(n > 0);
    REQUIRE(batch.x.size(0) == n);
    REQUIRE(batch.y.size(0) == n);
    const auto items = torch::tensor(batch.indices, torch::kLong);
    CHECK(torch::equal(batch.x.select(1, 0), items.to(torch::kFloat)));
    CHECK(torch::equal(torch::Tensor(batch.y), items * 10));
    all.push_back(batch.indices);
  }
  return all;
}

Indices indices_of(const std::vector<SkippedItem>& items) {
  Indices all;
  for (const auto& item : items) all.push_back(item.index);
  return all;
}

}  // namespace

TEST_CASE("left out items make their batches smaller") {
  for (const bool fixed : {true, false}) {
    for (const int workers : {0, 1, 4}) {
      INFO(fixed << " " << workers);
      CapturedLog log;
      // The second batch loses all its items.
      auto set = flawed(11, {1, 4, 5, 6, 7, 10}, fixed);
      set->slow = workers > 0;
      const DataLoader loader(set, {.bs = 4, .num_workers = workers, .on_error = OnError::kSkip});
      const auto copy = loader;
      CHECK(loader.skipped().empty());
      CHECK(walk_indices(loader) == std::vector<Indices>{{0, 2, 3}, {8, 9}});
      CHECK(indices_of(copy.skipped()) == Indices{1, 4, 5, 6, 7, 10});
      CHECK(copy.skipped()[0].name == "cat_1.jpg");
      CHECK(copy.skipped()[0].why == "cannot decode it");
      REQUIRE(log.warnings.size() == 6);
      CHECK(log.warnings[0] == "'cat_1.jpg' could not be loaded and is left out: cannot decode it");
      CHECK(log.warnings[5].find("'cat_10.jpg'") == 0);
      // The next pass tells nothing new; a loader of its own starts afresh.
      CHECK(walk_indices(loader).size() == 2);
      CHECK(log.warnings.size() == 6);
      CHECK(loader.skipped().size() == 6);
      CHECK(loader.with({}).skipped().empty());
      // A pass left early lists what was handed out, not what was loaded ahead.
      const auto early = loader.with({});
      early.pass().next();
      CHECK(indices_of(early.skipped()) == Indices{1});
    }
  }
}

TEST_CASE("stand-ins depend on seed and item, not on the workers") {
  const Indices faulty{3, 4, 5, 6, 20, 21, 33};
  for (const bool fixed : {true, false}) {
    std::vector<std::vector<Indices>> passes;
    for (const int workers : {0, 1, 4}) {
      CapturedLog log;
      auto set = flawed(40, faulty, fixed);
      set->slow = workers > 0;
      const DataLoader loader(
          set, {.bs = 8, .num_workers = workers, .seed = 5, .on_error = OnError::kReplace});
      passes.push_back(walk_indices(loader));
      CHECK(indices_of(loader.skipped()) == faulty);
      CHECK(log.warnings.size() == 7);
      CHECK(log.warnings[0].find("is replaced by another item") != std::string::npos);
      // The same ones in every pass, whatever the order.
      CHECK(walk_indices(loader) == passes.back());
    }
    CHECK(passes[0] == passes[1]);
    CHECK(passes[0] == passes[2]);
    REQUIRE(passes[0].size() == 5);
    std::set<std::int64_t> stand_ins;
    for (std::int64_t i = 0; i < 40; ++i) {
      const auto got = passes[0][static_cast<std::size_t>(i / 8)][static_cast<std::size_t>(i % 8)];
      const bool bad = std::find(faulty.begin(), faulty.end(), i) != faulty.end();
      CHECK((got == i) == !bad);
      if (bad) stand_ins.insert(got);
    }
    CHECK(stand_ins.size() > 3);
  }
  const auto first = [](std::uint64_t seed) {
    CapturedLog log;
    return walk_indices(
        DataLoader(flawed(1000, {0, 1}),
                   {.bs = 4, .num_workers = 0, .seed = seed, .on_error = OnError::kReplace}))[0];
  };
  CHECK(first(1) != first(2));
}

TEST_CASE("where stand-ins fail too, the item's own error is thrown") {
  CapturedLog log;
  Indices all_but_one;
  for (std::int64_t i = 1; i < 500; ++i) all_but_one.push_back(i);
  std::map<std::int64_t, Fault> faults;
  for (const auto i : all_but_one) faults[i] = Fault::kFile;
  faults[1] = Fault::kImage;
  for (const int workers : {0, 2}) {
    const DataLoader loader(std::make_shared<Flawed>(500, faults),
                            {.bs = 2, .num_workers = workers, .on_error = OnError::kReplace});
    CHECK(caught([&] { loader.pass().next(); }).code == "image.cannot_decode");
    CHECK(loader.skipped().empty());
    // There is nothing else.
    const auto alone = flawed(1, {0});
    CHECK(caught([&] {
            walk_indices(
                DataLoader(alone, {.num_workers = workers, .on_error = OnError::kReplace}));
          }).code == "image.cannot_decode");
  }
  CHECK(log.warnings.empty());
}

TEST_CASE("which errors are an item's") {
  const auto code = [](Fault fault, OnError policy, bool fixed = true) {
    CapturedLog log;
    const DataLoader loader(
        std::make_shared<Flawed>(8, std::map<std::int64_t, Fault>{{2, fault}}, fixed),
        {.bs = 4, .num_workers = 0, .on_error = policy});
    return caught([&] {
             const auto batches = walk_indices(loader);
             CHECK(batches[0].size() == (policy == OnError::kSkip ? 3 : 4));
             CHECK(indices_of(loader.skipped()) == Indices{2});
           })
        .code;
  };
  for (const auto policy : {OnError::kSkip, OnError::kReplace}) {
    for (const auto fault : {Fault::kImage, Fault::kFile, Fault::kFormat, Fault::kForeign,
                             Fault::kNumber, Fault::kShape}) {
      INFO(static_cast<int>(fault));
      CHECK(code(fault, policy).empty());
    }
    CHECK(code(Fault::kValue, policy) == "value.size");
    CHECK(code(Fault::kMemory, policy) == "train.out_of_memory");
    // Without a layout only the collate function sees that the shapes differ: no item is at fault.
    CHECK(code(Fault::kShape, policy, false) == "data.cannot_collate");
  }
  CHECK(code(Fault::kForeign, OnError::kRaise) == "data.cannot_load");
}

TEST_CASE("many items left out are told in one more warning") {
  Indices bad;
  for (std::int64_t i = 0; i < 30; i += 2) bad.push_back(i);
  CapturedLog log;
  const DataLoader loader(flawed(30, bad), {.bs = 4, .num_workers = 2, .on_error = OnError::kSkip});
  CHECK(walk_indices(loader).size() == 8);
  REQUIRE(log.warnings.size() == 11);
  CHECK(log.warnings[10] ==
        "5 more items could not be loaded either; skipped() of the loader lists them all");
  CHECK(loader.skipped().size() == 15);
}

TEST_CASE("a pass without any item that can be loaded is an error") {
  CapturedLog log;
  for (const int workers : {0, 3}) {
    const DataLoader loader(flawed(5, {0, 1, 2, 3, 4}),
                            {.bs = 2, .num_workers = workers, .on_error = OnError::kSkip});
    const auto error = caught([&] { walk_indices(loader); });
    CHECK(error.code == "data.all_skipped");
    CHECK(error.message.find("'cat_0.jpg'") != std::string::npos);
    CHECK(error.message.find("cannot decode it") != std::string::npos);
    CHECK(caught([&] { loader.first_batch(); }).code == "data.all_skipped");
  }
  // The first batch is the first that has an item.
  CHECK(DataLoader(flawed(5, {0, 1}), {.bs = 2, .num_workers = 0, .on_error = OnError::kSkip})
            .first_batch()
            .indices == Indices{2, 3});
}

TEST_CASE("a bunch hands the policy, and a sampler of its training set, to its loaders") {
  TempDir dir;
  CapturedLog log;
  const auto set = flawed(12, {1, 6});
  const std::vector<double> weights{0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0};
  const auto sampler = std::make_shared<WeightedRandomSampler>(weights, 20);
  const auto data = DataBunch::create({set, set, nullptr, set}, dir.path(),
                                      {.bs = 4,
                                       .num_workers = 0,
                                       .device = torch::kCPU,
                                       .sampler = sampler,
                                       .on_error = OnError::kSkip});
  for (const auto type : {DatasetType::Train, DatasetType::Valid, DatasetType::Test,
                          DatasetType::Fix, DatasetType::Single}) {
    CHECK(data.dl(type).options().on_error == OnError::kSkip);
    CHECK((data.dl(type).options().sampler == sampler) == (type == DatasetType::Train));
    CHECK_FALSE(data.dl(type).options().shuffle);
  }
  CHECK(walk_indices(data.valid_dl()) ==
        std::vector<Indices>{{0, 2, 3}, {4, 5, 7}, {8, 9, 10, 11}});
  CHECK(walk_indices(data.dl(DatasetType::Single)).size() == 10);
  std::set<std::int64_t> drawn;
  for (const auto& batch : walk_indices(data.train_dl())) drawn.insert(batch.begin(), batch.end());
  CHECK(drawn == std::set<std::int64_t>{3, 4});
  CHECK(data.train_dl().size() == 5);

  // Another training loader; all else is shared.
  const auto other = data.with_train_dl(data.train_dl().with({.bs = 2, .shuffle = true}));
  CHECK(other.train_dl().size() == 6);
  CHECK(other.train_dl().options().on_error == OnError::kSkip);
  CHECK(data.train_dl().size() == 5);
  CHECK(other.valid_dl().skipped().size() == 2);
}
