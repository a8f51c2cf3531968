#include "data/loader_pass.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "compat/stream.hpp"
#include "data/stack_samples.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

// Batches filled ahead of the caller, beside the one being filled.
constexpr std::int64_t kPrefetch = 3;
// Keeps the draw of items that stand in for others apart from the samples' own.
constexpr std::uint64_t kStandInStream = 0x7374616e64;
constexpr int kStandIns = 10;  // tried for one item

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

// Whether an error is one item's, see OnError.
bool is_of_item(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const DataError&) {
    return true;
  } catch (const IoError&) {
    return true;
  } catch (const FormatError&) {
    return true;
  } catch (...) {
    return false;
  }
}

// What `f` returns; its time is added to a part where somebody measures.
template <typename F>
auto timed(LoadClock* clock, LoadClock::Part part, F&& f) {
  using Clock = std::chrono::steady_clock;
  struct Add {
    LoadClock* clock;
    LoadClock::Part part;
    Clock::time_point start;
    ~Add() {
      if (clock) clock->add(part, Clock::now() - start);
    }
  };
  const Add add{clock, part, clock ? Clock::now() : Clock::time_point()};
  return f();
}

Batch moved(Batch batch, torch::Device device, bool non_blocking) {
  for (auto* part : {&batch.x, &batch.y}) {
    *part = part->each([&](const torch::Tensor& tensor) {
      const bool pin = non_blocking && !tensor.is_pinned();
      return (pin ? tensor.pin_memory() : tensor).to(device, non_blocking);
    });
  }
  return batch;
}

}  // namespace

DataLoader::Pass::Impl::Impl(std::shared_ptr<DataLoader::Impl> loader_, std::uint64_t number_,
                             int num_workers, std::int64_t first_batch)
    : loader(std::move(loader_)),
      clock(loader->clock),
      number(number_),
      order(loader->order(number)) {
  in_batches = !loader->options.collate && loader->dataset->in_batches();
  if (!loader->options.collate && !in_batches) layout = loader->dataset->layout();
  if (layout) {
    for (const auto* part : {&layout->x, &layout->y}) {
      for (const auto& tensor : *part) check_shape(tensor.shape);
    }
  }
  batches = loader->batches();
  total = std::min(batches * loader->options.bs, loader->items());
  ring = num_workers > 0 ? kPrefetch + 1 : 1;
  slots.resize(static_cast<std::size_t>(ring));
  opened = consumed = reached = first_batch;
  next_sample = std::min(first_batch * loader->options.bs, total);
}

std::unique_ptr<DataLoader::Pass::Impl> DataLoader::Pass::Impl::begin(
    std::shared_ptr<DataLoader::Impl> loader, std::uint64_t number, int num_workers,
    std::int64_t first_batch) {
  auto pass = std::make_unique<Impl>(std::move(loader), number, num_workers, first_batch);
  if (pass->in_batches) return pass;
  pass->start(std::min<std::int64_t>(num_workers, pass->total - pass->next_sample));
  return pass;
}

void DataLoader::Pass::Impl::join() {
  {
    std::scoped_lock lock(mutex);
    stop = true;
  }
  room.notify_all();
  workers.clear();  // joins
}

// Where the system refuses threads, those that started do the work, or the caller. One warning for all passes.
void DataLoader::Pass::Impl::start(std::int64_t wanted) {
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

// Prepares the memory of a batch. Never throws: what goes wrong belongs to the batch.
void DataLoader::Pass::Impl::open(std::int64_t batch) noexcept {
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
DataLoader::Pass::Impl::Fault DataLoader::Pass::Impl::load(Slot& s,
                                                           std::int64_t position) const noexcept {
  const auto at = position % loader->options.bs;
  auto error = load_item(s, at, s.indices[static_cast<std::size_t>(at)]);
  if (!error || loader->options.on_error == OnError::kRaise) return {std::move(error), {}, false};
  try {
    return after_error(s, at, error);
  } catch (...) {
    return {std::current_exception(), {}, false};
  }
}

// Loads item `index` into place `at` of a batch; never throws.
std::exception_ptr DataLoader::Pass::Impl::load_item(Slot& s, std::int64_t at,
                                                     std::int64_t index) const noexcept {
  const torch::NoGradGuard no_grad;
  const LoadingItem measured(clock.get());
  const auto& dataset = *loader->dataset;
  try {
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

// What the policy does with an item that could not be loaded.
DataLoader::Pass::Impl::Fault DataLoader::Pass::Impl::after_error(
    Slot& s, std::int64_t at, const std::exception_ptr& error) const {
  const auto& dataset = *loader->dataset;
  const auto index = s.indices[static_cast<std::size_t>(at)];
  if (!is_of_item(error)) return {error, {}, false};
  std::vector<SkippedItem> skipped{skipped_item(dataset, index, error)};
  if (loader->options.on_error == OnError::kSkip) return {nullptr, std::move(skipped), true};
  Rng draw{loader->options.seed, kStandInStream, static_cast<std::uint64_t>(index)};
  for (int i = 0; i < kStandIns && loader->n > 1; ++i) {
    auto other = draw.integer(0, loader->n - 2);
    if (other >= index) ++other;
    const auto another_error = load_item(s, at, other);
    if (!another_error) {
      s.indices[static_cast<std::size_t>(at)] = other;
      return {nullptr, std::move(skipped), false};
    }
    if (!is_of_item(another_error)) return {another_error, {}, false};
    skipped.push_back(skipped_item(dataset, other, another_error));
  }
  return {error, {}, false};
}

Sample DataLoader::Pass::Impl::on_cpu(const Sample& sample, std::int64_t index) const {
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

void DataLoader::Pass::Impl::work() noexcept {
  try {
    load_samples();
  } catch (...) {
    const std::scoped_lock lock(mutex);
    if (!broken) broken = std::current_exception();
    ready.notify_all();
  }
}

void DataLoader::Pass::Impl::load_samples() {
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
      finish(s, position, {});
      continue;
    }
    lock.unlock();
    auto fault = load(s, position);
    lock.lock();
    finish(s, position, std::move(fault));
  }
}

void DataLoader::Pass::Impl::finish(Slot& s, std::int64_t position, Fault fault) {
  // Of several faulty items the first one in order is reported, whichever worker was faster.
  if (fault.error && (!s.error || position < s.error_at)) {
    s.error = fault.error;
    s.error_at = position;
  }
  if (!fault.skipped.empty()) {
    s.faults.emplace(position % loader->options.bs, std::move(fault));
  }
  if (--s.remaining == 0) ready.notify_all();
}

std::optional<Batch> DataLoader::Pass::Impl::next() {
  try {
    return next_batch();
  } catch (...) {
    rethrow_with_advice(loader->options.bs);
  }
}

std::optional<Batch> DataLoader::Pass::Impl::next_batch() {
  if (ahead_error) std::rethrow_exception(std::exchange(ahead_error, nullptr));
  const auto device = loader->options.device;
  if (!device.is_cuda()) {
    auto s = filled();
    if (!s) return std::nullopt;
    reached = consumed;
    auto batch =
        timed(clock.get(), LoadClock::Part::kCollate, [&] { return collate(std::move(*s)); });
    batch = timed(clock.get(), LoadClock::Part::kTransfer,
                  [&] { return moved(std::move(batch), device, /*non_blocking=*/false); });
    return timed(clock.get(), LoadClock::Part::kTransform,
                 [&] { return finish_batch(std::move(batch)); });
  }
  auto now = std::exchange(ahead, std::nullopt);
  if (!now) {
    auto s = filled();
    if (!s) return std::nullopt;
    now = timed(clock.get(), LoadClock::Part::kTransfer, [&] { return upload(std::move(*s)); });
  }
  // The next batch travels while this one is computed with.
  if (ready_ahead()) {
    try {
      if (auto s = filled()) {
        ahead =
            timed(clock.get(), LoadClock::Part::kTransfer, [&] { return upload(std::move(*s)); });
      }
    } catch (...) {
      ahead_error = std::current_exception();  // of the next call's batch
    }
  }
  reached = now->reached;
  const auto stream = compat::current_stream(device);
  now->arrived.block(stream);
  for (const auto* part : {&now->batch.x, &now->batch.y}) {
    for (const auto& tensor : part->items()) tensor.record_stream(stream);
  }
  if (!clock) return finish_batch(std::move(now->batch));
  // Who measures waits for what was queued.
  timed(clock.get(), LoadClock::Part::kTransfer, [&] { return compat::wait(now->arrived); });
  return timed(clock.get(), LoadClock::Part::kTransform, [&] {
    auto batch = finish_batch(std::move(now->batch));
    c10::Event done(device.type());
    done.record(stream);
    compat::wait(done);
    return batch;
  });
}

bool DataLoader::Pass::Impl::ready_ahead() {
  if (workers.empty()) return false;
  std::scoped_lock lock(mutex);
  if (opened <= consumed) return false;
  const auto& s = slot(consumed);
  // An error is for the call whose batch it is.
  return s.remaining == 0 && !s.error;
}

DataLoader::Pass::Impl::Upload DataLoader::Pass::Impl::upload(Slot s) {
  const auto device = loader->options.device;
  if (!side) side = compat::side_stream(device);
  const c10::StreamGuard guard(*side);
  Upload up{moved(collate(std::move(s)), device, /*non_blocking=*/true), c10::Event(device.type()),
            consumed};
  up.arrived.record(*side);
  return up;
}

// The next slot that has samples, with all of them.
std::optional<DataLoader::Pass::Impl::Slot> DataLoader::Pass::Impl::filled() {
  while (consumed < batches) {
    auto s = next_slot();
    // Here, where batches come in order: what is listed and told does not depend on the workers.
    for (const auto& [at, fault] : s.faults) {
      loader->skipped.add(fault.skipped, loader->options.on_error);
    }
    if (s.error) std::rethrow_exception(s.error);
    if (!s.faults.empty()) leave_out(s);
    if (!s.indices.empty()) {
      ++given;
      return s;
    }
    ++left_out;
  }
  end();
  return std::nullopt;
}

void DataLoader::Pass::Impl::end() {
  if (std::exchange(ended, true)) return;
  loader->skipped.tell_rest();
  if (left_out == 0 || left_out < batches) return;
  const auto first = loader->skipped.list().at(0);
  throw DataError("data.all_skipped",
                  fmt::format("there is no batch, because none of its {} items could be loaded; "
                              "'{}', for example: {}",
                              total, first.name, first.why));
}

// Takes the samples that were lost out of a batch.
void DataLoader::Pass::Impl::leave_out(Slot& s) const {
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < s.indices.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const auto fault = s.faults.find(at);
    if (fault == s.faults.end() || !fault->second.lost) kept.push_back(at);
  }
  if (kept.size() == s.indices.size()) return;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto from = static_cast<std::size_t>(kept[i]);
    s.indices[i] = s.indices[from];
    if (!layout) std::swap(s.samples[i], s.samples[from]);
  }
  s.indices.resize(kept.size());
  if (!layout) return s.samples.resize(kept.size());
  const auto rows = torch::tensor(kept, torch::kLong);
  for (auto* part : {&s.x, &s.y}) {
    for (auto& tensor : part->tensors) tensor = tensor.index_select(0, rows);
  }
}

// The next slot when all its samples are done.
DataLoader::Pass::Impl::Slot DataLoader::Pass::Impl::next_slot() {
  if (in_batches) return whole_batch();
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
  return s;
}

// The next slot of a data set that gives whole batches.
DataLoader::Pass::Impl::Slot DataLoader::Pass::Impl::whole_batch() {
  const torch::NoGradGuard no_grad;
  const LoadingItem measured(clock.get());
  const auto first = consumed * loader->options.bs;
  const auto last = std::min(first + loader->options.bs, total);
  ++consumed;
  Slot s;
  s.indices.assign(order.begin() + first, order.begin() + last);
  s.together = loader->dataset->get_batch(s.indices);
  return s;
}

Batch DataLoader::Pass::Impl::collate(Slot s) const {
  const torch::NoGradGuard no_grad;
  Batch batch;
  if (in_batches) {
    batch = {std::move(s.together.x), std::move(s.together.y), {}};
  } else if (layout) {
    batch = {Tensors(std::move(s.x.tensors)), Tensors(std::move(s.y.tensors)), {}};
  } else if (loader->options.collate) {
    batch = loader->options.collate(s.samples);
    if (batch.x.count() == 0) {
      throw DataError("data.cannot_collate", "the collate function gave a batch without x");
    }
  } else {
    batch = stack_samples(s.samples,
                          [&](std::size_t i) { return loader->dataset->item_name(s.indices[i]); });
  }
  batch.indices = std::move(s.indices);
  return batch;
}

Batch DataLoader::Pass::Impl::finish_batch(Batch batch) const {
  for (const auto& tfm : loader->options.tfms) tfm(batch);
  return batch;
}

}  // namespace fastcpp
