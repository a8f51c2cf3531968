#include "fastcpp/train/callbacks/tracker.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {
namespace {

// Python writes a whole number as 1.0.
std::string python_number(double value) {
  auto text = fmt::format("{}", value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

bool lower_is_better(const TrackerOptions& options) {
  if (options.mode != TrackerMode::kAuto) return options.mode == TrackerMode::kMin;
  const auto& name = options.monitor;
  return name.find("loss") != std::string::npos || name.find("error") != std::string::npos;
}

}  // namespace

TrackerCallback::TrackerCallback(const TrackerOptions& options)
    : options_(options), lower_is_better_(lower_is_better(options)) {}

void TrackerCallback::on_train_begin(TrainState&) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  best_ = lower_is_better_ ? kInfinity : -kInfinity;
}

std::optional<double> TrackerCallback::get_monitor_value() const {
  const auto learner = learn();
  const auto& recorder = learner.recorder();
  const auto& name = options_.monitor;
  if (name == "train_loss" && !recorder.losses.empty()) return recorder.losses.back();
  const bool validated =
      !recorder.history.empty() && recorder.history.back().valid_loss && !recorder.metrics.empty();
  if (validated && name == "valid_loss") return recorder.val_losses.back();
  if (validated) {
    // Columns: epoch, train_loss, valid_loss, then the metrics.
    for (std::size_t i = 0; i < recorder.metrics.back().size(); ++i) {
      if (recorder.names[i + 3] == name) return recorder.metrics.back()[i];
    }
  }
  std::vector<std::string> available{"train_loss"};
  if (validated) {
    available.push_back("valid_loss");
    for (std::size_t i = 0; i < recorder.metrics.back().size(); ++i)
      available.push_back(recorder.names[i + 3]);
  }
  log_warning(
      fmt::format("a callback watches '{}', which this training does not report; it "
                  "reports {}",
                  name, fmt::join(available, ", ")));
  return std::nullopt;
}

bool TrackerCallback::improved(double value, double min_delta) {
  const bool better = lower_is_better_ ? value + min_delta < best_ : value - min_delta > best_;
  if (better) best_ = value;
  return better;
}

EarlyStoppingCallback::EarlyStoppingCallback(const EarlyStoppingOptions& options)
    : TrackerCallback({.monitor = options.monitor, .mode = options.mode}),
      min_delta_(options.min_delta),
      patience_(options.patience) {}

void EarlyStoppingCallback::on_train_begin(TrainState& state) {
  TrackerCallback::on_train_begin(state);
  wait_ = 0;
}

void EarlyStoppingCallback::on_epoch_end(TrainState& state) {
  const auto value = get_monitor_value();
  if (!value) return;
  wait_ = improved(*value, min_delta_) ? 0 : wait_ + 1;
  if (wait_ > patience_) {
    log_info(fmt::format("Epoch {}: early stopping", state.epoch));
    state.stop_training = true;
  }
}

SaveModelCallback::SaveModelCallback(const SaveModelOptions& options)
    : TrackerCallback({.monitor = options.monitor, .mode = options.mode}),
      every_(options.every),
      name_(options.name) {}

void SaveModelCallback::jump_to_epoch(int epoch) {
  auto learner = learn();
  const auto name = fmt::format("{}_{}", name_, epoch - 1);
  if (!std::filesystem::exists(learner.model_dir() / (name + ".pth"))) {
    log_warning(fmt::format("Model {} not found.", name));
    return;
  }
  learner.load(name);
  log_info(fmt::format("Loaded {}", name));
}

void SaveModelCallback::on_epoch_end(TrainState& state) {
  auto learner = learn();
  if (every_ == SaveEvery::kEpoch) {
    learner.save(fmt::format("{}_{}", name_, state.epoch));
    return;
  }
  const auto value = get_monitor_value();
  if (!value || !improved(*value)) return;
  log_info(fmt::format("Better model found at epoch {} with {} value: {}.", state.epoch, monitor(),
                       python_number(*value)));
  learner.save(name_);
}

void SaveModelCallback::on_train_end(TrainState&) {
  auto learner = learn();
  if (every_ == SaveEvery::kImprovement &&
      std::filesystem::exists(learner.model_dir() / (name_ + ".pth"))) {
    learner.load(name_);
  }
}

ReduceLROnPlateauCallback::ReduceLROnPlateauCallback(const ReduceLrOnPlateauOptions& options)
    : TrackerCallback({.monitor = options.monitor, .mode = options.mode}), options_(options) {}

void ReduceLROnPlateauCallback::on_train_begin(TrainState& state) {
  TrackerCallback::on_train_begin(state);
  wait_ = 0;
}

void ReduceLROnPlateauCallback::on_epoch_end(TrainState& state) {
  const auto value = get_monitor_value();
  if (!value) return;
  wait_ = improved(*value, options_.min_delta) ? 0 : wait_ + 1;
  auto& opt = learn().opt();
  if (wait_ <= options_.patience || opt.lr().back() <= options_.min_lr) return;
  const double lr = opt.lr().back() * options_.factor;
  opt.set_lr({lr});
  wait_ = 0;
  log_info(fmt::format("Epoch {}: reducing lr to {}", state.epoch, python_number(lr)));
}

void TerminateOnNaNCallback::on_batch_end(TrainState& state) {
  if (!state.train || !std::isnan(state.last_loss.item<double>())) return;
  log_info(fmt::format("Epoch/Batch ({}/{}): Invalid loss, terminating training.", state.epoch,
                       state.num_batch));
  state.stop_epoch = state.stop_training = state.skip_validate = true;
}

TrackEpochCallback::TrackEpochCallback(std::string name, std::optional<int> epoch_offset)
    : name_(std::move(name)), epoch_offset_(epoch_offset) {}

Path TrackEpochCallback::file() const {
  return learn().model_dir() / name_;
}

std::optional<int> TrackEpochCallback::get_completed() const {
  std::ifstream in(file());
  int epoch = 0;
  if (in >> epoch) return epoch;
  return std::nullopt;
}

void TrackEpochCallback::on_train_begin(TrainState& state) {
  const auto completed = get_completed();
  state.epoch = epoch_offset_.value_or(completed ? *completed + 1 : 0);
}

void TrackEpochCallback::on_epoch_end(TrainState& state) {
  make_folder(file().parent_path());
  std::ofstream out(file(), std::ios::trunc);
  out << state.epoch;
  out.close();
  if (!out) {
    throw IoError("io.cannot_write", fmt::format("the finished epoch could not be written to '{}': "
                                                 "look for free space and rights",
                                                 file().string()));
  }
}

void TrackEpochCallback::restart() const {
  std::filesystem::remove(file());
}

}  // namespace fastcpp
