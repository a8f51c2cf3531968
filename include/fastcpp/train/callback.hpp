/// \file
/// Taking part in a training: fastai's events with a typed state.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

class Learner;

/// An exponential moving average without the bias of its start (fastai: `SmoothenValue`). A value: copies share
/// nothing. Threads: const calls by any number at once.
class SmoothenValue {
 public:
  /// \param beta how much of the average stays at each value, 0 <= beta < 1
  explicit SmoothenValue(double beta) : beta_(beta) {}
  /// Takes the next value in.
  void add_value(double value) {
    average_ = beta_ * average_ + (1 - beta_) * value;
    left_ *= beta_;
  }
  /// The average of the values so far; not a number before the first.
  double smooth() const { return average_ / (1 - left_); }
  /// The average as a checkpoint keeps it.
  Value state() const { return Value::dict({{"average", average_}, {"left", left_}}); }
  /// Goes on from what `state` gave.
  void load_state(const Value& state) {
    average_ = state.at("average").as_double();
    left_ = state.at("left").as_double();
  }

 private:
  double beta_, average_ = 0, left_ = 1;
};

/// Everything a callback may look at or change during a fit (fastai: the state dictionary of `CallbackHandler`). A fit
/// makes it and keeps it to its end. Threads: that of the fit.
struct TrainState {
  int epoch = 0;               ///< current epoch, from 0
  int n_epochs = 0;            ///< epochs asked for
  std::uint64_t fit = 0;       ///< fits of this learner before, the LR finder's too
  std::int64_t iteration = 0;  ///< training batches so far in this fit
  std::int64_t num_batch = 0;  ///< batches so far in this epoch
  bool train = false;          ///< a training batch is under way, not a validation batch
  bool skip_validate = false;  ///< no validation from now on
  bool stop_epoch = false;     ///< leave the batch loop after this batch
  bool stop_training = false;  ///< end the fit after this epoch
  bool skip_step = false;      ///< no optimizer step for this batch; see skips_step
  bool skip_zero = false;      ///< keep the gradients after this batch
  bool skip_bwd = false;       ///< no backward pass for this batch
  bool cancelled = false;      ///< the stop token was triggered
  bool resumed = false;        ///< the fit goes on from a checkpoint
  /// Nothing of this fit stays (`dry_run`, `profile`, `find_batch_size`): learner and data come back as they were, and what
  /// goes below `path()` and `model_dir()` goes to a folder that is removed. Who writes elsewhere writes nothing
  bool dry_run = false;
  Tensors last_input = {};   ///< batch on its way into the model; may be replaced in on_batch_begin
  Tensors last_target = {};  ///< its target; may be replaced in on_batch_begin
  Tensors last_output = {};  ///< what the model gave; may be replaced in on_loss_begin
  torch::Tensor last_loss = {};  ///< scalar with a graph; may be replaced in on_backward_begin
  double smooth_loss = 0;        ///< debiased moving average of the training loss
  /// Validation loss and metrics of the epoch; empty when nothing was validated.
  std::vector<double> last_metrics = {};
  std::exception_ptr exception = {};  ///< set in on_train_end after a failure: its first cause
  /// One number on a CUDA device, set by MixedPrecision before the step: 1 where a gradient is not finite, else 0. Then the
  /// optimizer leaves the step out; nobody waits for the number. Undefined: skip_step says all
  torch::Tensor overflow = {};
  /// Whether the step of this batch is left out, for events from on_backward_end on. Waits for the device where `overflow` is
  /// defined; afterwards skip_step says it.
  FASTCPP_API bool skips_step();
};

/// Base of everything that takes part in a fit; override the events you need (fastai: `LearnerCallback`).
///
/// Events come from the thread that called `fit`. In every event a callback may use its learner: freeze, unfreeze, split,
/// set data, loss or rates, predict and validate; what it sets is used from the next batch on (a new training set from
/// the next epoch on). After a split into another number of layer groups all of them are trained as the last one was
/// to be, also by a schedule. A callback that is added to the learner during a fit takes part in the next one; one that is
/// removed stays in the fit under way. One object belongs to one fit at a time. The learner keeps those in its
/// `callbacks()`, a fit those it was given.
class FASTCPP_API Callback {
 public:
  virtual ~Callback() = default;
  /// Callbacks run in ascending order: -20 before the Recorder, -10 the Recorder, 0 others.
  virtual int order() const { return 0; }
  /// Whether a learner's callback also takes part in `lr_find`: true only for those that belong to the computation of a
  /// step, such as gradient clipping; false for all that watch, write or end a training.
  virtual bool in_lr_find() const { return false; }
  /// Whether only the first of several processes needs it: true for those that watch, draw or write. They must do nothing
  /// that all processes do together, such as loading weights; what ends a training (`stop_training`) ends it in all.
  virtual bool first_process_only() const { return false; }

  /// The fit begins: weights and optimizer are as they were.
  virtual void on_train_begin(TrainState&) {}
  /// An epoch begins.
  virtual void on_epoch_begin(TrainState&) {}
  /// A batch is about to enter the model; it may be replaced.
  virtual void on_batch_begin(TrainState&) {}
  /// The model gave its output, the loss is computed next.
  virtual void on_loss_begin(TrainState&) {}
  /// The loss is there, gradients come next.
  virtual void on_backward_begin(TrainState&) {}
  /// The gradients are there, the optimizer steps next.
  virtual void on_backward_end(TrainState&) {}
  /// The optimizer stepped; gradients are cleared next.
  virtual void on_step_end(TrainState&) {}
  /// The batch is done; also in validation.
  virtual void on_batch_end(TrainState&) {}
  /// The epoch is done, validation too: `state.last_metrics` has its figures.
  virtual void on_epoch_end(TrainState&) {}
  /// Always called after an on_train_begin that returned, also after an exception (`state.exception`) and when another
  /// callback's on_train_end throws.
  virtual void on_train_end(TrainState&) {}
  /// A fit starts at an epoch other than 0 (fastai: `jump_to_epoch`).
  virtual void jump_to_epoch(int) {}

  /// What a checkpoint of a training keeps of this callback: all that it remembers from one batch to the next. Empty where
  /// that is nothing. Asked for between two batches.
  virtual Value state() const { return {}; }
  /// Takes back what `state` gave, in a fit that goes on from a checkpoint: after the on_train_begin of all callbacks, and
  /// before weights' rates and random numbers come back.
  virtual void load_state(const Value&) {}

  /// The learner this callback takes part in.
  /// \throws TrainError `train.no_learner` outside a fit
  Learner learn() const;

 private:
  friend class Learner;
  friend class Training;
  std::weak_ptr<void> learner_;
};

/// What a callback made of functions does; those left out do nothing. A function gets the learner, so that it need not
/// hold one: a learner that holds a callback that holds the learner would never be released.
struct CallbackFunctions {
  /// Gets the learner and what the event may look at.
  using Function = std::function<void(Learner& learn, TrainState& state)>;
  Function on_train_begin = {};     ///< see Callback::on_train_begin
  Function on_epoch_begin = {};     ///< see Callback::on_epoch_begin
  Function on_batch_begin = {};     ///< see Callback::on_batch_begin
  Function on_loss_begin = {};      ///< see Callback::on_loss_begin
  Function on_backward_begin = {};  ///< see Callback::on_backward_begin
  Function on_backward_end = {};    ///< see Callback::on_backward_end
  Function on_step_end = {};        ///< see Callback::on_step_end
  Function on_batch_end = {};       ///< see Callback::on_batch_end
  Function on_epoch_end = {};       ///< see Callback::on_epoch_end
  Function on_train_end = {};       ///< see Callback::on_train_end
  /// See Callback::jump_to_epoch; gets the learner and the epoch, from 0.
  std::function<void(Learner& learn, int epoch)> jump_to_epoch = {};
  int order = 0;            ///< see Callback::order
  bool in_lr_find = false;  ///< see Callback::in_lr_find
};

/// A callback of functions:
/// `make_callback({.on_epoch_end = [](Learner& learn, TrainState& state) { … }})`.
FASTCPP_API std::shared_ptr<Callback> make_callback(CallbackFunctions functions);

/// Makes a callback for a learner at the start of every fit (fastai: `callback_fns`).
using CallbackFn = std::function<std::shared_ptr<Callback>(Learner&)>;

/// A callback given to one fit: an object, or a factory such as `save_model({.monitor = "error_rate"})`. A value:
/// copies share the object and copy the factory. Threads: that of the fit.
class CallbackArg {
 public:
  /// An object; shared.
  template <typename C>
  requires std::is_base_of_v<Callback, C> CallbackArg(
      std::shared_ptr<C> callback)  // NOLINT: a callback is an argument
      : make_([callback = std::move(callback)](Learner&) { return callback; }) {}
  /// A factory.
  template <typename F>
  requires std::is_invocable_r_v<std::shared_ptr<Callback>, F, Learner&> CallbackArg(F make)
      : make_(std::move(make)) {}  // NOLINT: the same

  /// The callback for a learner; may be null.
  std::shared_ptr<Callback> make(Learner& learn) const { return make_ ? make_(learn) : nullptr; }

 private:
  CallbackFn make_;
};

}  // namespace fastcpp
