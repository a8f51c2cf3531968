/// \file
/// A picture of the losses that grows while a training goes on.
#pragma once

#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"

namespace fastcpp::inline v0 {

/// Options of ShowGraph.
struct ShowGraphOptions {
  Path file = "losses.png";  ///< below the learner's path, or absolute; ends in `.png` or `.svg`
  double dpi = 100;          ///< pixels an inch of a PNG; the figure has 6 by 4 inches
};

/// Draws training and validation loss into a file, anew after every epoch (fastai: `ShowGraph`). Whoever opens the file
/// meets the picture of one epoch or the next, never a part. Belongs to one learner at a time; called from the thread that
/// trains. It lives here and not with the other callbacks because a training needs no figures.
class FASTCPP_API ShowGraph : public Callback {
 public:
  /// \throws ValueError `value.figure_format` on another ending, `value.figure_size` on a dpi that cannot be drawn
  explicit ShowGraph(const ShowGraphOptions& options = {});
  bool first_process_only() const override { return true; }
  /// \throws IoError `io.cannot_write`, `io.cannot_create`
  void on_epoch_end(TrainState&) override;

 private:
  ShowGraphOptions options_;
};

/// For `callback_fns`: makes a ShowGraph for every fit.
/// \throws ValueError as its constructor, at once
FASTCPP_API CallbackFn show_graph(const ShowGraphOptions& options = {});

}  // namespace fastcpp
