/// \file
/// Trying a training out before it begins: everything comes back as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `dry_run`.
struct DryRunOptions {
  int n_batches = 2;                        ///< training batches, and validation batches, >= 1
  LearningRate lr = kDefaultLr;             ///< the rate
  std::optional<double> wd = {};            ///< absent: the learner's; >= 0
  std::vector<CallbackArg> callbacks = {};  ///< those that the fit will get
  std::stop_token stop = {};                ///< ends it between two batches
};

/// Options of `find_batch_size`.
struct FindBatchSizeOptions {
  /// Items that a step of the optimizer is to see, >= 1; absent: the batch size of the data
  std::optional<std::int64_t> effective = {};
  /// Largest batch that is tried, 1 to the number of training items; absent: all of these on a CUDA device, elsewhere
  /// `effective`, because a system that has no memory left rather ends the process than says so
  std::optional<std::int64_t> max = {};
  int n_batches = 2;   ///< training batches of a trial, >= 1
  bool apply = false;  ///< give the learner data of this batch size, and an AccumulateScheduler
};

/// What `find_batch_size` found. A value. Threads: const calls by any number at once.
struct FASTCPP_API BatchSize {
  /// One batch size that was tried.
  struct Trial {
    std::int64_t bs = 0;  ///< items of a batch
    bool fits = false;    ///< whether memory sufficed
  };
  std::int64_t largest = 0;        ///< that fits, at most the largest that was to be tried
  std::int64_t bs = 0;             ///< to train with: at most `largest`
  int n_step = 1;                  ///< such batches a step of the optimizer (AccumulateOptions)
  std::int64_t effective = 0;      ///< items that a step then sees: bs * n_step
  std::vector<Trial> trials = {};  ///< in the order in which they were made

  /// For people, one line.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const BatchSize& x) { return to << x.str(); }
};

}  // namespace fastcpp
