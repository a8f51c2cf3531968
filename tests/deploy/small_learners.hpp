// Little learners on pictures that the test draws.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/utils.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/support.hpp"

namespace fastcpp::test {

inline std::vector<Path> draw(const TempDir& dir, int count = 12) {
  torch::manual_seed(1);
  for (int i = 0; i < count; ++i) {
    const auto name = (i % 2 ? "odd_" : "even_") + std::to_string(i) + ".png";
    Image::from_tensor(torch::rand({3, 70, 80})).save(dir.path() / name);
  }
  return get_image_files(dir.path());
}

inline ImageDataBunch pictures(const TempDir& dir, int count = 12) {
  return ImageDataBunch::from_name_re(dir.path(), draw(dir, count), R"(/([^/]+)_\d+.png$)",
                                      {.ds_tfms = get_transforms(),
                                       .size = 64,
                                       .bs = 4,
                                       .num_workers = 0,
                                       .device = torch::kCPU,
                                       .seed = 1})
      .normalize(imagenet_stats);
}

// Weights and statistics of a network that has seen something: none is 0 or 1.
inline void live(torch::nn::Module& model) {
  const torch::NoGradGuard no_grad;
  for (const auto& module : model.modules()) {
    auto* norm = module->as<torch::nn::BatchNorm2dImpl>();
    if (!norm) continue;
    norm->weight.uniform_(0.6, 1.4);
    norm->bias.uniform_(-0.3, 0.3);
    norm->running_mean.uniform_(-0.3, 0.3);
    norm->running_var.uniform_(0.6, 1.6);
  }
}

inline Learner learner(const DataBunch& data, const models::Arch& arch) {
  auto learn = cnn_learner(data, arch, {.pretrained = false, .silent = true});
  torch::manual_seed(2);
  live(*learn.model());
  return learn;
}

// What label_from_func takes for labels in the order of files.
inline std::function<Label(const Path&)> labels_in_order(const std::vector<Path>& files,
                                                         const std::vector<Label>& labels) {
  return [files, labels](const Path& file) {
    const auto at = std::find(files.begin(), files.end(), file);
    return labels.at(static_cast<std::size_t>(at - files.begin()));
  };
}

}  // namespace fastcpp::test
