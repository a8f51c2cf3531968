#include "fastcpp/train/callbacks/general_sched.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace {

using Setter = void (OptimWrapper::*)(const std::vector<double>&);

Setter setter(const std::string& name) {
  if (name == "lr") return &OptimWrapper::set_lr;
  if (name == "mom") return &OptimWrapper::set_mom;
  if (name == "beta") return &OptimWrapper::set_beta;
  if (name == "wd") return &OptimWrapper::set_wd;
  throw ValueError("value.hyper_name",
                   fmt::format("'{}' is no hyper-parameter: use lr, mom, beta or wd", name));
}

}  // namespace

TrainingPhase& TrainingPhase::schedule_hp(const std::string& name, const LearningRate& start,
                                          const LearningRate& end, Anneal anneal) {
  setter(name);  // refuses an unknown name here, not in the middle of a training
  schedules_.insert_or_assign(name, Schedule{start, end, std::move(anneal)});
  return *this;
}

TrainingPhase& TrainingPhase::schedule_hp(const std::string& name, const LearningRate& value) {
  return schedule_hp(name, value, value, annealing_no);
}

GeneralScheduler::GeneralScheduler(std::vector<TrainingPhase> phases, int start_epoch)
    : phases_(std::move(phases)), start_epoch_(start_epoch) {}

void GeneralScheduler::on_train_begin(TrainState& state) {
  auto learner = learn();
  schedulers_.clear();
  for (const auto& phase : phases_) {
    auto& schedulers = schedulers_.emplace_back();
    for (const auto& [name, schedule] : phase.schedules()) {
      schedulers.emplace(name,
                         Scheduler(learner.lr_range(schedule.start), learner.lr_range(schedule.end),
                                   phase.length(), schedule.anneal));
    }
  }
  phase_ = 0;
  if (!schedulers_.empty()) {
    for (const auto& [name, scheduler] : schedulers_.front())
      (learner.opt().*setter(name))(scheduler.value());
  }
  if (start_epoch_ != 0) state.epoch = start_epoch_;
}

void GeneralScheduler::advance(TrainState& state) {
  if (phase_ >= schedulers_.size()) {
    state.stop_training = state.stop_epoch = true;
    return;
  }
  auto learner = learn();
  // A phase that schedules nothing has no end: it lasts as long as the fit.
  bool done = false;
  for (auto& [name, scheduler] : schedulers_[phase_]) {
    (learner.opt().*setter(name))(scheduler.step());
    done = scheduler.is_done();
  }
  if (done) ++phase_;
}

void GeneralScheduler::jump_to_epoch(int epoch) {
  TrainState ignored;
  for (std::int64_t i = 0; i < learn().data().train_dl().size() * epoch; ++i) advance(ignored);
}

void GeneralScheduler::on_batch_end(TrainState& state) {
  if (state.train) advance(state);
}

FlatCosAnnealScheduler::FlatCosAnnealScheduler(const FitFcOptions& options)
    : GeneralScheduler({}), options_(options) {
  if (!(options.start_pct >= 0 && options.start_pct <= 1)) {
    throw ValueError("value.flat_cos",
                     fmt::format("fit_fc needs 0 <= start_pct <= 1, found {}", options.start_pct));
  }
}

void FlatCosAnnealScheduler::on_train_begin(TrainState& state) {
  const auto learner = learn();
  const auto n = learner.data().train_dl().size() * state.n_epochs;
  const auto flat = static_cast<std::int64_t>(static_cast<double>(n) * options_.start_pct);
  const auto rates = learner.lr_range(options_.lr);
  const std::vector<double> zero(rates.size(), 0.0);
  set_phases({TrainingPhase(flat).schedule_hp("lr", rates).schedule_hp("mom", options_.moms.first),
              TrainingPhase(n - flat)
                  .schedule_hp("lr", rates, zero, annealing_cos)
                  .schedule_hp("mom", options_.moms.second)});
  GeneralScheduler::on_train_begin(state);
}

}  // namespace fastcpp
