/// \file
/// Trainings that survive: checkpoints, and going on from one.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/train/callback.hpp"

namespace fastcpp::inline v0 {

/// Checkpoints of a fit. Each is one file `<model_dir>/<name>_<fit>_<batch>.pth` that appears whole or not at all and that
/// `learn.load` and Python's `torch.load` read as well. One is written at the end of every epoch, when the stop token ends
/// the fit, and when the fit is finished.
///
/// A fit that begins anew takes the place of what is there under its name, of this fit and of later ones, in one step with
/// its first file: a process that is killed leaves the older training or the new one, never parts of both. Where memory does
/// not suffice a checkpoint is left out with a warning and the fit goes on; for the finished fit's it is an error.
struct CheckpointOptions {
  /// Time between two within an epoch, >= 0: also after a batch when so much has passed. Absent: none.
  std::optional<std::chrono::milliseconds> every = {};
  int keep = 3;  ///< the newest of a fit that stay, >= 1
  std::string best =
      {};  ///< a column such as "error_rate": its best epoch stays as `<name>_<fit>_best.pth`
  std::string name = "checkpoint";  ///< what the files' names begin with, not empty
  /// Go on from the last one of this fit where there is one. False: the first one written replaces those there are.
  bool resume = false;
  bool background = false;  ///< write in a thread of its own, from a copy in memory
  bool on_error = false;    ///< also when the fit fails: as it was before the batch that failed
};

/// Options of `Learner::resume`.
struct ResumeOptions {
  std::string name = "checkpoint";          ///< as in CheckpointOptions
  std::vector<CallbackArg> callbacks = {};  ///< those that were given to the fit alone
  std::stop_token stop = {};                ///< ends the fit between two batches
};

}  // namespace fastcpp
