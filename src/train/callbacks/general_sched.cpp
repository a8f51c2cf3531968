#include "fastcpp/train/callbacks/general_sched.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fastcpp/core/error.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"
#include "train/callbacks/groups.hpp"

namespace fastcpp::inline v0 {
namespace {

using Setter = void (OptimWrapper::*)(const std::vector<double>&);

Setter setter(Hyper name) {
  switch (name) {
    case Hyper::kLr:
      return &OptimWrapper::set_lr;
    case Hyper::kMom:
      return &OptimWrapper::set_mom;
    case Hyper::kBeta:
      return &OptimWrapper::set_beta;
    case Hyper::kWd:
      return &OptimWrapper::set_wd;
  }
  throw ValueError("value.hyper_name",
                   fmt::format("name: expected one of Hyper's kLr, kMom, kBeta and kWd, found {}",
                               static_cast<int>(name)));
}

}  // namespace

TrainingPhase::TrainingPhase(std::int64_t length) : length_(length) {
  expect(length >= 0, "value.phase", "length of TrainingPhase", "a number of batches >= 0", length);
}

TrainingPhase& TrainingPhase::schedule_hp(Hyper name, const LearningRate& start,
                                          const LearningRate& end, Anneal anneal) {
  setter(name);  // refuses an unknown name here, not in the middle of a training
  if (!anneal) {
    throw ValueError("value.phase",
                     "anneal: expected a function such as annealing_linear, found an empty one");
  }
  schedules_.insert_or_assign(name, Schedule{start, end, std::move(anneal)});
  return *this;
}

TrainingPhase& TrainingPhase::schedule_hp(Hyper name, const LearningRate& value) {
  return schedule_hp(name, value, value, annealing_no);
}

GeneralScheduler::GeneralScheduler(const GeneralSchedulerOptions& options) : options_(options) {
  expect(options.start_epoch >= 0, "value.start_epoch", "start_epoch", "an epoch >= 0",
         options.start_epoch);
}

void GeneralScheduler::on_train_begin(TrainState& state) {
  expect_start_epoch(options_.start_epoch, state.n_epochs);
  auto learner = learn();
  schedulers_.clear();
  for (const auto& phase : options_.phases) {
    auto& schedulers = schedulers_.emplace_back();
    for (const auto& [name, schedule] : phase.schedules()) {
      schedulers.emplace(name,
                         Scheduler(learner.lr_range(schedule.start), learner.lr_range(schedule.end),
                                   phase.length(), schedule.anneal));
    }
  }
  phase_ = 0;
  steps_ = 0;
  if (!schedulers_.empty()) {
    for (const auto& [name, scheduler] : schedulers_.front())
      (learner.opt().*setter(name))(scheduler.value());
  }
  if (options_.start_epoch != 0) state.epoch = options_.start_epoch;
}

void GeneralScheduler::advance(TrainState& state) {
  ++steps_;
  if (phase_ >= schedulers_.size()) {
    state.stop_training = state.stop_epoch = true;
    return;
  }
  auto learner = learn();
  auto& opt = learner.opt();
  // A phase that schedules nothing has no end: it lasts as long as the fit.
  bool done = false;
  for (auto& [name, scheduler] : schedulers_[phase_]) {
    (opt.*setter(name))(for_groups(scheduler.step(), opt));
    done = scheduler.is_done();
  }
  if (done) ++phase_;
}

void GeneralScheduler::jump_to_epoch(int epoch) {
  TrainState ignored;
  for (std::int64_t i = 0; i < learn().data().train_dl().size() * epoch; ++i) advance(ignored);
}

Value GeneralScheduler::state() const {
  return Value::dict({{"steps", steps_}, {"batches", learn().data().train_dl().size()}});
}

void GeneralScheduler::load_state(const Value& state) {
  TrainState ignored;
  // With another number of processes an epoch has another number of batches.
  const auto now = learn().data().train_dl().size();
  const auto steps =
      state.at("steps").as_int() * now / std::max<std::int64_t>(1, state.at("batches").as_int());
  while (steps_ < steps) advance(ignored);
}

void GeneralScheduler::on_batch_end(TrainState& state) {
  if (state.train) advance(state);
}

FlatCosAnnealScheduler::FlatCosAnnealScheduler(const FitFcOptions& options)
    : GeneralScheduler(GeneralSchedulerOptions{}), options_(options) {
  constexpr const char* kCode = "value.flat_cos";
  expect(below_one(options.moms.first), kCode, "moms.first", "0 <= momentum < 1",
         options.moms.first);
  expect(below_one(options.moms.second), kCode, "moms.second", "0 <= momentum < 1",
         options.moms.second);
  expect(options.start_pct >= 0 && options.start_pct <= 1, kCode, "start_pct",
         "0 <= start_pct <= 1", options.start_pct);
}

void FlatCosAnnealScheduler::on_train_begin(TrainState& state) {
  const auto learner = learn();
  const auto n = learner.data().train_dl().size() * state.n_epochs;
  const auto flat = static_cast<std::int64_t>(static_cast<double>(n) * options_.start_pct);
  const auto rates = learner.lr_range(options_.lr);
  const std::vector<double> zero(rates.size(), 0.0);
  set_phases({TrainingPhase(flat)
                  .schedule_hp(Hyper::kLr, rates)
                  .schedule_hp(Hyper::kMom, options_.moms.first),
              TrainingPhase(n - flat)
                  .schedule_hp(Hyper::kLr, rates, zero, annealing_cos)
                  .schedule_hp(Hyper::kMom, options_.moms.second)});
  GeneralScheduler::on_train_begin(state);
}

CallbackFn general_scheduler(const GeneralSchedulerOptions& options) {
  return factory_of<GeneralScheduler>(options);
}

CallbackFn flat_cos_anneal(const FitFcOptions& options) {
  return factory_of<FlatCosAnnealScheduler>(options);
}

}  // namespace fastcpp
