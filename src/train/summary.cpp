#include "fastcpp/train/summary.hpp"

#include <ATen/record_function.h>
#include <c10/util/Type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/utils.h>

#include <locale>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <typeinfo>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/train/forward.hpp"

namespace fastcpp::inline v0 {
namespace {

using Shape = std::vector<std::int64_t>;

// `torch::nn::Conv2dImpl` and `fastcpp::CSVLogger` without what Python does not write.
std::string class_name(std::string text) {
  const auto colon = text.rfind("::");
  if (colon != std::string::npos) text.erase(0, colon + 2);
  if (text.ends_with("Impl")) text.erase(text.size() - 4);
  return text;
}

std::string class_name(const torch::nn::Module& module) {
  if (module.as<torch::nn::SequentialImpl>()) return "Sequential";
  return class_name(c10::demangle(typeid(module).name()));
}

std::vector<std::string> class_names(const std::vector<std::shared_ptr<Callback>>& callbacks) {
  std::vector<std::string> names;
  for (const auto& callback : callbacks) {
    if (!callback) continue;  // refused by the next fit
    const auto& object = *callback;
    names.push_back(class_name(c10::demangle(typeid(object).name())));
  }
  return names;
}

// LibTorch has no hooks on layers: the operations themselves tell what came out. An operation with
// a weight among its inputs belongs to that weight's layer; those of pooling are counted off by
// name.
class Trace {
 public:
  Trace() {
    current_ = this;
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&Trace::begin, &Trace::end)
                                             .needsInputs(true)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}));
  }
  ~Trace() {
    at::removeCallback(handle_);
    current_ = nullptr;
  }
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // Null when no operation used it.
  const Shape* of_weight(const torch::Tensor& weight) const {
    const auto found = by_input_.find(weight.unsafeGetTensorImpl());
    return found == by_input_.end() ? nullptr : &found->second;
  }
  const std::vector<Shape>& of_operation(const std::string& name) { return by_name_[name]; }

 private:
  // The inputs of a running operation: LibTorch keeps them only until it has begun.
  struct Inputs : at::ObserverContext {
    std::vector<const void*> tensors;
  };

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& operation) {
    auto inputs = std::make_unique<Inputs>();
    for (const auto& input : operation.inputs()) {
      if (input.isTensor()) inputs->tensors.push_back(input.toTensor().unsafeGetTensorImpl());
    }
    return inputs;
  }

  static void end(const at::RecordFunction& operation, at::ObserverContext* context) {
    const auto& outputs = operation.outputs();
    if (!current_ || !context || outputs.empty() || !outputs[0].isTensor()) return;
    const auto& result = outputs[0].toTensor();
    if (!result.defined() || result.dim() == 0) return;
    const Shape shape(result.sizes().begin() + 1, result.sizes().end());
    current_->by_name_[operation.name()].push_back(shape);
    // The outermost operation ends last and so has the last word.
    for (const auto* input : static_cast<Inputs*>(context)->tensors) {
      current_->by_input_[input] = shape;
    }
  }

  inline static thread_local Trace* current_ = nullptr;
  at::CallbackHandle handle_{};
  std::map<const void*, Shape> by_input_;
  std::map<std::string, std::vector<Shape>> by_name_;
};

// Layers without weight that change the shape, by their operation.
const std::map<std::string, std::string>& operations() {
  static const std::map<std::string, std::string> table{
      {"MaxPool1d", "aten::max_pool1d"},
      {"MaxPool2d", "aten::max_pool2d"},
      {"AvgPool1d", "aten::avg_pool1d"},
      {"AvgPool2d", "aten::avg_pool2d"},
      {"AdaptiveAvgPool1d", "aten::adaptive_avg_pool1d"},
      {"AdaptiveAvgPool2d", "aten::adaptive_avg_pool2d"},
      {"AdaptiveMaxPool1d", "aten::adaptive_max_pool1d"},
      {"AdaptiveMaxPool2d", "aten::adaptive_max_pool2d"},
      {"Flatten", "aten::flatten"},
  };
  return table;
}

// What comes in goes out in the same shape: the output of the layer before.
bool keeps_shape(const std::string& name) {
  static const std::set<std::string> names{
      "Dropout",   "Dropout2d",  "Dropout3d", "AlphaDropout", "Identity", "ReLU",
      "ReLU6",     "LeakyReLU",  "ELU",       "SELU",         "CELU",     "GELU",
      "SiLU",      "Mish",       "Sigmoid",   "LogSigmoid",   "Tanh",     "Softmax",
      "Softmax2d", "LogSoftmax", "Softplus",  "Hardtanh"};
  return names.contains(name);
}

torch::Tensor own(const torch::nn::Module& layer, const std::string& name) {
  const auto parameters = layer.named_parameters(/*recurse=*/false);
  const auto* found = parameters.find(name);
  return found ? *found : torch::Tensor();
}

std::string first_word(const std::string& text) {
  return text.substr(0, text.find_first_of(" ("));
}

std::string indented(const std::string& text, const std::string& indent) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == '\n') result += indent;
  }
  return result;
}

// What stands before the names of this library, which changes with its version.
const std::string& own_namespace() {
  static const std::string name = [] {
    auto text = c10::demangle(typeid(Learner).name());
    text.erase(text.rfind("::") + 2);
    return text;
  }();
  return name;
}

// As Python shows a module; LibTorch writes the same with its namespaces.
std::string describe(const torch::nn::Module& module) {
  std::ostringstream stream;
  stream.imbue(std::locale::classic());
  stream << module;
  auto text = stream.str();
  for (const auto& prefix : {std::string("torch::nn::"), own_namespace() + "models::",
                             own_namespace(), std::string("(anonymous namespace)::")}) {
    for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
      text.erase(at, prefix.size());
    }
  }
  // LibTorch's own layers print without it.
  const std::string suffix = "Impl";
  for (auto at = text.find(suffix + "("); at != std::string::npos;
       at = text.find(suffix + "(", at)) {
    text.erase(at, suffix.size());
  }
  return text;
}

std::string describe(const LayerGroup& group) {
  std::string text = "Sequential(\n";
  for (std::size_t i = 0; i < group.size(); ++i) {
    text += fmt::format("  ({}): {}\n", i, indented(describe(*group[i]), "  "));
  }
  return text + ")";
}

}  // namespace

std::vector<LayerInfo> layers_info(const Model& model, const Tensors& inputs) {
  std::vector<LayerInfo> rows;
  guarded(std::max<std::int64_t>(1, inputs.length()), [&] {
    const torch::Tensor x = inputs.at(0);
    const EvaluationMode evaluation(model);
    const torch::NoGradGuard no_grad;
    Trace trace;
    forward(model, inputs);
    const auto leaves = flatten_model(model.ptr());
    std::map<std::string, std::size_t> total, seen;
    for (const auto& leaf : leaves) ++total[class_name(*leaf)];
    const Shape entry(x.sizes().begin() + (x.dim() > 0 ? 1 : 0), x.sizes().end());
    const Shape* before = &entry;
    for (const auto& leaf : leaves) {
      LayerInfo row{.name = class_name(*leaf)};
      const auto weight = own(*leaf, "weight"), bias = own(*leaf, "bias");
      const Shape* shape = nullptr;
      if (weight.defined()) {
        row.params = weight.numel();
        row.trainable = weight.requires_grad();
        shape = trace.of_weight(weight);
      } else if (const auto found = operations().find(row.name); found != operations().end()) {
        const auto& shapes = trace.of_operation(found->second);
        const auto index = seen[row.name]++;
        // Otherwise some of them ran in a function, or not at all.
        if (shapes.size() == total[row.name]) shape = &shapes[index];
      } else if (keeps_shape(row.name)) {
        shape = before;
      }
      if (bias.defined()) row.params += bias.numel();
      before = shape;
      if (!shape) continue;
      row.shape = *shape;
      rows.push_back(std::move(row));
    }
  });
  return rows;
}

namespace {

std::string summary_of(const Learner& learn) {
  constexpr int kWidth = 70;
  const auto& data = learn.data();
  if (data.train_ds().size() == 0) {
    throw DataError("data.empty", "a summary needs an item to show to the model");
  }
  Rng rng(0);
  auto x = data_collate({data.train_ds().get(0, rng)}).x.each([&](const torch::Tensor& tensor) {
    return tensor.to(data.device());
  });
  if (x.count() == 1) x = data.norm(x);
  const auto line = [](char c) { return fmt::format("{}\n", std::string(kWidth, c)); };
  const auto row = [](const auto&... cells) {
    return fmt::format("{:<20} {:<20} {:<10} {:<10}\n", cells...);
  };
  // Written out: the thousands separator of fmt and std::format is the locale's.
  const auto thousands = [](std::int64_t value) {
    auto digits = std::to_string(value);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
      digits.insert(static_cast<std::size_t>(at), 1, ',');
    }
    return digits;
  };
  std::string text = class_name(*learn.model()) + "\n" + line('=') +
                     row("Layer (type)", "Output Shape", "Param #", "Trainable") + line('=');
  std::int64_t total = 0, trainable = 0;
  for (const auto& layer : layers_info(learn.model(), x)) {
    total += layer.params;
    if (layer.trainable) trainable += layer.params;
    text += row(layer.name, fmt::format("[{}]", fmt::join(layer.shape, ", ")),
                thousands(layer.params), python_bool(layer.trainable)) +
            line('_');
  }
  text += fmt::format(
      "\nTotal params: {}\nTotal trainable params: {}\nTotal non-trainable params: {}\n",
      thousands(total), thousands(trainable), thousands(total - trainable));
  text += fmt::format("Optimized with {}\n", learn.options().opt_func()->str());
  if (learn.options().true_wd) text += "Using true weight decay (arXiv:1711.05101)\n";
  text += fmt::format("Loss function : {}\n", first_word(learn.loss_func().name())) + line('=') +
          "Callbacks functions applied \n";
  const auto callbacks = class_names(learn.options().callbacks);
  for (std::size_t i = 0; i < callbacks.size(); ++i) {
    text += (i ? "\n    " : "    ") + callbacks[i];
  }
  return text;
}

std::string printed(const Learner& learn) {
  const auto& o = learn.options();
  std::vector<std::string> metrics, groups, makers;
  for (const auto& metric : o.metrics) metrics.push_back(metric.name());
  for (const auto& group : learn.layer_groups()) groups.push_back(describe(group));
  makers.push_back(fmt::format("Recorder(add_time={}, silent={})", python_bool(o.add_time),
                               python_bool(o.silent)));
  makers.resize(1 + o.callback_fns.size(), "callback_fn");
  return fmt::format(
      "Learner(data={}, model={}, opt_func={}, loss_func={}, metrics=[{}], true_wd={}, bn_wd={}, "
      "wd={}, train_bn={}, path={}, model_dir={}, callback_fns=[{}], callbacks=[{}], "
      "layer_groups=[{}], add_time={}, silent={})",
      learn.data().str(), describe(*learn.model()), o.opt_func()->str(), learn.loss_func().name(),
      fmt::join(metrics, ", "), python_bool(o.true_wd), python_bool(o.bn_wd), o.wd,
      python_bool(o.train_bn), python_text(learn.path().string()),
      python_text(o.model_dir.string()), fmt::join(makers, ", "),
      fmt::join(class_names(o.callbacks), ", "), fmt::join(groups, ", "), python_bool(o.add_time),
      python_bool(o.silent));
}

}  // namespace

std::string model_summary(const Learner& learn) {
  return boundary([&] { return summary_of(learn); });
}

std::string Learner::summary() const {
  return model_summary(*this);
}

std::string Learner::str() const {
  return boundary([&] { return printed(*this); });
}

}  // namespace fastcpp
