/// \file
/// Predictions that several passes make together.
#pragma once

#include "fastcpp/export.hpp"
#include "fastcpp/train/metrics/loss.hpp"

namespace fastcpp {

/// Options of `Learner::TTA` and `Learner::tta_only`, in fastai's order.
struct TTAOptions {
  double beta = 0.4;            ///< share of the plain predictions, 0..1
  double scale = 1.35;          ///< how much the augmented pictures are enlarged, >= 1
  Loss::Activation activ = {};  ///< absent: the one that goes with the loss
  bool with_loss = false;       ///< also one loss per item
};

/// Options of `Learner::predict_with_mc_dropout`.
struct McDropoutOptions {
  int n_times = 10;  ///< passes, >= 1
};

}  // namespace fastcpp
