/// \file
/// Statistics of samples, and normalising by them.
#pragma once

#include <torch/types.h>

#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Mean and standard deviation per channel.
struct Stats {
  std::vector<float> mean;  ///< one a channel
  std::vector<float> std;   ///< standard deviation, one a channel, > 0
};

/// Statistics of ImageNet's training pictures (fastai: `imagenet_stats`).
inline const Stats imagenet_stats{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
/// Statistics of CIFAR-10 (fastai: `cifar_stats`).
inline const Stats cifar_stats{{0.491f, 0.482f, 0.447f}, {0.247f, 0.243f, 0.261f}};
/// Statistics of MNIST (fastai: `mnist_stats`).
inline const Stats mnist_stats{{0.131f}, {0.308f}};

/// (x - mean) / std for batches of one device. Never changes: copies share the statistics. Threads: any number at once.
class FASTCPP_API Normalize {
 public:
  /// \throws ValueError `value.stats` when mean and std differ in length, are empty, or a std is not > 0
  Normalize(const Stats& stats, torch::Device device);

  /// \param x a batch, N x C x ...; changed in place where it is of floating point
  /// \returns the normalised batch
  /// \throws ValueError `value.stats` on a batch of other channels; TrainError `train.failed` on one of another device
  torch::Tensor operator()(torch::Tensor x) const;

 private:
  torch::Tensor normalized(torch::Tensor x) const;
  torch::Tensor mean_, std_;  // on the device once, not with every batch
};

}  // namespace fastcpp
