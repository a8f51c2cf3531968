#include "fastcpp/data/data_loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/loader_pass.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::int64_t kMostItems = 1 << 30;  // of a batch: products with it do not overflow
// Keeps the order apart from the samples' draws.
constexpr std::uint64_t kOrderStream = 0x6f72646572;

void check_tfm(const BatchTransform& tfm) {
  if (!tfm) throw ValueError("value.batch_transform", "a transform of batches is empty (null)");
}

}  // namespace

std::vector<std::int64_t> DataLoader::Impl::order(std::uint64_t pass) const {
  Rng rng{options.seed, kOrderStream, pass};
  auto order = sampler->order(n, rng);
  const bool as_told = static_cast<std::int64_t>(order.size()) == items();
  const auto wrong =
      std::find_if(order.begin(), order.end(), [this](std::int64_t i) { return i < 0 || i >= n; });
  if (!as_told || wrong != order.end()) {
    throw ValueError("value.sampler",
                     as_told
                         ? fmt::format("the sampler gives item {} of a data set of {}", *wrong, n)
                         : fmt::format("the sampler says that a pass takes {} items, and gives {}",
                                       items(), order.size()));
  }
  return order;
}

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, const DataLoaderOptions& options)
    : impl_(std::make_shared<Impl>()) {
  if (!dataset) throw ValueError("value.dataset", "a loader needs a data set, found none (null)");
  if (options.bs < 1 || options.bs > kMostItems) {
    throw ValueError("value.batch_size",
                     fmt::format("bs must lie in 1..{}, found {}", kMostItems, options.bs));
  }
  if (options.num_workers < 0 || options.num_workers > 1024) {
    throw ValueError("value.num_workers",
                     fmt::format("num_workers must lie in 0..1024, found {}", options.num_workers));
  }
  for (const auto& tfm : options.tfms) check_tfm(tfm);
  if (options.sampler && options.shuffle) {
    throw ValueError("value.sampler",
                     "a sampler decides the order: leave shuffle out where one is given");
  }
  boundary([&] {
    impl_->n = dataset->size();
    if (impl_->n < 0) {
      throw DataError("data.length", fmt::format("a data set says that it has {} items", impl_->n));
    }
    impl_->dataset = std::move(dataset);
    impl_->options = options;
    impl_->sampler = options.sampler;
    if (!impl_->sampler && options.shuffle) impl_->sampler = std::make_shared<RandomSampler>();
    if (!impl_->sampler) impl_->sampler = std::make_shared<SequentialSampler>();
    if (impl_->items() < 0) {
      throw ValueError("value.sampler",
                       fmt::format("the sampler says that a pass takes {} items", impl_->items()));
    }
  });
}

DataLoader::Pass::Pass(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DataLoader::Pass::Pass(Pass&&) noexcept = default;
DataLoader::Pass& DataLoader::Pass::operator=(Pass&&) noexcept = default;
DataLoader::Pass::~Pass() = default;
std::optional<Batch> DataLoader::Pass::next() {
  return impl_ ? impl_->next() : std::nullopt;
}

std::int64_t DataLoader::Pass::position() const {
  return impl_ ? impl_->reached : 0;
}

DataLoader::Pass DataLoader::pass() const {
  return boundary([&] {
    return Pass(Pass::Impl::begin(impl_, (*impl_->next_pass)++, impl_->options.num_workers, 0));
  });
}

DataLoader::Iterator DataLoader::begin() const {
  return begin_after(0);
}

DataLoader::Iterator DataLoader::begin_after(std::int64_t batches) const {
  if (batches < 0 || batches > size()) {
    throw ValueError("value.first_batch",
                     fmt::format("batches: expected 0 <= batches <= {} (those of a pass), found {}",
                                 size(), batches));
  }
  return boundary([&] {
    return Iterator(
        Pass(Pass::Impl::begin(impl_, (*impl_->next_pass)++, impl_->options.num_workers, batches)));
  });
}

Batch DataLoader::first_batch() const {
  auto batch = boundary(
      [&] { return Pass(Pass::Impl::begin(impl_, impl_->next_pass->load(), 0, 0)).next(); });
  if (!batch) {
    throw DataError("data.empty_loader",
                    fmt::format("a loader over {} items with batch size {} has "
                                "no batch; lower the batch size",
                                impl_->items(), impl_->options.bs));
  }
  return *batch;
}

std::int64_t DataLoader::size() const {
  return impl_->batches();
}
std::int64_t DataLoader::batch_size() const {
  return impl_->options.bs;
}
const DataLoaderOptions& DataLoader::options() const {
  return impl_->options;
}
const std::shared_ptr<const Dataset>& DataLoader::dataset() const {
  return impl_->dataset;
}
std::vector<SkippedItem> DataLoader::skipped() const {
  return boundary([&] { return impl_->skipped.list(); });
}
std::uint64_t DataLoader::next_pass() const {
  return *impl_->next_pass;
}
void DataLoader::set_next_pass(std::uint64_t number) {
  *impl_->next_pass = number;
}
void DataLoader::measure(std::shared_ptr<LoadClock> clock) {
  impl_->clock = std::move(clock);
}
void DataLoader::add_tfm(BatchTransform tfm) {
  check_tfm(tfm);
  impl_->options.tfms.push_back(std::move(tfm));
}

DataLoader::DataLoader(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

DataLoader DataLoader::whole() const {
  return impl_->whole ? DataLoader(impl_->whole) : *this;
}

DataLoader DataLoader::share(const DistributedSamplerOptions& options) const {
  return boundary([&] {
    const auto all = impl_->whole ? impl_->whole : impl_;
    auto walk = all->options;
    walk.shuffle = false;
    walk.sampler = std::make_shared<DistributedSampler>(all->sampler, options);
    DataLoader result(all->dataset, walk);
    result.impl_->next_pass = all->next_pass;
    result.impl_->whole = all;
    result.impl_->clock = all->clock;
    return result;
  });
}

DataLoader DataLoader::with(const DataLoaderChanges& changes) const {
  auto options = whole().options();
  // A field more does not compile here: it must be carried over too.
  const auto& [bs, shuffle, drop_last, num_workers, seed, device, tfms, sampler, collate,
               on_error] = changes;
  if (bs) options.bs = *bs;
  if (shuffle) options.shuffle = *shuffle, options.sampler = nullptr;
  if (sampler) options.shuffle = false, options.sampler = sampler;
  if (collate) options.collate = *collate;
  if (drop_last) options.drop_last = *drop_last;
  if (num_workers) options.num_workers = *num_workers;
  if (seed) options.seed = *seed;
  if (device) options.device = *device;
  if (tfms) options.tfms = *tfms;
  if (on_error) options.on_error = *on_error;
  DataLoader changed(impl_->dataset, options);
  changed.impl_->clock = impl_->clock;
  return changed;
}

}  // namespace fastcpp
