// What all copies of a learner share. Private to the room: the learner's methods and the training use it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/precompute.hpp"

namespace fastcpp::inline v0 {

struct Learner::Impl {
  DataBunch data;
  Model model;
  LearnerOptions options;
  Path path;
  std::vector<LayerGroup> layer_groups;
  std::shared_ptr<OptimWrapper> opt;   // null until it is wanted; then the same object for good
  std::shared_ptr<Recorder> recorder;  // null until the first fit; then the same object for good
  std::uint64_t fits = 0;
  bool fitting = false;
  ComputeType precision;
  std::optional<Features> features;
  std::shared_ptr<ProcessGroup> processes;  // null for one process alone
  DistributedOptions distributed;
  bool sharing = false;  // during a fit in several processes: data and features are a share

  Impl(DataBunch data_, Model model_, const LearnerOptions& options_)
      : data(std::move(data_)), model(std::move(model_)), options(options_) {}

  std::shared_ptr<ProgressSink> progress() const {
    if (options.silent || rank() != 0) return nullptr;
    return options.progress ? options.progress : progress_sink();
  }

  int rank() const { return processes ? processes->rank() : 0; }

  // What is trained and validated: the data and the model, or precomputed features and the head.
  const DataBunch& training_data() const { return features ? features->data : data; }
  const Model& training_model() const { return features ? features->head : model; }

  // The optimizer for the present layer groups and trainable parameters, in the object there is.
  void rebuild_opt();
};

}  // namespace fastcpp
