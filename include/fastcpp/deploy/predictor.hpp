/// \file
/// A trained network, made fast for predicting.
#pragma once

#include <torch/types.h>

#include <any>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {

/// Options of Predictor.
struct PredictorOptions {
  bool fold = true;  ///< multiply batch norms into the convolutions before them
  bool pack =
      true;  ///< the library's own convolutions on the CPU where they are faster; false: always LibTorch's
  bool bf16 = false;  ///< compute convolutions and linear layers in bfloat16
  /// Pictures that a thread of `predict_batch` computes at once, >= 1.
  int bs = 8;
};

/// Options of `predict_batch`.
struct PredictBatchOptions {
  std::stop_token stop = {};  ///< ends it between two batches
};

/// Predicts with a private copy of a learner's network: batch norms folded into the convolutions, weights and inputs with
/// their channels together, no graph. Owns what it uses, classes, statistics and item reader too: nothing that happens to
/// the learner or its data later changes it.
///
/// A cheap handle: copies share everything, which never changes, and the last one releases it. Every method may be called
/// from several threads at once.
class FASTCPP_API Predictor {
 public:
  /// \param learn gives network, classes and validation transforms
  /// \throws ValueError `value.predictor` when the model cannot be copied, or `bs` is below 1
  explicit Predictor(const Learner& learn, const PredictorOptions& options = {});

  /// The prediction for one item: Path, Image, file name, or what else the learner's `predict` takes.
  /// \throws as `Learner::predict`
  template <typename Item>
  Prediction predict(const Item& item) const {
    return predict_any(std::any(item));
  }

  /// Activated outputs for picture files, n x c, in the order of the files. Uses all processors.
  /// \throws what the first file in order that cannot be read throws
  /// \throws DataError `data.empty` without files; TrainError `train.stopped`
  torch::Tensor predict_batch(const std::vector<Path>& files,
                              const PredictBatchOptions& options = {}) const;

  /// Outputs of the network before the activation, float32, n x c.
  /// \param x normalised batch on the data's device, n x 3 x H x W
  /// \throws TrainError `train.failed` when it does not fit the network
  torch::Tensor forward(const torch::Tensor& x) const;

  /// Class names in the order of the outputs. The reference lives as long as any copy of the predictor.
  const std::vector<std::string>& classes() const;

 private:
  Prediction predict_any(const std::any& item) const;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace fastcpp
