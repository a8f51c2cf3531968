/// \file
/// The processes of one training, as the learner sees them. The room `distributed` connects them.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Several processes that train one model together (PyTorch: `ProcessGroup`).
///
/// All of them call the same functions in the same order, with tensors of the same shape and type; a call waits for the
/// others. When one of them is gone or has failed, the calls of the others throw DistributedError `distributed.lost`, and
/// the group is of no more use. Shared by the learners that train with it. Threads: one at a time, which may be
/// another one at each call.
class FASTCPP_API ProcessGroup {
 public:
  /// A sum under way. Belongs to the caller, who keeps the group too. Threads: one at a time.
  class FASTCPP_API Work {
   public:
    virtual ~Work() = default;
    /// Waits until the tensor holds the sum.
    /// \throws DistributedError `distributed.lost`
    virtual void wait() = 0;
  };

  virtual ~ProcessGroup() = default;
  /// The number of this process, from 0. Process 0 prints, logs and saves.
  virtual int rank() const = 0;
  /// How many processes there are, >= 1.
  virtual int world_size() const = 0;
  /// Begins to add up a tensor over all processes, in place; do not touch it before the end.
  /// \param tensor contiguous, of float32, float64 or int64, on any device
  /// \throws DistributedError `distributed.lost`, `distributed.ended`
  virtual std::unique_ptr<Work> all_reduce(const torch::Tensor& tensor) = 0;
  /// Overwrites a tensor with what one of the processes holds.
  /// \param tensor contiguous, of any type, on any device
  /// \param from   whose values count, 0 <= from < world_size()
  /// \throws as `all_reduce`
  virtual void broadcast(const torch::Tensor& tensor, int from = 0) = 0;
  /// The tensors of all processes by rank, on the CPU.
  /// \param tensor of any type, on any device
  /// \throws as `all_reduce`
  virtual std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) = 0;
  /// Waits until all processes are here.
  /// \throws as `all_reduce`
  void barrier();
  /// Tells the others that this process cannot go on, and leaves the group: they need not wait until their time is up.
  /// Does nothing a second time.
  /// \param why what they are told
  virtual void abort(const std::string& why) noexcept = 0;
};

/// Options of `Learner::to_distributed`.
struct DistributedOptions {
  double bucket_mb = 25;  ///< gradients that are exchanged at once, in MB (2^20 bytes), > 0
};

}  // namespace fastcpp
