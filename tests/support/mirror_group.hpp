// Groups of processes that are there in one process alone.
#pragma once

#include <torch/utils.h>

#include <memory>
#include <string>
#include <vector>

#include "fastcpp/train/process_group.hpp"

namespace fastcpp::test {

// Two processes of which the other one does the same as this.
struct MirrorGroup : ProcessGroup {
  struct Done : Work {
    void wait() override {}
  };
  int rank() const override { return 0; }
  int world_size() const override { return 2; }
  std::unique_ptr<Work> all_reduce(const torch::Tensor& tensor) override {
    const torch::NoGradGuard no_grad;
    torch::Tensor(tensor).mul_(2);
    return std::make_unique<Done>();
  }
  void broadcast(const torch::Tensor&, int) override {}
  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) override {
    return {tensor.detach().cpu().clone(), tensor.detach().cpu().clone()};
  }
  void abort(const std::string&) noexcept override {}
};

// Another process that found something else.
struct OtherGroup : MirrorGroup {
  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) override {
    return {tensor.detach().cpu().clone(), tensor.detach().cpu() + 1};
  }
  void abort(const std::string& why) noexcept override { said = why; }
  std::string said;
};

}  // namespace fastcpp::test
