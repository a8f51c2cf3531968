// What differs on a CUDA device, beside the CPU. Skipped where there is none.
#include <ATen/Context.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

bool no_cuda() {
  if (torch::cuda::is_available()) return false;
  skip("no CUDA device");
  return true;
}

void draw_pictures(const Path& folder) {
  torch::manual_seed(1);
  for (int i = 0; i < 40; ++i) {
    const auto name = (i % 2 ? "odd_" : "even_") + std::to_string(i) + ".jpg";
    const auto rough = torch::rand({1, 3, 6, 7});
    Image::from_tensor(
        torch::upsample_bilinear2d(rough, {90, 100 + i}, true)[0].mul(i % 2 ? 1 : 0.6))
        .save(folder / name);
  }
}

ImageDataBunch device_bunch(const Path& folder, torch::Device device, AugmentOn where) {
  return ImageDataBunch::from_name_re(folder, get_image_files(folder), R"(/([^/]+)_\d+.jpg$)",
                                      {.ds_tfms = get_transforms(),
                                       .size = 64,
                                       .bs = 8,
                                       .num_workers = 2,
                                       .device = device,
                                       .seed = 1,
                                       .augment_on = where})
      .normalize(imagenet_stats);
}

std::vector<double> losses(const DataBunch& data, void (*prepare)(Learner&)) {
  auto learn = cnn_learner(data, models::resnet18,
                           {.pretrained = false, .ps = {0.0}, .silent = true, .seed = 5});
  prepare(learn);
  learn.fit(2, 1e-4);
  return learn.recorder().losses;
}

}  // namespace

TEST_CASE("batches on CUDA are those of the CPU, wherever they are augmented") {
  if (no_cuda()) return;
  TempDir dir;
  draw_pictures(dir.path());
  for (const auto where : {AugmentOn::kWorkers, AugmentOn::kDevice}) {
    const auto cpu = device_bunch(dir.path(), torch::kCPU, AugmentOn::kWorkers);
    const auto cuda = device_bunch(dir.path(), torch::kCUDA, where);
    for (int epoch = 0; epoch < 2; ++epoch) {
      auto want = cpu.train_dl().pass(), got = cuda.train_dl().pass();
      while (const auto a = want.next()) {
        const auto b = got.next();
        REQUIRE(b);
        CHECK(b->x.is_cuda());
        CHECK(torch::equal(b->y.cpu(), a->y));
        CHECK((b->x.cpu() - a->x).abs().max().item<double>() < 2e-3);
      }
      CHECK_FALSE(got.next());
    }
  }
}

TEST_CASE("training on CUDA follows the CPU") {
  if (no_cuda()) return;
  TempDir dir;
  draw_pictures(dir.path());
  const auto nothing = [](Learner&) {};
  const auto want = losses(device_bunch(dir.path(), torch::kCPU, AugmentOn::kWorkers), nothing);
  const auto check = [&](const std::vector<double>& got, double tolerance) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      INFO("step " << i);
      CHECK(std::isfinite(got[i]));
      CHECK(got[i] == Approx(want[i]).margin(i == 0 ? tolerance / 5 : tolerance));
    }
  };
  // Convolutions in TF32: ten bits of mantissa.
  check(losses(device_bunch(dir.path(), torch::kCUDA, AugmentOn::kDevice), nothing), 0.1);
  check(losses(device_bunch(dir.path(), torch::kCUDA, AugmentOn::kDevice),
               [](Learner& learn) { learn.to_bf16(); }),
        0.3);
  // The scale of the loss starts so high that the first steps may overflow and be left out.
  const auto half = losses(device_bunch(dir.path(), torch::kCUDA, AugmentOn::kDevice),
                           [](Learner& learn) { learn.to_fp16(); });
  REQUIRE(half.size() == want.size());
  for (const double loss : half) CHECK(std::isfinite(loss));
  CHECK(half.front() == Approx(want.front()).margin(0.02));
  CHECK(half.back() < half.front());
  CHECK(at::globalContext().benchmarkCuDNN());
}
