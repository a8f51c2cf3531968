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

namespace fastcpp::inline v0 {

/// What a schedule moves, one value per layer group.
enum class Hyper {
  kLr,    ///< learning rate
  kMom,   ///< momentum, or Adam's beta1; 0 <= mom < 1
  kBeta,  ///< Adam's beta2, or RMSprop's alpha; 0 <= beta < 1
  kWd     ///< weight decay, >= 0
};

/// Some batches during which hyper-parameters move (fastai: `TrainingPhase`). A value: copies share nothing. Threads:
/// const calls by any number at once.
class FASTCPP_API TrainingPhase {
 public:
  /// How one hyper-parameter moves.
  struct Schedule {
    LearningRate start, end;  ///< values at the first batch, and at the last
    Anneal anneal;            ///< the way between them
  };

  /// \param length number of batches, >= 0; 0 counts as 1
  /// \throws ValueError `value.phase`
  explicit TrainingPhase(std::int64_t length);

  /// Moves `name` from start to end along `anneal` (fastai: `schedule_hp` with a pair).
  /// \param start  values at the first batch: one, one per layer group, or a slice
  /// \param anneal any function; not empty
  /// \returns the phase
  /// \throws ValueError `value.hyper_name`, `value.phase`
  TrainingPhase& schedule_hp(Hyper name, const LearningRate& start, const LearningRate& end,
                             Anneal anneal = annealing_linear);
  /// Keeps `name` at a value (fastai: `schedule_hp` with a number).
  /// \returns the phase
  /// \throws ValueError `value.hyper_name`
  TrainingPhase& schedule_hp(Hyper name, const LearningRate& value);

  /// Number of batches.
  std::int64_t length() const { return length_; }
  /// What moves, and how.
  const std::map<Hyper, Schedule>& schedules() const { return schedules_; }

 private:
  std::int64_t length_;
  std::map<Hyper, Schedule> schedules_;
};

/// Options of GeneralScheduler, in fastai's order.
struct GeneralSchedulerOptions {
  std::vector<TrainingPhase> phases = {};  ///< one after the other
  int start_epoch = 0;                     ///< epochs of the schedule done before, >= 0
};

/// Trains phase after phase, then stops (fastai: `GeneralScheduler`). Belongs to one learner at a time; called from the
/// thread that trains.
///
/// A phase hands over at the end of its last batch: the first batch of the next phase still has the last values. When
/// the phases run out one more batch is trained.
class FASTCPP_API GeneralScheduler : public Callback {
 public:
  /// \throws ValueError `value.start_epoch` on a negative start_epoch
  explicit GeneralScheduler(const GeneralSchedulerOptions& options);
  /// \throws ValueError `value.start_epoch` when no epoch of the fit is left; `value.learning_rate`,
  /// `value.hyper_range` on values out of range or of another number of layer groups
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void jump_to_epoch(int epoch) override;
  Value state() const override;
  void load_state(const Value& state) override;

 protected:
  /// Replaces the phases; for schedules whose length the data decides.
  void set_phases(std::vector<TrainingPhase> phases) { options_.phases = std::move(phases); }

 private:
  void advance(TrainState& state);

  GeneralSchedulerOptions options_;
  std::size_t phase_ = 0;
  std::int64_t steps_ = 0;
  std::vector<std::map<Hyper, Scheduler>> schedulers_;
};

/// A constant rate, then half a cosine to 0 (fastai: `FlatCosAnnealScheduler`). Lifetime and threads as Callback.
class FASTCPP_API FlatCosAnnealScheduler : public GeneralScheduler {
 public:
  /// \throws ValueError `value.flat_cos` on a start_pct outside 0..1 or a momentum outside 0..1 (1 left out)
  explicit FlatCosAnnealScheduler(const FitFcOptions& options);
  void on_train_begin(TrainState&) override;

 private:
  FitFcOptions options_;
};

/// \name For `callback_fns`: each makes the callback of its name for every fit.
/// \throws ValueError as the callback's constructor, at once
/// @{
/// `GeneralScheduler`.
FASTCPP_API CallbackFn general_scheduler(const GeneralSchedulerOptions& options);
/// The schedule of `fit_fc`.
FASTCPP_API CallbackFn flat_cos_anneal(const FitFcOptions& options = {});
/// @}

}  // namespace fastcpp
