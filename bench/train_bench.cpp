// Training beside a bare loop that makes the same forward passes, backward passes and updates on
// tensors that are ready.
//
//   train_bench --memory ours|bare SETTING
//       trains once and prints the peak memory in MB (for the row)
#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "fastcpp/vision.hpp"
#include "fastcpp/vision/models/fold.hpp"
#include "pictures.hpp"
#include "ratio.hpp"

using namespace fastcpp;

namespace {

// As many classes as the pets have.
std::vector<std::string> classes() {
  std::vector<std::string> names;
  for (int i = 0; i < 37; ++i) names.push_back("c" + std::to_string(i));
  return names;
}

struct Setting {
  const char* arch;
  int side;
  std::int64_t bs;
  int batches;
  bool frozen;
};
constexpr Setting kUnfrozen34{"resnet34", 224, 16, 3, false};
constexpr Setting kFrozen18{"resnet18", 128, 32, 6, true};

struct Training {
  Learner learn;
  std::vector<Batch> ready;
};

Training prepare(const Setting& s, bool train_bn = true, bool augment = true) {
  const auto files = bench::pictures(static_cast<std::size_t>(s.bs) * s.batches);
  LabelLists lists;
  lists.train = {files, std::vector<std::int64_t>(files.size(), 0), classes()};
  const auto data =
      ImageDataBunch::create_from_ll(lists, "/tmp",
                                     {.ds_tfms = augment ? get_transforms() : ImageTransforms{},
                                      .size = s.side,
                                      .bs = s.bs,
                                      .num_workers = 1,
                                      .device = torch::kCPU,
                                      .no_check = true,
                                      .seed = 1})
          .normalize(imagenet_stats);
  auto learn = cnn_learner(data, models::find(s.arch),
                           {.pretrained = false, .train_bn = train_bn, .silent = true});
  if (s.frozen) learn.freeze();
  Training training{learn, {}};
  for (auto& batch : data.train_dl()) {
    batch.x = batch.x.contiguous(torch::MemoryFormat::ChannelsLast);
    training.ready.push_back(batch);
  }
  return training;
}

double epoch(Training& t) {
  models::set_training_conv(*t.learn.model(), models::TrainingConv::kPacked);
  return bench::seconds([&] { t.learn.fit(1, 1e-4); });
}

double bare(Training& t) {
  const auto& model = t.learn.model();
  models::set_training_conv(*model, models::TrainingConv::kLibTorch);
  return bench::seconds([&] {
    model->train();
    t.learn.opt().set_lr({1e-4});
    for (const auto& batch : t.ready) {
      auto loss = torch::nn::functional::cross_entropy(model(batch.x), batch.y);
      loss.backward();
      benchmark::DoNotOptimize(loss.item<float>());
      t.learn.opt().step();
      t.learn.opt().zero_grad();
    }
  });
}

// A shared machine's speed changes by a tenth within seconds, and the limit is 1.08: many pairs.
void epoch_over_bare(benchmark::State& state, const Setting& setting) {
  auto t = prepare(setting);
  bare(t);
  bench::ratio(
      state, [&] { return epoch(t); }, [&] { return bare(t); }, 15);
}
void epoch_resnet34_224_unfrozen_over_bare(benchmark::State& s) {
  epoch_over_bare(s, kUnfrozen34);
}
FASTCPP_ROW(epoch_resnet34_224_unfrozen_over_bare);
void epoch_resnet18_128_frozen_over_bare(benchmark::State& s) {
  epoch_over_bare(s, kFrozen18);
}
FASTCPP_ROW(epoch_resnet18_128_frozen_over_bare);
// An epoch of one batch: what surrounds the batches counts in full.
void step_resnet18_128_unfrozen_over_bare(benchmark::State& s) {
  epoch_over_bare(s, {"resnet18", 128, 32, 1, false});
}
FASTCPP_ROW(step_resnet18_128_unfrozen_over_bare);

// A process that keeps one processor busy.
class Neighbour {
 public:
  Neighbour() : pid_(::fork()) {
    if (pid_ == 0) {
      for (std::uint64_t i = 0;; benchmark::DoNotOptimize(++i)) {
      }
    }
  }
  ~Neighbour() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;

 private:
  pid_t pid_;
};

void epoch_resnet34_224_unfrozen_over_bare_one_core_busy(benchmark::State& s) {
  const Neighbour busy;
  epoch_over_bare(s, kUnfrozen34);
}
FASTCPP_ROW(epoch_resnet34_224_unfrozen_over_bare_one_core_busy);
void epoch_resnet18_128_frozen_over_bare_one_core_busy(benchmark::State& s) {
  const Neighbour busy;
  epoch_over_bare(s, kFrozen18);
}
FASTCPP_ROW(epoch_resnet18_128_frozen_over_bare_one_core_busy);

void frozen_without_train_bn_over_default(benchmark::State& state) {
  auto still = prepare(kFrozen18, /*train_bn=*/false), usual = prepare(kFrozen18);
  epoch(still);
  epoch(usual);
  bench::ratio(
      state, [&] { return epoch(still); }, [&] { return epoch(usual); });
}
FASTCPP_ROW(frozen_without_train_bn_over_default);

void precomputed_over_default(benchmark::State& state) {
  auto fast = prepare(kFrozen18, false, false), usual = prepare(kFrozen18);
  fast.learn.precompute();
  epoch(fast);
  bench::ratio(
      state, [&] { return epoch(fast); }, [&] { return epoch(usual); });
}
FASTCPP_ROW(precomputed_over_default);

void bf16_epoch_over_float32(benchmark::State& state) {
  auto half = prepare(kFrozen18), usual = prepare(kFrozen18);
  half.learn.to_bf16();
  epoch(half);
  bench::ratio(
      state, [&] { return epoch(half); }, [&] { return epoch(usual); });
}
FASTCPP_ROW(bf16_epoch_over_float32);

void optimizer_step_over_torch_adamw(benchmark::State& state) {
  auto t = prepare({"resnet34", 64, 2, 1, false});
  auto& opt = t.learn.opt();
  opt.set_wd({1e-2});
  torch::optim::AdamW theirs(t.learn.model()->parameters(),
                             torch::optim::AdamWOptions(1e-4).weight_decay(1e-2));
  for (auto& p : t.learn.model()->parameters()) p.mutable_grad() = torch::randn_like(p) * 1e-3;
  const auto ours = [&] { return bench::seconds([&] { opt.step(); }); };
  const auto limit = [&] { return bench::seconds([&] { theirs.step(); }); };
  ours();
  limit();
  bench::ratio(state, ours, limit, 15);
}
FASTCPP_ROW(optimizer_step_over_torch_adamw);

std::string g_program;

double peak_mb(const char* variant, const char* setting) {
  const auto command = "'" + g_program + "' --memory " + variant + " " + setting + " 2>/dev/null";
  FILE* pipe = ::popen(command.c_str(), "r");
  double mb = 0;
  if (!pipe || std::fscanf(pipe, "%lf", &mb) != 1) mb = -1;
  if (pipe) ::pclose(pipe);
  return mb;
}

// The "seconds" of this row are megabytes.
void peak_memory(benchmark::State& state, const char* setting) {
  bench::ratio(
      state, [&] { return peak_mb("ours", setting); }, [&] { return peak_mb("bare", setting); });
}
void peak_memory_mb_resnet18_128_frozen_over_bare(benchmark::State& s) {
  peak_memory(s, "frozen18");
}
FASTCPP_ROW(peak_memory_mb_resnet18_128_frozen_over_bare);
void peak_memory_mb_resnet34_224_unfrozen_over_bare(benchmark::State& s) {
  peak_memory(s, "unfrozen34");
}
FASTCPP_ROW(peak_memory_mb_resnet34_224_unfrozen_over_bare);

int memory(const std::string& variant, const std::string& setting) {
  // Batches of the lesson's size where memory is short; the bare loop holds two ready ones.
  auto t = prepare(setting == "frozen18" ? Setting{"resnet18", 128, 64, 2, true}
                                         : Setting{"resnet34", 224, 16, 2, false});
  if (variant == "ours") t.ready.clear();
  for (int i = 0; i < 2; ++i) variant == "ours" ? epoch(t) : bare(t);
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) std::printf("%.1f\n", std::stod(line.substr(6)) / 1024);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  set_threads(1);
  set_log_sink([](LogLevel, std::string_view) {});
  if (argc == 4 && std::strcmp(argv[1], "--memory") == 0) return memory(argv[2], argv[3]);
  g_program = std::filesystem::read_symlink("/proc/self/exe").string();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
