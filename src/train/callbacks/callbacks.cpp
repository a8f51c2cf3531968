#include "fastcpp/train/callbacks/callbacks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/utils/clip_grad.h>

#include <cmath>
#include <fstream>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp {
namespace {

std::vector<double> divided(std::vector<double> values, double by) {
  for (double& value : values) value /= by;
  return values;
}

}  // namespace

OneCycleScheduler::OneCycleScheduler(const OneCycleOptions& options) : options_(options) {
  if (!(options.div_factor > 0) || !(options.final_div.value_or(1) > 0) ||
      !(options.pct_start >= 0 && options.pct_start <= 1)) {
    throw ValueError(
        "value.one_cycle",
        fmt::format("one-cycle needs div_factor > 0, final_div > 0 and 0 <= pct_start <= "
                    "1, found {}, {} and {}",
                    options.div_factor, options.final_div.value_or(1), options.pct_start));
  }
}

void OneCycleScheduler::on_train_begin(TrainState& state) {
  auto learner = learn();
  tot_epochs_ = options_.tot_epochs.value_or(state.n_epochs);
  const auto n = learner.data().train_dl().size() * tot_epochs_;
  const auto up = static_cast<std::int64_t>(static_cast<double>(n) * options_.pct_start);
  const auto down = n - up;
  const auto high = learner.lr_range(options_.max_lr);
  const auto low = divided(high, options_.div_factor);
  const auto end = divided(high, options_.final_div.value_or(options_.div_factor * 1e4));
  const std::vector<double> first{options_.moms.first}, second{options_.moms.second};
  lrs_ = {Scheduler(low, high, up, annealing_cos), Scheduler(high, end, down, annealing_cos)};
  moms_ = {Scheduler(first, second, up, annealing_cos),
           Scheduler(second, first, down, annealing_cos)};
  phase_ = 0;
  learner.opt().set_lr(low);
  learner.opt().set_mom(first);
  if (options_.start_epoch != 0) state.epoch = options_.start_epoch;
}

void OneCycleScheduler::advance(TrainState& state) {
  if (phase_ >= lrs_.size()) {
    state.stop_training = state.stop_epoch = true;
    return;
  }
  auto learner = learn();
  learner.opt().set_lr(lrs_[phase_].step());
  learner.opt().set_mom(moms_[phase_].step());
  if (lrs_[phase_].is_done()) ++phase_;
}

void OneCycleScheduler::jump_to_epoch(int epoch) {
  TrainState ignored;
  for (std::int64_t i = 0; i < learn().data().train_dl().size() * epoch; ++i) advance(ignored);
}

void OneCycleScheduler::on_batch_end(TrainState& state) {
  if (state.train) advance(state);
}

void OneCycleScheduler::on_epoch_end(TrainState& state) {
  if (state.epoch > tot_epochs_) state.stop_training = true;
}

LRFinder::LRFinder(const LrFindOptions& options) : options_(options) {
  const auto positive = [](const LearningRate& rate) {
    for (double value : lr_range(rate, 1)) {
      if (!(value > 0)) return false;
    }
    return true;
  };
  if (options.num_it < 1 || !positive(options.start_lr) || !positive(options.end_lr)) {
    throw ValueError("value.lr_find", "lr_find needs rates > 0 and at least one iteration");
  }
}

void LRFinder::on_train_begin(TrainState& state) {
  auto learner = learn();
  learner.save("tmp");
  schedule_.emplace(learner.lr_range(options_.start_lr), learner.lr_range(options_.end_lr),
                    options_.num_it, annealing_exp);
  learner.opt().set_lr(schedule_->value());
  stopped_ = false;
  best_loss_ = 0;
  state.skip_validate = true;
}

void LRFinder::on_batch_end(TrainState& state) {
  if (!state.train) return;
  if (state.iteration == 0 || state.smooth_loss < best_loss_) best_loss_ = state.smooth_loss;
  learn().opt().set_lr(schedule_->step());
  const bool diverged =
      options_.stop_div && (state.smooth_loss > 4 * best_loss_ || std::isnan(state.smooth_loss));
  if (schedule_->is_done() || diverged) {
    stopped_ = true;
    state.stop_epoch = state.stop_training = true;
  }
}

void LRFinder::on_train_end(TrainState& state) {
  auto learner = learn();
  learner.load("tmp");
  if (state.exception) return;
  log_info("LR Finder is complete, type {learner_name}.recorder.plot() to see the graph.");
}

void GradientClipping::on_backward_end(TrainState&) {
  if (clip_ <= 0) return;
  torch::nn::utils::clip_grad_norm_(learn().model()->parameters(), clip_);
}

void BnFreeze::on_epoch_begin(TrainState&) {
  for (const auto& layer : flatten_model(learn().model().ptr())) {
    const auto parameters = layer->parameters();
    if (is_batchnorm(*layer) && !parameters.empty() && !parameters.front().requires_grad())
      layer->eval();
  }
}

void StopAfterNBatches::on_train_begin(TrainState& state) {
  state.skip_validate = true;
}

void StopAfterNBatches::on_batch_end(TrainState& state) {
  if (state.iteration + 1 >= n_batches_) state.stop_epoch = state.stop_training = true;
}

void CSVLogger::on_train_begin(TrainState&) {
  const auto learner = learn();
  file_ = learner.path() / (filename_ + ".csv");
  make_folder(file_.parent_path());
  std::ofstream out(file_, append_ ? std::ios::app : std::ios::trunc);
  out << fmt::format("{}\n", fmt::join(learner.recorder().names, ","));
  if (!out.flush()) {
    throw IoError(
        "io.cannot_create",
        fmt::format("'{}' cannot be written: choose another path for the learner", file_.string()));
  }
}

void CSVLogger::on_epoch_end(TrainState&) {
  const auto text = learn().recorder().csv();
  const auto last_line = text.rfind('\n', text.size() - 2) + 1;
  std::ofstream out(file_, std::ios::app);
  out << text.substr(last_line);
  if (!out.flush()) {
    throw IoError("io.cannot_write",
                  fmt::format("a row could not be added to '{}': look for free space and rights",
                              file_.string()));
  }
}

}  // namespace fastcpp
