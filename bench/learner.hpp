// The network that predicts in a benchmark.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/vision.hpp"
#include "pictures.hpp"

namespace bench {

// A resnet34 of two classes for pictures of 224 x 224, with random weights.
inline fastcpp::Learner learner() {
  using namespace fastcpp;
  LabelLists lists;
  const auto files = bench::pictures(64);
  lists.train = {files, std::vector<std::int64_t>(files.size(), 0), {"a", "b"}};
  lists.valid = lists.train;
  const auto data =
      ImageDataBunch::create_from_ll(
          lists, "/tmp", {.ds_tfms = get_transforms(), .size = 224, .device = torch::kCPU})
          .normalize(imagenet_stats);
  auto learn = cnn_learner(data, models::resnet34, {.pretrained = false, .silent = true});
  learn.model()->eval();
  return learn;
}

}  // namespace bench
