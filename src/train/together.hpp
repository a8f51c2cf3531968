// What the processes of one training do together.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "fastcpp/train/process_group.hpp"
#include "train/gradient_reducer.hpp"

namespace fastcpp::inline v0 {

// Every process calls the same functions in the same order; what a function gives is the same in all of them.
class Together {
 public:
  Together(std::shared_ptr<ProcessGroup> group, const DistributedOptions& options);

  int size() const { return group_->world_size(); }
  // Throws DistributedError `distributed.differs` where the processes do not train the same.
  void expect_same(const torch::nn::Module& model, int epochs, std::int64_t batches,
                   std::size_t metrics);
  // What the first process has: parameters and buffers, or buffers alone; a number.
  void take_weights(const torch::nn::Module& model);
  void take_buffers(const torch::nn::Module& model);
  std::int64_t take_number(std::int64_t number);
  // Adds each number up.
  void sum(std::vector<double>& numbers);
  // The mean of a loss over the items of all processes.
  double mean(double loss, std::int64_t items);
  // The rows that the processes have of one batch, in the order in which one process would have them.
  // \param share undefined: this process has none
  torch::Tensor gathered(const torch::Tensor& share);

  // Around the backward pass of a batch.
  void begin_step(const torch::nn::Module& model) { gradients_.begin(model); }
  void finish_step() { gradients_.finish(); }

 private:
  void take(std::vector<torch::Tensor> tensors);

  std::shared_ptr<ProcessGroup> group_;
  GradientReducer gradients_;
};

}  // namespace fastcpp
