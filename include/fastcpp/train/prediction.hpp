/// \file
/// Outputs of a model in the words of its labels.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>

#include "fastcpp/data/labels.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp {

/// Options of `predict`.
struct PredictOptions {
  std::optional<double> thresh = {};  ///< of several classes: those with at least this; absent: 0.5
};

/// What `predict` gives for one item.
struct Prediction {
  std::string category;         ///< class name; names joined by `;`; numbers as `[0.5]`
  torch::Tensor index;          ///< class index (scalar, int64), or what else the labels are
  torch::Tensor probabilities;  ///< c
};

// The activated outputs of one item as its labels are: a class, several classes, or numbers. Outputs of more than one
// dimension are a class (or what else) for each place: `index` has their shape without the classes, `category` is empty.
// \param thresh        of several classes; absent: 0.5
// \param probabilities on the CPU, without the batch's dimension
FASTCPP_API Prediction to_prediction(const Labels& labels, const torch::Tensor& probabilities,
                                     std::optional<double> thresh = {});

}  // namespace fastcpp
