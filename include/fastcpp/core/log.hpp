/// \file
/// Where messages go. The library writes nothing by itself; everything passes through one sink.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// How important a message is.
enum class LogLevel { kInfo, kWarning };

/// Receives one message without a trailing newline.
///
/// Called from whichever thread logs, one call at a time, in order, with no lock held: it may log, replace the sink, or
/// wait for another thread that logs. What it logs while it is called arrives afterwards; what that causes to be logged
/// in turn is left out. A message that comes while the sink is busy is told by the thread that is in there. What it
/// throws is swallowed, and the sink is told of it once.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Replaces the sink and returns the former one; an empty function silences everything. Waits until the former sink is
/// no longer called, unless it is called from inside a sink. Thread-safe.
///
/// The default sink prints information to stdout and warnings, with `warning: ` before them, to stderr. A stream that
/// is closed, full or no longer read is given up, with one warning.
FASTCPP_API LogSink set_log_sink(LogSink sink);

/// Tells the sink what fastai prints. Thread-safe; never throws.
FASTCPP_API void log_info(std::string_view message);
/// Tells the sink what fastai warns of. Thread-safe; never throws.
FASTCPP_API void log_warning(std::string_view message);

}  // namespace fastcpp
