// Data and the network that predicts in a benchmark.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/vision.hpp"
#include "pictures.hpp"

namespace bench {

// Pictures of 224 x 224 in two classes.
inline fastcpp::ImageDataBunch data(std::size_t count) {
  using namespace fastcpp;
  LabelLists lists;
  const auto files = bench::pictures(count);
  lists.train = {files, std::vector<std::int64_t>(files.size(), 0), {"a", "b"}};
  lists.valid = lists.train;
  return ImageDataBunch::create_from_ll(
             lists, "/tmp", {.ds_tfms = get_transforms(), .size = 224, .device = torch::kCPU})
      .normalize(imagenet_stats);
}

// A resnet34 for them, with random weights.
inline fastcpp::Learner learner() {
  using namespace fastcpp;
  auto learn = cnn_learner(data(64), models::resnet34, {.pretrained = false, .silent = true});
  learn.model()->eval();
  return learn;
}

}  // namespace bench
