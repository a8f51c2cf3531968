/// \file
/// How whoever runs a layer tells hooks of it.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

namespace detail {
// Whether this thread has hooks. Cheap: asked for every layer.
FASTCPP_API bool has_hooks();

// A layer runs for as long as this lives; the outermost one is a pass. Used by one thread.
class FASTCPP_API RunningLayer {
 public:
  explicit RunningLayer(const torch::nn::Module& layer);
  ~RunningLayer();
  RunningLayer(const RunningLayer&) = delete;
  RunningLayer& operator=(const RunningLayer&) = delete;
  // The layer gave this: tells its hooks. Undefined: nothing to tell. Throws what a hook's function threw in this pass.
  void gave(const torch::Tensor& output);

 private:
  const torch::nn::Module* layer_;
  bool again_;  // the same layer, told by who called this one
};

// Runs a layer and tells its hooks what it gave.
template <typename Run>
torch::Tensor watched(const torch::nn::Module& layer, Run&& run) {
  if (!has_hooks()) return run();
  RunningLayer running(layer);
  torch::Tensor output = run();
  running.gave(output);
  return output;
}
}  // namespace detail

}  // namespace fastcpp
