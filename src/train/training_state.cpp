// What a checkpoint keeps of a learner and of a training under way, and how both come back.
#include <c10/util/Type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "train/learner_impl.hpp"
#include "train/training.hpp"
#include "train/values.hpp"

namespace fastcpp::inline v0 {
namespace {

[[noreturn]] void other_training(const std::string& what) {
  throw TrainError(
      "train.checkpoint",
      fmt::format("the checkpoint is of another training: {}; make data and learner as "
                  "they were, or remove the checkpoints to train from the beginning",
                  what));
}

// What the data must have alike, or the numbers would not be the same.
Value facts_of(const DataBunch& data) {
  return Value::dict({{"training items", data.train_ds().size()},
                      {"batch size", data.batch_size()},
                      {"seed", std::to_string(data.seed())}});
}

std::vector<at::Generator> generators(const torch::Device& device) {
  std::vector<at::Generator> all{at::globalContext().defaultGenerator(torch::Device(torch::kCPU))};
  if (device.is_cuda()) all.push_back(at::globalContext().defaultGenerator(device));
  return all;
}

Value random_state(const torch::Device& device) {
  auto states = Value::list();
  for (auto& generator : generators(device)) {
    const std::scoped_lock lock(generator.mutex());
    states.append(generator.get_state());
  }
  return states;
}

void load_random_state(const torch::Device& device, const Value& states) {
  auto all = generators(device);
  for (std::size_t i = 0; i < std::min(all.size(), states.size()); ++i) {
    const std::scoped_lock lock(all[i].mutex());
    all[i].set_state(states.items()[i].as_tensor());
  }
}

}  // namespace

Value Learner::Impl::state() const {
  auto trainable = Value::list(), modes = Value::list();
  for (const auto& parameter : model->parameters()) trainable.append(parameter.requires_grad());
  for (const auto& module : model->modules()) modes.append(module->is_training());
  return Value::dict({{"model", to_value(state_dict(*model))},
                      {"opt", opt->state_dict()},
                      {"rates", Value::dict({{"lr", to_value(opt->lr())},
                                             {"mom", to_value(opt->mom())},
                                             {"beta", to_value(opt->beta())},
                                             {"wd", to_value(opt->wd())}})},
                      {"trainable", trainable},
                      {"modes", modes},
                      {"data", facts_of(data)},
                      {"fits", static_cast<std::int64_t>(fits)},
                      {"recorder", recorder->state()}});
}

void Learner::Impl::load_model(const Value& state) {
  const auto now = facts_of(data);
  for (const auto& [fact, value] : state.at("data").entries()) {
    const auto was = value.to_string(), is = now.at(fact).to_string();
    if (was != is) other_training(fmt::format("its {} is {}, here {}", fact.as_string(), was, is));
  }
  load_state_dict(*model, to_state_dict(state.at("model")));
  const auto& trainable = state.at("trainable").items();
  auto parameters = model->parameters();
  if (trainable.size() != parameters.size()) other_training("its model has other parameters");
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].requires_grad() != trainable[i].as_bool()) {
      parameters[i].set_requires_grad(trainable[i].as_bool());
    }
  }
  rebuild_opt();
  const auto report = opt->load_state_dict(state.at("opt"));
  if (!report) other_training(report.why);
}

void Learner::Impl::load_modes(const Value& state) {
  const auto& rates = state.at("rates");
  const auto lr = to_numbers(rates.at("lr"));
  if (lr.size() != layer_groups.size()) {
    other_training(
        fmt::format("it has {} layer groups, this learner {}", lr.size(), layer_groups.size()));
  }
  opt->set_lr(lr);
  opt->set_mom(to_numbers(rates.at("mom")));
  opt->set_beta(to_numbers(rates.at("beta")));
  opt->set_wd(to_numbers(rates.at("wd")));
  const auto& modes = state.at("modes").items();
  const auto modules = model->modules();
  if (modes.size() != modules.size()) other_training("its model has other modules");
  // Each by itself: `train` sets the modules inside too, and those follow.
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (modules[i]->is_training() != modes[i].as_bool()) modules[i]->train(modes[i].as_bool());
  }
}

// Between two batches, or epochs.
Value Training::between_batches() const {
  auto& impl = *learner_.impl_;
  const auto& data = impl.training_data();
  auto callbacks = Value::list();
  for (const auto& callback : callbacks_) {
    // A fit that is over goes on nowhere, and its callbacks have no learner any more.
    if (callback == impl.recorder || ended_) continue;
    auto kept = callback->state();
    if (kept.is_none()) continue;
    callbacks.append(Value::dict({{"type", typeid(*callback).name()}, {"state", std::move(kept)}}));
  }
  // The pass of an epoch, or a validation, under way begins once more.
  const auto next_pass = data.train_dl().next_pass();
  const auto train_pass = in_epoch_ && !trained_ ? train_pass_ : next_pass;
  auto valid_pass = valid_pass_;
  if (!validating_) valid_pass = data.empty_val() ? 0 : data.valid_dl().next_pass();
  return Value::dict({{"epoch", state_.epoch},
                      {"iteration", state_.iteration},
                      {"num_batch", state_.num_batch},
                      {"position", position_},
                      {"processes", impl.processes ? impl.processes->world_size() : 1},
                      {"in_epoch", in_epoch_},
                      {"trained", trained_},
                      {"skip_validate", state_.skip_validate},
                      {"stop_training", state_.stop_training},
                      {"smooth_loss", state_.smooth_loss},
                      {"smoothed", smoothed_.state()},
                      {"last_metrics", to_value(state_.last_metrics)},
                      {"best", best_ ? Value(*best_) : Value()},
                      {"train_pass", static_cast<std::int64_t>(train_pass)},
                      {"next_pass", static_cast<std::int64_t>(next_pass)},
                      {"valid_pass", static_cast<std::int64_t>(valid_pass)},
                      {"gradients", gradients()},
                      {"random", random_state(data.device())},
                      {"callbacks", callbacks}});
}

void Training::load(const Value& saved) {
  auto& impl = *learner_.impl_;
  const auto& training = saved.at("training");
  // Once more: a callback that freezes or splits when a fit begins has made another optimizer.
  impl.load_model(saved);
  load_gradients(training.at("gradients"));
  state_.epoch = static_cast<int>(training.at("epoch").as_int());
  state_.iteration = training.at("iteration").as_int();
  state_.num_batch = training.at("num_batch").as_int();
  state_.skip_validate = training.at("skip_validate").as_bool();
  state_.stop_training = training.at("stop_training").as_bool();
  state_.smooth_loss = training.at("smooth_loss").as_double();
  state_.last_metrics = to_numbers(training.at("last_metrics"));
  position_ = training.at("position").as_int();
  in_epoch_ = training.at("in_epoch").as_bool();
  trained_ = training.at("trained").as_bool();
  // With another number of processes as many items are done, in other batches.
  const auto before = training.at("processes").as_int();
  const auto now = std::int64_t{impl.processes ? impl.processes->world_size() : 1};
  for (auto* batches : {&state_.iteration, &state_.num_batch, &position_}) {
    *batches = *batches * before / std::max<std::int64_t>(1, now);
  }
  position_ = std::min(position_, impl.training_data().train_dl().size());
  if (files_) files_->go_on(saved, state_.iteration);
  if (files_ && impl.rank() == 0) files_->restore_best(saved);
  smoothed_.load_state(training.at("smoothed"));
  if (const auto& best = training.at("best"); !best.is_none()) best_ = best.as_double();

  const auto columns = impl.recorder->names;
  impl.recorder->load_state(saved.at("recorder"));
  // Other processes may lack the columns of callbacks that the first one alone has.
  if (impl.rank() == 0 && impl.recorder->names != columns) {
    other_training(fmt::format("its table has the columns {}, here {}",
                               fmt::join(impl.recorder->names, ", "), fmt::join(columns, ", ")));
  }
  std::vector<const Callback*> done;
  for (const auto& entry : training.at("callbacks").items()) {
    const auto& type = entry.at("type").as_string();
    const auto fits = [&](const std::shared_ptr<Callback>& callback) {
      return callback != impl.recorder && type == typeid(*callback).name() &&
             std::find(done.begin(), done.end(), callback.get()) == done.end();
    };
    const auto found = std::find_if(callbacks_.begin(), callbacks_.end(), fits);
    if (found == callbacks_.end() && impl.rank() != 0) continue;  // the first process's alone
    if (found == callbacks_.end()) {
      other_training(
          fmt::format("a callback of the type {} took part in it and does not now; "
                      "callbacks that were given to the fit alone are given again",
                      c10::demangle(type.c_str())));
    }
    (*found)->load_state(entry.at("state"));
    done.push_back(found->get());
  }
  impl.load_modes(saved);
  load_loaders(impl, training);
  if (in_epoch_ && !trained_) {
    later_pass_ = static_cast<std::uint64_t>(training.at("next_pass").as_int());
  }
}

// What a callback keeps from one batch to the next in the parameters themselves.
Value Training::gradients() const {
  if (!gradients_left_ || ended_) return {};
  auto list = Value::list();
  for (const auto& parameter : learner_.model()->parameters()) {
    const auto& gradient = parameter.grad();
    list.append(gradient.defined() ? Value(gradient.detach().clone()) : Value());
  }
  return list;
}

void Training::load_gradients(const Value& saved) {
  gradients_left_ = !saved.is_none();
  if (!gradients_left_) return;
  auto parameters = learner_.model()->parameters();
  if (saved.size() != parameters.size()) other_training("its model has other parameters");
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& gradient = saved.items()[i];
    if (gradient.is_none()) continue;
    parameters[i].mutable_grad() = gradient.as_tensor().to(parameters[i].device()).clone();
  }
}

// Last of all: random numbers that others drew meanwhile do not count.
void Training::load_loaders(const Learner::Impl& impl, const Value& training) {
  const auto& data = impl.training_data();
  auto train_dl = data.train_dl();
  train_dl.set_next_pass(static_cast<std::uint64_t>(training.at("train_pass").as_int()));
  if (!data.empty_val()) {
    auto valid_dl = data.valid_dl();
    valid_dl.set_next_pass(static_cast<std::uint64_t>(training.at("valid_pass").as_int()));
  }
  const auto* of_all = training.find("random_of_all");
  const auto rank = static_cast<std::size_t>(impl.rank());
  if (rank == 0) {
    load_random_state(data.device(), training.at("random"));
  } else if (of_all && of_all->size() == static_cast<std::size_t>(impl.processes->world_size())) {
    load_random_state(data.device(), of_all->items()[rank]);
  } else {
    // There were fewer processes, or more: numbers of its own.
    torch::manual_seed(Rng{data.seed(), impl.fits, static_cast<std::uint64_t>(impl.rank()),
                           static_cast<std::uint64_t>(training.at("iteration").as_int())}
                           .next() >>
                       1);
  }
}

// A finished fit, into a learner that did not run it.
void Training::load_finished(const Learner& learner, const Value& saved) {
  auto& impl = *learner.impl_;
  impl.load_model(saved);
  impl.load_modes(saved);
  impl.recorder->load_state(saved.at("recorder"));
  load_loaders(impl, saved.at("training"));
}

Value Training::whole(const Value& between) const {
  auto all = learner_.impl_->state();
  all.set("format", "fastcpp training");
  all.set("version", Checkpoints::kVersion);
  all.set("plan", plan_);
  all.set("finished", false);
  all.set("training", between);
  return all;
}

// By rank, for the first process's files: a list for each. All processes call it together.
Value Training::random_of_all() const {
  const auto& processes = learner_.processes();
  std::vector<Value> lists;
  for (int i = 0; i < processes->world_size(); ++i) lists.push_back(Value::list());
  const auto own = random_state(learner_.impl_->training_data().device());
  for (const auto& state : own.items()) {
    const auto states = processes->all_gather(state.as_tensor());
    for (std::size_t rank = 0; rank < states.size(); ++rank) lists[rank].append(states[rank]);
  }
  return Value::list(std::move(lists));
}

void Training::agree_on_files() {
  shared_ = files_ != nullptr;
  shared_on_error_ = files_ && files_->options().on_error;
  if (!together_) return;
  shared_ = together_->take_number(shared_ ? 1 : 0) != 0;
  shared_on_error_ = together_->take_number(shared_on_error_ ? 1 : 0) != 0;
}

void Training::write_checkpoint(bool finished, bool best) {
  if (!shared_) return;
  Value random;
  // A fit that is over goes on nowhere, and the next one draws anew.
  if (together_ && !finished) random = random_of_all();
  // One file for all processes.
  if (!files_ || !learner_.first_process()) return;
  auto training = between_batches();
  if (!random.is_none()) training.set("random_of_all", std::move(random));
  auto all = whole(training);
  all.set("finished", finished);
  files_->write(std::move(all), state_.iteration, finished, best);
}

// The best epoch so far by the column that the options name.
bool Training::is_best() {
  if (!files_ || files_->options().best.empty()) return false;
  const auto& name = files_->options().best;
  const auto value = learner_.impl_->recorder->last_value(name);
  if (!value || std::isnan(*value)) return false;
  const bool better = !best_ || (lower_is_better(name) ? *value < *best_ : *value > *best_);
  if (better) best_ = value;
  return better;
}

// For a batch that may fail.
void Training::keep_steady() {
  if (!shared_on_error_) return;
  steady_random_ = {};
  if (files_ && learner_.first_process()) {
    steady_ = between_batches();
    steady_buffers_.clear();
    for (const auto& buffer : learner_.model()->buffers()) {
      steady_buffers_.push_back(buffer.detach().clone());
    }
  }
  // Last: where another process has failed meanwhile, what was kept above still stands.
  if (together_) steady_random_ = random_of_all();
}

// Of a fit that failed: as it was before the batch that failed, unless its step was under way. A validation changes nothing
// that is trained, and begins once more.
void Training::write_after_error() {
  if (!files_ || !files_->options().on_error || !learner_.first_process()) return;
  if (steady_.is_none() && !validating_) return;
  try {
    const torch::NoGradGuard no_grad;
    if (validating_) steady_ = between_batches();
    if (!steady_random_.is_none()) steady_.set("random_of_all", steady_random_);
    auto buffers = learner_.model()->buffers();
    for (std::size_t i = 0; !validating_ && i < buffers.size(); ++i) {
      buffers[i].copy_(steady_buffers_.at(i));
    }
    files_->write(whole(steady_), state_.iteration, false, false);
    files_->wait();
  } catch (...) {
    failed(std::current_exception());
  }
}

}  // namespace fastcpp
