// What the copies of a loader share, and one walk over its data set.
#pragma once

#include <torch/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "data/batch_memory.hpp"
#include "data/skipped_items.hpp"
#include "fastcpp/core/load_clock.hpp"
#include "fastcpp/data/data_loader.hpp"

namespace fastcpp::inline v0 {

struct DataLoader::Impl {
  std::shared_ptr<const Dataset> dataset;
  DataLoaderOptions options;
  std::shared_ptr<const Sampler> sampler;
  std::int64_t n = 0;  // items, as the data set said when the loader was made
  std::mutex mutex;    // guards pool
  TensorPool pool;
  // Counted together with the loader that this one is a share of.
  std::shared_ptr<std::atomic<std::uint64_t>> next_pass =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  std::shared_ptr<Impl> whole;               // null where this is no share
  std::atomic<bool> told_of_threads{false};  // that the system refused some
  SkippedItems skipped;
  std::shared_ptr<LoadClock> clock;  // null while nobody measures

  // Throws ValueError `value.sampler` when the sampler gives other items than there are.
  std::vector<std::int64_t> order(std::uint64_t pass) const;

  std::int64_t items() const { return sampler->size(n); }

  std::int64_t batches() const {
    return options.drop_last ? items() / options.bs : (items() + options.bs - 1) / options.bs;
  }
};

struct DataLoader::Pass::Impl {
  Impl(std::shared_ptr<DataLoader::Impl> loader, std::uint64_t number, int num_workers,
       std::int64_t first_batch);
  ~Impl() { join(); }

  // Threads start when all else is made: the destructor stops them, whatever is thrown from then on.
  static std::unique_ptr<Impl> begin(std::shared_ptr<DataLoader::Impl> loader, std::uint64_t number,
                                     int num_workers, std::int64_t first_batch);
  std::optional<Batch> next();

  // What became of a sample that could not be loaded.
  struct Fault {
    std::exception_ptr error;          // to be thrown; null where the policy took care of it
    std::vector<SkippedItem> skipped;  // the item, and stand-ins that could not be loaded either
    bool lost = false;                 // the sample is left out of the batch
  };
  // A batch being filled. Slot b holds batches b, b + ring, b + 2 ring, ...
  struct Slot {
    std::vector<std::int64_t> indices;
    Part x, y;                    // with a layout
    std::vector<Sample> samples;  // without
    Sample together;              // of a data set that gives whole batches
    std::int64_t remaining = 0;
    std::exception_ptr error;
    std::int64_t error_at = 0;
    std::map<std::int64_t, Fault> faults;  // by position in the batch; without an error
    bool usable = true;  // false: there was no memory for it, and nothing is loaded
  };
  // On CUDA, a batch is copied on a stream of its own.
  struct Upload {
    Batch batch;
    c10::Event arrived;
    std::int64_t reached;
  };

  void start(std::int64_t wanted);
  void join();
  void work() noexcept;
  void load_samples();

  Slot& slot(std::int64_t batch) { return slots[static_cast<std::size_t>(batch % ring)]; }
  void open(std::int64_t batch) noexcept;
  Fault load(Slot& s, std::int64_t position) const noexcept;
  std::exception_ptr load_item(Slot& s, std::int64_t at, std::int64_t index) const noexcept;
  Fault after_error(Slot& s, std::int64_t at, const std::exception_ptr& error) const;
  Sample on_cpu(const Sample& sample, std::int64_t index) const;
  void finish(Slot& s, std::int64_t position, Fault fault);

  std::optional<Slot> filled();
  Slot next_slot();
  Slot whole_batch();
  void leave_out(Slot& s) const;
  void end();
  std::optional<Batch> next_batch();
  bool ready_ahead();
  Upload upload(Slot s);
  Batch collate(Slot s) const;
  Batch finish_batch(Batch batch) const;

  std::shared_ptr<DataLoader::Impl> loader;
  std::shared_ptr<LoadClock> clock;  // the loader's, when the pass began
  std::uint64_t number;
  std::vector<std::int64_t> order;
  bool in_batches = false;             // the data set gives whole batches
  std::optional<SampleLayout> layout;  // where samples are written into the memory of a batch
  std::int64_t batches, total, ring;
  std::vector<Slot> slots;

  std::mutex mutex;
  std::condition_variable room, ready;
  std::int64_t next_sample = 0;  // first sample nobody took
  std::int64_t opened = 0;       // batches whose slot was prepared
  std::int64_t consumed = 0;     // batches handed to the caller, or left out
  bool stop = false;
  std::exception_ptr broken;  // a worker that cannot go on
  std::vector<std::jthread> workers;
  // Of the caller's thread:
  std::int64_t given = 0, left_out = 0;  // batches
  std::int64_t reached = 0;              // batches up to the one given last
  bool ended = false;

  std::optional<c10::Stream> side;
  std::optional<Upload> ahead;
  std::exception_ptr ahead_error;  // of the batch that was to travel
};

}  // namespace fastcpp
