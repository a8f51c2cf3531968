#include "fastcpp/core/live_progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/console.hpp"
#include "core/live_view.hpp"
#include "core/terminal.hpp"
#include "fastcpp/core/text.hpp"

namespace fastcpp::inline v0 {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool wants_color() {
  const char* none = std::getenv("NO_COLOR");
  return !none || !*none;
}

// Columns that a line takes on the screen: codes take none.
int columns_of(std::string_view line) {
  int columns = 0;
  while (!line.empty()) {
    if (line[0] == '\x1b') {
      const auto end = line.find('m');
      line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
      continue;
    }
    line.remove_prefix(std::max<std::size_t>(1, utf8_length(line)));
    ++columns;
  }
  return columns;
}

// Lines of the table stay; below them a view that each drawing replaces, and that is gone while nothing is under way.
// There is no thread: what is told draws.
class LiveProgress : public ProgressSink {
 public:
  explicit LiveProgress(LiveProgressOptions options)
      : options_(std::move(options)),
        view_(LiveView::Look{
            .title = options_.title, .unicode = terminal_is_utf8(), .color = wants_color()}) {}

  void table_header(const std::vector<std::string>& names) override {
    names_ = names;
    view_.header(names, steady_seconds());
    print_line(format_table_line(names_, names_));
  }

  void table_row(const TableRow& row) override {
    view_.row(row);
    print_line(format_table_line(names_, row.cells));
  }

  void begin(const ProgressTask& task) override {
    view_.begin(task, steady_seconds());
    if (view_.in_training() && (options_.on_stop || options_.on_save)) keys_.begin();
    if (is_time()) draw();
  }

  void update(std::int64_t done, std::string_view comment) override {
    view_.update(done, comment);
    if (!is_time()) return;
    // Drawn before anyone is asked: what a user's function throws leaves a whole picture.
    const auto pressed = keys_.read();
    const bool save = options_.on_save && pressed.find('s') != std::string::npos;
    const bool stop = options_.on_stop && pressed.find('q') != std::string::npos;
    if (save || stop) {
      note_ = stop ? "stopping" : "saving";
      note_until_ = steady_seconds() + kSecondsOfNote;
    }
    draw();
    if (save) options_.on_save();
    if (stop) options_.on_stop();
  }

  void end() override {
    keys_.end();
    if (!shown_.empty()) out_.write(erased());
  }

 private:
  bool is_time() const { return !drawn_ || steady_seconds() - *drawn_ >= kSecondsBetween; }

  void draw() {
    if (in_background(STDOUT_FILENO)) return;
    drawn_ = steady_seconds();
    LiveView::Scene scene{.size = terminal_size(STDOUT_FILENO), .now = *drawn_};
    if (options_.lr) scene.lr = options_.lr();
    scene.keys = keys_line();
    auto lines = view_.lines(scene);
    const auto most = static_cast<std::size_t>(std::max(1, scene.size.rows - 1));
    if (lines.size() > most) lines.resize(most);
    // Written over, not erased first: nothing flickers. Longer lines are cut meanwhile.
    auto text = to_top() + "\x1b[?7l";
    for (std::size_t i = 0; i < lines.size(); ++i)
      text += (i > 0 ? "\r\n" : "") + lines[i] + "\x1b[K";
    text += "\x1b[J\x1b[?7h";
    shown_.clear();
    for (const auto& line : lines) shown_.push_back(columns_of(line));
    out_.write(text);
  }

  std::string keys_line() const {
    if (*drawn_ < note_until_) return note_;
    if (!keys_.active()) return {};
    std::string line;
    if (options_.on_save) line = "s save";
    if (options_.on_stop) line += line.empty() ? "q stop" : "  q stop";
    return line;
  }

  // From the end of the view to its beginning. A terminal that has become narrower has broken lines.
  std::string to_top() const {
    if (shown_.empty()) return {};
    const int columns = terminal_size(STDOUT_FILENO).columns;
    int up = -1;
    for (const int width : shown_) up += std::max(1, (width + columns - 1) / columns);
    return up > 0 ? fmt::format("\r\x1b[{}A", up) : std::string("\r");
  }

  // What takes the view away.
  std::string erased() {
    if (shown_.empty()) return {};
    const auto text = to_top() + "\x1b[J";
    shown_.clear();
    return text;
  }

  void print_line(const std::string& line) { out_.write(erased() + line + "\n"); }

  static constexpr double kSecondsBetween = 0.1, kSecondsOfNote = 2;

  LiveProgressOptions options_;
  ConsoleStream out_{STDOUT_FILENO};
  LiveView view_;
  KeyReader keys_;
  std::vector<std::string> names_;
  std::optional<double> drawn_;
  std::vector<int> shown_;  // columns of each line on the screen
  std::string note_;        // what a key did
  double note_until_ = 0;
};

}  // namespace

std::shared_ptr<ProgressSink> live_progress(LiveProgressOptions options) {
  if (!ConsoleStream(STDOUT_FILENO).is_terminal() || !terminal_moves()) return console_progress();
  return std::make_shared<LiveProgress>(std::move(options));
}

}  // namespace fastcpp
