#include "pictures.hpp"

#include <torch/utils.h>

#include <cstdio>
#include <cstdlib>

#include "fastcpp/vision.hpp"

namespace bench {
using namespace fastcpp;

namespace {

// Gradients with noise, of the size of the pets' pictures, so that a JPEG of them has detail.
std::vector<Path> drawn() {
  const auto folder = std::filesystem::temp_directory_path() / "fastcpp-bench";
  make_folder(folder);
  torch::manual_seed(1);
  for (int i = 0; i < 64; ++i) {
    const auto file = folder / ("drawn_" + std::to_string(i) + ".jpg");
    if (std::filesystem::exists(file)) continue;
    const auto ramp = torch::linspace(0, 1, 375 * 500).view({1, 375, 500});
    Image::from_tensor(
        (torch::rand({3, 1, 1}) * ramp + 0.1 * torch::rand({3, 375, 500})).clamp(0, 1))
        .save(file);
  }
  return get_image_files(folder);
}

}  // namespace

std::vector<Path> pictures(std::size_t count) {
  const char* folder = std::getenv("FASTCPP_BENCH_PICTURES");
  if (!folder) std::fprintf(stderr, "no FASTCPP_BENCH_PICTURES: drawn pictures of 500 x 375\n");
  auto files = folder ? get_image_files(folder) : drawn();
  const auto have = files.size();
  for (std::size_t i = 0; files.size() < count; ++i) files.push_back(files[i % have]);
  files.resize(count);
  return files;
}

}  // namespace bench
