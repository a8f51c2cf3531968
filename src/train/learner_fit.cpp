// What a learner does with its data: training, validating, predicting.
#include <fmt/format.h>
#include <torch/nn/modules/dropout.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/train/prediction.hpp"
#include "train/checkpoints.hpp"
#include "train/learner_impl.hpp"
#include "train/plan.hpp"
#include "train/training.hpp"

namespace fastcpp::inline v0 {
namespace {

class Fitting {
 public:
  explicit Fitting(bool& flag) : flag_(flag) { flag_ = true; }
  ~Fitting() { flag_ = false; }
  Fitting(const Fitting&) = delete;
  Fitting& operator=(const Fitting&) = delete;

 private:
  bool& flag_;
};

// In several processes the learner has a share of its data while this lives.
template <typename Impl>
class Sharing {
 public:
  explicit Sharing(Impl& impl) : impl_(impl) {
    if (!impl.processes) return;
    const int rank = impl.processes->rank(), size = impl.processes->world_size();
    impl.data = impl.data.share(rank, size);
    if (impl.features) impl.features->data = impl.features->data.share(rank, size);
    impl.sharing = true;
  }
  // Other data that the learner was given meanwhile stay.
  ~Sharing() {
    if (!std::exchange(impl_.sharing, false)) return;
    impl_.data = impl_.data.whole();
    if (impl_.features) impl_.features->data = impl_.features->data.whole();
  }
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;

 private:
  Impl& impl_;
};

// All processes go on from the same file.
void expect_same_checkpoint(ProcessGroup& processes, const std::optional<Value>& saved) {
  std::vector<std::int64_t> mine{-1, 0, 0};
  if (saved) {
    const auto* begun = saved->find("begun");
    mine = {saved->at("number").as_int(), saved->at("finished").as_bool() ? 1 : 0,
            begun ? begun->as_int() : 0};
  }
  const auto all = processes.all_gather(torch::tensor(mine, torch::kLong));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (torch::equal(all[rank], all[0])) continue;
    throw DistributedError(
        "distributed.differs",
        fmt::format(
            "process {} does not find the checkpoint that process 0 finds: all of them need "
            "the same model folder",
            rank));
  }
}

bool is_dropout(const torch::nn::Module& module) {
  namespace nn = torch::nn;
  return module.as<nn::DropoutImpl>() || module.as<nn::Dropout2dImpl>() ||
         module.as<nn::Dropout3dImpl>() || module.as<nn::AlphaDropoutImpl>() ||
         module.as<nn::FeatureAlphaDropoutImpl>();
}

}  // namespace

void Learner::refuse_nested_fit() const {
  if (impl_->fitting) {
    throw TrainError("train.nested_fit",
                     "this learner is in the middle of a fit: a callback may predict and validate, "
                     "but not fit the same learner");
  }
}

FitOutcome Learner::fit(int epochs, const LearningRate& lr, const FitOptions& options) {
  return boundary([&] {
    return run({epochs, lr, Value::dict({{"schedule", "fit"}, {"lr", to_list(lr_range(lr))}})},
               options, nullptr);
  });
}

// With a finder, of the learner's own callbacks only those take part that belong to the computation of a step.
FitOutcome Learner::run(const Plan& plan, const FitOptions& options,
                        const std::shared_ptr<Callback>& finder) {
  auto& impl = *impl_;
  const int epochs = plan.epochs;
  if (epochs < 0) {
    throw ValueError("value.epochs", fmt::format("epochs must be >= 0, found {}", epochs));
  }
  const double wd = options.wd.value_or(impl.options.wd);
  if (!(wd >= 0) || std::isinf(wd)) {
    throw ValueError("value.wd", fmt::format("wd must be finite and >= 0, found {}", wd));
  }
  refuse_nested_fit();
  const Sharing sharing(impl);
  if (impl.data.train_dl().size() == 0) {
    throw TrainError(
        "train.empty_loader",
        fmt::format("Your training dataloader is empty, can't train a model. It has {} "
                    "items and a batch size of {}: use a smaller batch size",
                    impl.data.train_ds().size(), impl.data.batch_size()));
  }
  if (impl.features) check_body_frozen(impl.model);
  const auto rates = lr_range(plan.lr);

  std::unique_ptr<Checkpoints> files;
  std::optional<Value> saved;
  auto description = plan.description;
  if (options.checkpoint) {
    description.set("epochs", epochs);
    description.set("wd", wd);
    description.set("checkpoint", to_value(*options.checkpoint));
    files = std::make_unique<Checkpoints>(model_dir(), *options.checkpoint, impl.fits);
  }
  if (options.checkpoint && options.checkpoint->resume) {
    const auto read = [&]() -> std::optional<FitOutcome> {
      saved = std::exchange(impl.resuming, std::nullopt);
      if (!saved) saved = Checkpoints::last(model_dir(), options.checkpoint->name, impl.fits);
      if (impl.processes) expect_same_checkpoint(*impl.processes, saved);
      if (!saved) return std::nullopt;
      opt();
      if (!impl.recorder) impl.recorder = std::make_shared<Recorder>();
      check_plan(saved->at("plan"), description);
      if (!saved->at("finished").as_bool()) {
        impl.load_model(*saved);
        return std::nullopt;
      }
      Training::load_finished(*this, *saved);
      ++impl.fits;
      log_info(fmt::format("fit {} was finished before: its checkpoint in '{}' was loaded",
                           impl.fits - 1, model_dir().string()));
      return saved->at("training").at("stop_training").as_bool() ? FitOutcome::kEnded
                                                                 : FitOutcome::kFinished;
    };
    std::optional<FitOutcome> outcome;
    try {
      outcome = boundary([&] { return from_checkpoint(read); });
    } catch (const Error& e) {
      // The others would wait.
      if (impl.processes) impl.processes->abort(e.what());
      throw;
    }
    if (outcome) return *outcome;
  }
  opt().set_lr(rates);
  opt().set_wd({wd});

  if (!impl.recorder) impl.recorder = std::make_shared<Recorder>();
  std::vector<std::shared_ptr<Callback>> callbacks;
  const auto add = [&](std::shared_ptr<Callback> callback, const char* from) {
    if (!callback) throw ValueError("value.callback", fmt::format("one of {} is null", from));
    if (callback->first_process_only() && !first_process()) return;
    if (!finder || callback->in_lr_find()) callbacks.push_back(std::move(callback));
  };
  for (const auto& callback : std::vector(impl.options.callbacks))
    add(callback, "the learner's callbacks");
  callbacks.push_back(impl.recorder);
  for (const auto& make : std::vector(impl.options.callback_fns)) {
    if (!make) throw ValueError("value.callback", "one of the learner's callback_fns is empty");
    add(make(*this), "the callbacks that the learner's callback_fns made");
  }
  for (const auto& argument : options.callbacks)
    add(argument.make(*this), "the callbacks given to the fit");
  if (finder) callbacks.push_back(finder);
  std::stable_sort(callbacks.begin(), callbacks.end(),
                   [](const auto& a, const auto& b) { return a->order() < b->order(); });

  impl.recorder->next_lr_find_ = finder != nullptr;
  impl.recorder->expect_names();
  // Dropout draws from LibTorch's own generator: seeding it per fit makes a run a function of the
  // seed alone.
  const auto seed = impl.data.seed(), number = impl.fits++;
  const auto rank = static_cast<std::uint64_t>(impl.rank());
  // Each process drops out others.
  torch::manual_seed((rank == 0 ? Rng{seed, number} : Rng{seed, number, rank}).next() >> 1);
  const Fitting fitting(impl.fitting);
  Training training(*this, options.stop);
  training.write_to(files.get(), std::move(description));
  if (saved) training.resume_from(std::move(*saved));
  return training.run(epochs, std::move(callbacks));
}

std::vector<double> Learner::validate(const ValidateOptions& options) {
  auto& impl = *impl_;
  return guarded(impl.data.batch_size(), [&] {
    // A given loader has pictures, whatever the training goes over.
    const DataLoader loader = (options.dl ? *options.dl : impl.training_data().valid_dl()).whole();
    const Model model = options.dl ? impl.model : impl.training_model();
    const EvaluationMode evaluation(impl.model);
    Training training(*this, options.stop);
    auto figures = training.validate(loader, model);
    if (training.stopped()) throw_stopped("validate", training.validated(), loader.size());
    if (training.validated() == 0) {
      throw DataError("data.empty_loader",
                      "there is nothing to validate: this data set has no batch");
    }
    return figures;
  });
}

Learner& Learner::precompute(const PrecomputeOptions& options) {
  auto& impl = *impl_;
  if (!options.on) {
    impl.features.reset();
    return *this;
  }
  guarded(impl.data.batch_size(), [&] {
    impl.features = compute_features(
        impl.data, impl.model,
        {.precision = impl.precision, .progress = impl.progress(), .stop = options.stop});
  });
  return *this;
}

Predictions Learner::get_preds(DatasetType type, const GetPredsOptions& options) {
  auto& impl = *impl_;
  if (options.n_batch && *options.n_batch < 1) {
    throw ValueError("value.n_batch",
                     fmt::format("n_batch must be >= 1, found {}", *options.n_batch));
  }
  return guarded(impl.data.batch_size(), [&]() -> Predictions {
    const DataLoader loader = (options.dl ? *options.dl : impl.data.dl(type)).whole();
    const torch::NoGradGuard no_grad;
    const EvaluationMode evaluation(impl.model);
    std::vector<torch::Tensor> preds, targets, losses;
    const auto total = std::min(loader.size(), options.n_batch.value_or(loader.size()));
    ProgressBar bar(impl.progress(), {.phase = ProgressPhase::kPredict, .total = total});
    std::int64_t done = 0;
    for (auto& batch : loader) {
      if (done == total) break;
      if (options.stop.stop_requested()) throw_stopped("get_preds", done, total);
      const auto output = forward(impl.model, batch.x, {.precision = impl.precision});
      const auto& raw = output.one("get_preds");
      preds.push_back((options.activ ? options.activ(raw) : loss_func().activate(raw)).cpu());
      // Where nothing is known of the items there is no target either.
      if (batch.y.count() > 0) targets.push_back(batch.y.one("get_preds").cpu());
      if (options.with_loss) losses.push_back(loss_func().unreduced(output, batch.y).cpu());
      bar.update(++done);
    }
    if (preds.empty()) {
      throw DataError("data.empty_loader",
                      "there is nothing to predict: this data set has no batch");
    }
    return {torch::cat(preds), targets.empty() ? torch::Tensor() : torch::cat(targets),
            options.with_loss ? torch::cat(losses) : torch::Tensor()};
  });
}

torch::Tensor Learner::pred_batch(DatasetType type, const std::optional<Batch>& batch) {
  return guarded(impl_->data.batch_size(), [&] {
    const torch::NoGradGuard no_grad;
    const EvaluationMode evaluation(impl_->model);
    const auto x = batch ? batch->x : impl_->data.dl(type).first_batch().x;
    return loss_func().activate(forward(impl_->model, x, {.precision = impl_->precision})).cpu();
  });
}

Prediction Learner::predict_any(const std::any& item, const PredictOptions& options) {
  return guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    const EvaluationMode evaluation(impl_->model);
    const auto output =
        forward(impl_->model, impl_->data.one_item(item), {.precision = impl_->precision});
    return to_prediction(*impl_->data.labels(), loss_func().activate(output).cpu()[0],
                         options.thresh);
  });
}

std::vector<Prediction> Learner::mc_dropout_any(const std::any& item,
                                                const McDropoutOptions& options) {
  if (options.n_times < 1) {
    throw ValueError("value.n_times",
                     fmt::format("n_times must be >= 1, found {}", options.n_times));
  }
  return guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    const EvaluationMode evaluation(impl_->model);
    bool any = false;
    for (const auto& module : impl_->model->modules()) {
      if (!is_dropout(*module)) continue;
      module->train();
      any = true;
    }
    if (!any) {
      log_warning(
          "predict_with_mc_dropout: the model has no dropout layer, so that all predictions are "
          "the same");
    }
    const auto x = impl_->data.one_item(item);
    std::vector<Prediction> found;
    for (int i = 0; i < options.n_times; ++i) {
      const auto output = forward(impl_->model, x, {.precision = impl_->precision});
      found.push_back(to_prediction(*impl_->data.labels(), loss_func().activate(output).cpu()[0],
                                    options.thresh));
    }
    return found;
  });
}

}  // namespace fastcpp
