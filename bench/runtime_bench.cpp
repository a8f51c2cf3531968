// Predictor beside other programs that compute the same networks: ONNX Runtime through Node, where FASTCPP_BENCH_ONNXRUNTIME
// names the folder that holds node_modules/onnxruntime-node, and OpenCV's dnn. Whole networks of 1000 classes, random weights.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <torch/utils.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <opencv2/dnn.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fastcpp/vision.hpp"
#include "learner.hpp"
#include "ratio.hpp"

using namespace fastcpp;

extern char** environ;

namespace {

// A session of ONNX Runtime in a process of its own, which waits between its runs.
class OnnxRuntime {
 public:
  OnnxRuntime(const std::string& folder, const std::string& file, int threads, int batch) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    std::vector<std::string> words{"node",
                                   FASTCPP_BENCH_FOLDER "/onnxruntime.mjs",
                                   folder,
                                   file,
                                   std::to_string(threads),
                                   std::to_string(batch)};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int failed = posix_spawnp(&child_, "node", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    in_ = fdopen(to[1], "w");
    out_ = fdopen(from[0], "r");
    if (failed) child_ = 0;
    if (failed || line() != "ready\n") {
      stop();
      throw std::runtime_error("ONNX Runtime does not start: see the messages of node");
    }
  }
  ~OnnxRuntime() { stop(); }
  OnnxRuntime(const OnnxRuntime&) = delete;
  OnnxRuntime& operator=(const OnnxRuntime&) = delete;

  // Seconds of one run, the mean of some.
  double seconds(int times) {
    std::fprintf(in_, "%d\n", times);
    std::fflush(in_);
    return std::stod(line()) / 1000;
  }

 private:
  std::string line() {
    char text[64] = "";
    return std::fgets(text, sizeof text, out_) ? text : "";
  }
  void stop() {
    std::fclose(in_);  // the end of its input is its end
    std::fclose(out_);
    if (child_) waitpid(child_, nullptr, 0);
  }

  pid_t child_ = 0;
  FILE *in_ = nullptr, *out_ = nullptr;
};

struct Row {
  const models::Arch* arch;
  int threads, batch;
  std::string onnxruntime;  // its folder; empty: OpenCV
};

void compare(benchmark::State& state, const Row& row) {
  const torch::NoGradGuard no_grad;
  const Learner learn(bench::data(2), Model(row.arch->build({.seed = 1})), {.silent = true});
  const Predictor predictor(learn);
  const auto file = (std::filesystem::temp_directory_path() /
                     ("fastcpp_bench_" + std::to_string(getpid()) + ".onnx"))
                        .string();
  export_onnx(learn, file, {.softmax = false, .preprocessing = false, .shape = {3, 224, 224}});
  set_threads(row.threads);
  cv::setNumThreads(row.threads);
  const auto x = torch::randn({row.batch, 3, 224, 224});

  std::unique_ptr<OnnxRuntime> runtime;
  cv::dnn::Net net;
  std::function<double(int)> other;
  if (row.onnxruntime.empty()) {
    net = cv::dnn::readNetFromONNX(file);
    const int sizes[] = {row.batch, 3, 224, 224};
    const cv::Mat input(4, sizes, CV_32F, x.data_ptr<float>());
    other = [&net, input](int times) {
      return bench::seconds([&] {
               for (int i = 0; i < times; ++i) {
                 net.setInput(input);
                 net.forward();
               }
             }) /
             times;
    };
  } else {
    runtime = std::make_unique<OnnxRuntime>(row.onnxruntime, file, row.threads, row.batch);
    other = [&runtime](int times) { return runtime->seconds(times); };
  }
  const auto ours = [&](int times) {
    return bench::seconds([&] {
             for (int i = 0; i < times; ++i) predictor.forward(x);
           }) /
           times;
  };
  std::filesystem::remove(file);
  other(1);
  ours(1);
  // A turn of about a quarter of a second.
  const int times = std::clamp(static_cast<int>(0.25 / ours(1)), 1, 40);
  // Threads of the other side spin for a while after their last work.
  const auto settle = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  bench::ratio(
      state,
      [&] {
        settle();
        ours(1);
        return ours(times);
      },
      [&] {
        settle();
        other(1);
        return other(times);
      },
      7);
  set_threads(1);
}

}  // namespace

int main(int argc, char** argv) {
  set_log_sink([](LogLevel, std::string_view) {});
  const char* const onnxruntime = std::getenv("FASTCPP_BENCH_ONNXRUNTIME");
  for (const auto& name : models::names()) {
    for (const int batch : {1, 16}) {
      for (const int threads : {1, 2}) {
        for (const std::string other : {"onnxruntime", "opencv"}) {
          if (other == "onnxruntime" && (!onnxruntime || !*onnxruntime)) continue;
          const Row row{&models::find(name), threads, batch,
                        other == "opencv" ? std::string() : std::string(onnxruntime)};
          const auto title = "predictor_" + name + "_batch_" + std::to_string(batch) + "_threads_" +
                             std::to_string(threads) + "_over_" + other;
          benchmark::RegisterBenchmark(title.c_str(), compare, row)
              ->UseManualTime()
              ->Iterations(1)
              ->Unit(benchmark::kMillisecond);
        }
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
