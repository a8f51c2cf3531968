/// \file
/// Progress bars and the training table, as an interface that an application may replace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// What a progress bar stands for.
enum class ProgressPhase {
  kTrain,
  kValidate,
  kFindLr,
  kPredict,
  kPrecompute,
  kDownload,
  kExtract,
  kCheck
};

/// A piece of work that starts.
struct ProgressTask {
  ProgressPhase phase = ProgressPhase::kTrain;  ///< what kind of work it is
  std::int64_t total = 0;                       ///< steps (batches, or bytes); 0 when unknown
  int epoch = 0;                                ///< of a training, from 0
  int n_epochs = 0;                             ///< epochs asked for; 0 outside a training
  std::string what = {};  ///< in front of the bar, for example a file name; may be empty
};

/// One row of the training table.
struct TableRow {
  int epoch = 0;                        ///< from 0
  std::vector<std::string> cells = {};  ///< as fastai prints them, in the order of the header
  std::vector<double> values =
      {};  ///< the same as numbers, one a cell; not a number where nothing was measured
};

class SinkQueue;

/// Receives progress of a fit, a validation or a download.
///
/// The library calls one sink from one thread at a time and holds no lock meanwhile. When several threads share a sink,
/// a call that comes while it is busy is made by the thread that is in there, and an `update` may be left out. What a
/// sink throws is swallowed with one warning, and the work goes on. It may call the library; the calls that this causes
/// to itself are made afterwards, those that these cause in turn are left out. Whoever uses a sink keeps it alive by a
/// shared pointer; a copy of one waits in the queue of the original.
class FASTCPP_API ProgressSink {
 public:
  ProgressSink();
  virtual ~ProgressSink() = default;
  /// The table's column names, once a fit (fastai: epoch, train_loss, valid_loss, metrics, time).
  virtual void table_header(const std::vector<std::string>& names);
  /// Once an epoch.
  virtual void table_row(const TableRow& row);
  /// A piece of work starts. Every `begin` is followed by one `end`, also after an exception.
  virtual void begin(const ProgressTask& task);
  /// `done` steps are finished; `comment` stands behind the bar (fastai: the smoothed loss).
  virtual void update(std::int64_t done, std::string_view comment);
  /// The piece of work is over; its bar goes away.
  virtual void end();

 private:
  friend struct ProgressAccess;
  std::shared_ptr<SinkQueue> queue_;
  bool has_thrown_ = false;
};

/// The table and bar that fastai prints: on a terminal with a moving bar, piped as plain rows without control codes.
/// A stream that is closed, full or no longer read is given up, with one warning.
FASTCPP_API std::shared_ptr<ProgressSink> console_progress();

/// Replaces the process-wide sink and returns the former one; nullptr silences. The default is `console_progress()`. A
/// learner may have a sink of its own (`LearnerOptions::progress`). Work that has begun stays with its sink.
/// Thread-safe.
FASTCPP_API std::shared_ptr<ProgressSink> set_progress_sink(std::shared_ptr<ProgressSink> sink);
/// The sink in force; never null (a silent one when silenced). Thread-safe.
FASTCPP_API std::shared_ptr<ProgressSink> progress_sink();

/// Shows one piece of work to a sink: begins when made, ends when destroyed, whatever happens between. What the sink
/// throws never leaves it. Not copied; keeps the sink alive. Threads: one at a time.
class FASTCPP_API ProgressBar {
 public:
  /// \param sink null: nobody is told
  ProgressBar(std::shared_ptr<ProgressSink> sink, const ProgressTask& task);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  /// \param done    steps finished so far
  /// \param comment stands behind the bar
  void update(std::int64_t done, std::string_view comment = {});

 private:
  std::shared_ptr<ProgressSink> sink_;
};

/// Tells a sink of the table; what the sink throws never leaves them. Null: nobody is told.
FASTCPP_API void show_table_header(const std::shared_ptr<ProgressSink>& sink,
                                   const std::vector<std::string>& names);
/// The next row of the table.
FASTCPP_API void show_table_row(const std::shared_ptr<ProgressSink>& sink, const TableRow& row);

/// fastai's console line: each cell left-aligned in its column's width (at least 8), two spaces apart.
FASTCPP_API std::string format_table_line(const std::vector<std::string>& names,
                                          const std::vector<std::string>& cells);
/// `mm:ss`, or `h:mm:ss` from an hour on; seconds are cut, not rounded.
FASTCPP_API std::string format_time(double seconds);

}  // namespace fastcpp
