// The live view of a training: what it draws, and what it does to the terminal.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>

#include "core/live_view.hpp"
#include "core/text_chart.hpp"
#include "fastcpp/core/live_progress.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

using Lines = std::vector<std::string>;

// Two epochs and a half of four, half a second a batch.
struct HalfTrained {
  explicit HalfTrained(bool unicode)
      : view(LiveView::Look{.title = "pets", .unicode = unicode, .color = false}) {
    view.header({"epoch", "train_loss", "valid_loss", "error_rate", "time"}, now);
    for (int epoch = 0; epoch < 3; ++epoch) {
      view.begin({.phase = ProgressPhase::kTrain, .total = 40, .epoch = epoch, .n_epochs = 4}, now);
      for (int i = 1; i <= (epoch == 2 ? 20 : 40); ++i) {
        now += 0.5;
        view.update(i, fmt::format("{:.4f}", 2.0 / (1 + epoch + i / 40.0)));
      }
      if (epoch == 2) continue;
      view.row({.epoch = epoch,
                .cells = {},
                .values = {double(epoch), 1, 1.8 / (1.5 + epoch), 0.1, 20}});
    }
  }
  Lines lines(int rows, int columns) const {
    return view.lines({.size = {.rows = rows, .columns = columns},
                       .now = now,
                       .lr = 1.25e-3,
                       .keys = "s save  q stop"});
  }
  double now = 0;
  LiveView view;
};

}  // namespace

TEST_CASE("the view of a training, as large as the terminal allows") {
  const HalfTrained training(true);
  CHECK(training.lines(24, 60) ==
        Lines{"pets                                 epoch 3/4  00:50<00:30",
              "train    █████████████▌               50% 20/40 00:10<00:10",
              "loss 0.5714  lr 1.25e-03  valid_loss 0.7200 (best 0.7200)", "    1.951 ┤⠑⢄",
              "          │  ⠑⠤⡀", "          │    ⠈⠒⣄", "          │       ⠉⠒⠤⣀",
              "          │           ⠉⠒⠢⢄⣀  ⠐⠢⠤⢄⣀", "          │                ⠉⠉⠒⠤⠤⣀⣀⠉⠉⠒⠢⠤⢄⣀⡀",
              "          │                       ⠉⠉⠒⠒⠒⠤⠤⣈⣉⣒⡒⠤⢄⣀⡀",
              "   0.5714 ┤                                 ⠈⠉⠉⠉⠚⠓⠒⠒⠤⠤⠤⠤⣀⣀⣀",
              "           0.025                                 2.5 epochs",
              "── train  ── valid                           s save  q stop"});
  CHECK(training.lines(10, 60) ==
        Lines{"pets                                 epoch 3/4  00:50<00:30",
              "train    █████████████▌               50% 20/40 00:10<00:10",
              "loss 0.5714  lr 1.25e-03  valid_loss 0.7200 (best 0.7200)", "s save  q stop"});
  CHECK(training.lines(5, 30) == Lines{"train     50% 20/40 00:10<00:"});
  CHECK(training.lines(24, 20) == Lines{"epoch 3/4  00:50<00", "train     50% 20/40",
                                        "loss 0.5714  lr 1.2", "s save  q stop"});
  for (int columns = 1; columns < 30; ++columns) CHECK(training.lines(24, columns).size() >= 4);
}

TEST_CASE("the same in ASCII") {
  const HalfTrained training(false);
  CHECK(training.lines(24, 60) ==
        Lines{"pets                                 epoch 3/4  00:50<00:30",
              "train    #############..............  50% 20/40 00:10<00:10",
              "loss 0.5714  lr 1.25e-03  valid_loss 0.7200 (best 0.7200)", "    1.951 |..",
              "          | ...", "          |    ...", "          |       ....",
              "          |           ......  ooooo",
              "          |                 .......oooooooooo",
              "          |                         .........ooooo",
              "   0.5714 |                                      ..........",
              "           0.025                                 2.5 epochs",
              ".. train  oo valid                           s save  q stop"});
}

TEST_CASE("once the table's header is out of sight, its names stand below the rows") {
  HalfTrained training(true);
  CHECK(training.lines(24, 80).front().starts_with("pets"));
  for (int i = 2; i < 20; ++i)
    training.view.row({.epoch = i, .cells = {}, .values = {double(i), 1, 1, 0.1, 20}});
  const auto lines = training.lines(24, 80);
  CHECK(lines[0] == "epoch     train_loss  valid_loss  error_rate  time    ");
  CHECK(lines[1].starts_with("pets"));
}

TEST_CASE("losses that are no numbers leave gaps, and a new fit begins anew") {
  LiveView view(LiveView::Look{.color = false});
  view.header({"epoch", "train_loss", "valid_loss"}, 0);
  view.begin({.total = 4, .n_epochs = 1}, 0);
  view.update(1, "nan");
  CHECK(view.lines({}).size() == 4);  // no chart without a point
  view.update(2, "0.5");
  view.update(3, "inf");
  CHECK(view.lines({})[2] == "loss inf");
  view.header({"epoch"}, 0);
  CHECK(view.lines({})[2].empty());
  // Work outside a training is one line.
  view.begin({.phase = ProgressPhase::kDownload, .total = 10, .what = "a\nfile"}, 0);
  view.update(5, "half");
  const auto lines = view.lines({.size = {.rows = 24, .columns = 41}, .now = 3});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("a file █"));
  CHECK(lines[0].ends_with(" 50% 5/10 00:03<00:03 half"));
}

TEST_CASE("a long training is kept in little memory and drawn whole") {
  LiveView view(LiveView::Look{.unicode = false, .color = false});
  view.header({"epoch"}, 0);
  view.begin({.total = 100000, .n_epochs = 1}, 0);
  for (int i = 1; i <= 100000; ++i) view.update(i, i == 1 ? "8" : "1");
  const auto lines = view.lines({});
  CHECK(lines[3].find("8 |.") != std::string::npos);
  CHECK(lines[lines.size() - 2].ends_with("1 epochs"));
}

TEST_CASE("a loss far off lies on the edge and does not flatten the curves") {
  const auto lines_of = [](const std::vector<double>& valid_losses) {
    LiveView view(LiveView::Look{.unicode = false, .color = false});
    view.header({"epoch", "train_loss", "valid_loss"}, 0);
    const int epochs = static_cast<int>(valid_losses.size());
    for (int epoch = 0; epoch < epochs; ++epoch) {
      view.begin({.total = 20, .epoch = epoch, .n_epochs = epochs}, 0);
      for (int i = 1; i <= 20; ++i)
        view.update(i, fmt::format("{:.4f}", 2.0 / (1 + epoch + i / 20.0)));
      const auto loss = valid_losses[static_cast<std::size_t>(epoch)];
      view.row({.epoch = epoch, .cells = {}, .values = {double(epoch), 1, loss}});
    }
    return view.lines({.size = {.rows = 24, .columns = 60}});
  };
  // Title, bar and figures stand above the chart.
  const auto highest = [](const Lines& lines) { return std::stod(lines.at(3)); };
  const auto usual = lines_of({1.5, 0.9, 0.7, 0.6, 0.5, 0.45});
  CHECK(highest(usual) == Approx(1.905));  // the first training loss
  for (const double far : {900.0, 1e30}) {
    INFO(far);
    const auto late = lines_of({1.5, 0.9, far, 0.6, 0.5, 0.45});
    CHECK(highest(late) == Approx(1.905));
    CHECK(late.at(3).find('o') != std::string::npos);
    // Of few points that of the first epoch too.
    const auto early = lines_of({far, 0.9});
    CHECK(highest(early) == Approx(1.905));
    CHECK(early.at(3).find('o') != std::string::npos);
  }
  // What is only worse than the other curve is shown.
  CHECK(highest(lines_of({3, 3.1})) == Approx(3.1));
  CHECK(highest(lines_of({3, 3.2, 3.4, 3.6, 3.8, 4})) == Approx(4));
}

TEST_CASE("a chart of one point, and of none") {
  const TextChartOptions options{.rows = 4, .columns = 30, .unicode = false, .color = false};
  CHECK(text_chart({{}, {}}, options).empty());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(text_chart({{{{1, nan}}, "", '.'}}, options).empty());
  const auto lines = text_chart({{{{1, 2}}, "", '.'}}, options);
  REQUIRE(lines.size() == 4);
  CHECK(lines[1] == "          |.");
  const auto colored =
      text_chart({{{{0, 2}, {1, 2}}, "<", '.'}}, {.rows = 4, .columns = 20, .unicode = false});
  CHECK(colored[1].find("<") != std::string::npos);
}

namespace {

// A terminal with its program's end as standard input and output.
class PseudoTerminal {
 public:
  PseudoTerminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) return;
    slave_ = ::open(::ptsname(master_), O_RDWR | O_NOCTTY);
  }
  ~PseudoTerminal() {
    ::close(master_);
    ::close(slave_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  bool there() const { return slave_ >= 0; }
  // In the child.
  void attach() const {
    ::dup2(slave_, STDIN_FILENO);
    ::dup2(slave_, STDOUT_FILENO);
    ::setenv("TERM", "xterm", 1);
    ::setenv("LC_ALL", "C.UTF-8", 1);
  }
  void press(char key) const {
    const auto written = ::write(master_, &key, 1);
    static_cast<void>(written);
  }
  // Whether keys come line by line and are shown, as they did before.
  bool is_as_before() const {
    termios now{};
    return ::tcgetattr(slave_, &now) == 0 && (now.c_lflag & ICANON) && (now.c_lflag & ECHO);
  }
  // What was written so far.
  std::string written() const {
    ::fcntl(master_, F_SETFL, O_NONBLOCK);
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(master_, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }

 private:
  int master_ = -1, slave_ = -1;
};

void wait_for_drawing() {
  ::usleep(120 * 1000);
}

}  // namespace

TEST_CASE("keys reach the program, and the terminal is as before after each bar") {
  const PseudoTerminal terminal;
  if (!terminal.there()) return skip("there are no pseudo-terminals here");
  const auto result = in_child([&] {
    terminal.attach();
    std::string pressed;
    const auto sink = live_progress(
        {.title = "mine", .on_stop = [&] { pressed += 'q'; }, .on_save = [&] { pressed += 's'; }});
    show_table_header(sink, {"epoch", "train_loss"});
    {
      ProgressBar bar(sink, {.total = 4, .n_epochs = 1});
      if (terminal.is_as_before()) return 1;
      terminal.press('s');
      terminal.press('x');
      wait_for_drawing();
      bar.update(1, "0.5");
      if (pressed != "s") return 2;
      terminal.press('q');
      bar.update(2, "0.5");
      if (pressed != "s") return 3;  // at most ten drawings a second
      wait_for_drawing();
      bar.update(3, "0.5");
      if (pressed != "sq") return 4;
    }
    if (!terminal.is_as_before()) return 5;
    show_table_row(sink, {.epoch = 0, .cells = {"0", "0.5"}, .values = {0, 0.5}});
    // What is thrown leaves the terminal as it was.
    try {
      const ProgressBar bar(sink, {.total = 4, .n_epochs = 1});
      throw std::runtime_error("the cause");
    } catch (const std::runtime_error&) {
    }
    return terminal.is_as_before() ? 0 : 6;
  });
  INFO(result.warnings);
  CHECK(WEXITSTATUS(result.status) == 0);
  const auto text = terminal.written();
  CHECK(text.find("epoch     train_loss\r\n") != std::string::npos);
  CHECK(text.find("mine") != std::string::npos);
  CHECK(text.find("s save  q stop") != std::string::npos);
  CHECK(text.find("stopping") != std::string::npos);
}

TEST_CASE("a process that ends in the middle gives the terminal back") {
  for (const int how : {0, SIGTERM, SIGINT, SIGABRT}) {
    INFO(how);
    const PseudoTerminal terminal;
    if (!terminal.there()) return skip("there are no pseudo-terminals here");
    const auto result = in_child([&] {
      ::signal(how == 0 ? SIGUSR1 : how, SIG_DFL);  // the test program may handle it
      terminal.attach();
      const auto sink = live_progress({.on_stop = [] {}});
      const ProgressBar bar(sink, {.total = 4, .n_epochs = 1});
      if (terminal.is_as_before()) return 1;
      if (how != 0) return ::raise(how);
      restore_terminal();
      restore_terminal();
      return terminal.is_as_before() ? 0 : 2;
    });
    CHECK((how == 0 ? result.status == 0
                    : WIFSIGNALED(result.status) && WTERMSIG(result.status) == how));
    CHECK(terminal.is_as_before());
  }
}

TEST_CASE("without a terminal the live view is the plain table") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto result = in_child([&] {
    ::dup2(ends[1], STDOUT_FILENO);
    const auto sink = live_progress({.title = "mine", .on_stop = [] {}});
    show_table_header(sink, {"epoch", "loss"});
    ProgressBar bar(sink, {.total = 2, .n_epochs = 1});
    wait_for_drawing();
    bar.update(1);
    return 0;
  });
  ::close(ends[1]);
  CHECK(result.status == 0);
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], text.data(), 4096))));
  ::close(ends[0]);
  // The test program's own output may stand before it.
  CHECK(text.ends_with("epoch     loss    \n"));
}
