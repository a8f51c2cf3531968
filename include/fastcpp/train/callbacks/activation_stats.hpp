/// \file
/// Callbacks that look into the network while it trains.
///
/// A callback belongs to one learner at a time and is called from the thread that trains.
#pragma once

#include <torch/types.h>

#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/hooks/hook.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/optim/layers.hpp"

namespace fastcpp::inline v0 {

/// Options of HookCallback, in fastai's order.
struct HookCallbackOptions {
  std::vector<Layer> modules = {};  ///< layers to see; empty: all leaf layers with a weight
  bool do_remove = true;            ///< remove the hooks when the fit ends
};

/// Base of callbacks that see what layers give, in training and validation (fastai: `HookCallback`). Derive and give `hook`.
/// Keeps the layers alive while it has hooks. Lifetime and threads as Callback.
class FASTCPP_API HookCallback : public Callback {
 public:
  /// \param options which layers
  explicit HookCallback(const HookCallbackOptions& options = {});
  ~HookCallback() override;
  HookCallback(const HookCallback&) = delete;
  HookCallback& operator=(const HookCallback&) = delete;
  /// Puts the hooks on.
  /// \throws ValueError `value.hook` when a layer is null
  void on_train_begin(TrainState&) override;
  void on_train_end(TrainState&) override;
  /// Takes the hooks off.
  void remove();
  /// One for each layer, from the begin of a fit on.
  const Hooks& hooks() const { return hooks_; }

 protected:
  /// Called with a layer and its output, without graph; what it gives is stored by the layer's hook.
  virtual torch::Tensor hook(const torch::nn::Module& module, const torch::Tensor& output) = 0;

 private:
  HookCallbackOptions options_;
  Hooks hooks_;
};

/// Records mean and standard deviation of what layers give, for each training batch (fastai: `ActivationStats`). Lifetime
/// and threads as Callback.
class FASTCPP_API ActivationStats : public HookCallback {
 public:
  using HookCallback::HookCallback;
  void on_train_begin(TrainState&) override;
  void on_batch_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  /// The statistics so far.
  Value state() const override;
  void load_state(const Value& state) override;

  /// Of the last fit: 2 x layers x training batches, float32 on the CPU, means first (fastai: `stats`). Not a number where
  /// a layer gave nothing. Without a batch: 2 x 0 x 0.
  torch::Tensor stats() const;

 protected:
  /// Mean and standard deviation (with n - 1) of the output's numbers.
  torch::Tensor hook(const torch::nn::Module& module, const torch::Tensor& output) override;

 private:
  bool training_ = false;
  std::vector<torch::Tensor> batches_;  // layers x 2
};

/// Keeps the last batch as the model takes it, on the CPU (fastai: `RecordOnCPU`). Lifetime and threads as Callback.
class FASTCPP_API RecordOnCPU : public Callback {
 public:
  void on_batch_begin(TrainState&) override;
  /// Inputs of the last batch; none before the first.
  const Tensors& input() const { return input_; }
  /// Its targets.
  const Tensors& target() const { return target_; }

 private:
  Tensors input_, target_;
};

}  // namespace fastcpp
