#include "fastcpp/data/data_loader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "compat/stream.hpp"
#include "data/batch_memory.hpp"
#include "data/stack_samples.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp {
namespace {

// Batches filled ahead of the caller, beside the one being filled.
constexpr std::int64_t kPrefetch = 3;
constexpr std::int64_t kMostItems = 1 << 30;  // of a batch: products with it do not overflow
// Keeps the order apart from the samples' draws.
constexpr std::uint64_t kOrderStream = 0x6f72646572;

// Rethrows the exception being handled as one of ours; a shortage of memory becomes advice on the batch size.
[[noreturn]] void rethrow_with_advice(std::int64_t bs) {
  try {
    rethrow_as_error();
  } catch (const MemoryError&) {
    std::throw_with_nested(no_memory_for_batch(bs));
  }
}

// Throws DataError `data.shape` on a shape that cannot be.
void check_shape(const std::vector<std::int64_t>& shape) {
  std::int64_t product = 1;
  for (const auto side : shape) {
    if (side < 0 || __builtin_mul_overflow(product, side, &product)) {
      throw DataError("data.shape", fmt::format("the data set says that its samples have the shape "
                                                "{}, which no tensor can have",
                                                fmt::join(shape, "x")));
    }
  }
}

void check_tfm(const BatchTransform& tfm) {
  if (!tfm) throw ValueError("value.batch_transform", "a transform of batches is empty (null)");
}

}  // namespace

struct DataLoader::Impl {
  std::shared_ptr<const Dataset> dataset;
  DataLoaderOptions options;
  std::shared_ptr<const Sampler> sampler;
  std::int64_t n = 0;  // items, as the data set said when the loader was made
  std::mutex mutex;    // guards pool
  TensorPool pool;
  std::atomic<std::uint64_t> next_pass{0};
  std::atomic<bool> told_of_threads{false};  // that the system refused some

  std::vector<std::int64_t> order(std::uint64_t pass) const {
    Rng rng{options.seed, kOrderStream, pass};
    auto order = sampler->order(n, rng);
    const bool as_told = static_cast<std::int64_t>(order.size()) == items();
    const auto wrong = std::find_if(order.begin(), order.end(),
                                    [this](std::int64_t i) { return i < 0 || i >= n; });
    if (!as_told || wrong != order.end()) {
      throw ValueError(
          "value.sampler",
          as_told ? fmt::format("the sampler gives item {} of a data set of {}", *wrong, n)
                  : fmt::format("the sampler says that a pass takes {} items, and gives {}",
                                items(), order.size()));
    }
    return order;
  }

  std::int64_t items() const { return sampler->size(n); }

  std::int64_t batches() const {
    return options.drop_last ? items() / options.bs : (items() + options.bs - 1) / options.bs;
  }
};

struct DataLoader::Pass::Impl {
  // A batch being filled. Slot b holds batches b, b + ring, b + 2 ring, ...
  struct Slot {
    std::vector<std::int64_t> indices;
    Part x, y;                    // with a layout
    std::vector<Sample> samples;  // without
    std::int64_t remaining = 0;
    std::exception_ptr error;
    std::int64_t error_at = 0;
    bool usable = true;  // false: there was no memory for it, and nothing is loaded
  };

  std::shared_ptr<DataLoader::Impl> loader;
  std::uint64_t number;
  std::vector<std::int64_t> order;
  std::optional<SampleLayout> layout;
  std::int64_t batches, total, ring;
  std::vector<Slot> slots;

  std::mutex mutex;
  std::condition_variable room, ready;
  std::int64_t next_sample = 0;  // first sample nobody took
  std::int64_t opened = 0;       // batches whose slot was prepared
  std::int64_t consumed = 0;     // batches handed to the caller
  bool stop = false;
  std::exception_ptr broken;  // a worker that cannot go on
  std::vector<std::jthread> workers;

  // On CUDA, a batch is copied on a stream of its own.
  struct Upload {
    Batch batch;
    c10::Event arrived;
  };
  std::optional<c10::Stream> side;
  std::optional<Upload> ahead;
  std::exception_ptr ahead_error;  // of the batch that was to travel

  Impl(std::shared_ptr<DataLoader::Impl> loader_, std::uint64_t number_, int num_workers)
      : loader(std::move(loader_)), number(number_), order(loader->order(number)) {
    if (!loader->options.collate) layout = loader->dataset->layout();
    if (layout) {
      for (const auto* part : {&layout->x, &layout->y}) {
        for (const auto& tensor : *part) check_shape(tensor.shape);
      }
    }
    batches = loader->batches();
    total = std::min(batches * loader->options.bs, loader->items());
    ring = num_workers > 0 ? kPrefetch + 1 : 1;
    slots.resize(static_cast<std::size_t>(ring));
  }

  // Threads start when all else is made: the destructor stops them, whatever is thrown from then on.
  static std::unique_ptr<Impl> begin(std::shared_ptr<DataLoader::Impl> loader, std::uint64_t number,
                                     int num_workers) {
    auto pass = std::make_unique<Impl>(std::move(loader), number, num_workers);
    pass->start(std::min<std::int64_t>(num_workers, pass->total));
    return pass;
  }

  ~Impl() { join(); }

  void join() {
    {
      std::scoped_lock lock(mutex);
      stop = true;
    }
    room.notify_all();
    workers.clear();  // joins
  }

  // Where the system refuses threads, those that started do the work, or the caller. One warning for all passes.
  void start(std::int64_t wanted) {
    workers.reserve(static_cast<std::size_t>(wanted));
    try {
      for (std::int64_t i = 0; i < wanted; ++i) workers.emplace_back([this] { work(); });
    } catch (const std::system_error& e) {
      if (loader->told_of_threads.exchange(true)) return;
      log_warning(
          fmt::format("the system started {} of {} loading threads ({}); loading goes on "
                      "with {}",
                      workers.size(), wanted, e.code().message(),
                      workers.empty() ? "the calling thread" : "these"));
    }
  }

  Slot& slot(std::int64_t batch) { return slots[static_cast<std::size_t>(batch % ring)]; }

  // Prepares the memory of a batch. Never throws: what goes wrong belongs to the batch.
  void open(std::int64_t batch) noexcept {
    Slot& s = slot(batch);
    const auto first = batch * loader->options.bs;
    const auto last = std::min(first + loader->options.bs, total);
    s = Slot{};
    s.remaining = last - first;
    s.error_at = first;
    opened = batch + 1;
    try {
      s.indices.assign(order.begin() + first, order.begin() + last);
      if (layout) {
        std::scoped_lock lock(loader->mutex);
        s.x.take(loader->pool, layout->x, last - first, loader->options.device);
        s.y.take(loader->pool, layout->y, last - first, loader->options.device);
      } else {
        s.samples.resize(static_cast<std::size_t>(last - first));
      }
    } catch (...) {
      s.error = std::current_exception();
      s.usable = false;
    }
  }

  // Loads sample `position` of the pass; never throws.
  std::exception_ptr load(Slot& s, std::int64_t position) const noexcept {
    const torch::NoGradGuard no_grad;
    const auto at = position % loader->options.bs;
    const auto& dataset = *loader->dataset;
    try {
      const auto index = s.indices[static_cast<std::size_t>(at)];
      try {
        Rng rng{loader->options.seed, number, static_cast<std::uint64_t>(index)};
        if (layout) {
          dataset.get_into(index, rng, SampleSlot(*layout, s.x.memory, s.y.memory, at));
        } else {
          s.samples[static_cast<std::size_t>(at)] = on_cpu(dataset.get(index, rng), index);
        }
      } catch (const Error&) {
        throw;
      } catch (...) {
        try {
          rethrow_as_error();
        } catch (const MemoryError&) {
          throw;
        } catch (const Error& e) {
          std::throw_with_nested(
              DataError("data.cannot_load",
                        fmt::format("cannot load '{}': {}", dataset.item_name(index), e.what())));
        }
      }
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  Sample on_cpu(const Sample& sample, std::int64_t index) const {
    const auto plain = [&](const torch::Tensor& tensor) {
      if (!tensor.defined()) {
        throw DataError("data.shape", fmt::format("'{}' gave an undefined tensor: a data set's "
                                                  "get must return a sample",
                                                  loader->dataset->item_name(index)));
      }
      return tensor.detach().to(torch::kCPU);
    };
    if (sample.x.count() == 0) plain({});
    return {sample.x.each(plain), sample.y.each(plain)};
  }

  void work() noexcept {
    try {
      load_samples();
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!broken) broken = std::current_exception();
      ready.notify_all();
    }
  }

  void load_samples() {
    std::unique_lock lock(mutex);
    for (;;) {
      room.wait(lock, [this] {
        return stop || next_sample >= total || next_sample / loader->options.bs < consumed + ring;
      });
      if (stop || next_sample >= total) return;
      const auto position = next_sample++;
      const auto batch = position / loader->options.bs;
      if (batch == opened) open(batch);
      Slot& s = slot(batch);
      if (!s.usable) {
        finish(s, position, nullptr);
        continue;
      }
      lock.unlock();
      const auto error = load(s, position);
      lock.lock();
      finish(s, position, error);
    }
  }

  void finish(Slot& s, std::int64_t position, const std::exception_ptr& error) {
    // Of several faulty items the first one in order is reported, whichever worker was faster.
    if (error && (!s.error || position < s.error_at)) {
      s.error = error;
      s.error_at = position;
    }
    if (--s.remaining == 0) ready.notify_all();
  }

  std::optional<Batch> next() {
    try {
      return next_batch();
    } catch (...) {
      rethrow_with_advice(loader->options.bs);
    }
  }

  std::optional<Batch> next_batch() {
    if (ahead_error) std::rethrow_exception(std::exchange(ahead_error, nullptr));
    const auto device = loader->options.device;
    if (!device.is_cuda()) {
      auto s = filled();
      if (!s) return std::nullopt;
      return finish_batch(moved(collate(std::move(*s)), device, /*non_blocking=*/false));
    }
    auto now = std::exchange(ahead, std::nullopt);
    if (!now) {
      auto s = filled();
      if (!s) return std::nullopt;
      now = upload(std::move(*s));
    }
    // The next batch travels while this one is computed with.
    if (ready_ahead()) {
      try {
        ahead = upload(std::move(*filled()));
      } catch (...) {
        ahead_error = std::current_exception();  // of the next call's batch
      }
    }
    const auto stream = compat::current_stream(device);
    now->arrived.block(stream);
    for (const auto* part : {&now->batch.x, &now->batch.y}) {
      for (const auto& tensor : part->items()) tensor.record_stream(stream);
    }
    return finish_batch(std::move(now->batch));
  }

  bool ready_ahead() {
    if (workers.empty()) return false;
    std::scoped_lock lock(mutex);
    if (opened <= consumed) return false;
    const auto& s = slot(consumed);
    // An error is for the call whose batch it is.
    return s.remaining == 0 && !s.error;
  }

  Upload upload(Slot s) {
    const auto device = loader->options.device;
    if (!side) side = compat::side_stream(device);
    const c10::StreamGuard guard(*side);
    Upload up{moved(collate(std::move(s)), device, /*non_blocking=*/true),
              c10::Event(device.type())};
    up.arrived.record(*side);
    return up;
  }

  static Batch moved(Batch batch, torch::Device device, bool non_blocking) {
    for (auto* part : {&batch.x, &batch.y}) {
      *part = part->each([&](const torch::Tensor& tensor) {
        const bool pin = non_blocking && !tensor.is_pinned();
        return (pin ? tensor.pin_memory() : tensor).to(device, non_blocking);
      });
    }
    return batch;
  }

  // The next slot with all its samples.
  std::optional<Slot> filled() {
    if (consumed >= batches) return std::nullopt;
    Slot s;
    if (workers.empty()) {
      open(consumed);
      Slot& filling = slot(consumed);
      const auto first = consumed * loader->options.bs;
      for (std::int64_t i = 0; filling.usable && filling.remaining > 0; ++i) {
        finish(filling, first + i, load(filling, first + i));
      }
      s = std::move(filling);
      ++consumed;
    } else {
      std::unique_lock lock(mutex);
      ready.wait(lock,
                 [this] { return broken || (opened > consumed && slot(consumed).remaining == 0); });
      if (broken) std::rethrow_exception(broken);
      s = std::move(slot(consumed));
      ++consumed;
      lock.unlock();
      room.notify_all();
    }
    if (s.error) std::rethrow_exception(s.error);
    return s;
  }

  Batch collate(Slot s) const {
    const torch::NoGradGuard no_grad;
    Batch batch;
    if (layout) {
      batch = {Tensors(std::move(s.x.tensors)), Tensors(std::move(s.y.tensors)), {}};
    } else if (loader->options.collate) {
      batch = loader->options.collate(s.samples);
      if (batch.x.count() == 0) {
        throw DataError("data.cannot_collate", "the collate function gave a batch without x");
      }
    } else {
      batch = stack_samples(
          s.samples, [&](std::size_t i) { return loader->dataset->item_name(s.indices[i]); });
    }
    batch.indices = std::move(s.indices);
    return batch;
  }

  Batch finish_batch(Batch batch) const {
    for (const auto& tfm : loader->options.tfms) tfm(batch);
    return batch;
  }
};

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

DataLoader::Pass DataLoader::pass() const {
  return boundary([&] {
    return Pass(Pass::Impl::begin(impl_, impl_->next_pass++, impl_->options.num_workers));
  });
}

Batch DataLoader::first_batch() const {
  auto batch =
      boundary([&] { return Pass(Pass::Impl::begin(impl_, impl_->next_pass.load(), 0)).next(); });
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
void DataLoader::add_tfm(BatchTransform tfm) {
  check_tfm(tfm);
  impl_->options.tfms.push_back(std::move(tfm));
}

DataLoader DataLoader::with(const DataLoaderChanges& changes) const {
  auto options = impl_->options;
  // A field more does not compile here: it must be carried over too.
  const auto& [bs, shuffle, drop_last, num_workers, seed, device, tfms, sampler, collate] = changes;
  if (bs) options.bs = *bs;
  if (shuffle) options.shuffle = *shuffle, options.sampler = nullptr;
  if (sampler) options.shuffle = false, options.sampler = sampler;
  if (collate) options.collate = *collate;
  if (drop_last) options.drop_last = *drop_last;
  if (num_workers) options.num_workers = *num_workers;
  if (seed) options.seed = *seed;
  if (device) options.device = *device;
  if (tfms) options.tfms = *tfms;
  return DataLoader(impl_->dataset, options);
}

}  // namespace fastcpp
