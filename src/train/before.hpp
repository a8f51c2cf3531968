// All of a learner that a fit may change, kept by value and put back.
#pragma once

#include <torch/types.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "train/learner_impl.hpp"

namespace fastcpp::inline v0 {

// Weights, buffers, what is trainable, modes, optimizer, layer groups, data, options, recorder and counters. The objects that
// users may hold (model, optimizer, recorder) stay the same ones. Used from one thread.
class Learner::Impl::Before {
 public:
  explicit Before(Impl& impl);
  void restore();
  // Of these only what the training itself changes: data, options, record and counters stay as they are now.
  void restore_training();

 private:
  static std::vector<torch::Tensor> tensors_of(const Impl& impl);

  Impl& impl_;
  DataBunch data_;
  LearnerOptions options_;
  Path path_;
  std::vector<LayerGroup> layer_groups_;
  std::optional<OptimWrapper> opt_;
  std::optional<Recorder> recorder_;
  std::uint64_t fits_;
  std::shared_ptr<ProcessGroup> processes_;
  ComputeType precision_;
  std::optional<Features> features_;
  std::vector<torch::Tensor> saved_;
  std::vector<bool> trainable_;
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
};

}  // namespace fastcpp
