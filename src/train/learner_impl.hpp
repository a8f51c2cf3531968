// What all copies of a learner share. Private to the room: the learner's methods and the training use it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fastcpp/io/value.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/precompute.hpp"

namespace fastcpp::inline v0 {

class StepClock;

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
  std::optional<Value>
      resuming;  // the checkpoint that the fit which begins goes on from, when `resume` has read it
  // While nothing is to stay (`try_out`): where models are else, for those that are only read. `path` is a folder that is
  // removed.
  std::optional<Path> real_model_dir;
  StepClock* clock = nullptr;               // of the next fit, while it is measured
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

  // What a checkpoint keeps of a learner: weights, what is trained, modes, optimizer with its rates, the record.
  Value state() const;
  // Takes weights, what is trained and the optimizer's state back; throws TrainError `train.checkpoint` on a state of
  // other data, and as `load_state_dict`.
  void load_model(const Value& state);
  // Takes back what a fit sets when it begins: rates and modes.
  void load_modes(const Value& state);
  // Where a model is saved; never outside the folder that is removed, while there is one.
  Path model_file(const std::string& file) const {
    const Path name = file + ".pth";
    return path / options.model_dir / (real_model_dir ? name.filename() : name);
  }

  // All that a fit may change, by value.
  class Before;

  // The optimizer for the present layer groups and trainable parameters, in the object there is.
  void rebuild_opt();
};

}  // namespace fastcpp
