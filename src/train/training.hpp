// The training loop: a learner's state, the callbacks of one fit, and fastai's events between them.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/together.hpp"

namespace fastcpp::inline v0 {

// Runs epochs of training and validation over the state that a learner's copies share. It asks the learner for optimizer,
// model, loss and data at each use, so callbacks may change them in any event; the loader of an epoch under way stays, and
// with it the model that takes its batches: the whole one, or the head of precomputed features.
class Training {
 public:
  Training(Learner learner, std::stop_token stop)
      : learner_(std::move(learner)), stop_(std::move(stop)) {}

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
  // Goes over the batches until the loader ends, the stop token says so (`cancelled`) or a callback (`stop_epoch`). With
  // several processes until one of them says so; in validation one whose batches are at an end goes on with empty ones.
  void each_batch(ProgressPhase phase, const DataLoader& loader,
                  const std::function<void(const Batch&, ProgressBar&)>& work);
  // What several processes agree on before each batch.
  struct Wishes {
    bool end;    // no batch is left
    bool leave;  // a callback wants to leave the epoch
    bool cancel;
  };
  void agree(ProgressPhase phase, Wishes& wishes);
  void train_batch(const Batch& batch, const Model& model);
  void end();
  // Forward pass and loss of a batch, into the state; the events before backward.
  void compute_loss(const Batch& batch, const Model& model);
  // \param items of the batch that the loss is the mean of
  void update_smooth_loss(double loss, std::int64_t items);
  void call(void (Callback::*event)(TrainState&));
  void failed(std::exception_ptr cause);

  Learner learner_;
  std::stop_token stop_;
  std::vector<std::shared_ptr<Callback>> callbacks_, begun_;
  std::unique_ptr<Together> together_;  // null for one process, and outside `run`
  TrainState state_;
  SmoothenValue smoothed_{0.98};
  std::int64_t validated_ = 0;
  bool warned_ = false;
};

}  // namespace fastcpp
