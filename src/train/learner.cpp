#include "fastcpp/train/learner.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/general_sched.hpp"
#include "fastcpp/train/callbacks/mixed_precision.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "train/fit_loop.hpp"
#include "train/precompute.hpp"
#include "fastcpp/train/prediction.hpp"

namespace fastcpp {

struct Learner::Impl {
  DataBunch data;
  Model model;
  LearnerOptions options;
  Path path;
  std::vector<LayerGroup> layer_groups;
  std::unique_ptr<OptimWrapper> opt;
  std::shared_ptr<Recorder> recorder;
  std::uint64_t fits = 0;
  ComputeType precision;
  std::optional<Features> features;

  Impl(DataBunch data_, Model model_, const LearnerOptions& options_)
      : data(std::move(data_)), model(std::move(model_)), options(options_) {}

  std::shared_ptr<ProgressSink> progress() const {
    return options.silent ? std::make_shared<ProgressSink>() : progress_sink();
  }

  FitLoop loop(ProgressSink& progress) {
    return {features ? features->data : data,
            features ? features->head : model,
            options.loss_func,
            options.metrics,
            *opt,
            progress,
            precision};
  }
};

namespace {

Loss default_loss(LabelKind kind) {
  switch (kind) {
    case LabelKind::kMultiCategory:
      return bce_with_logits();
    case LabelKind::kFloat:
      return mse_loss();
    case LabelKind::kCategory:
      break;
  }
  return cross_entropy();
}

}  // namespace

Learner::Learner(DataBunch data, Model model, const LearnerOptions& options)
    : impl_(std::make_shared<Impl>(std::move(data), std::move(model), options)) {
  if (!(options.wd >= 0)) {
    throw ValueError("value.wd", fmt::format("wd must be >= 0, found {}", options.wd));
  }
  auto& impl = *impl_;
  if (!impl.options.loss_func) impl.options.loss_func = default_loss(impl.data.label_kind());
  impl.path = options.path.value_or(impl.data.path());
  impl.model->to(impl.data.device());
  impl.layer_groups = options.layer_groups;
  if (impl.layer_groups.empty()) impl.layer_groups = {flatten_model(impl.model.ptr())};
}

DataBunch& Learner::data() const {
  return impl_->data;
}
void Learner::set_data(const DataBunch& data) {
  impl_->data = data;
  impl_->features.reset();  // they are of the old data
}
const Model& Learner::model() const {
  return impl_->model;
}
const Loss& Learner::loss_func() const {
  return impl_->options.loss_func;
}
void Learner::set_loss_func(const Loss& loss) {
  impl_->options.loss_func = loss;
}
std::vector<std::shared_ptr<Callback>>& Learner::callbacks() const {
  return impl_->options.callbacks;
}
std::vector<CallbackFn>& Learner::callback_fns() const {
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

Recorder& Learner::recorder() const {
  if (!impl_->recorder) {
    throw TrainError(
        "train.nothing_recorded",
        "the recorder holds the last fit, and there was none yet: call fit or lr_find");
  }
  return *impl_->recorder;
}

OptimWrapper& Learner::opt() const {
  auto& impl = *impl_;
  if (!impl.opt) {
    impl.opt =
        std::make_unique<OptimWrapper>(impl.options.opt_func, impl.layer_groups, *impl.model,
                                       OptimWrapperOptions{.true_wd = impl.options.true_wd,
                                                           .bn_wd = impl.options.bn_wd});
    impl.opt->set_lr(lr_range(kDefaultLr));
  }
  return *impl.opt;
}

std::vector<double> Learner::lr_range(const LearningRate& lr) const {
  return fastcpp::lr_range(lr, impl_->layer_groups.size());
}

Learner Callback::learn() const {
  auto impl = std::static_pointer_cast<Learner::Impl>(learner_.lock());
  if (!impl) throw TrainError("train.no_learner", "a callback has a learner only during a fit");
  return Learner(std::move(impl));
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
  for (int i = 0; i < count; ++i) {
    for (const auto& layer : impl_->layer_groups[static_cast<std::size_t>(i)]) {
      const bool kept = impl_->options.train_bn && is_batchnorm(*layer);
      requires_grad(*layer, i >= first || kept);
    }
  }
  impl_->opt.reset();
  opt();
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
  impl_->layer_groups = split_model(impl_->model.ptr(), boundaries);
  impl_->opt.reset();
}

void Learner::fit(int epochs, const LearningRate& lr, const FitOptions& options) {
  opt().set_lr(lr_range(lr));
  run(epochs, options);
}

void Learner::fit_one_cycle(int cyc_len, const OneCycleOptions& options) {
  FitOptions fit_options{.wd = options.wd, .callbacks = options.callbacks, .stop = options.stop};
  fit_options.callbacks.push_back(std::make_shared<OneCycleScheduler>(options));
  fit(cyc_len, options.max_lr, fit_options);
}

void Learner::fit_fc(int tot_epochs, const FitFcOptions& options) {
  FitOptions fit_options{.wd = options.wd, .callbacks = options.callbacks, .stop = options.stop};
  fit_options.callbacks.push_back(std::make_shared<FlatCosAnnealScheduler>(options));
  fit(tot_epochs, options.lr, fit_options);
}

Learner& Learner::mixup() {
  return mixup(MixUpOptions{});
}

Learner& Learner::mixup(const MixUpOptions& options) {
  callbacks().push_back(std::make_shared<MixUpCallback>(options));
  return *this;
}

Learner& Learner::clip_grad(double clip) {
  callbacks().push_back(std::make_shared<GradientClipping>(clip));
  return *this;
}

Learner& Learner::to_fp16() {
  return to_fp16(MixedPrecisionOptions{});
}

Learner& Learner::to_fp16(const MixedPrecisionOptions& options) {
  if (!impl_->data.device().is_cuda()) {
    throw ValueError("value.precision",
                     fmt::format("to_fp16 needs the data on a CUDA device, found {}: use to_bf16, "
                                 "which runs on every device",
                                 impl_->data.device().str()));
  }
  to_fp32();
  callbacks().push_back(std::make_shared<MixedPrecision>(options));
  impl_->precision = torch::kHalf;
  return *this;
}

Learner& Learner::to_bf16() {
  to_fp32();
  impl_->precision = torch::kBFloat16;
  return *this;
}

Learner& Learner::to_fp32() {
  impl_->precision.reset();
  std::erase_if(callbacks(), [](const auto& callback) {
    return dynamic_cast<const MixedPrecision*>(callback.get()) != nullptr;
  });
  return *this;
}

Learner& Learner::precompute(bool on) {
  auto& impl = *impl_;
  impl.features.reset();
  if (!on) return *this;
  const auto progress = impl.progress();
  guarded(impl.data.batch_size(), [&] {
    impl.features = compute_features(impl.data, impl.model, impl.precision, *progress);
  });
  return *this;
}

void Learner::lr_find(const LrFindOptions& options) {
  const auto batches = std::max<std::int64_t>(1, impl_->data.train_dl().size());
  const auto epochs = static_cast<int>((options.num_it + batches - 1) / batches);
  FitOptions fit_options{.wd = options.wd, .callbacks = {std::make_shared<LRFinder>(options)}};
  fit(epochs, options.start_lr, fit_options);
}

void Learner::run(int epochs, const FitOptions& options) {
  auto& impl = *impl_;
  if (impl.data.train_dl().size() == 0) {
    throw TrainError(
        "train.empty_loader",
        fmt::format("Your training dataloader is empty, can't train a model. It has {} "
                    "items and a batch size of {}: use a smaller batch size",
                    impl.data.train_ds().size(), impl.data.batch_size()));
  }
  if (impl.features) check_body_frozen(impl.model);
  opt().set_wd({options.wd.value_or(impl.options.wd)});
  std::vector<std::string> names;
  for (const auto& metric : impl.options.metrics) names.push_back(metric.name());
  impl.recorder = std::make_shared<Recorder>(names, impl.options.add_time, impl.options.silent);

  std::vector<std::shared_ptr<Callback>> callbacks = impl.options.callbacks;
  callbacks.push_back(impl.recorder);
  for (const auto& make : impl.options.callback_fns) callbacks.push_back(make(*this));
  callbacks.insert(callbacks.end(), options.callbacks.begin(), options.callbacks.end());
  std::stable_sort(callbacks.begin(), callbacks.end(),
                   [](const auto& a, const auto& b) { return a->order() < b->order(); });
  for (const auto& callback : callbacks) callback->learner_ = impl_;

  // Dropout draws from LibTorch's own generator: seeding it per fit makes a run a function of the
  // seed alone.
  torch::manual_seed(Rng{impl.data.seed(), impl.fits++}.next() >> 1);
  const auto progress = impl.progress();
  impl.loop(*progress).run(epochs, std::move(callbacks), options.stop);
}

std::vector<double> Learner::validate(const DataLoader* dl) {
  auto& impl = *impl_;
  opt();
  const auto progress = impl.progress();
  std::vector<double> figures;
  guarded(impl.data.batch_size(), [&] {
    if (!dl) {
      figures = impl.loop(*progress).validate(impl.features ? impl.features->data.valid_dl()
                                                            : impl.data.valid_dl());
      return;
    }
    // A given loader has pictures, whatever the training goes over.
    figures = FitLoop(impl.data, impl.model, impl.options.loss_func, impl.options.metrics,
                      *impl.opt, *progress, impl.precision)
                  .validate(*dl);
  });
  return figures;
}

Path Learner::save(const std::string& file, const SaveOptions& options) const {
  const Path target = model_dir() / (file + ".pth");
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
}

namespace {

StateDict without_module_prefix(const StateDict& weights) {
  constexpr std::size_t kPrefix = 7;  // "module.", put there by PyTorch's DataParallel
  StateDict result;
  for (const auto& [name, tensor] : weights) {
    result.insert(name.size() > kPrefix ? name.substr(kPrefix) : name, tensor);
  }
  return result;
}

}  // namespace

Learner& Learner::load(const std::string& file, const LoadOptions& options) {
  const Path source = model_dir() / (file + ".pth");
  const auto root = load_checkpoint(source);
  const bool both =
      root.is_dict() && root.size() == 2 && root.contains("model") && root.contains("opt");
  auto weights = to_state_dict(both ? root.at("model") : root);
  if (options.remove_module) weights = without_module_prefix(weights);
  try {
    load_state_dict(*impl_->model, weights, {.strict = options.strict});
  } catch (const WeightsError& e) {
    throw WeightsError(e.code(),
                       fmt::format("'{}' does not fit the model: {}", source.string(), e.what()));
  }
  if (both && options.with_opt.value_or(true)) {
    opt().load_state_dict(
        root.at("opt"));  // as in fastai, a state of other parameters is left aside
  } else if (!both && options.with_opt.value_or(false)) {
    log_warning("Saved file doesn't contain an optimizer state.");
  }
  return *this;
}

Predictions Learner::get_preds(DatasetType type, const GetPredsOptions& options) {
  auto& impl = *impl_;
  const auto& loader = impl.data.dl(type);
  const auto progress = impl.progress();
  std::vector<torch::Tensor> preds, targets, losses;
  guarded(loader.batch_size(), [&] {
    torch::NoGradGuard no_grad;
    impl.model->eval();
    const auto total = std::min(loader.size(), options.n_batch.value_or(loader.size()));
    progress->begin({.phase = ProgressPhase::kPredict, .total = total});
    std::int64_t done = 0;
    for (auto& batch : loader.batches()) {
      if (done == total) break;
      const auto output = forward(impl.model, batch.x, impl.precision);
      preds.push_back((options.activ ? options.activ(output) : loss_func().activate(output)).cpu());
      targets.push_back(batch.y.cpu());
      if (options.with_loss) losses.push_back(loss_func().unreduced(output, batch.y).cpu());
      progress->update(++done, "");
    }
    progress->end();
  });
  if (preds.empty()) {
    throw DataError("data.empty_loader", "there is nothing to predict: this data set has no batch");
  }
  return {torch::cat(preds), torch::cat(targets),
          options.with_loss ? torch::cat(losses) : torch::Tensor()};
}

torch::Tensor Learner::pred_batch(DatasetType type, const std::optional<Batch>& batch) {
  torch::Tensor result;
  guarded(impl_->data.batch_size(), [&] {
    torch::NoGradGuard no_grad;
    impl_->model->eval();
    const auto x = batch ? batch->x : impl_->data.dl(type).first_batch().x;
    result = loss_func().activate(forward(impl_->model, x, impl_->precision)).cpu();
  });
  return result;
}

Prediction Learner::predict_any(const std::any& item) {
  torch::Tensor probabilities;
  guarded(1, [&] {
    torch::NoGradGuard no_grad;
    impl_->model->eval();
    const auto output = forward(impl_->model, impl_->data.one_item(item), impl_->precision);
    probabilities = loss_func().activate(output).cpu()[0];
  });
  return to_prediction(impl_->data, probabilities);
}

}  // namespace fastcpp
