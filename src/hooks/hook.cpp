#include "fastcpp/hooks/hook.hpp"

#include <ATen/record_function.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <exception>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "fastcpp/core/error.hpp"
#include "fastcpp/hooks/watched.hpp"

namespace fastcpp::inline v0 {

struct detail::HookState {
  std::shared_ptr<torch::nn::Module> module;
  Hook::Function function;
  HookOptions options;
  torch::Tensor stored = {};
  bool removed = false;
};

namespace {

using HookPtr = std::shared_ptr<detail::HookState>;

// The hooks of a thread, and the pass that is under way in it.
struct Watch {
  std::vector<std::weak_ptr<detail::HookState>> hooks;
  std::vector<const torch::nn::Module*> running;  // the outermost first
  bool calling = false;                           // a hook's function is at work
  // Layers that are known by the operations with their weight.
  std::unordered_map<const void*, std::vector<HookPtr>> by_weight;
  std::vector<torch::Tensor> kept;              // so that no other tensor gets such an address
  std::unordered_set<const void*> in_progress;  // weights that an operation under way has taken
  std::exception_ptr failure;                   // operations swallow what is thrown
  at::CallbackHandle operations = at::INVALID_CALLBACK_HANDLE;
};

Watch& watch() {
  static thread_local Watch of_thread;
  return of_thread;
}

class Calling {
 public:
  Calling() : before_(std::exchange(watch().calling, true)) {}
  ~Calling() { watch().calling = before_; }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;

 private:
  bool before_;
};

void call(detail::HookState& hook, const torch::Tensor& seen) {
  const Calling calling;
  hook.stored = hook.function(*hook.module, hook.options.detach ? seen.detach() : seen);
}

void deliver(const HookPtr& hook, const torch::Tensor& output) {
  if (hook->removed) return;
  if (hook->options.is_forward) {
    call(*hook, output);
  } else if (output.requires_grad()) {
    output.register_hook([weak = std::weak_ptr(hook)](const torch::Tensor& gradient) {
      if (const auto still = weak.lock(); still && !still->removed) call(*still, gradient);
    });
  }
}

std::vector<HookPtr> hooks_of(const torch::nn::Module* layer) {
  std::vector<HookPtr> found;
  for (const auto& weak : watch().hooks) {
    auto hook = weak.lock();
    if (hook && !hook->removed && (!layer || hook->module.get() == layer))
      found.push_back(std::move(hook));
  }
  return found;
}

// The parameter by which a layer is known: the one that comes in last, where an operation after the other makes the output.
torch::Tensor key_of(const torch::nn::Module& layer) {
  const auto own = layer.named_parameters(/*recurse=*/false);
  const auto* weight = own.find("weight");
  const auto* bias = own.find("bias");
  const bool by_bias = bias && bias->defined() && layer.as<torch::nn::LinearImpl>();
  return by_bias ? *bias : weight ? *weight : torch::Tensor();
}

bool is_view_of(const torch::Tensor& tensor, const torch::Tensor& of) {
  return tensor.has_storage() && of.has_storage() && tensor.is_alias_of(of);
}

// The watched weights that an operation takes, from its begin to its end.
struct TakenWeights : at::ObserverContext {
  std::vector<torch::Tensor> weights;
};

std::unique_ptr<at::ObserverContext> operation_begins(const at::RecordFunction& operation) {
  auto& now = watch();
  if (now.calling) return nullptr;
  std::unique_ptr<TakenWeights> taken;
  for (const auto& input : operation.inputs()) {
    if (!input.isTensor()) continue;
    const auto& tensor = input.toTensor();
    const void* address = tensor.unsafeGetTensorImpl();
    // An operation calls others with the same weight: the outermost has the output.
    if (!now.by_weight.contains(address) || !now.in_progress.insert(address).second) continue;
    if (!taken) taken = std::make_unique<TakenWeights>();
    taken->weights.push_back(tensor);
  }
  return taken;
}

void operation_ends(const at::RecordFunction& operation, at::ObserverContext* context) {
  if (!context) return;
  auto& now = watch();
  const auto weights = std::move(static_cast<TakenWeights*>(context)->weights);
  for (const auto& weight : weights) now.in_progress.erase(weight.unsafeGetTensorImpl());
  const auto& outputs = operation.outputs();
  if (now.failure || outputs.empty() || !outputs[0].isTensor()) return;
  const torch::Tensor output = outputs[0].toTensor();
  if (!output.defined()) return;
  try {
    for (const auto& weight : weights) {
      const auto found = now.by_weight.find(weight.unsafeGetTensorImpl());
      if (found == now.by_weight.end()) continue;
      const auto hooks = found->second;
      if (is_view_of(output, weight)) {  // transposed, for example
        now.by_weight.emplace(output.unsafeGetTensorImpl(), hooks);
        now.kept.push_back(output);
        continue;
      }
      for (const auto& hook : hooks) {
        const auto& running = now.running;
        const bool told =
            std::find(running.begin(), running.end(), hook->module.get()) != running.end();
        if (!told) deliver(hook, output);
      }
    }
  } catch (...) {
    now.failure = std::current_exception();
  }
}

void begin_pass() {
  auto& now = watch();
  std::erase_if(now.hooks, [](const auto& weak) {
    const auto hook = weak.lock();
    return !hook || hook->removed;
  });
  for (const auto& hook : hooks_of(nullptr)) {
    const auto key = key_of(*hook->module);
    if (key.defined()) now.by_weight[key.unsafeGetTensorImpl()].push_back(hook);
  }
  if (now.by_weight.empty()) return;
  now.operations =
      at::addThreadLocalCallback(at::RecordFunctionCallback(&operation_begins, &operation_ends)
                                     .needsInputs(true)
                                     .needsOutputs(true)
                                     .scopes({at::RecordScope::FUNCTION}));
}

void end_pass() {
  auto& now = watch();
  if (now.operations != at::INVALID_CALLBACK_HANDLE) at::removeCallback(now.operations);
  now.operations = at::INVALID_CALLBACK_HANDLE;
  now.by_weight.clear();
  now.in_progress.clear();
  now.kept.clear();
  now.failure = nullptr;
}

torch::Tensor as_it_is(const torch::nn::Module&, const torch::Tensor& output) {
  return output;
}

HookOptions options_of(const HookOutputOptions& options) {
  return {.is_forward = !options.grad, .detach = options.detach};
}

}  // namespace

bool detail::has_hooks() {
  const auto& now = watch();
  return !now.hooks.empty() && !now.calling;
}

detail::RunningLayer::RunningLayer(const torch::nn::Module& layer) : layer_(&layer) {
  auto& now = watch();
  if (now.running.empty()) begin_pass();
  again_ = std::find(now.running.begin(), now.running.end(), layer_) != now.running.end();
  now.running.push_back(layer_);
}

detail::RunningLayer::~RunningLayer() {
  auto& now = watch();
  now.running.pop_back();
  if (now.running.empty()) end_pass();
}

void detail::RunningLayer::gave(const torch::Tensor& output) {
  auto& now = watch();
  if (now.failure) std::rethrow_exception(std::exchange(now.failure, nullptr));
  if (again_ || !output.defined()) return;
  for (const auto& hook : hooks_of(layer_)) deliver(hook, output);
}

Hook::Hook(std::shared_ptr<torch::nn::Module> module, Function hook_func,
           const HookOptions& options) {
  if (!module || !hook_func) {
    throw ValueError("value.hook", module ? "a hook needs a function, found an empty one"
                                          : "a hook needs a layer, found none (null)");
  }
  state_ = std::make_shared<detail::HookState>(
      detail::HookState{std::move(module), std::move(hook_func), options});
  watch().hooks.push_back(state_);
}

const torch::Tensor& Hook::stored() const {
  return state_->stored;
}

const std::shared_ptr<torch::nn::Module>& Hook::module() const {
  return state_->module;
}

void Hook::clear() {
  state_->stored = torch::Tensor();
}

void Hook::remove() {
  state_->removed = true;
}

Hooks::Hooks(const std::vector<std::shared_ptr<torch::nn::Module>>& modules,
             const Hook::Function& hook_func, const HookOptions& options) {
  for (const auto& module : modules) hooks_.emplace_back(module, hook_func, options);
}

std::vector<torch::Tensor> Hooks::stored() const {
  std::vector<torch::Tensor> all;
  for (const auto& hook : hooks_) all.push_back(hook.stored());
  return all;
}

void Hooks::clear() {
  for (auto& hook : hooks_) hook.clear();
}

void Hooks::remove() {
  for (auto& hook : hooks_) hook.remove();
}

Hook hook_output(std::shared_ptr<torch::nn::Module> module, const HookOutputOptions& options) {
  return Hook(std::move(module), as_it_is, options_of(options));
}

Hooks hook_outputs(const std::vector<std::shared_ptr<torch::nn::Module>>& modules,
                   const HookOutputOptions& options) {
  return Hooks(modules, as_it_is, options_of(options));
}

}  // namespace fastcpp
