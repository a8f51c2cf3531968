/// \file
/// Where the time of a training goes.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `profile`.
struct ProfileOptions {
  LearningRate lr = kDefaultLr;             ///< the rate
  std::optional<double> wd = {};            ///< absent: the learner's; >= 0
  std::vector<CallbackArg> callbacks = {};  ///< those that the fit will get
  std::stop_token stop = {};                ///< ends it between two batches
};

/// What makes a training slower than it need be.
enum class ProfileCulprit {
  kReading,     ///< waiting for data, most of it for reading: a disk, a network
  kTransform,   ///< waiting for data, most of it for transforms, of items or of batches
  kLoading,     ///< waiting for data; the data set does not say what is reading (ReadingTime)
  kCollate,     ///< waiting for samples that are put together
  kTransfer,    ///< bringing batches to the device
  kCallback,    ///< a callback
  kSmallBatch,  ///< what a step costs whatever the size of the batch
  kCompute      ///< none of these: forward and backward pass
};

/// Where the time of a step went, in seconds, means of the steps measured. A value. Threads: const calls by any number at
/// once.
struct StepTimes {
  double wait = 0;       ///< for data, without the next three
  double collate = 0;    ///< putting samples together
  double transfer = 0;   ///< to the device
  double transform = 0;  ///< transforms of batches (`dl_tfms`)
  double forward = 0;    ///< the model's output and the loss
  double backward = 0;   ///< the gradients
  double step = 0;       ///< the optimizer
  double callbacks = 0;  ///< all callbacks, those that every learner has too
  double other = 0;      ///< the rest: progress, giving memory back
  /// All of it.
  double total() const {
    return wait + collate + transfer + transform + forward + backward + step + callbacks + other;
  }
};

/// What `profile` measured. A value. Threads: const calls by any number at once.
struct FASTCPP_API StepProfile {
  StepTimes seconds = {};         ///< of a step
  std::int64_t steps = 0;         ///< that were measured, after two that were not
  std::int64_t bs = 0;            ///< items of a batch
  int num_workers = 0;            ///< threads that load
  double item_seconds = 0;        ///< making one item, on one thread
  std::optional<double> reading;  ///< the share of it that is reading, 0 to 1; absent: not known
  /// The share of forward, backward and optimizer that would be the same for twice as many items, 0 to 1; absent where it was
  /// not measured, because something else is the culprit or such batches do not run
  std::optional<double> overhead = {};
  /// Seconds a step by callback, the slowest first; names of types
  std::vector<std::pair<std::string, double>> callbacks = {};
  double items_per_second = 0;                        ///< as it is
  double items_in_memory = 0;                         ///< a second, if no step had to wait for data
  ProfileCulprit culprit = ProfileCulprit::kCompute;  ///< what to look at first
  std::string sentence = {};  ///< the same in words, with figures and a remedy

  /// For people: a table of the parts in milliseconds and shares, rates, and the sentence.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const StepProfile& x) { return to << x.str(); }
};

}  // namespace fastcpp
