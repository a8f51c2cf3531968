#include "fastcpp/core/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <utility>

#include <unistd.h>

namespace fastcpp {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class ConsoleProgress : public ProgressSink {
 public:
  void table_header(const std::vector<std::string>& names) override {
    names_ = names;
    print_line(format_table_line(names_, names_));
  }

  void table_row(const TableRow& row) override {
    print_line(format_table_line(names_, row.cells));
  }

  void begin(const ProgressTask& task) override {
    what_ = task.what;
    total_ = task.total;
    start_ = Clock::now();
    drawn_ = {};
  }

  void update(std::int64_t done, std::string_view comment) override {
    // Ten redraws a second are enough for an eye and cost nothing.
    if (!terminal_ || Clock::now() - drawn_ < std::chrono::milliseconds(100)) return;
    drawn_ = Clock::now();
    const double elapsed = seconds_since(start_);
    std::string bar;
    if (total_ > 0 && done > 0) {
      const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
      const double left = elapsed / share - elapsed;
      bar = fmt::format("{:.2f}% [{}/{} {}<{}", 100 * share, done, total_, format_time(elapsed),
                        format_time(left));
    } else {
      bar = fmt::format("[{} {}", done, format_time(elapsed));
    }
    if (!comment.empty()) bar += fmt::format(" {}", comment);
    erase();
    const std::string line = what_.empty() ? bar + "]" : fmt::format("{} {}]", what_, bar);
    fmt::print("{}", line);
    std::fflush(stdout);
    width_ = line.size();
  }

  void end() override { erase(); }

 private:
  void erase() {
    if (width_ == 0) return;
    fmt::print("\r{:{}}\r", "", width_);
    std::fflush(stdout);
    width_ = 0;
  }

  void print_line(const std::string& line) {
    erase();
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  const bool terminal_ = ::isatty(STDOUT_FILENO) == 1;
  std::vector<std::string> names_;
  std::string what_;
  std::int64_t total_ = 0;
  Clock::time_point start_{}, drawn_{};
  std::size_t width_ = 0;
};

struct State {
  std::mutex mutex;
  std::shared_ptr<ProgressSink> sink = std::make_shared<ConsoleProgress>();
};

State& state() {
  static State instance;
  return instance;
}

}  // namespace

void ProgressSink::table_header(const std::vector<std::string>&) {}
void ProgressSink::table_row(const TableRow&) {}
void ProgressSink::begin(const ProgressTask&) {}
void ProgressSink::update(std::int64_t, std::string_view) {}
void ProgressSink::end() {}

std::shared_ptr<ProgressSink> console_progress() {
  return std::make_shared<ConsoleProgress>();
}

std::shared_ptr<ProgressSink> set_progress_sink(std::shared_ptr<ProgressSink> sink) {
  if (!sink) sink = std::make_shared<ProgressSink>();
  std::scoped_lock lock(state().mutex);
  return std::exchange(state().sink, std::move(sink));
}

std::shared_ptr<ProgressSink> progress_sink() {
  std::scoped_lock lock(state().mutex);
  return state().sink;
}

ProgressBar::ProgressBar(std::shared_ptr<ProgressSink> sink, const ProgressTask& task)
    : sink_(std::move(sink)) {
  if (sink_) sink_->begin(task);
}

ProgressBar::~ProgressBar() {
  if (sink_) sink_->end();
}

void ProgressBar::update(std::int64_t done, std::string_view comment) {
  if (sink_) sink_->update(done, comment);
}

void show_table_header(const std::shared_ptr<ProgressSink>& sink,
                       const std::vector<std::string>& names) {
  if (sink) sink->table_header(names);
}

void show_table_row(const std::shared_ptr<ProgressSink>& sink, const TableRow& row) {
  if (sink) sink->table_row(row);
}

std::string format_table_line(const std::vector<std::string>& names,
                              const std::vector<std::string>& cells) {
  const bool header = &names == &cells;
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = std::max<std::size_t>(8, i < names.size() ? names[i].size() : 0);
    // fastai joins padded names by two spaces, but pads every value by two more than its column.
    const bool last_name = header && i + 1 == cells.size();
    line += fmt::format("{:<{}}", cells[i], last_name ? width : width + 2);
  }
  return line;
}

std::string format_time(double seconds) {
  const auto total = static_cast<std::int64_t>(std::max(0.0, seconds));
  const auto h = total / 3600, m = total / 60 % 60, s = total % 60;
  return h > 0 ? fmt::format("{}:{:02d}:{:02d}", h, m, s) : fmt::format("{:02d}:{:02d}", m, s);
}

}  // namespace fastcpp
