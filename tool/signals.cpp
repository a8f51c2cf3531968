#include "signals.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>

#include "commands.hpp"
#include "fastcpp/core/live_progress.hpp"

namespace tool {
namespace {

volatile std::sig_atomic_t g_signals = 0;
extern "C" void on_signal(int) {
  g_signals = g_signals + 1;
  if (g_signals > 1) {
    fastcpp::restore_terminal();
    std::_Exit(kStopped);
  }
}

}  // namespace

StopOnSignal::StopOnSignal() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  watcher_ = std::jthread([this](const std::stop_token& over) {
    while (!over.stop_requested() && g_signals == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    if (g_signals > 0) source_.request_stop();
  });
}

StopOnSignal::~StopOnSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace tool
