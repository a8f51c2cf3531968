// Training on a CUDA device beside a bare loop over tensors that are in its memory already. Without
// a device it says so and measures nothing.
#include <torch/cuda.h>
#include <torch/nn/functional/loss.h>

#include <cstdio>

#include "compat/autocast.hpp"
#include "fastcpp/vision.hpp"
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

constexpr std::int64_t kBatch = 64;
constexpr int kBatches = 16, kSide = 224;

enum class Precision { kSingle, kHalf, kBFloat16 };

struct Setting {
  const char* arch;
  bool frozen;
  Precision precision;
  AugmentOn where;
};

ImageDataBunch bunch(AugmentOn where) {
  LabelLists lists;
  const auto files = bench::pictures(kBatch * kBatches);
  lists.train = {files, std::vector<std::int64_t>(files.size(), 0), classes()};
  return ImageDataBunch::create_from_ll(lists, "/tmp",
                                        {.ds_tfms = get_transforms(),
                                         .size = kSide,
                                         .bs = kBatch,
                                         .device = torch::kCUDA,
                                         .no_check = true,
                                         .seed = 1,
                                         .augment_on = where})
      .normalize(imagenet_stats);
}

double epoch_of(const DataBunch& data) {
  return bench::seconds([&] {
    for (auto& batch : data.train_dl()) benchmark::DoNotOptimize(batch.x.data_ptr());
    torch::cuda::synchronize();
  });
}

void count(benchmark::State& state) {
  state.counters["pictures_per_s"] = kBatch * kBatches / state.counters["ours_s"].value;
  state.counters["limit_pictures_per_s"] = kBatch * kBatches / state.counters["limit_s"].value;
}

void loader(benchmark::State& state) {
  const auto device = bunch(AugmentOn::kDevice), workers = bunch(AugmentOn::kWorkers);
  epoch_of(device);
  epoch_of(workers);
  bench::ratio(
      state, [&] { return epoch_of(device); }, [&] { return epoch_of(workers); });
  count(state);
}

void train(benchmark::State& state, const Setting& s) {
  const auto data = bunch(s.where);
  auto learn = cnn_learner(data, models::find(s.arch), {.pretrained = false, .silent = true});
  s.frozen ? learn.freeze() : learn.unfreeze();
  std::optional<torch::ScalarType> type;
  if (s.precision == Precision::kHalf) {
    learn.to_fp16();
    type = torch::kHalf;
  } else if (s.precision == Precision::kBFloat16) {
    learn.to_bf16();
    type = torch::kBFloat16;
  }
  std::vector<Batch> ready;
  for (auto& batch : data.train_dl()) {
    batch.x = batch.x.contiguous(torch::MemoryFormat::ChannelsLast);
    ready.push_back(batch);
  }
  const auto ours = [&] {
    return bench::seconds([&] {
      learn.fit(1, 1e-4);
      torch::cuda::synchronize();
    });
  };
  const auto bare = [&] {
    return bench::seconds([&] {
      const auto& model = learn.model();
      model->train();
      for (const auto& batch : ready) {
        torch::Tensor output;
        {
          const compat::Autocast autocast(torch::kCUDA, type);
          output = model(batch.x);
        }
        torch::nn::functional::cross_entropy(output.to(torch::kFloat32), batch.y).backward();
        learn.opt().step();
        learn.opt().zero_grad();
      }
      torch::cuda::synchronize();
    });
  };
  ours();
  bare();
  bench::ratio(state, ours, bare);
  count(state);
}

}  // namespace

int main(int argc, char** argv) {
  set_log_sink([](LogLevel, std::string_view) {});
  benchmark::Initialize(&argc, argv);
  if (!torch::cuda::is_available()) {
    std::puts("[skipped] no CUDA device");
    return 0;
  }
  const auto add = [](const std::string& name, auto&&... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), arguments...)
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  };
  add("cuda_loader_device_over_workers", loader);
  for (const char* arch : {"resnet34", "resnet50"}) {
    for (const bool frozen : {true, false}) {
      const auto stem = std::string("cuda_") + arch + (frozen ? "_frozen" : "_unfrozen");
      add(stem + "_float32_over_bare", train,
          Setting{arch, frozen, Precision::kSingle, AugmentOn::kWorkers});
      add(stem + "_fp16_over_bare", train,
          Setting{arch, frozen, Precision::kHalf, AugmentOn::kWorkers});
      add(stem + "_fp16_device_augment_over_bare", train,
          Setting{arch, frozen, Precision::kHalf, AugmentOn::kDevice});
      add(stem + "_bf16_device_augment_over_bare", train,
          Setting{arch, frozen, Precision::kBFloat16, AugmentOn::kDevice});
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
