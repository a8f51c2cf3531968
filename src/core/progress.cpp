#include "fastcpp/core/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <utility>

#include "core/console.hpp"
#include "core/sink_queue.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
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

  void table_row(const TableRow& row) override { print_line(format_table_line(names_, row.cells)); }

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
    const std::string line = what_.empty() ? bar + "]" : fmt::format("{} {}]", what_, bar);
    out_.write(erased() + line);
    width_ = line.size();
  }

  void end() override {
    if (width_ > 0) out_.write(erased());
  }

 private:
  // What takes the bar away.
  std::string erased() {
    if (width_ == 0) return {};
    return fmt::format("\r{:{}}\r", "", std::exchange(width_, 0));
  }

  void print_line(const std::string& line) { out_.write(erased() + line + "\n"); }

  ConsoleStream out_{STDOUT_FILENO};
  const bool terminal_ = out_.is_terminal();
  std::vector<std::string> names_;
  std::string what_;
  std::int64_t total_ = 0;
  Clock::time_point start_{}, drawn_{};
  std::size_t width_ = 0;
};

struct ProgressState {
  std::mutex mutex;
  std::shared_ptr<ProgressSink> sink = std::make_shared<ConsoleProgress>();
};

ProgressState& progress_state() {
  // Lives as long as anything that may show progress; a program's own sink goes when the program ends.
  static ProgressState& instance = *new ProgressState;
  static const struct AtExit {
    ~AtExit() { set_progress_sink(nullptr); }
  } at_exit;
  return instance;
}

}  // namespace

struct ProgressAccess {
  // Never throws; false when the sink will not hear of it.
  static bool tell(const std::shared_ptr<ProgressSink>& sink,
                   std::function<void(ProgressSink&)> what,
                   SinkQueue::WhenBusy when_busy = SinkQueue::WhenBusy::kWait) {
    if (!sink) return false;
    try {
      const auto queue = sink->queue_;
      return queue->call(
          [sink, what = std::move(what)] {
            const auto cause = thrown_by([&] { what(*sink); });
            if (!cause || std::exchange(sink->has_thrown_, true)) return;
            log_warning(
                fmt::format("the progress sink threw an exception: {}; the work goes on, and "
                            "further exceptions of the sink are not told",
                            *cause));
          },
          when_busy);
    } catch (const std::exception&) {
      return false;  // no memory for the call
    }
  }
};

ProgressSink::ProgressSink() : queue_(std::make_shared<SinkQueue>()) {}
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
  std::scoped_lock lock(progress_state().mutex);
  return std::exchange(progress_state().sink, std::move(sink));
}

std::shared_ptr<ProgressSink> progress_sink() {
  std::scoped_lock lock(progress_state().mutex);
  return progress_state().sink;
}

ProgressBar::ProgressBar(std::shared_ptr<ProgressSink> sink, const ProgressTask& task) {
  if (ProgressAccess::tell(sink, [task](ProgressSink& to) { to.begin(task); })) {
    sink_ = std::move(sink);  // what never began is not ended
  }
}

ProgressBar::~ProgressBar() {
  ProgressAccess::tell(sink_, [](ProgressSink& to) { to.end(); });
}

void ProgressBar::update(std::int64_t done, std::string_view comment) {
  // Made now or never, so the comment needs no copy.
  ProgressAccess::tell(
      sink_, [=](ProgressSink& to) { to.update(done, comment); }, SinkQueue::WhenBusy::kSkip);
}

void show_table_header(const std::shared_ptr<ProgressSink>& sink,
                       const std::vector<std::string>& names) {
  ProgressAccess::tell(sink, [names](ProgressSink& to) { to.table_header(names); });
}

void show_table_row(const std::shared_ptr<ProgressSink>& sink, const TableRow& row) {
  ProgressAccess::tell(sink, [row](ProgressSink& to) { to.table_row(row); });
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
    // fastai lets what is wider than its column run into the next one.
    if (i + 1 < cells.size() && cells[i].size() >= width + 2) line += "  ";
  }
  return line;
}

std::string format_time(double seconds) {
  const auto total = static_cast<std::int64_t>(std::max(0.0, seconds));
  const auto h = total / 3600, m = total / 60 % 60, s = total % 60;
  return h > 0 ? fmt::format("{}:{:02d}:{:02d}", h, m, s) : fmt::format("{:02d}:{:02d}", m, s);
}

}  // namespace fastcpp
