// Gradients averaged over processes while the backward pass goes on (as Li et al. 2020, arXiv:2006.15704, do).
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "compat/gradient_hook.hpp"
#include "fastcpp/train/process_group.hpp"

namespace fastcpp::inline v0 {

// Parameters lie in buckets, the last layers first, for their gradients come first. A full bucket is on its way while the
// backward pass goes on below it. Buckets leave in the same order in all processes. Beside the gradients a bucket carries a
// number for each parameter: how many processes have a gradient of it; one that none has stays without.
class GradientReducer {
 public:
  GradientReducer(std::shared_ptr<ProcessGroup> group, std::int64_t bucket_bytes);

  // Before the forward pass. Looks whether other parameters are trained than at the last one.
  void begin(const torch::nn::Module& model);
  // After the backward pass: each gradient is the mean over the processes.
  void finish();

 private:
  struct Parameter {
    torch::Tensor tensor;
    std::size_t bucket = 0;
    std::int64_t first = 0, flag = 0;  // places in the bucket
    bool ready = false;
    std::unique_ptr<compat::GradientHook> hook;
  };
  struct Bucket {
    std::vector<std::size_t> parameters;
    torch::Tensor flat;
    std::size_t missing = 0;  // gradients that are not there yet
    std::unique_ptr<ProcessGroup::Work> work;
  };

  void arrange(std::vector<torch::Tensor> trained);
  void make_flat(Bucket& bucket);
  void ready(std::size_t parameter);
  void take(Parameter& parameter);
  void send_full();
  void send(Bucket& bucket);
  void collect(Bucket& bucket);

  std::shared_ptr<ProcessGroup> group_;
  std::int64_t bucket_bytes_;
  std::vector<Bucket> buckets_;
  std::vector<Parameter> parameters_;
  std::size_t sent_ = 0;  // buckets on their way
  bool active_ = false, again_ = false;
};

}  // namespace fastcpp
