// Three hundred short epochs with workers: memory, open files and threads stay as they are.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <opencv2/imgcodecs.hpp>

#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

std::int64_t entries_of(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

struct Use {
  double megabytes;  // resident
  std::int64_t files, threads;
};

Use use_of_this_process() {
  std::ifstream in("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  in >> all >> resident;
  return {static_cast<double>(resident) * 4096 / 1e6, entries_of("/proc/self/fd"),
          entries_of("/proc/self/task")};
}

}  // namespace

TEST_CASE("three hundred epochs with workers leave memory, files and threads as they are") {
  TempDir dir;
  for (const char* cls : {"dark", "light"}) {
    std::filesystem::create_directories(dir / cls);
    for (int i = 0; i < 16; ++i) {
      const cv::Mat picture(40, 40, CV_8UC3, cv::Scalar::all((*cls == 'd' ? 40 : 200) + i));
      REQUIRE(cv::imwrite((dir / cls / std::to_string(i)).string() + ".png", picture));
    }
  }
  const auto data = ImageDataBunch::from_folder(
      dir.path(),
      {.valid_pct = 0.25, .ds_tfms = get_transforms(), .size = 32, .bs = 8, .num_workers = 2});
  torch::manual_seed(1);
  nn::Sequential net(nn::Conv2d(nn::Conv2dOptions(3, 4, 3)), nn::BatchNorm2d(4), nn::ReLU(),
                     nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(4, 2));
  Learner learn(data, Model(net),
                {.metrics = {accuracy},
                 .callback_fns = {csv_logger(), save_model({.monitor = "valid_loss"})},
                 .silent = true});
  std::vector<Use> uses;
  learn.fit(300, 1e-3,
            {.callbacks = {make_callback({.on_epoch_end = [&](Learner&, TrainState& state) {
               // The pools of allocators are full after some epochs.
               if (state.epoch == 99 || state.epoch == 299) uses.push_back(use_of_this_process());
             }})}});
  REQUIRE(uses.size() == 2);
  const auto& [early, late] = std::pair(uses[0], uses[1]);
  CAPTURE(early.megabytes, late.megabytes, early.files, late.files, early.threads, late.threads);
  CHECK(late.files == early.files);
  CHECK(late.threads == early.threads);
  // The record of 600 more batches is some kilobytes; a batch that leaks would be 60 MB.
  if (!kSanitized) CHECK(late.megabytes - early.megabytes < 4);
}
