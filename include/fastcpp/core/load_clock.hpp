/// \file
/// Where the time of loading goes, measured only while somebody asks.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Adds up what a loader and its threads spend (`DataLoader::measure`, `Learner::profile`). Shared by those who measure.
/// Threads: any number at once.
class FASTCPP_API LoadClock {
 public:
  /// What takes time.
  enum class Part : std::size_t {
    kItem,     ///< making one item, reading included; on the loading threads
    kReading,  ///< the reading in it, as far as the data set says so (ReadingTime)
    kCollate,  ///< putting samples together, in the thread that asks for the batch, as the next two
    kTransfer,  ///< bringing a batch to the device
    kTransform  ///< transforms of batches
  };
  /// Adds one occurrence.
  void add(Part part, std::chrono::nanoseconds time) noexcept;
  /// All of it so far, in seconds; of several threads together.
  double seconds(Part part) const noexcept;
  /// How often it occurred.
  std::int64_t count(Part part) const noexcept;

 private:
  struct Sum {
    std::atomic<std::int64_t> nanoseconds{0}, count{0};
  };
  std::array<Sum, 5> sums_;
};

/// While it lives, what its thread does for an item counts as reading: from a disk, a network, a database. A data set of
/// yours has one around that part of its `get`, so that `Learner::profile` can tell a slow disk from slow transforms. Costs
/// nothing while nobody measures; one inside another counts once. Not copied; for the thread that made it.
///
/// \code
/// const auto bytes = [&] { const ReadingTime reading; return read_file(file); }();
/// \endcode
class FASTCPP_API ReadingTime {
 public:
  /// Reading begins.
  ReadingTime() noexcept;
  ~ReadingTime();
  ReadingTime(const ReadingTime&) = delete;
  ReadingTime& operator=(const ReadingTime&) = delete;

 private:
  LoadClock* clock_;
  std::chrono::steady_clock::time_point start_;
};

/// While it lives, its thread makes one item; for loaders. Not copied; for the thread that made it.
class FASTCPP_API LoadingItem {
 public:
  /// \param clock what measures, or null: nobody
  explicit LoadingItem(LoadClock* clock) noexcept;
  ~LoadingItem();
  LoadingItem(const LoadingItem&) = delete;
  LoadingItem& operator=(const LoadingItem&) = delete;

 private:
  LoadClock *clock_, *former_ = nullptr;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace fastcpp
