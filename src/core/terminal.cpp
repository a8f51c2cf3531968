#include "core/terminal.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "fastcpp/core/live_progress.hpp"

namespace fastcpp::inline v0 {
namespace {

// How the terminal was; what a signal handler reads is written before the flag.
termios g_former_terminal{};
std::atomic<bool> g_terminal_changed = false;
static_assert(std::atomic<bool>::is_always_lock_free);

// What ends or stops a process that does not handle it.
constexpr std::array kEndingSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGABRT, SIGSEGV};

// The terminal first, then what the signal does by itself: raised here, it arrives when the handler returns.
extern "C" void restore_and_raise(int signal) {
  const int cause = errno;
  restore_terminal();
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
  ::raise(signal);
  errno = cause;
}

// Only signals that nobody handles.
void watch_signals() {
  for (const int signal : kEndingSignals) {
    struct sigaction found {};
    if (::sigaction(signal, nullptr, &found) != 0 || (found.sa_flags & SA_SIGINFO) != 0 ||
        found.sa_handler != SIG_DFL)
      continue;
    struct sigaction ours {};
    ours.sa_handler = restore_and_raise;
    ours.sa_flags = SA_RESTART;
    ::sigaction(signal, &ours, nullptr);
  }
}

void leave_signals() {
  for (const int signal : kEndingSignals) {
    struct sigaction found {};
    if (::sigaction(signal, nullptr, &found) != 0 || (found.sa_flags & SA_SIGINFO) != 0 ||
        found.sa_handler != restore_and_raise)
      continue;
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, nullptr);
  }
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

void restore_terminal() noexcept {
  if (!g_terminal_changed.exchange(false)) return;
  // A process that has lost the terminal meanwhile would be stopped for changing it.
  sigset_t block, former;
  ::sigemptyset(&block);
  ::sigaddset(&block, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &block, &former);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &g_former_terminal);
  ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
}

TerminalSize terminal_size(int descriptor) {
  winsize found{};
  if (::ioctl(descriptor, TIOCGWINSZ, &found) != 0 || found.ws_row == 0 || found.ws_col == 0)
    return {};
  return {.rows = found.ws_row, .columns = found.ws_col};
}

bool terminal_moves() {
  const auto kind = environment("TERM");
  return !kind.empty() && kind != "dumb";
}

bool terminal_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value(environment(name));
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

bool in_background(int descriptor) {
  const auto group = ::tcgetpgrp(descriptor);
  return group >= 0 && group != ::getpgrp();
}

void KeyReader::begin() {
  if (active_ || ::isatty(STDIN_FILENO) != 1 || in_background(STDIN_FILENO)) return;
  active_ = change();
}

bool KeyReader::change() {
  static const struct AtExit {
    ~AtExit() { restore_terminal(); }
  } at_exit;
  if (g_terminal_changed) return false;  // another reader's
  if (::tcgetattr(STDIN_FILENO, &g_former_terminal) != 0) return false;
  termios without_lines = g_former_terminal;
  without_lines.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  without_lines.c_cc[VMIN] = 0;
  without_lines.c_cc[VTIME] = 0;
  g_terminal_changed = true;
  watch_signals();
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &without_lines) == 0) return true;
  g_terminal_changed = false;
  leave_signals();
  return false;
}

void KeyReader::end() {
  if (!active_) return;
  active_ = false;
  restore_terminal();
  leave_signals();
}

std::string KeyReader::read() {
  if (!active_ || in_background(STDIN_FILENO)) return {};
  // The process was stopped by Ctrl+Z, and goes on.
  if (!g_terminal_changed && !change()) return {};
  std::array<char, 64> keys;
  const auto got = ::read(STDIN_FILENO, keys.data(), keys.size());
  if (got <= 0) return {};
  std::string pressed(keys.data(), static_cast<std::size_t>(got));
  constexpr char kEscape = '\x1b';
  return pressed.find(kEscape) == std::string::npos ? pressed : std::string();
}

}  // namespace fastcpp
