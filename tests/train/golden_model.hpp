// The tiny network and data behind tests/golden/optimiser.json, and rates as its files write them.
#pragma once

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/pimpl.h>

#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "support/golden.hpp"

namespace fastcpp::test {

LearningRate learning_rate(const Json& value);

// Maximum and average pooling to one place, concatenated.
struct ConcatPoolImpl : torch::nn::Module {
  torch::Tensor forward(const torch::Tensor& x);
};
TORCH_MODULE(ConcatPool);

// The data of the file in its own order, without shuffling.
DataBunch golden_data(const Json& data, torch::ScalarType dtype);

torch::nn::Sequential golden_network(const Json& model, bool conv_bias, torch::ScalarType dtype);

}  // namespace fastcpp::test
