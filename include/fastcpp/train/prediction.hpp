// Outputs of a model in the words of its data.
#pragma once

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {

// The activated outputs of one item as a class, several classes, or numbers.
Prediction to_prediction(const DataBunch& data, const torch::Tensor& probabilities);

}  // namespace fastcpp
