/// \file
/// The loader: ordered batches, filled by worker threads.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/data/dataset.hpp"
#include "fastcpp/data/distributed_sampler.hpp"
#include "fastcpp/data/on_error.hpp"
#include "fastcpp/data/sample.hpp"
#include "fastcpp/data/sampler.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class LoadClock;  // core/load_clock.hpp

/// How a loader walks its data set.
struct DataLoaderOptions {
  std::int64_t bs = 64;                 ///< batch size, >= 1
  bool shuffle = false;                 ///< a new order every pass
  bool drop_last = false;               ///< leave out an incomplete last batch
  int num_workers = default_workers();  ///< threads that load; 0 loads in the calling thread
  std::uint64_t seed =
      default_seed();  ///< decides order and augmentation, together with the pass number
  torch::Device device = torch::kCPU;     ///< where batches go
  std::vector<BatchTransform> tfms = {};  ///< run in order on every batch
  /// Which items a pass takes, and in which order; not together with `shuffle`. Absent: all, shuffled or one by one
  std::shared_ptr<const Sampler> sampler = {};
  Collate collate = {};                ///< puts samples together; absent: `data_collate`
  OnError on_error = OnError::kRaise;  ///< what happens to items that cannot be loaded
};

/// What `DataLoader::with` changes; what is absent stays as it is.
struct DataLoaderChanges {
  std::optional<std::int64_t> bs = {};                   ///< as in DataLoaderOptions, as the others
  std::optional<bool> shuffle = {};                      ///< likewise
  std::optional<bool> drop_last = {};                    ///< likewise
  std::optional<int> num_workers = {};                   ///< likewise
  std::optional<std::uint64_t> seed = {};                ///< likewise
  std::optional<torch::Device> device = {};              ///< likewise
  std::optional<std::vector<BatchTransform>> tfms = {};  ///< likewise
  std::shared_ptr<const Sampler> sampler = {};  ///< replaces `shuffle`, which replaces a sampler
  std::optional<Collate> collate = {};          ///< likewise
  std::optional<OnError> on_error = {};         ///< likewise
};

/// Batches of a data set (fastai: `DeviceDataLoader`). A cheap handle: copies share everything, and the data set lives as
/// long as any of them or of their passes.
///
/// Order and augmentation are a function of (seed, pass number, item) only, never of the number of workers. Each pass
/// over the loader (a range-for, or `pass()`) has the next number. What goes wrong while a batch is loaded is thrown by
/// the call that would give this batch, and names the item, unless `on_error` leaves such items out or replaces them:
/// then `skipped()` lists them, and a warning names each of the first ten. Leaving a pass early stops and joins its
/// workers. Where the system refuses threads, loading goes on with those that started, or in the calling thread, after a
/// warning.
///
/// Threads: a pass, one at a time; several passes of one loader may run at once, while none calls `add_tfm` or
/// `set_next_pass`.
class FASTCPP_API DataLoader {
 public:
  /// \throws ValueError `value.dataset` (null), `value.batch_size`, `value.num_workers`, `value.batch_transform` (empty),
  /// `value.sampler` when it comes with `shuffle`; DataError `data.length` when the data set has no size
  explicit DataLoader(std::shared_ptr<const Dataset> dataset,
                      const DataLoaderOptions& options = {});

  /// One walk over the data set; owns the workers, and keeps the data set alive. Moved, not copied. Threads: one at a time.
  class FASTCPP_API Pass {
   public:
    /// A pass moves; it is not copied.
    Pass(Pass&&) noexcept;
    Pass& operator=(Pass&&) noexcept;
    ~Pass();
    /// The next batch, or nothing at the end.
    /// \throws DataError `data.cannot_load`, `data.cannot_collate`, `data.shape`; `data.all_skipped` where a pass would give
    /// no batch because all items were left out; MemoryError `train.out_of_memory`; or the Error that the data set throws
    std::optional<Batch> next();
    /// Batches of the pass up to the one given last, also those that `on_error` left out.
    std::int64_t position() const;

   private:
    friend class DataLoader;
    struct Impl;
    explicit Pass(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
  };

  /// Starts the next pass.
  /// \throws DataError `data.shape` on a layout that no tensor can have; ValueError `value.sampler` when the sampler gives
  /// other items than there are
  Pass pass() const;
  /// The first batch of the next pass, loaded in the calling thread; the pass number does not move
  /// on.
  /// \throws DataError `data.empty_loader` when there is no batch; as `Pass::next`
  Batch first_batch() const;

  /// Number of batches in a pass (fastai: `len(dl)`); one less for each batch that loses all its items to `on_error`.
  std::int64_t size() const;
  /// Items of a full batch.
  std::int64_t batch_size() const;
  /// How the loader walks.
  const DataLoaderOptions& options() const;
  /// What it walks over; shared.
  const std::shared_ptr<const Dataset>& dataset() const;
  /// The items that `on_error` left out or replaced in the batches given so far, each once, by index; shared by all
  /// copies. Any thread may ask.
  std::vector<SkippedItem> skipped() const;
  /// The number of the next pass, from 0; order and augmentation follow from it.
  std::uint64_t next_pass() const;
  /// Goes on with pass `number`, as a training does that was interrupted. For all copies of the loader.
  void set_next_pass(std::uint64_t number);
  /// Measures what loading costs, from the next pass on and in all copies, and in what `with` makes of them.
  /// \param clock shared with the passes; null: no more
  void measure(std::shared_ptr<LoadClock> clock);
  /// Appends a batch transform.
  void add_tfm(BatchTransform tfm);
  /// A loader of its own over the same data set with changed options (fastai: `dl.new`).
  /// \throws as the constructor
  DataLoader with(const DataLoaderChanges& changes) const;
  /// What one of several processes takes of every pass. Order and augmentation are those of this loader, and both count
  /// passes together. `with` of a share changes the whole.
  /// \throws ValueError `value.rank`
  DataLoader share(const DistributedSamplerOptions& options) const;
  /// The loader that this one is a share of; itself where it is none.
  DataLoader whole() const;

  /// Walks the batches of one pass (an input iterator). A handle: copies are the same walk and keep it alive, with its
  /// workers; the last one to go ends it. Threads: one at a time.
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;  ///< it walks once
    using value_type = Batch;                          ///< what it gives
    using difference_type = std::ptrdiff_t;            ///< as every iterator has one

    /// Of no pass; only for assigning another one.
    Iterator() = default;
    /// The batch, until the next step; may be moved from.
    Batch& operator*() const& { return *walk_->batch; }
    /// A copy of the batch, which outlives the iterator.
    Batch operator*() const&& { return *walk_->batch; }
    /// The next batch; throws as Pass::next.
    Iterator& operator++() {
      walk_->batch = walk_->pass.next();
      return *this;
    }
    /// Likewise.
    void operator++(int) { ++*this; }
    /// Whether no batch is left.
    bool operator==(std::default_sentinel_t) const { return !walk_ || !walk_->batch; }
    /// Batches of the pass up to this one, also those that `on_error` left out; 0 of no pass.
    std::int64_t position() const { return walk_ ? walk_->pass.position() : 0; }

   private:
    friend class DataLoader;
    struct Walk {
      Pass pass;
      std::optional<Batch> batch;
    };
    explicit Iterator(Pass pass) : walk_(new Walk{std::move(pass), {}}) { ++*this; }
    std::shared_ptr<Walk> walk_;
  };
  /// The first batch of the next pass: `for (auto& batch : data.train_dl())` is one epoch (fastai: `for xb, yb in dl`).
  /// Each call starts a pass, as `pass` does. The pass keeps data set and workers alive until its last iterator is gone.
  /// \throws as `pass` and Pass::next
  Iterator begin() const;
  /// The same without the first batches of the pass, which are not loaded: a training that goes on in the middle of an
  /// epoch. The others are what `begin` would give.
  /// \param batches how many are left out, 0 <= batches <= size()
  /// \throws ValueError `value.first_batch`; as `begin`
  Iterator begin_after(std::int64_t batches) const;
  /// Behind the last batch of any pass.
  std::default_sentinel_t end() const { return {}; }

 private:
  struct Impl;
  explicit DataLoader(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace fastcpp

/// \cond
// `size` promises too much where `on_error` leaves whole batches out.
template <>
inline constexpr bool std::ranges::disable_sized_range<fastcpp::DataLoader> = true;
/// \endcond
