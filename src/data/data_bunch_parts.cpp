// Bunches made of another one: a share for one of several processes, other batch sizes, a few batches over and over.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "data/data_bunch_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"

namespace fastcpp::inline v0 {

DataBunch DataBunch::share(int rank, int world_size) const {
  return boundary([&] {
    DataBunch result;
    result.impl_ = std::make_shared<Impl>(*impl_);
    auto& impl = *result.impl_;
    impl.train = impl_->train->share({.num_replicas = world_size, .rank = rank});
    if (impl.valid) {
      impl.valid = impl_->valid->share({.num_replicas = world_size, .rank = rank, .pad = false});
    }
    return result;
  });
}

DataBunch DataBunch::whole() const {
  return boundary([&] {
    DataBunch result;
    result.impl_ = std::make_shared<Impl>(*impl_);
    for (auto* loader : result.impl_->loaders()) *loader = loader->whole();
    return result;
  });
}

DataBunch DataBunch::with_batch_size(std::int64_t bs) const {
  return boundary([&] {
    DataBunch result;
    result.impl_ = std::make_shared<Impl>(*impl_);
    auto& impl = *result.impl_;
    impl.options.bs = bs;
    for (auto* loader : {&impl.train, &impl.valid, &impl.fix, &impl.test}) {
      if (*loader) *loader = (*loader)->with({.bs = bs});
    }
    return result;
  });
}

namespace {

// Always the same items in the same order.
class GivenItems : public Sampler {
 public:
  explicit GivenItems(std::vector<std::int64_t> items) : items_(std::move(items)) {}
  std::int64_t size(std::int64_t) const override {
    return static_cast<std::int64_t>(items_.size());
  }
  std::vector<std::int64_t> order(std::int64_t, Rng&) const override { return items_; }

 private:
  std::vector<std::int64_t> items_;
};

}  // namespace

DataBunch DataBunch::overfit_batches(std::int64_t n) const {
  if (n < 1) {
    throw ValueError("value.n_batches",
                     fmt::format("n: expected a number of batches >= 1, found {}", n));
  }
  return boundary([&] {
    constexpr std::uint64_t kOverfitStream = 0x6f766572666974;
    const auto loader = fix_dl();
    const auto all = loader.dataset()->size();
    const auto bs = std::max<std::int64_t>(1, std::min(batch_size(), all));
    auto items = Rng{seed(), kOverfitStream}.permutation(all);
    items.resize(static_cast<std::size_t>(std::min(n, all / bs) * bs));
    const auto given = std::make_shared<GivenItems>(std::move(items));
    DataBunch result;
    result.impl_ = std::make_shared<Impl>(*impl_);
    auto& impl = *result.impl_;
    impl.train = loader.with({.bs = bs, .drop_last = true, .sampler = given});
    impl.valid = loader.with({.bs = bs, .sampler = given});
    impl.single = loader.with({.bs = 1, .num_workers = 0, .sampler = given});
    impl.empty_valid = nullptr;
    return result;
  });
}

}  // namespace fastcpp
