/// \file
/// Schedules of several phases, each moving any hyper-parameters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/optim/schedule.hpp"

namespace fastcpp {

/// Some batches during which hyper-parameters move (fastai: `TrainingPhase`).
class FASTCPP_API TrainingPhase {
 public:
  /// How one hyper-parameter moves.
  struct Schedule {
    LearningRate start, end;
    Anneal anneal;
  };

  /// \param length number of batches, >= 0; 0 counts as 1
  explicit TrainingPhase(std::int64_t length) : length_(length) {}

  /// Moves `name` from start to end along `anneal` (fastai: `schedule_hp` with a pair).
  /// \param name  lr, mom, beta or wd
  /// \param start values at the first batch: one, one per layer group, or a slice
  /// \throws ValueError `value.hyper_name`
  TrainingPhase& schedule_hp(const std::string& name, const LearningRate& start,
                             const LearningRate& end, Anneal anneal = annealing_linear);
  /// Keeps `name` at a value (fastai: `schedule_hp` with a number).
  /// \throws ValueError `value.hyper_name`
  TrainingPhase& schedule_hp(const std::string& name, const LearningRate& value);

  std::int64_t length() const { return length_; }
  const std::map<std::string, Schedule>& schedules() const { return schedules_; }

 private:
  std::int64_t length_;
  std::map<std::string, Schedule> schedules_;
};

/// Trains phase after phase, then stops (fastai: `GeneralScheduler`).
///
/// A phase hands over at the end of its last batch: the first batch of the next phase still has the
/// last values. When the phases run out one more batch is trained.
class FASTCPP_API GeneralScheduler : public Callback {
 public:
  /// \param start_epoch epochs of the schedule done before
  explicit GeneralScheduler(std::vector<TrainingPhase> phases, int start_epoch = 0);
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void jump_to_epoch(int epoch) override;

 protected:
  /// Replaces the phases; for schedules whose length the data decides.
  void set_phases(std::vector<TrainingPhase> phases) { phases_ = std::move(phases); }

 private:
  void advance(TrainState& state);

  std::vector<TrainingPhase> phases_;
  int start_epoch_;
  std::size_t phase_ = 0;
  std::vector<std::map<std::string, Scheduler>> schedulers_;
};

/// A constant rate, then half a cosine to 0 (fastai: `FlatCosAnnealScheduler`).
class FASTCPP_API FlatCosAnnealScheduler : public GeneralScheduler {
 public:
  /// \throws ValueError `value.flat_cos` on a start_pct outside 0..1
  explicit FlatCosAnnealScheduler(const FitFcOptions& options);
  void on_train_begin(TrainState&) override;

 private:
  FitFcOptions options_;
};

}  // namespace fastcpp
