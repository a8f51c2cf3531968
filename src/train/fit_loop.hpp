// The training loop, apart from the learner's interface.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/loss.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "fastcpp/train/model.hpp"
#include "fastcpp/train/optim/optimizer.hpp"

namespace fastcpp {

class ProgressSink;

// What convolutions and linear layers compute in; absent: the type of their parameters.
using ComputeType = std::optional<torch::ScalarType>;

// Runs epochs of training and validation, and tells the callbacks.
class FitLoop {
 public:
  FitLoop(DataBunch& data, const Model& model, const Loss& loss_func,
          const std::vector<Metric>& metrics, OptimWrapper& opt, ProgressSink& progress,
          ComputeType precision = {})
      : data_(data),
        model_(model),
        loss_func_(loss_func),
        metrics_(metrics),
        opt_(opt),
        progress_(progress),
        precision_(precision) {}

  // `callbacks` in the order in which they run.
  void run(int epochs, std::vector<std::shared_ptr<Callback>> callbacks, std::stop_token stop);
  // Validation loss and metrics; batch events go to the callbacks.
  std::vector<double> validate(const DataLoader& loader);

 private:
  void epochs();
  void train_epoch();
  void train_batch(const Batch& batch);
  // Forward pass and loss of a batch, into the state; the events before backward.
  void compute_loss(const Batch& batch);
  void update_smooth_loss(double loss);
  void call(void (Callback::*event)(TrainState&));

  DataBunch& data_;
  const Model& model_;
  const Loss& loss_func_;
  const std::vector<Metric>& metrics_;
  OptimWrapper& opt_;
  ProgressSink& progress_;
  ComputeType precision_;
  std::vector<std::shared_ptr<Callback>> callbacks_;
  std::stop_token stop_;
  TrainState state_;
  SmoothenValue smoothed_{0.98};
  bool warned_ = false;
};

// Runs the model on a batch in the layout that is fastest for it; with a lower precision the output
// is single precision all the same unless `as_is`.
torch::Tensor forward(const Model& model, const torch::Tensor& x, ComputeType precision = {},
                      bool as_is = false);

// Runs f; turns LibTorch's exceptions into fastcpp's, shortage of memory into advice on the batch
// size.
template <typename F>
void guarded(std::int64_t batch_size, F&& f);
[[noreturn]] void rethrow_for_users(std::int64_t batch_size);

template <typename F>
void guarded(std::int64_t batch_size, F&& f) {
  try {
    f();
  } catch (...) {
    rethrow_for_users(batch_size);
  }
}

}  // namespace fastcpp
