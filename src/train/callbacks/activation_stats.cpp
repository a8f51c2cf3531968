#include "fastcpp/train/callbacks/activation_stats.hpp"

#include <torch/nn/module.h>
#include <torch/utils.h>

#include <limits>

#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

HookCallback::HookCallback(const HookCallbackOptions& options) : options_(options) {}

HookCallback::~HookCallback() {
  hooks_.remove();
}

void HookCallback::on_train_begin(TrainState&) {
  auto modules = options_.modules;
  if (modules.empty()) {
    for (const auto& layer : flatten_model(learn().model().ptr())) {
      const auto own = layer->named_parameters(/*recurse=*/false);
      const auto* weight = own.find("weight");
      if (weight && weight->defined()) modules.push_back(layer);
    }
  }
  hooks_.remove();
  // Its hooks end with this object: see the destructor.
  hooks_ = Hooks(modules, [this](const torch::nn::Module& module, const torch::Tensor& output) {
    return hook(module, output);
  });
}

void HookCallback::on_train_end(TrainState&) {
  if (options_.do_remove) hooks_.remove();
}

void HookCallback::remove() {
  hooks_.remove();
}

void ActivationStats::on_train_begin(TrainState& state) {
  HookCallback::on_train_begin(state);
  batches_.clear();
  training_ = false;
}

void ActivationStats::on_batch_begin(TrainState& state) {
  training_ = state.train;
}

torch::Tensor ActivationStats::hook(const torch::nn::Module&, const torch::Tensor& output) {
  if (!training_) return {};
  const torch::NoGradGuard no_grad;
  const auto values = output.to(torch::kFloat32);
  return torch::stack({values.mean(), values.std(/*unbiased=*/true)});
}

void ActivationStats::on_batch_end(TrainState& state) {
  training_ = false;
  if (!state.train) return;
  std::vector<torch::Tensor> layers;
  for (const auto& seen : hooks().stored()) {
    layers.push_back(seen.defined() ? seen.cpu()
                                    : torch::full({2}, std::numeric_limits<float>::quiet_NaN(),
                                                  torch::kFloat32));
  }
  if (!layers.empty()) batches_.push_back(torch::stack(layers));
}

torch::Tensor ActivationStats::stats() const {
  if (batches_.empty()) return torch::empty({2, 0, 0}, torch::kFloat32);
  return torch::stack(batches_).permute({2, 1, 0}).contiguous();
}

Value ActivationStats::state() const {
  return Value::dict({{"batches", batches_.empty() ? Value() : Value(torch::stack(batches_))}});
}

void ActivationStats::load_state(const Value& state) {
  batches_.clear();
  const auto& batches = state.at("batches");
  if (batches.is_none()) return;
  for (const auto& batch : batches.as_tensor().unbind(0)) batches_.push_back(batch.clone());
}

void RecordOnCPU::on_batch_begin(TrainState& state) {
  const auto on_cpu = [](const torch::Tensor& tensor) { return tensor.cpu(); };
  input_ = state.last_input.each(on_cpu);
  target_ = state.last_target.each(on_cpu);
}

}  // namespace fastcpp
