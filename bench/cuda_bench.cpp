// Training on a CUDA device beside a bare loop over tensors that are in its memory already. Without
// a device it says so and measures nothing.
#include <ATen/Context.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <torch/cuda.h>
#include <torch/nn/functional/loss.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

// Epochs so long that the wait for the first batch does not count.
constexpr std::int64_t kBatches = 200, kSide = 224;
// Of the bare loop, in the device's memory all the time.
constexpr std::size_t kReady = 16;

enum class Precision { kSingle, kHalf, kBFloat16 };

struct Setting {
  const char* arch;
  bool frozen;
  Precision precision;
  std::int64_t batch;
  AugmentOn where;
};

ImageDataBunch bunch(AugmentOn where, std::int64_t batch) {
  LabelLists lists;
  const auto files = bench::pictures(static_cast<std::size_t>(batch * kBatches));
  lists.train = {files, std::vector<std::int64_t>(files.size(), 0), classes()};
  return ImageDataBunch::create_from_ll(lists, "/tmp",
                                        {.ds_tfms = get_transforms(),
                                         .size = kSide,
                                         .bs = batch,
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

void count(benchmark::State& state, std::int64_t batch) {
  const auto pictures = static_cast<double>(batch * kBatches);
  state.counters["pictures_per_s"] = pictures / state.counters["ours_s"].value;
  state.counters["limit_pictures_per_s"] = pictures / state.counters["limit_s"].value;
}

void loader(benchmark::State& state, std::int64_t batch) {
  const auto device = bunch(AugmentOn::kDevice, batch), workers = bunch(AugmentOn::kWorkers, batch);
  epoch_of(device);
  epoch_of(workers);
  bench::ratio(
      state, [&] { return epoch_of(device); }, [&] { return epoch_of(workers); }, 3);
  count(state, batch);
}

// What a training of half precision scales its loss by, without any look at it from the processor.
class Scaler {
 public:
  void backward(const torch::Tensor& loss) { (loss * scale_).backward(); }
  void step(OptimWrapper& opt) {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> gradients;
    for (const auto& group : opt.groups()) {
      for (const auto& p : group.params) gradients.push_back(p.grad());
    }
    auto overflow = torch::zeros_like(scale_);
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflow, scale_.reciprocal());
    at::_amp_update_scale_(scale_, good_, overflow, 2, 0.5, 1000);
    opt.step(overflow);
  }

 private:
  torch::Tensor scale_ = torch::full({}, 65536.0, torch::device(torch::kCUDA).dtype(torch::kFloat));
  torch::Tensor good_ = torch::zeros({}, torch::device(torch::kCUDA).dtype(torch::kInt));
};

void train(benchmark::State& state, const Setting& s) {
  const auto data = bunch(s.where, s.batch);
  // cuDNN's autotuning is on from here, for the bare loop too.
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
    if (ready.size() == kReady) break;
  }
  const auto ours = [&] {
    return bench::seconds([&] {
      learn.fit(1, 1e-4);
      torch::cuda::synchronize();
    });
  };
  Scaler scaler;
  const auto bare = [&] {
    return bench::seconds([&] {
      const auto& model = learn.model();
      model->train();
      for (std::int64_t i = 0; i < kBatches; ++i) {
        const auto& batch = ready[static_cast<std::size_t>(i) % ready.size()];
        torch::Tensor output;
        {
          const compat::Autocast autocast(torch::kCUDA, type);
          output = model(batch.x);
        }
        const auto loss = torch::nn::functional::cross_entropy(output.to(torch::kFloat32), batch.y);
        if (s.precision == Precision::kHalf) {
          scaler.backward(loss);
          scaler.step(learn.opt());
        } else {
          loss.backward();
          learn.opt().step();
        }
        learn.opt().zero_grad();
      }
      torch::cuda::synchronize();
    });
  };
  ours();
  bare();
  bench::ratio(state, ours, bare, 3);
  count(state, s.batch);
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
  for (const std::int64_t batch : {64, 256}) {
    const auto size = "_bs" + std::to_string(batch);
    add("cuda_loader" + size + "_device_over_workers", loader, batch);
    for (const char* arch : {"resnet18", "resnet34", "resnet50"}) {
      for (const bool frozen : {true, false}) {
        const auto stem = std::string("cuda_") + arch + (frozen ? "_frozen" : "_unfrozen") + size;
        for (const auto& [name, precision] :
             {std::pair("_float32", Precision::kSingle), std::pair("_bf16", Precision::kBFloat16),
              std::pair("_fp16", Precision::kHalf)}) {
          add(stem + name + "_over_bare", train,
              Setting{arch, frozen, precision, batch, AugmentOn::kWorkers});
          add(stem + name + "_device_augment_over_bare", train,
              Setting{arch, frozen, precision, batch, AugmentOn::kDevice});
        }
      }
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
