#include "fastcpp/train/learner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "train/learner_impl.hpp"

namespace fastcpp::inline v0 {
namespace {

Loss default_loss(LabelKind kind) {
  switch (kind) {
    case LabelKind::kMultiCategory:
      return bce_with_logits();
    case LabelKind::kFloat:
      return mse_loss();
    case LabelKind::kEmpty:
      return nll_loss();
    case LabelKind::kCategory:
      break;
  }
  return cross_entropy();
}

void check_options(const Model& model, const LearnerOptions& options) {
  if (!model) throw ValueError("value.model", "a learner needs a model, found none (null)");
  if (!(options.wd >= 0) || std::isinf(options.wd)) {
    throw ValueError("value.wd", fmt::format("wd must be finite and >= 0, found {}", options.wd));
  }
  if (!options.opt_func) {
    throw ValueError("value.opt_func",
                     "opt_func is empty: leave it out for Adam, or give one such as sgd()");
  }
  for (const auto& callback : options.callbacks) {
    if (!callback) throw ValueError("value.callback", "one of the learner's callbacks is null");
  }
  for (const auto& make : options.callback_fns) {
    if (!make) throw ValueError("value.callback", "one of the learner's callback_fns is empty");
  }
}

// Every parameter of the model is in one layer group, or it would never be trained, frozen or cleared.
void check_layer_groups(const Model& model, const std::vector<LayerGroup>& groups) {
  std::unordered_map<const void*, std::size_t> group_of;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const auto& layer : groups[g]) {
      if (!layer)
        throw ValueError("value.layer_groups", fmt::format("layer group {} holds a null layer", g));
      for (const auto& parameter : layer->parameters()) {
        const auto [found, added] = group_of.emplace(parameter.unsafeGetTensorImpl(), g);
        if (!added && found->second != g) {
          throw ValueError("value.layer_groups",
                           fmt::format("a parameter of shape {} is in layer groups {} and {}: give "
                                       "each layer to one group",
                                       fmt::join(parameter.sizes(), " x "), found->second, g));
        }
      }
    }
  }
  for (const auto& item : model->named_parameters()) {
    if (group_of.count(item.value().unsafeGetTensorImpl()) > 0) continue;
    throw ValueError("value.layer_groups",
                     fmt::format("the parameter '{}' is in no layer group, so it would never be "
                                 "trained: make the groups with split, or from flatten_model",
                                 item.key()));
  }
}

}  // namespace

Learner::Learner(DataBunch data, Model model, const LearnerOptions& options) {
  boundary([&] {
    check_options(model, options);
    impl_ = std::make_shared<Impl>(std::move(data), std::move(model), options);
    auto& impl = *impl_;
    if (!impl.options.loss_func) impl.options.loss_func = default_loss(impl.data.label_kind());
    impl.path = options.path.value_or(impl.data.path());
    impl.model->to(impl.data.device());
    impl.layer_groups = options.layer_groups;
    if (impl.layer_groups.empty()) impl.layer_groups = {flatten_model(impl.model.ptr())};
    check_layer_groups(impl.model, impl.layer_groups);
  });
}

DataBunch Learner::data() const {
  return impl_->data;
}
void Learner::set_data(const DataBunch& data) {
  if (impl_->features) {
    log_warning(
        "the features computed before are of other data and were dropped: call precompute again");
  }
  impl_->data = impl_->sharing ? data.share(impl_->rank(), impl_->processes->world_size()) : data;
  impl_->features.reset();
}
const Model& Learner::model() const {
  return impl_->model;
}
const Loss& Learner::loss_func() const {
  return impl_->options.loss_func;
}
void Learner::set_loss_func(const Loss& loss) {
  if (!loss) {
    throw ValueError("value.loss_func", "the loss is empty: give one such as cross_entropy()");
  }
  impl_->options.loss_func = loss;
}
std::vector<std::shared_ptr<Callback>>& Learner::callbacks() {
  return impl_->options.callbacks;
}
const std::vector<std::shared_ptr<Callback>>& Learner::callbacks() const {
  return impl_->options.callbacks;
}
std::vector<CallbackFn>& Learner::callback_fns() {
  return impl_->options.callback_fns;
}
const std::vector<CallbackFn>& Learner::callback_fns() const {
  return impl_->options.callback_fns;
}
const LearnerOptions& Learner::options() const {
  return impl_->options;
}
const std::vector<LayerGroup>& Learner::layer_groups() const {
  return impl_->layer_groups;
}
const Path& Learner::path() const {
  return impl_->path;
}
Path Learner::model_dir() const {
  return impl_->path / impl_->options.model_dir;
}
std::shared_ptr<ProgressSink> Learner::progress() const {
  return impl_->progress();
}

const Recorder& Learner::recorder() const {
  if (!impl_->recorder) {
    throw TrainError(
        "train.nothing_recorded",
        "the recorder holds the last fit, and there was none yet: call fit or lr_find");
  }
  return *impl_->recorder;
}
Recorder& Learner::recorder() {
  std::as_const(*this).recorder();
  return *impl_->recorder;
}

void Learner::Impl::rebuild_opt() {
  const OptimWrapperOptions decay{.true_wd = options.true_wd, .bn_wd = options.bn_wd};
  // A field more in OptimWrapperOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2] = decay;
  OptimWrapper made(options.opt_func, layer_groups, *model, decay);
  made.set_lr(fastcpp::lr_range(kDefaultLr, layer_groups.size()));
  if (!opt) {
    opt = std::make_shared<OptimWrapper>(std::move(made));
    return;
  }
  // In the middle of a fit the training goes on as it was meant, with the groups there are now.
  if (fitting && opt->lr().size() == layer_groups.size()) {
    made.set_lr(opt->lr());
    made.set_mom(opt->mom());
    made.set_beta(opt->beta());
    made.set_wd(opt->wd());
  } else if (fitting) {
    // Other groups: what the last one had is right for all, the default rate is not.
    made.set_lr({opt->lr().back()});
    made.set_mom({opt->mom().back()});
    made.set_beta({opt->beta().back()});
    made.set_wd({opt->wd().back()});
  }
  *opt = std::move(made);
}

const OptimWrapper& Learner::opt() const {
  if (!impl_->opt) boundary([&] { impl_->rebuild_opt(); });
  return *impl_->opt;
}
OptimWrapper& Learner::opt() {
  std::as_const(*this).opt();
  return *impl_->opt;
}

std::vector<double> Learner::lr_range(const LearningRate& lr) const {
  return fastcpp::lr_range(lr, impl_->layer_groups.size());
}

Learner Callback::learn() const {
  auto impl = std::static_pointer_cast<Learner::Impl>(learner_.lock());
  if (!impl) throw TrainError("train.no_learner", "a callback has a learner only during a fit");
  return Learner(std::move(impl));
}

void Learner::set_precision(std::optional<torch::ScalarType> precision) {
  impl_->precision = precision;
}

void Learner::freeze_to(int n) {
  const auto count = static_cast<int>(impl_->layer_groups.size());
  const int first = n < 0 ? count + n : n;
  if (first < 0 || first > count) {
    throw ValueError("value.freeze",
                     fmt::format("freeze_to({}) needs a layer group of that number; "
                                 "the model has {}",
                                 n, count));
  }
  boundary([&] {
    for (int i = 0; i < count; ++i) {
      for (const auto& layer : impl_->layer_groups[static_cast<std::size_t>(i)]) {
        const bool kept = impl_->options.train_bn && is_batchnorm(*layer);
        requires_grad(*layer, i >= first || kept);
      }
    }
    impl_->rebuild_opt();
  });
}

void Learner::freeze() {
  if (impl_->layer_groups.size() < 2) {
    throw ValueError("value.freeze",
                     "freeze() trains the last of several layer groups, but the model "
                     "is one group: call split first");
  }
  freeze_to(-1);
}

void Learner::unfreeze() {
  freeze_to(0);
}

void Learner::split(const std::vector<Layer>& boundaries) {
  boundary([&] {
    impl_->layer_groups = split_model(impl_->model.ptr(), boundaries);
    if (impl_->opt) impl_->rebuild_opt();
  });
}

namespace {

constexpr std::string_view kModulePrefix = "module.";  // put there by PyTorch's DataParallel

StateDict without_module_prefix(const StateDict& weights) {
  StateDict result;
  for (const auto& [name, tensor] : weights) {
    result.insert(name.starts_with(kModulePrefix) ? name.substr(kModulePrefix.size()) : name,
                  tensor);
  }
  return result;
}

// The files a model could be loaded from, for the message that one was not found.
std::string saved_models(const Path& folder) {
  std::set<std::string> found;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(folder, ec), end; !ec && it != end;
       it.increment(ec)) {
    if (it->path().extension() == ".pth")
      found.insert(fmt::format("'{}'", it->path().stem().string()));
  }
  return found.empty() ? "no .pth file" : fmt::format("{}", fmt::join(found, ", "));
}

std::vector<torch::Tensor> tensors_of(const torch::nn::Module& module) {
  auto all = module.parameters();
  const auto buffers = module.buffers();
  all.insert(all.end(), buffers.begin(), buffers.end());
  return all;
}

}  // namespace

Path Learner::save(const std::string& file, const SaveOptions& options) const {
  return boundary([&] {
    const Path target = impl_->model_file(file);
    if (!first_process()) return target;
    try {
      make_folder(target.parent_path());
    } catch (const IoError& e) {
      throw IoError(e.code(),
                    fmt::format("{}; set model_dir to a full path that is writable", e.what()));
    }
    auto root = to_value(state_dict(*impl_->model));
    if (options.with_opt && impl_->opt) {
      root = Value::dict({{"model", root}, {"opt", impl_->opt->state_dict()}});
    }
    save_checkpoint(target, root);
    return target;
  });
}

Learner& Learner::load(const std::string& file, const LoadOptions& options) {
  boundary([&] {
    if (impl_->processes) impl_->processes->barrier();  // the first one has written it
    std::error_code ec;
    Path source = impl_->model_file(file);
    if (impl_->real_model_dir && !std::filesystem::exists(source, ec)) {
      source = *impl_->real_model_dir / (file + ".pth");
    }
    if (!std::filesystem::exists(source, ec)) {
      throw IoError("io.cannot_read",
                    fmt::format("there is no '{}': load looks below the model folder '{}', which "
                                "holds {}; for another place give an absolute path without .pth",
                                source.string(), model_dir().string(), saved_models(model_dir())));
    }
    auto weights = fastcpp::load_weights(source);
    if (options.remove_module) weights = without_module_prefix(weights);
    load_weights(source, weights, options.strict);
    if (!options.with_opt.value_or(true)) return;
    const auto left_aside = [&](const std::string& why) {
      log_warning(
          fmt::format("the optimizer state in '{}' was left aside: {}", source.string(), why));
    };
    Value state;
    try {
      state = load_checkpoint(source, {.entry = "opt"});
    } catch (const ValueError& e) {
      if (e.code() != "value.missing_key") throw;
      if (options.with_opt) log_warning("Saved file doesn't contain an optimizer state.");
      return;
    } catch (const FormatError& e) {
      return left_aside(e.what());
    }
    if (const auto report = opt().load_state_dict(state); !report) left_aside(report.why);
  });
  return *this;
}

void Learner::load_weights(const Path& source, const StateDict& weights, bool strict) {
  auto& impl = *impl_;
  std::vector<torch::Tensor> body_before;
  if (impl.features) {
    for (const auto& tensor : tensors_of(*body_of(impl.model))) {
      body_before.push_back(tensor.detach().clone());
    }
  }
  LoadReport report;
  try {
    report = load_state_dict(*impl.model, weights, {.strict = strict});
  } catch (const WeightsError& e) {
    const bool prefixed = std::any_of(weights.begin(), weights.end(), [](const auto& entry) {
      return entry.first.starts_with(kModulePrefix);
    });
    throw WeightsError(
        e.code(), fmt::format("'{}' does not fit the model: {}{}", source.string(), e.what(),
                              prefixed ? "\n  Its names begin with 'module.', which PyTorch's "
                                         "DataParallel puts there: remove_module = true drops it."
                                       : ""));
  }
  std::size_t all = 0, loaded = 0;
  for (const auto& [name, tensor] : state_dict(*impl.model)) {
    ++all;
    if (weights.contains(name)) ++loaded;
  }
  loaded -= report.wrong_shape.size();
  if (all > 0 && loaded == 0) {
    throw WeightsError("weights.mismatch",
                       fmt::format("'{}' holds none of the model's {} tensors: its {} are of other "
                                   "names or shapes",
                                   source.string(), all, weights.size()));
  }
  if (!report.ok()) {
    log_warning(
        fmt::format("'{}': {} of {} tensors of the model were loaded; {} are not in the "
                    "file, {} have another shape; {} of the file are unknown to the model",
                    source.string(), loaded, all, report.missing.size(), report.wrong_shape.size(),
                    report.unexpected.size()));
  }
  if (!impl.features) return;
  const auto body = tensors_of(*body_of(impl.model));
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (torch::equal(body[i], body_before[i])) continue;
    impl.features.reset();
    log_warning(
        "the features computed before are of another body and were dropped: call "
        "precompute again");
    return;
  }
}

}  // namespace fastcpp
