// A group of processes on c10d.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "compat/process_group.hpp"
#include "fastcpp/distributed/setup_distrib.hpp"

namespace fastcpp::inline v0 {

// Tensors on the CPU travel by Gloo. Beside it stands a store of texts, through which the processes met: there each one
// says what became of it when an exchange fails.
class C10dGroup : public ProcessGroup {
 public:
  C10dGroup(const Launch& launch, const ProcessGroupOptions& options);
  ~C10dGroup() override;
  C10dGroup(const C10dGroup&) = delete;
  C10dGroup& operator=(const C10dGroup&) = delete;

  int rank() const override { return launch_.rank; }
  int world_size() const override { return launch_.world_size; }
  std::unique_ptr<Work> all_reduce(const torch::Tensor& tensor) override;
  void broadcast(const torch::Tensor& tensor, int from) override;
  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) override;
  void abort(const std::string& why) noexcept override;

 private:
  class Sum;

  void meet();
  void connect(const ProcessGroupOptions& options);
  compat::Gloo gloo() const;
  // Runs an exchange; what it throws becomes `distributed.lost`.
  template <typename F>
  auto exchange(F&& f) -> decltype(f());
  [[noreturn]] void lost(const std::string& cause);
  std::string who_is_missing(const std::string& cause);
  std::string key(int rank) const;
  void say(const std::string& text);
  bool all_others_spoke();

  Launch launch_;
  std::chrono::milliseconds timeout_;
  compat::Store store_;
  bool serves_ = false;  // the store lives in this process
  compat::Gloo gloo_;
#ifdef FASTCPP_NCCL
  compat::Nccl nccl_;
#endif
  std::string ended_;  // why the group is of no more use; empty while it is
  bool spoke_ = false;
};

}  // namespace fastcpp
