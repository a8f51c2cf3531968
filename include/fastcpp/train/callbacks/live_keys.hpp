/// \file
/// The keys of the live view, and what it shows of the learner.
#pragma once

#include <memory>
#include <string>

#include "fastcpp/core/live_progress.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of LiveKeys.
struct LiveKeysOptions {
  std::string name = "live";  ///< file in the model folder that `s` writes, without `.pth`
};

/// Makes a fit stop after the batch under way, or save the model, when it is asked to: by the keys of `live_progress`, or
/// by a program. A fit that is stopped so ends as `FitOutcome::kEnded`; in training its last epoch is not validated, in
/// validation this is finished first. What is asked for outside a fit is forgotten when one begins.
///
/// \code
/// const auto keys = std::make_shared<LiveKeys>();
/// set_progress_sink(live_progress(keys->progress("pets")));
/// learn.fit_one_cycle(10, {.callbacks = {keys}});
/// \endcode
///
/// Lifetime as Callback. Threads: `stop` and `save` may be called from any thread, the rest from the one that trains.
class FASTCPP_API LiveKeys : public Callback {
 public:
  /// \throws ValueError `value.callback_file` without a name
  explicit LiveKeys(const LiveKeysOptions& options = {});
  bool first_process_only() const override { return true; }
  /// Options for `live_progress` that lead its keys here, and show the rate of the last layer group. They may outlive
  /// this object.
  LiveProgressOptions progress(const std::string& title = {}) const;
  /// Asks for the end of the fit.
  void stop();
  /// Asks for a saved model.
  void save();

  void on_train_begin(TrainState&) override;
  void on_batch_begin(TrainState&) override;
  /// \throws IoError `io.cannot_create`, `io.cannot_write`
  void on_batch_end(TrainState&) override;

 private:
  struct Asked;
  LiveKeysOptions options_;
  std::shared_ptr<Asked> asked_;
};

}  // namespace fastcpp
