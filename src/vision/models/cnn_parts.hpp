// The parts of create_cnn_model that need no weights.
#pragma once

#include <memory>

#include "fastcpp/vision/models/cnn_model.hpp"

namespace fastcpp::inline v0::models {

torch::nn::Sequential sequential(std::shared_ptr<torch::nn::SequentialImpl> layers);

// The body of a network. Throws as create_body.
torch::nn::Sequential cut_body(const Network& network, const Arch& arch, const Cut& cut);

// Sequential(body, head). Throws as create_head.
torch::nn::Sequential with_head(const torch::nn::Sequential& body, std::int64_t nc,
                                const CreateCnnModelOptions& options);

}  // namespace fastcpp::models
