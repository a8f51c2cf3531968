#include "fastcpp/train/callbacks/accumulate.hpp"

#include <torch/utils.h>

#include <memory>
#include <utility>
#include <vector>

#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {

AccumulateScheduler::AccumulateScheduler(const AccumulateOptions& options) : options_(options) {
  expect(options.n_step >= 1, "value.n_batches", "n_step", "a number of batches >= 1",
         options.n_step);
}

void AccumulateScheduler::forget() {
  sums_.clear();
  items_ = 0;
  batches_ = 0;
}

void AccumulateScheduler::on_train_begin(TrainState&) {
  if (!std::exchange(resumed_, false)) forget();
  // A training that goes on in the middle of an epoch begins no epoch.
  epoch_batches_ = learn().data().train_dl().size();
}

void AccumulateScheduler::on_epoch_begin(TrainState& state) {
  epoch_batches_ = learn().data().train_dl().size();
  if (options_.drop_last && state.num_batch == 0) forget();
}

void AccumulateScheduler::on_backward_end(TrainState& state) {
  if (options_.n_step == 1 || state.skip_bwd) return;
  ++batches_;
  if (state.skips_step()) {
    learn().opt().zero_grad();
  } else {
    add(static_cast<double>(state.last_input.length()));
  }
  const bool last = !options_.drop_last && state.num_batch + 1 == epoch_batches_;
  const bool whole = batches_ >= options_.n_step || last;
  state.skip_step = !whole || items_ == 0;
  if (whole) give();
}

// Takes the gradients of a batch away and adds them, times its items.
void AccumulateScheduler::add(double items) {
  const torch::NoGradGuard no_grad;
  for (auto& entry : learn().model()->named_parameters()) {
    auto& gradient = entry.value().mutable_grad();
    if (!gradient.defined()) continue;
    auto& sum = sums_[entry.key()];
    if (sum.defined()) {
      sum.add_(gradient, items);
    } else {
      sum = gradient.mul_(items);
    }
    gradient = torch::Tensor();
  }
  items_ += items;
}

void AccumulateScheduler::give() {
  const torch::NoGradGuard no_grad;
  for (auto& entry : learn().model()->named_parameters()) {
    const auto found = sums_.find(entry.key());
    // A layer that was frozen meanwhile does not move.
    if (found == sums_.end() || !entry.value().requires_grad()) continue;
    entry.value().mutable_grad() = found->second.div_(items_);
  }
  forget();
}

void AccumulateScheduler::on_train_end(TrainState&) {
  forget();
  resumed_ = false;
}

Value AccumulateScheduler::state() const {
  std::vector<Value::Entry> sums;
  // Copies: the next batch is added in place.
  for (const auto& [name, sum] : sums_) sums.emplace_back(name, sum.clone());
  return Value::dict(
      {{"batches", batches_}, {"items", items_}, {"sums", Value::dict(std::move(sums))}});
}

void AccumulateScheduler::load_state(const Value& value) {
  std::map<std::string, torch::Tensor> sums;
  for (const auto& [name, sum] : value.at("sums").entries()) {
    sums[name.as_string()] = sum.as_tensor().clone();
  }
  items_ = value.at("items").as_double();
  batches_ = static_cast<int>(value.at("batches").as_int());
  sums_ = std::move(sums);
  resumed_ = true;
}

Learner& Learner::accumulate(const AccumulateOptions& options) {
  auto made = std::make_shared<AccumulateScheduler>(options);
  std::erase_if(callbacks(), [](const auto& callback) {
    return dynamic_cast<const AccumulateScheduler*>(callback.get()) != nullptr;
  });
  if (options.n_step > 1) callbacks().push_back(std::move(made));
  return *this;
}

CallbackFn accumulate_scheduler(const AccumulateOptions& options) {
  return factory_of<AccumulateScheduler>(options);
}

}  // namespace fastcpp
