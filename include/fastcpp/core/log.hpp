/// \file
/// Where messages go. The library writes nothing by itself; everything passes through one sink.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fastcpp/export.hpp"

namespace fastcpp {

enum class LogLevel { kInfo, kWarning };

/// Receives one message without a trailing newline. May be called from several threads, one at a
/// time.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Replaces the sink and returns the former one; an empty function silences everything.
/// The default sink prints information to stdout and warnings, with `warning: ` before them, to
/// stderr.
FASTCPP_API LogSink set_log_sink(LogSink sink);

/// What fastai prints.
FASTCPP_API void log_info(std::string_view message);
/// What fastai warns of.
FASTCPP_API void log_warning(std::string_view message);

}  // namespace fastcpp
