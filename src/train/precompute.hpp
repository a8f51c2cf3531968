// The outputs of a frozen body as a data set of its own.
#pragma once

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/model.hpp"
#include "train/fit_loop.hpp"

namespace fastcpp {

struct Features {
  DataBunch data;  // what the body makes of the items
  Model head;      // shares its layers with the model
};

// Runs the first child of the model, in evaluation mode, over the fix and validation loaders.
Features compute_features(const DataBunch& data, const Model& model, ComputeType precision,
                          ProgressSink& progress);

// Throws TrainError `train.precomputed` when the body's parameters, batch norms aside, want
// gradients.
void check_body_frozen(const Model& model);

}  // namespace fastcpp
