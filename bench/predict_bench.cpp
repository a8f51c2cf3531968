// Predictor beside a plain forward pass.
#include <torch/utils.h>

#include "fastcpp/vision.hpp"
#include "learner.hpp"
#include "pictures.hpp"
#include "ratio.hpp"

using namespace fastcpp;

namespace {

void one_picture(benchmark::State& state, const PredictorOptions& options) {
  const torch::NoGradGuard no_grad;
  const auto learn = bench::learner();
  const Predictor predictor(learn, options);
  const auto x = torch::randn({1, 3, 224, 224});
  constexpr int kTimes = 10;
  const auto ours = [&] {
    return bench::seconds([&] {
      for (int i = 0; i < kTimes; ++i) predictor.forward(x);
    });
  };
  const auto limit = [&] {
    return bench::seconds([&] {
      for (int i = 0; i < kTimes; ++i) learn.model()(x);
    });
  };
  ours();
  limit();
  bench::ratio(state, ours, limit, 9);
  const auto want = learn.model()(x);
  state.counters["difference"] = (predictor.forward(x) - want).abs().max().item<double>() /
                                 std::max(1.0, want.abs().max().item<double>());
}

void predictor_over_plain_forward(benchmark::State& state) {
  one_picture(state, {});
}
FASTCPP_ROW(predictor_over_plain_forward);
void predictor_unfolded_over_plain_forward(benchmark::State& state) {
  one_picture(state, {.fold = false});
}
FASTCPP_ROW(predictor_unfolded_over_plain_forward);
void predictor_bf16_over_plain_forward(benchmark::State& state) {
  one_picture(state, {.bf16 = true});
}
FASTCPP_ROW(predictor_bf16_over_plain_forward);

void predict_batch_over_one_by_one(benchmark::State& state) {
  const Predictor predictor(bench::learner());
  const auto files = bench::pictures(64);
  bench::ratio(
      state, [&] { return bench::seconds([&] { predictor.predict_batch(files); }); },
      [&] {
        return bench::seconds([&] {
          for (const auto& file : files) predictor.predict(file);
        });
      });
}
FASTCPP_ROW(predict_batch_over_one_by_one);

// Losses, predictions and targets of the validation set beside its forward passes.
void interpretation_over_forward_passes(benchmark::State& state) {
  auto learn = bench::learner();
  bench::ratio(
      state,
      [&] { return bench::seconds([&] { ClassificationInterpretation::from_learner(learn); }); },
      [&] {
        return bench::seconds([&] {
          const torch::NoGradGuard no_grad;
          learn.model()->eval();
          for (auto& batch : learn.data().valid_dl()) {
            learn.model()(batch.x.contiguous(torch::MemoryFormat::ChannelsLast));
          }
        });
      });
}
FASTCPP_ROW(interpretation_over_forward_passes);

}  // namespace

int main(int argc, char** argv) {
  set_threads(1);
  set_log_sink([](LogLevel, std::string_view) {});
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
