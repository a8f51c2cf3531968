// The training loop: a learner's state, the callbacks of one fit, and fastai's events between them.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/checkpoints.hpp"
#include "train/step_clock.hpp"
#include "train/together.hpp"

namespace fastcpp::inline v0 {

// Runs epochs of training and validation over the state that a learner's copies share. It asks the learner for optimizer,
// model, loss and data at each use, so callbacks may change them in any event; the loader of an epoch under way stays, and
// with it the model that takes its batches: the whole one, or the head of precomputed features.
class Training {
 public:
  Training(Learner learner, std::stop_token stop)
      : learner_(std::move(learner)), stop_(std::move(stop)) {}

  // Checkpoints that `run` writes, with the plan that they hold; null: none. They outlive the training.
  void write_to(Checkpoints* files, Value plan) {
    files_ = files;
    plan_ = std::move(plan);
  }
  // `run` goes on from here; the learner has the weights already.
  void resume_from(Value saved) { saved_ = std::move(saved); }
  // A fit that was finished, into a learner that did not run it.
  static void load_finished(const Learner& learner, const Value& saved);

  // `callbacks` in the order in which they run. Only those that began are ended, all of them are, and the first cause of a
  // failure is thrown.
  FitOutcome run(int epochs, std::vector<std::shared_ptr<Callback>> callbacks);
  // Validation loss and metrics; batch events go to the callbacks of `run`.
  std::vector<double> validate(const DataLoader& loader, const Model& model);

  // Batches that `validate` went over, and whether the stop token ended it.
  std::int64_t validated() const { return validated_; }
  bool stopped() const { return state_.cancelled; }

 private:
  void begin();
  void epochs();
  void train_epoch();
  void validate_epoch();
  // Goes over the batches behind the first `done` until the loader ends, the stop token says so (`cancelled`) or a callback
  // (`stop_epoch`). With several processes until one of them says so; in validation one whose batches are at an end goes on
  // with empty ones. `work` also gets the position of the batch in the loader's pass.
  void each_batch(ProgressPhase phase, const DataLoader& loader, std::int64_t done,
                  const std::function<void(const Batch&, ProgressBar&, std::int64_t)>& work);
  // What several processes agree on before each batch.
  struct Wishes {
    bool end;    // no batch is left
    bool leave;  // a callback wants to leave the epoch
    bool cancel;
  };
  void agree(ProgressPhase phase, Wishes& wishes);
  void train_batch(const Batch& batch, const Model& model);
  void end();
  void finish_files();
  // Forward pass and loss of a batch, into the state; the events before backward.
  void compute_loss(const Batch& batch, const Model& model);
  // \param items of the batch that the loss is the mean of
  void update_smooth_loss(double loss, std::int64_t items);
  void call(void (Callback::*event)(TrainState&));
  // What was under way belongs to a part of a step, where steps are measured.
  void lap(StepClock::Part part) {
    if (clock_ && state_.train) clock_->lap(part);
  }
  void failed(std::exception_ptr cause);

  // See training_state.cpp.
  Value between_batches() const;
  Value gradients() const;
  void load_gradients(const Value& saved);
  Value whole(const Value& between) const;
  void load(const Value& saved);
  static void load_loaders(const Learner::Impl& impl, const Value& training);
  Value random_of_all() const;
  void write_checkpoint(bool finished, bool best);
  void agree_on_files();
  void write_after_error();
  void keep_steady();
  bool is_best();

  Learner learner_;
  std::stop_token stop_;
  std::vector<std::shared_ptr<Callback>> callbacks_, begun_;
  std::unique_ptr<Together> together_;  // null for one process, and outside `run`
  TrainState state_;
  SmoothenValue smoothed_{0.98};
  std::int64_t validated_ = 0;
  bool warned_ = false;
  bool in_epoch_ = false;  // its on_epoch_begin was called, its on_epoch_end was not
  bool trained_ = false;   // all batches of the epoch that are to be trained are
  bool validating_ = false;
  bool ended_ = false;           // the callbacks' on_train_end was called
  bool gradients_left_ = false;  // a callback keeps the gradients of earlier batches (skip_zero)
  std::int64_t position_ = 0;    // training batches of the epoch, also those that were left out
  // The pass of the epoch and of its validation; that of the next epoch, in a training that goes on within one.
  std::uint64_t train_pass_ = 0, valid_pass_ = 0;
  std::optional<std::uint64_t> later_pass_;
  Checkpoints* files_ = nullptr;
  // Of several processes the first one's files count, and all take part in writing one: whether there are any, also after an
  // error, and whether one is due behind the batch under way.
  bool shared_ = false, shared_on_error_ = false, due_ = false;
  Value plan_, saved_;
  Value steady_;         // between the last two batches; none while a step is under way
  Value steady_random_;  // then, of all processes; none for one
  std::vector<torch::Tensor>
      steady_buffers_;          // likewise: a forward pass changes running statistics
  std::optional<double> best_;  // of the column by which the best checkpoint is kept
  StepClock* clock_ = nullptr;  // measures training batches; null as a rule
};

}  // namespace fastcpp
