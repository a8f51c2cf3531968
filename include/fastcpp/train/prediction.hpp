// Outputs of a model in the words of its data.
#pragma once

#include <optional>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {

// The activated outputs of one item as its labels are: a class, several classes, or numbers. Outputs of more than one
// dimension are a class (or what else) for each place: `index` has their shape without the classes, `category` is empty.
// \param thresh        of several classes; absent: 0.5
// \param probabilities on the CPU, without the batch's dimension
Prediction to_prediction(const DataBunch& data, const torch::Tensor& probabilities,
                         std::optional<double> thresh = {});

}  // namespace fastcpp
