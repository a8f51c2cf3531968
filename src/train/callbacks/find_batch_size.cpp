// The largest batch that fits in memory, found by trying.
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <exception>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/train/callbacks/accumulate.hpp"
#include "fastcpp/train/try_out.hpp"
#include "train/callbacks/expect.hpp"
#include "train/learner_impl.hpp"

namespace fastcpp::inline v0 {
namespace {

// How `effective` items are cut into batches of at most `largest`: exactly, unless that makes batches of less than half of
// what fits.
void cut(BatchSize& found, std::int64_t effective) {
  std::int64_t bs = std::min(found.largest, effective);
  while (effective % bs != 0) --bs;
  if (2 * bs < std::min(found.largest, effective)) {
    const auto n = (effective + found.largest - 1) / found.largest;
    bs = (effective + n - 1) / n;
  }
  found.bs = bs;
  found.n_step = static_cast<int>((effective + bs - 1) / bs);
  found.effective = found.bs * found.n_step;
}

}  // namespace

BatchSize Learner::find_batch_size() {
  return find_batch_size(FindBatchSizeOptions{});
}

BatchSize Learner::find_batch_size(const FindBatchSizeOptions& options) {
  return boundary([&] {
    const auto items = data().train_dl().dataset()->size();
    const auto effective = options.effective.value_or(data().batch_size());
    expect(effective >= 1, "value.batch_size", "effective", "a number of items >= 1", effective);
    const auto max = options.max.value_or(
        std::max<std::int64_t>(1, data().device().is_cuda() ? items : std::min(items, effective)));
    expect(max >= 1 && max <= std::max<std::int64_t>(1, items), "value.batch_size", "max",
           "1 to the number of training items", max);
    expect(options.n_batches >= 1, "value.n_batches", "n_batches", "a number of batches >= 1",
           options.n_batches);
    BatchSize found;
    // Each process tries by itself: one that runs out of memory would end the others.
    const auto group = processes();
    const auto try_sizes = [&] {
      impl_->processes = nullptr;
      const auto fit = [&](std::int64_t bs) {
        const bool memory = fits(bs, options.n_batches);
        found.trials.push_back({bs, memory});
        return memory;
      };
      // [good, bad): from the batch size that is wanted up or down by halves, then between them.
      std::int64_t good = 0, bad = max + 1;
      for (auto bs = std::min(effective, max); good + 1 < bad;) {
        if (fit(bs)) {
          good = bs;
        } else {
          bad = bs;
        }
        if (bad > max) {
          bs = std::min(2 * good, max);
        } else {
          bs = good + (bad - good) / 2;
        }
      }
      found.largest = good;
      if (good == 0) throw no_memory_for_batch(1);
    };
    try {
      try_out(true, try_sizes);
    } catch (const std::exception& e) {
      if (group) group->abort(plain_message(e));
      throw;
    }
    if (group) {
      for (const auto& other : group->all_gather(torch::full({1}, found.largest, torch::kLong))) {
        found.largest = std::min(found.largest, other.item<std::int64_t>());
      }
    }
    cut(found, effective);
    if (options.apply) {
      set_data(data().with_batch_size(found.bs));
      accumulate({.n_step = found.n_step});
    }
    return found;
  });
}

std::string BatchSize::str() const {
  auto text = fmt::format("batches of {} fit ({} sizes tried); train with .bs = {}", largest,
                          trials.size(), bs);
  if (n_step > 1) {
    text +=
        fmt::format(" and learn.accumulate({{.n_step = {}}}): {} items a step", n_step, effective);
  }
  return text;
}

}  // namespace fastcpp
