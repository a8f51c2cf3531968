// How many pictures a second become batches, beside the bare decoding of the same files in the same
// run.
//
//   loader_bench [folder of pictures]      without a folder on gradients drawn for the purpose
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <filesystem>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

namespace {

std::vector<Path> g_files;

void bare_decode(benchmark::State& state) {
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(g_files[i++ % g_files.size()]).data);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(bare_decode)->Unit(benchmark::kMillisecond);

void loader(benchmark::State& state) {
  LabelList list{g_files, std::vector<std::int64_t>(g_files.size(), 0), {"picture"}};
  DataLoader batches(
      std::make_shared<ImageDataset>(list, get_transforms().train, ApplyTfmsOptions{.size = 224}),
      {.bs = 64,
       .shuffle = true,
       .drop_last = true,
       .num_workers = static_cast<int>(state.range(0))});
  std::int64_t pictures = 0;
  for (auto _ : state) {
    for (auto& batch : batches.batches()) pictures += batch.x.size(0);
  }
  state.SetItemsProcessed(pictures);
}
BENCHMARK(loader)
    ->ArgName("workers")
    ->Arg(0)
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

std::vector<Path> drawn() {
  const auto folder = std::filesystem::temp_directory_path() / "fastcpp-loader-bench";
  for (int i = 0; i < 128; ++i) {
    const auto file = folder / (std::to_string(i) + ".jpg");
    make_folder(folder);
    if (!std::filesystem::exists(file)) {
      Image::from_tensor(torch::rand({3, 1, 1}) *
                         torch::linspace(0, 1, 375 * 500).view({1, 375, 500}))
          .save(file);
    }
  }
  return get_image_files(folder);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  g_files = argc > 1 ? get_image_files(argv[1]) : drawn();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
