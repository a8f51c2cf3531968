#include "fastcpp/train/callbacks/ema.hpp"

#include <torch/nn/module.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "fastcpp/io/checkpoint.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {
namespace {

StateDict cloned(const StateDict& tensors) {
  StateDict result;
  for (const auto& [name, tensor] : tensors) result.insert(name, tensor.clone());
  return result;
}

// Writes the tensors into those of a model; what it has beside them stays.
void write_into(const torch::nn::Module& model, const StateDict& tensors) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state_dict(model)) {
    if (const auto* found = tensors.find(name)) torch::Tensor(tensor).copy_(*found);
  }
}

}  // namespace

EMACallback::EMACallback(const EmaOptions& options) : options_(options) {
  expect(below_one(options.decay), "value.ema", "decay", "0 <= decay < 1", options.decay);
}

void EMACallback::on_train_begin(TrainState&) {
  if (std::exchange(resumed_, false)) return;
  average_ = cloned(state_dict(*learn().model()));
  trained_ = {};
  steps_ = 0;
}

void EMACallback::on_epoch_begin(TrainState&) {
  show_trained();
}

// The first batch of a validation is the first event after the last training batch.
void EMACallback::on_batch_begin(TrainState& state) {
  if (!state.train) show_average();
}

void EMACallback::on_step_end(TrainState& state) {
  if (state.skip_bwd || state.skips_step()) return;
  const torch::NoGradGuard no_grad;
  double decay = options_.decay;
  if (options_.warm_up) {
    const auto n = static_cast<double>(steps_);
    decay = std::min(decay, (1 + n) / (10 + n));
  }
  for (const auto& [name, tensor] : state_dict(*learn().model())) {
    const auto* found = average_.find(name);
    if (!found || found->sizes() != tensor.sizes()) {
      average_.insert(name, tensor.clone());  // a layer that is new
    } else if (tensor.is_floating_point()) {
      torch::Tensor(*found).lerp_(tensor, 1 - decay);
    } else {
      torch::Tensor(*found).copy_(tensor);
    }
  }
  ++steps_;
}

// Where nothing was validated, the epoch's end shows the average too: it is what is saved.
void EMACallback::on_epoch_end(TrainState&) {
  show_average();
}

void EMACallback::on_train_end(TrainState& state) {
  if (options_.at_end == EmaEnd::kTrained || state.exception) {
    show_trained();
  } else {
    show_average();
    trained_ = {};
  }
  resumed_ = false;
}

void EMACallback::show_average() {
  if (!trained_.empty() || average_.empty()) return;
  const auto& model = *learn().model();
  trained_ = cloned(state_dict(model));
  write_into(model, average_);
}

void EMACallback::show_trained() {
  if (trained_.empty()) return;
  write_into(*learn().model(), std::exchange(trained_, {}));
}

Value EMACallback::state() const {
  Value result = Value::dict({{"steps", steps_}, {"average", to_value(average_)}});
  if (!trained_.empty()) result.set("trained", to_value(trained_));
  return result;
}

void EMACallback::load_state(const Value& value) {
  const auto steps = value.at("steps").as_int();
  auto average = cloned(to_state_dict(value.at("average")));
  const auto* trained = value.find("trained");
  trained_ = trained ? cloned(to_state_dict(*trained)) : StateDict();
  average_ = std::move(average);
  steps_ = steps;
  resumed_ = true;
}

CallbackFn ema(const EmaOptions& options) {
  return factory_of<EMACallback>(options);
}

}  // namespace fastcpp
