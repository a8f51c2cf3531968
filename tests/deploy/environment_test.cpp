// A machine that fails: no threads, no memory, no room on the disk, no rights, closed output, a clock that jumps.
#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <new>
#include <optional>
#include <system_error>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/vision/models/models.hpp"
#include "fastcpp/vision/verify_images.hpp"
#include "small_learners.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/limited_threads.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace fs = std::filesystem;

namespace {

std::atomic<int> allocations_left{-1};  // how many large pieces of memory there still are; -1: all
std::atomic<std::time_t> clock_ahead{0};

constexpr std::size_t kLarge = 4096;  // what a short message takes is always there

void* allocate(std::size_t size) {
  if (size >= kLarge && allocations_left >= 0 && allocations_left-- <= 0) {
    allocations_left = 0;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// The program's own, before that of the system; visible, or the libraries would not find it.
extern "C" __attribute__((visibility("default"))) int clock_gettime(clockid_t clock,
                                                                    timespec* time) {
  using Get = int (*)(clockid_t, timespec*);
  static const auto get = reinterpret_cast<Get>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = get(clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += clock_ahead;
  return result;
}

void* operator new(std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

Learner drawn_learner(const TempDir& dir) {
  return learner(pictures(dir), models::squeezenet1_1);
}

std::string bytes_of(const Path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Whether a log holds nothing, or its names and no part of a row: a training begins a log anew.
bool is_whole_log(const std::string& text, const std::string& names) {
  if (text.empty()) return true;
  if (!text.starts_with(names) || !text.ends_with('\n')) return false;
  const auto count = [](const std::string& of, char c) {
    return std::count(of.begin(), of.end(), c);
  };
  return count(text, ',') == count(names, ',') * count(text, '\n');
}

// Everything that a learner writes, by name.
struct Writing {
  const char* name;
  std::function<Path(Learner&)> write;
};

std::vector<Writing> all_writing() {
  return {{"save", [](Learner& learn) { return learn.save("model"); }},
          {"export", [](Learner& learn) { return learn.export_model(); }},
          {"log", [](Learner& learn) {
             learn.fit(1, 1e-4, {.callbacks = {csv_logger()}});
             return learn.path() / "history.csv";
           }}};
}

}  // namespace

// Processes of their own come first: LibTorch forks no more once it has gone backwards.
TEST_CASE(
    "a disk that is full, and a folder of somebody else, end what writes and keep what was there") {
  set_threads(1);
  for (const bool full : {true, false}) {
    CAPTURE(full);
    if (!full && ::geteuid() != 0) continue;  // only root can become somebody else
    for (const auto& [name, write] : all_writing()) {
      INFO(name);
      TempDir dir;
      const auto result = in_child([&, &write = write] {
        const CapturedLog log;
        auto learn = drawn_learner(dir);
        const auto file = write(learn);
        const auto before = bytes_of(file);
        if (full) {
          ::signal(SIGXFSZ, SIG_IGN);
          // Half of what is to be written; of the log not even a row.
          const rlimit limit{before.size() / 2, before.size() / 2};
          if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 10;
        } else {
          ::chmod(dir.path().c_str(), 0755);
          for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
            ::chmod(entry.path().c_str(), entry.is_directory() ? 0755 : 0644);
          }
          if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 11;
        }
        const auto error = caught([&, &write = write] { write(learn); });
        if (error.code != "io.cannot_write" && error.code != "io.cannot_create") return 12;
        if (error.message.find(dir.path().string()) == std::string::npos) return 13;
        // A log is begun anew, where it can be opened.
        if ((std::string_view(name) != "log" || !full) && bytes_of(file) != before) return 14;
        // A search for a rate writes nothing, so it does not fail.
        if (learn.lr_find({.num_it = 2}).outcome != FitOutcome::kFinished) return 15;
        return 0;
      });
      INFO(result.warnings);
      CHECK(WEXITSTATUS(result.status) == 0);
    }
  }
}

TEST_CASE("a whole training with output closed") {
  set_threads(1);
  std::vector<std::string> saved;
  for (const bool closed : {false, true}) {
    CAPTURE(closed);
    TempDir dir;
    const auto result = in_child([&] {
      auto data = pictures(dir);
      const int nowhere = ::open("/dev/null", O_WRONLY);
      for (const int output : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, output);
      ::close(nowhere);
      // From now on files get these numbers, and what is printed must not get into them.
      if (closed) {
        ::close(STDOUT_FILENO);
        ::close(STDERR_FILENO);
      }
      set_progress_sink(console_progress());
      auto learn =
          cnn_learner(data, models::squeezenet1_1, {.pretrained = false, .metrics = {accuracy}});
      learn.fit(1, 1e-4);
      learn.save("model");
      return 0;
    });
    CHECK(result.status == 0);
    saved.push_back(bytes_of(dir / "models/model.pth"));
  }
  CHECK(!saved[0].empty());
  CHECK((saved[0] == saved[1]));
}

TEST_CASE("without threads the caller does the work") {
  set_threads(1);
  TempDir dir;
  auto learn = drawn_learner(dir);
  const auto files = get_image_files(dir.path());
  const Predictor predictor(learn);
  const auto want = predictor.predict_batch(files);
  std::optional<LimitedThreads> none(0);
  const auto got = predictor.predict_batch(files);
  const auto report = verify_images(dir.path(), {.max_workers = 4});
  const auto loader = learn.data().train_dl().with({.num_workers = 4});
  CapturedLog log;
  int batches = 0;
  for (const auto& batch : loader) batches += batch.x.size(0) == 4;
  CHECK_THROWS_AS(std::thread([] {}).join(), std::system_error);  // there were none indeed
  none.reset();
  CHECK(torch::equal(got, want));
  CHECK(report.checked == files.size());
  CHECK(batches == loader.size());
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("without memory a file that was written stays whole, and the error says so") {
  set_threads(1);
  TempDir dir;
  auto learn = drawn_learner(dir);
  for (const auto& [name, write] : all_writing()) {
    INFO(name);
    const auto file = write(learn);
    const auto before = bytes_of(file);
    const bool log = std::string_view(name) == "log";
    const auto names = before.substr(0, before.find('\n') + 1);
    int failures = 0;
    for (int n = 0; n < 40; ++n) {
      allocations_left = n;
      const auto error = caught([&, &write = write] { write(learn); });
      allocations_left = -1;
      if (error.code.empty()) break;
      ++failures;
      CHECK(error.message.find("memory") != std::string::npos);
      CHECK((log ? is_whole_log(bytes_of(file), names) : bytes_of(file) == before));
    }
    CHECK(failures > 0);
    // What is written in the end is what was written before.
    CHECK((log ? bytes_of(file).starts_with(names) : bytes_of(file) == before));
    if (file.extension() != ".csv") CHECK_NOTHROW(Predictor(learn));
  }
  CHECK_NOTHROW(learn.load("model"));
  CHECK_NOTHROW(load_learner(dir / "export.fastcpp"));
}

TEST_CASE("a sink may look at the learner that trains") {
  set_threads(1);
  TempDir dir;
  class Looks : public ProgressSink {
   public:
    Learner* learn = nullptr;
    int rows = 0;
    void table_row(const TableRow&) override {
      ++rows;
      // Within a fit the learner may be looked at, not fitted.
      if (caught([&] { learn->fit(1); }).code == "train.nested_fit") ++refused;
      names = learn->recorder().names.size();
    }
    int refused = 0;
    std::size_t names = 0;
  };
  const auto sink = std::make_shared<Looks>();
  auto learn =
      cnn_learner(pictures(dir), models::squeezenet1_1, {.pretrained = false, .progress = sink});
  sink->learn = &learn;
  CHECK(learn.fit(2, 1e-4) == FitOutcome::kFinished);
  CHECK(sink->rows == 2);
  CHECK(sink->refused == 2);
  CHECK(sink->names == 4);
}

TEST_CASE("a clock that jumps changes no duration") {
  set_threads(1);
  TempDir dir;
  auto learn = drawn_learner(dir);
  std::time_t step = 100'000'000;
  using Clock = std::chrono::system_clock;
  std::vector<Clock::time_point> seen{Clock::now()};
  const auto jump = make_callback({.on_batch_end = [&](Learner&, TrainState&) {
    clock_ahead = step;
    step = -step;
    seen.push_back(Clock::now());
  }});
  learn.fit(2, 1e-4, {.callbacks = {jump}});
  clock_ahead = 0;
  // It jumped for the libraries too, forth and back, by three years at least.
  REQUIRE(seen.size() > 2);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    const auto gap = seen[i] - seen[i - 1];
    CHECK((i % 2 ? gap : -gap) > std::chrono::hours(24 * 365 * 3));
  }
  for (const auto& row : learn.recorder().history) {
    CHECK(row.seconds > 0);
    CHECK(row.seconds < 600);
  }
}

TEST_CASE("names that are not UTF-8 hold models and logs") {
  set_threads(1);
  TempDir dir;
  const Path folder = dir.path() / "na\xefve";
  fs::create_directories(folder);
  auto learn = learner(pictures(dir), models::squeezenet1_1);
  auto there = cnn_learner(
      learn.data(), models::squeezenet1_1,
      {.pretrained = false, .path = folder, .callback_fns = {csv_logger()}, .silent = true});
  there.fit(1, 1e-4);
  there.save("gew\xe4hlt");
  // The name changes nothing of what is in the file.
  CHECK((bytes_of(folder / "models/gew\xe4hlt.pth") == bytes_of(there.save("chosen"))));
  there.load("gew\xe4hlt");
  const auto log = bytes_of(folder / "history.csv");
  CHECK(log.starts_with("epoch,train_loss,valid_loss,"));
  CHECK(std::count(log.begin(), log.end(), '\n') == 2);
  const auto file = there.export_model("fertig\xff.fastcpp");
  CHECK((bytes_of(file) == bytes_of(there.export_model("ready.fastcpp"))));
  CHECK(Predictor(file).classes() == std::vector<std::string>{"even", "odd"});
}
