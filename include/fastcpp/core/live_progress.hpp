/// \file
/// A live view of a training in the terminal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Options of `live_progress`. The functions are called by the thread that works, between two batches, and may throw;
/// `LiveKeys::progress` gives such options for a learner.
struct LiveProgressOptions {
  std::string title = {};              ///< first line of the view; may be empty
  std::function<void()> on_stop = {};  ///< the key `q` was pressed; absent: no such key
  std::function<void()> on_save = {};  ///< the key `s` was pressed; absent: no such key
  std::function<double()> lr = {};     ///< learning rate to show; not a number, or absent: none
};

/// A sink that prints fastai's table, and below it, while something is under way, draws a view of the training: bar, time
/// left, loss, learning rate, and the curves of both losses as large as the terminal allows. At most ten drawings a second;
/// none by a process in the background. The size of the terminal is asked for at each.
///
/// While it trains, keys come without Enter and are not shown; the terminal is as before at the end of each bar, also when
/// the process is stopped or ended by a signal that nobody handles, or ends by `std::exit`. A program with handlers of its
/// own that ends itself otherwise calls `restore_terminal`.
///
/// Without a terminal that can do so this is `console_progress()`. Where the environment does not say UTF-8 the curves
/// are drawn in ASCII; `NO_COLOR` takes the colours away.
FASTCPP_API std::shared_ptr<ProgressSink> live_progress(LiveProgressOptions options = {});

/// Gives the terminal back as `live_progress` found it; does nothing where it is so already. Thread-safe, and may be
/// called by a signal handler.
FASTCPP_API void restore_terminal() noexcept;

}  // namespace fastcpp
