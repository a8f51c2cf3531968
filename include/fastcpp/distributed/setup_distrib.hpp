/// \file
/// Connecting the processes of a training.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "fastcpp/distributed/launch.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/process_group.hpp"

namespace fastcpp::inline v0 {

/// How processes are connected.
struct ProcessGroupOptions {
  std::optional<Launch> launch = {};  ///< absent: `launch_from_environment()`
  /// How long processes wait for one another, at the beginning and in each exchange; >= 1 s. A process that ends is
  /// noticed sooner, one whose machine vanishes is not.
  std::chrono::seconds timeout = std::chrono::minutes(5);
  /// Network interface over which gradients travel, for example `eth0`; absent: the variable `GLOO_SOCKET_IFNAME`, or the
  /// one that leads to process 0
  std::optional<std::string> interface = {};
  /// Leaves out what processes other than the first log as information; their warnings begin with their number.
  bool quiet = true;
};

/// Connects this process with the others that the launcher started (fastai: `setup_distrib`), for
/// `Learner::to_distributed`. All processes call it; each waits for the others. Tensors on the CPU travel by Gloo, those on
/// CUDA by NCCL where this library was built with it, else by Gloo too. One process alone needs neither. Call it once: all
/// learners of a program train with the same group.
///
/// With `quiet` it replaces the log sink of all processes but the first.
/// \throws DistributedError `distributed.environment`, `distributed.cannot_connect`; `distributed.not_built` where
/// there are several processes and this library was built without Gloo; ValueError `value.timeout`, `value.rank`
FASTCPP_API std::shared_ptr<ProcessGroup> setup_distrib(const ProcessGroupOptions& options = {});

/// Whether this library was built with what several processes need: `distributed.not_built` tells how to get it.
FASTCPP_API bool distributed_available();

}  // namespace fastcpp
