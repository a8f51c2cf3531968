/// \file
/// Progress bars and the training table, as an interface that an application may replace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp {

/// Receives progress of a fit, a validation or a download. Called from one thread at a time.
class FASTCPP_API ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  /// The table's column names, once a fit (fastai: epoch, train_loss, valid_loss, metrics, time).
  virtual void table_header(const std::vector<std::string>& names);
  /// One row of formatted cells, once an epoch.
  virtual void table_row(const std::vector<std::string>& cells);
  /// A piece of work of `total` steps starts (batches, or bytes; 0 when unknown).
  virtual void begin(std::string_view what, std::int64_t total);
  /// `done` steps are finished; `comment` stands behind the bar (fastai: the smoothed loss).
  virtual void update(std::int64_t done, std::string_view comment);
  /// The piece of work is over; its bar goes away.
  virtual void end();
};

/// The table and bar that fastai prints: on a terminal with a moving bar, piped as plain rows
/// without control codes.
FASTCPP_API std::shared_ptr<ProgressSink> console_progress();

/// Replaces the process-wide sink and returns the former one; nullptr silences. The default is
/// `console_progress()`.
FASTCPP_API std::shared_ptr<ProgressSink> set_progress_sink(std::shared_ptr<ProgressSink> sink);
/// The sink in force; never null (a silent one when silenced).
FASTCPP_API std::shared_ptr<ProgressSink> progress_sink();

/// fastai's console line: each cell left-aligned in its column's width (at least 8), two spaces
/// apart.
FASTCPP_API std::string format_table_line(const std::vector<std::string>& names,
                                          const std::vector<std::string>& cells);
/// `mm:ss`, or `h:mm:ss` from an hour on; seconds are cut, not rounded.
FASTCPP_API std::string format_time(double seconds);

}  // namespace fastcpp
