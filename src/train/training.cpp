#include "train/training.hpp"

#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "compat/stream.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "train/chain.hpp"
#include "train/learner_impl.hpp"
#include "train/plan.hpp"

namespace fastcpp::inline v0 {
namespace {

// A scalar on its way from the device.
class PendingNumber {
 public:
  explicit PendingNumber(const torch::Tensor& scalar) : scalar_(scalar.detach()) {
    if (!scalar_.is_cuda()) return;
    const auto device = scalar_.device();
    scalar_ = torch::empty({}, scalar_.options().device(torch::kCPU).pinned_memory(true))
                  .copy_(scalar_, /*non_blocking=*/true);
    arrived_.emplace(device.type());
    arrived_->record(compat::current_stream(device));
  }
  double value() const {
    if (arrived_) compat::wait(*arrived_);
    return scalar_.item<double>();
  }

 private:
  torch::Tensor scalar_;
  std::optional<c10::Event> arrived_;
};

std::string message_of(const std::exception_ptr& cause) {
  try {
    std::rethrow_exception(cause);
  } catch (const std::exception& e) {
    return plain_message(e);
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace

void Training::call(void (Callback::*event)(TrainState&)) {
  for (const auto& callback : begun_) {
    (callback.get()->*event)(state_);
    if (clock_ && state_.train) clock_->lap(*callback);
  }
}

FitOutcome Training::run(int n_epochs, std::vector<std::shared_ptr<Callback>> callbacks) {
  callbacks_ = std::move(callbacks);
  state_ = TrainState{};
  state_.n_epochs = n_epochs;
  state_.fit = learner_.impl_->fits - 1;  // this one is counted already
  state_.resumed = !saved_.is_none();
  state_.dry_run = learner_.impl_->real_model_dir.has_value();
  clock_ = learner_.impl_->clock;
  if (const auto& processes = learner_.processes()) {
    together_ = std::make_unique<Together>(processes, learner_.impl_->distributed);
  }
  const auto bs = learner_.impl_->data.batch_size();
  const auto attempt = [&](void (Training::*part)()) {
    try {
      guarded(bs, [&] { (this->*part)(); });
    } catch (...) {
      failed(std::current_exception());
    }
  };
  attempt(&Training::begin);
  if (!state_.exception) {
    attempt(&Training::epochs);
    if (state_.exception) write_after_error();
  }
  end();
  if (!state_.exception && files_) {
    attempt(&Training::finish_files);
  }
  if (state_.exception) std::rethrow_exception(state_.exception);
  if (state_.cancelled) return FitOutcome::kStopped;
  return state_.epoch < n_epochs || state_.stop_training ? FitOutcome::kEnded
                                                         : FitOutcome::kFinished;
}

// Keeps the first cause; what goes wrong after it is only told.
void Training::failed(std::exception_ptr cause) {
  if (!state_.exception) {
    state_.exception = std::move(cause);
    if (!std::exchange(together_, nullptr)) return;
    learner_.processes()->abort(message_of(state_.exception));
  } else {
    log_warning(fmt::format("while a failed training was ended, a callback failed too: {}",
                            message_of(cause)));
  }
}

void Training::begin() {
  if (together_) {
    const auto& model = *learner_.impl_->model;
    together_->expect_same(model, state_.n_epochs,
                           learner_.impl_->training_data().train_dl().size(),
                           learner_.options().metrics.size());
    together_->take_weights(model);
  }
  agree_on_files();
  for (const auto& callback : callbacks_) {
    callback->learner_ = learner_.impl_;
    callback->on_train_begin(state_);
    begun_.push_back(callback);
  }
  if (state_.resumed) from_checkpoint([&] { load(std::exchange(saved_, {})); });
}

void Training::finish_files() {
  if (!state_.cancelled) write_checkpoint(/*finished=*/true, /*best=*/false);
  files_->wait();
}

void Training::end() {
  ended_ = true;
  for (const auto& callback : begun_) {
    try {
      boundary([&] { callback->on_train_end(state_); });
    } catch (...) {
      failed(std::current_exception());
    }
  }
  for (const auto& callback : callbacks_) callback->learner_.reset();
}

void Training::epochs() {
  // Where a callback looks up which epoch is next, the first process counts.
  if (together_) state_.epoch = static_cast<int>(together_->take_number(state_.epoch));
  if (state_.epoch != 0 && !state_.resumed) {
    for (const auto& callback : begun_) callback->jump_to_epoch(state_.epoch);
  }
  if (state_.resumed && !in_epoch_ && state_.stop_training) return;  // nothing was left to do
  while (state_.epoch < state_.n_epochs) {
    if (!in_epoch_) {
      learner_.impl_->training_model()->train();
      state_.num_batch = position_ = 0;
      trained_ = false;
      state_.stop_training = false;
      call(&Callback::on_epoch_begin);
      in_epoch_ = true;
    }
    // A training may go on within the validation.
    if (!trained_) train_epoch();
    if (state_.cancelled) return write_checkpoint(/*finished=*/false, /*best=*/false);
    trained_ = true;
    if (together_) together_->take_buffers(*learner_.impl_->model);
    validate_epoch();
    if (state_.cancelled) return write_checkpoint(/*finished=*/false, /*best=*/false);
    steady_ = {};
    call(&Callback::on_epoch_end);
    in_epoch_ = false;
    if (together_) {
      Wishes none{};
      agree(ProgressPhase::kTrain, none);
    }
    ++state_.epoch;
    write_checkpoint(/*finished=*/false, is_best());
    if (state_.stop_training) return;
  }
}

void Training::validate_epoch() {
  state_.last_metrics.clear();
  const auto& data = learner_.impl_->training_data();
  if (state_.skip_validate || data.empty_val()) return;
  valid_pass_ = data.valid_dl().next_pass();
  validating_ = true;
  steady_ = {};
  state_.last_metrics = validate(data.valid_dl(), learner_.impl_->training_model());
  // One that was stopped begins once more when the training goes on.
  if (!state_.cancelled) validating_ = false;
}

void Training::train_epoch() {
  // Handles of their own, also in `validate`: a callback may give the learner other data, and with them drop the features
  // and their head.
  const DataLoader loader = learner_.impl_->training_data().train_dl();
  const Model model = learner_.impl_->training_model();
  train_pass_ = loader.next_pass();
  keep_steady();
  if (clock_) clock_->begin();
  each_batch(ProgressPhase::kTrain, loader, position_,
             [&](const Batch& batch, ProgressBar& bar, std::int64_t position) {
               if (clock_) clock_->lap(StepClock::kWait);
               train_batch(batch, model);
               position_ = position;
               keep_steady();
               bar.update(state_.num_batch, fmt::format("{:.4f}", state_.smooth_loss));
               if (clock_) clock_->end_step();
               // At the end of an epoch there is one anyway. Several processes, who write together, know neither who of them
               // leaves it nor, where bad items are left out, whether all have come to its end.
               const bool last = !together_ && (position_ == loader.size() || state_.stop_epoch);
               const bool due = together_ ? due_ : files_ && files_->due();
               if (due && !last) write_checkpoint(false, false);
             });
}

void Training::each_batch(
    ProgressPhase phase, const DataLoader& loader, std::int64_t done,
    const std::function<void(const Batch&, ProgressBar&, std::int64_t)>& work) {
  ProgressBar bar(
      learner_.progress(),
      {.phase = phase, .total = loader.size(), .epoch = state_.epoch, .n_epochs = state_.n_epochs});
  // In a training that goes on in the middle of an epoch the first batches are not loaded again.
  auto batch = loader.begin_after(done);
  if (const auto later = std::exchange(later_pass_, std::nullopt)) {
    // Passes that callbacks began before the checkpoint count too.
    DataLoader(loader).set_next_pass(std::max(*later, loader.next_pass()));
  }
  for (bool first = true;; first = false) {
    const bool own = batch != loader.end();
    Wishes wishes{
        .end = !own, .leave = !first && state_.stop_epoch, .cancel = stop_.stop_requested()};
    if (together_) agree(phase, wishes);
    if (wishes.end || wishes.leave) return;
    if (wishes.cancel) {
      state_.cancelled = true;
      return;
    }
    work(own ? *batch : Batch{}, bar, batch.position());
    if (!together_ && state_.stop_epoch) return;
    if (own) ++batch;
  }
}

void Training::agree(ProgressPhase phase, Wishes& wishes) {
  const auto number = [](bool flag) { return flag ? 1.0 : 0.0; };
  std::vector<double> votes{
      number(wishes.end),           number(wishes.leave),
      number(wishes.cancel),        number(state_.stop_training),
      number(state_.skip_validate), number(files_ && learner_.first_process() && files_->due())};
  together_->sum(votes);
  wishes.end = phase == ProgressPhase::kValidate ? votes[0] == together_->size() : votes[0] > 0;
  wishes.leave = votes[1] > 0;
  wishes.cancel = votes[2] > 0;
  state_.stop_training = votes[3] > 0;
  state_.skip_validate = votes[4] > 0;
  due_ = votes[5] > 0;
}

void Training::compute_loss(const Batch& batch, const Model& model) {
  state_.stop_epoch = state_.skip_step = state_.skip_zero = state_.skip_bwd = false;
  state_.overflow.reset();
  state_.last_input = batch.x;
  state_.last_target = batch.y;
  call(&Callback::on_batch_begin);
  const auto precision = learner_.impl_->precision;
  // A callback may want the half-precision output for its loss.
  state_.last_output = forward(
      model, state_.last_input,
      {.precision = precision, .keep_precision = precision == torch::kHalf && state_.train});
  lap(StepClock::kForward);
  call(&Callback::on_loss_begin);
  state_.last_loss = learner_.impl_->options.loss_func(state_.last_output, state_.last_target);
}

void Training::train_batch(const Batch& batch, const Model& model) {
  state_.train = true;
  if (together_) together_->begin_step(*learner_.impl_->model);
  compute_loss(batch, model);
  PendingNumber loss(state_.last_loss);
  // On a device, backward pass and step are queued before anyone waits for the loss.
  const bool later = state_.last_loss.is_cuda();
  const auto items = state_.last_target.length();
  if (!later) update_smooth_loss(loss.value(), items);
  lap(StepClock::kForward);
  call(&Callback::on_backward_begin);
  if (!state_.skip_bwd) {
    backward(state_.last_loss);
    if (together_) together_->finish_step();
  }
  lap(StepClock::kBackward);
  call(&Callback::on_backward_end);
  steady_ = {};
  if (!state_.skip_bwd && !state_.skip_step) learner_.opt().step(state_.overflow);
  lap(StepClock::kStep);
  call(&Callback::on_step_end);
  if (!state_.skip_bwd && !state_.skip_zero) learner_.opt().zero_grad();
  if (!state_.skip_bwd) gradients_left_ = state_.skip_zero;
  lap(StepClock::kStep);
  if (later) update_smooth_loss(loss.value(), items);
  // The graph holds the activations of the whole batch: let go of it before the next one is made.
  state_.last_loss = state_.last_loss.detach();
  state_.last_output =
      state_.last_output.each([](const torch::Tensor& output) { return output.detach(); });
  lap(StepClock::kOther);
  call(&Callback::on_batch_end);
  ++state_.iteration;
  ++state_.num_batch;
}

void Training::update_smooth_loss(double loss, std::int64_t items) {
  if (together_) loss = together_->mean(loss, items);
  smoothed_.add_value(loss);
  state_.smooth_loss = smoothed_.smooth();
  if (!std::isfinite(loss) && !warned_) {
    warned_ = true;
    log_warning(
        fmt::format("the loss became {} at epoch {}, batch {}: the training diverged; use a "
                    "lower learning rate, or look for broken inputs",
                    loss, state_.epoch, state_.num_batch));
  }
}

std::vector<double> Training::validate(const DataLoader& given, const Model& given_model) {
  torch::NoGradGuard no_grad;
  const DataLoader loader = given;
  const Model model = given_model;
  model->eval();
  std::vector<std::unique_ptr<MetricState>> states;
  for (const auto& metric : learner_.options().metrics) states.push_back(metric.start());
  double sum = 0, count = 0;
  state_.train = false;
  validated_ = 0;
  each_batch(ProgressPhase::kValidate, loader, 0,
             [&](const Batch& batch, ProgressBar& bar, std::int64_t) {
               const bool own = batch.x.count() > 0;
               torch::Tensor output, target;
               std::vector<double> loss{0, 0};
               if (own) {
                 compute_loss(batch, model);
                 const auto n = static_cast<double>(state_.last_target.length());
                 loss = {state_.last_loss.item<double>() * n, n};
                 if (!states.empty()) {
                   output = state_.last_output.one("a metric");
                   target = state_.last_target.one("a metric");
                 }
               } else {
                 state_.stop_epoch = false;
               }
               if (together_) {
                 together_->sum(loss);
                 if (!states.empty()) {
                   output = together_->gathered(output);
                   target = together_->gathered(target);
                 }
               }
               sum += loss[0];
               count += loss[1];
               for (auto& metric : states) metric->update(output, target);
               if (own) call(&Callback::on_batch_end);
               bar.update(++validated_);
             });
  if (state_.cancelled) return {};
  std::vector<double> figures{sum / count};
  for (const auto& metric : states) figures.push_back(metric->value());
  return figures;
}

}  // namespace fastcpp
