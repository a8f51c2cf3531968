#include "fastcpp/train/callbacks/callbacks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/utils/clip_grad.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"
#include "train/callbacks/groups.hpp"
#include "train/callbacks/log_file.hpp"

namespace fastcpp::inline v0 {
namespace {

std::vector<double> divided(std::vector<double> values, double by) {
  for (double& value : values) value /= by;
  return values;
}

}  // namespace

OneCycleScheduler::OneCycleScheduler(const OneCycleOptions& options) : options_(options) {
  constexpr const char* kCode = "value.one_cycle";
  expect(below_one(options.moms.first), kCode, "moms.first", "0 <= momentum < 1",
         options.moms.first);
  expect(below_one(options.moms.second), kCode, "moms.second", "0 <= momentum < 1",
         options.moms.second);
  expect(positive(options.div_factor), kCode, "div_factor", "a finite number > 0",
         options.div_factor);
  expect(options.pct_start >= 0 && options.pct_start <= 1, kCode, "pct_start",
         "0 <= pct_start <= 1", options.pct_start);
  const double final_div = options.final_div.value_or(1);
  expect(positive(final_div), kCode, "final_div", "a finite number > 0", final_div);
  const int tot_epochs = options.tot_epochs.value_or(1);
  expect(tot_epochs >= 1, kCode, "tot_epochs", "a number of epochs >= 1", tot_epochs);
  expect(options.start_epoch >= 0, "value.start_epoch", "start_epoch", "an epoch >= 0",
         options.start_epoch);
}

void OneCycleScheduler::on_train_begin(TrainState& state) {
  expect_start_epoch(options_.start_epoch, state.n_epochs);
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
  steps_ = 0;
  all_steps_ = n;
  learner.opt().set_lr(low);
  learner.opt().set_mom(first);
  if (options_.start_epoch != 0) state.epoch = options_.start_epoch;
}

void OneCycleScheduler::advance(TrainState& state) {
  ++steps_;
  if (phase_ >= lrs_.size()) {
    state.stop_training = state.stop_epoch = true;
    return;
  }
  auto learner = learn();
  auto& opt = learner.opt();
  opt.set_lr(for_groups(lrs_[phase_].step(), opt));
  opt.set_mom(moms_[phase_].step());
  if (lrs_[phase_].is_done()) ++phase_;
}

void OneCycleScheduler::jump_to_epoch(int epoch) {
  TrainState ignored;
  for (std::int64_t i = 0; i < learn().data().train_dl().size() * epoch; ++i) advance(ignored);
}

Value OneCycleScheduler::state() const {
  return Value::dict({{"steps", steps_}, {"all", all_steps_}});
}

void OneCycleScheduler::load_state(const Value& state) {
  TrainState ignored;
  // With another number of processes an epoch has another number of batches.
  const auto all = std::max<std::int64_t>(1, state.at("all").as_int());
  const auto steps = state.at("steps").as_int() * all_steps_ / all;
  while (steps_ < steps) advance(ignored);
}

void OneCycleScheduler::on_batch_end(TrainState& state) {
  if (state.train) advance(state);
}

void OneCycleScheduler::on_epoch_end(TrainState& state) {
  if (state.epoch > tot_epochs_) state.stop_training = true;
}

LRFinder::LRFinder(const LrFindOptions& options) : options_(options) {
  expect(options.num_it >= 1, "value.lr_find", "num_it of lr_find", "a number of batches >= 1",
         options.num_it);
}

void LRFinder::on_train_begin(TrainState& state) {
  auto learner = learn();
  const auto start = learner.lr_range(options_.start_lr), end = learner.lr_range(options_.end_lr);
  for (const auto* rates : {&start, &end}) {
    for (const double rate : *rates)
      expect(rate > 0, "value.lr_find", "a rate of lr_find", "a number > 0", rate);
  }
  schedule_.emplace(start, end, options_.num_it, annealing_exp);
  learner.opt().set_lr(schedule_->value());
  best_loss_ = 0;
  state.skip_validate = true;
}

void LRFinder::on_batch_end(TrainState& state) {
  if (!state.train) return;
  if (state.iteration == 0 || state.smooth_loss < best_loss_) best_loss_ = state.smooth_loss;
  auto learner = learn();
  learner.opt().set_lr(for_groups(schedule_->step(), learner.opt()));
  const bool diverged =
      options_.stop_div && (state.smooth_loss > 4 * best_loss_ || std::isnan(state.smooth_loss));
  if (schedule_->is_done() || diverged) {
    state.stop_epoch = state.stop_training = true;
  }
}

GradientClipping::GradientClipping(double clip) : clip_(clip) {
  expect(not_negative(clip), "value.clip", "clip", "a finite number >= 0", clip);
}

void GradientClipping::on_backward_end(TrainState&) {
  if (clip_ == 0) return;
  torch::nn::utils::clip_grad_norm_(learn().model()->parameters(), clip_);
}

void BnFreeze::on_epoch_begin(TrainState&) {
  for (const auto& layer : flatten_model(learn().model().ptr())) {
    const auto parameters = layer->parameters();
    if (is_batchnorm(*layer) && !parameters.empty() && !parameters.front().requires_grad())
      layer->eval();
  }
}

StopAfterNBatches::StopAfterNBatches(int n_batches) : n_batches_(n_batches) {
  expect(n_batches >= 1, "value.n_batches", "n_batches", "a number of batches >= 1", n_batches);
}

void StopAfterNBatches::on_train_begin(TrainState& state) {
  state.skip_validate = true;
}

void StopAfterNBatches::on_batch_end(TrainState& state) {
  if (state.iteration + 1 >= n_batches_) state.stop_epoch = state.stop_training = true;
}

CSVLogger::CSVLogger(const CSVLoggerOptions& options) : options_(options) {
  expect_name("filename of CSVLogger", options.filename);
}

void CSVLogger::on_train_begin(TrainState& state) {
  const auto learner = learn();
  const Path name = options_.filename + ".csv";
  file_ = learner.path() / (state.dry_run ? name.filename() : name);
  make_folder(file_.parent_path());
  const auto header = fmt::format("{}\n", fmt::join(learner.recorder().names, ","));
  std::error_code ec;
  std::string text;
  start_ = header.size();
  const bool keep = options_.append || state.resumed;
  if (keep && std::filesystem::exists(file_, ec)) text = read_file(file_);
  if (text.empty()) {
    if (!(std::ofstream(file_, std::ios::trunc) << header).flush()) {
      throw IoError("io.cannot_create",
                    fmt::format("'{}' cannot be written: choose another path for the learner",
                                file_.string()));
    }
    return;
  }
  const auto found = text.substr(0, text.find('\n')) + "\n";
  if (found != header) {
    throw ValueError(
        "value.csv_columns",
        fmt::format("rows cannot be added to '{}': expected its columns to be {}, found {}; take "
                    "another filename, or append = false to write it anew",
                    file_.string(), header.substr(0, header.size() - 1),
                    found.substr(0, found.size() - 1)));
  }
  // What a killed training left half.
  if (text.back() != '\n') add("\n");
  start_ = text.size() + (text.back() != '\n' ? 1 : 0);
}

void CSVLogger::on_epoch_end(TrainState&) {
  const auto learner = learn();
  if (learner.recorder().history.empty()) return;
  const auto text = learner.recorder().csv();
  add(text.substr(text.rfind('\n', text.size() - 2) + 1));
}

Value CSVLogger::state() const {
  return log_size(file_, start_);
}

void CSVLogger::load_state(const Value& state) {
  if (cut_log(file_, state, start_)) return;
  // on_train_begin wrote the header.
  const auto text = learn().recorder().csv();
  add(text.substr(text.find('\n') + 1));
}

Table CSVLogger::read_logged_file() const {
  return Table::read_csv(file_);
}

void CSVLogger::add(const std::string& text) const {
  std::error_code ec;
  const auto size = std::filesystem::file_size(file_, ec);
  if ((std::ofstream(file_, std::ios::app) << text).flush()) return;
  // No part of a row stays behind.
  std::error_code ignored;
  if (!ec) std::filesystem::resize_file(file_, size, ignored);
  throw IoError("io.cannot_write",
                fmt::format("a row could not be added to '{}': look for free space and rights",
                            file_.string()));
}

CallbackFn one_cycle(const OneCycleOptions& options) {
  return factory_of<OneCycleScheduler>(options);
}

CallbackFn gradient_clipping(double clip) {
  return factory_of<GradientClipping>(clip);
}

CallbackFn bn_freeze() {
  return [](Learner&) { return std::make_shared<BnFreeze>(); };
}

CallbackFn stop_after_n_batches(int n_batches) {
  return factory_of<StopAfterNBatches>(n_batches);
}

CallbackFn csv_logger(const CSVLoggerOptions& options) {
  return factory_of<CSVLogger>(options);
}

}  // namespace fastcpp
