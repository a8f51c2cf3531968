/// \file
/// Predictions averaged over augmented pictures.
#pragma once

#include <torch/types.h>

#include <stop_token>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `Learner::TTA` and `Learner::tta_only`, in fastai's order.
struct TtaOptions {
  double beta = 0.4;    ///< weight of the plain predictions, 0..1; the augmented ones have the rest
  double scale = 1.35;  ///< how much the eight are enlarged, towards a corner each; > 0
  DatasetType ds_type = DatasetType::Valid;  ///< not `Train`, which every pass shuffles anew
  Loss::Activation activ = {};               ///< absent: the one that goes with the loss
  bool with_loss = false;                    ///< also one loss per item
  std::stop_token stop = {};                 ///< ends it between two batches
};

/// What `Learner::TTA` gives, on the CPU: in `preds` beta * plain + (1 - beta) * average. As in fastai the losses are computed
/// from these probabilities instead of the raw outputs.
struct TtaPredictions : Predictions {
  torch::Tensor plain;    ///< n x c, of the items as they are (fastai: with `beta=None`)
  torch::Tensor average;  ///< n x c, mean of the eight augmented passes
};

}  // namespace fastcpp
