// The outputs of a frozen body as a data set of its own.
#pragma once

#include <memory>
#include <stop_token>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/forward.hpp"

namespace fastcpp::inline v0 {

struct Features {
  DataBunch data;  // what the body makes of the items
  Model head;      // shares its layers with the model
};

// How features are computed.
struct FeatureOptions {
  ComputeType precision;
  std::shared_ptr<ProgressSink> progress;
  std::stop_token stop;
};

// Runs the first child of the model, in evaluation mode, over the fix and validation loaders.
// Throws TrainError `train.stopped`.
Features compute_features(const DataBunch& data, const Model& model, const FeatureOptions& options);

// The first child of a sequence of at least two. Throws ValueError `value.precompute`.
std::shared_ptr<torch::nn::Module> body_of(const Model& model);

// Throws TrainError `train.precomputed` when the body's parameters, batch norms aside, want gradients.
void check_body_frozen(const Model& model);

}  // namespace fastcpp
