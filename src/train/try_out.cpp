// Fits of which nothing stays: dry runs and trials of a batch size.
#include "fastcpp/train/try_out.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <torch/utils.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "train/before.hpp"
#include "train/plan.hpp"

namespace fastcpp::inline v0 {
namespace {

// A folder of its own that goes with the object, and all that is in it.
class PassingFolder {
 public:
  PassingFolder() {
    auto name = (std::filesystem::temp_directory_path() / "fastcpp-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw IoError("io.cannot_create",
                    fmt::format("'{}' cannot be made: {}; set TMPDIR to a folder that is writable",
                                name, std::strerror(errno)));
    }
    path_ = name;
  }
  ~PassingFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

// Ends training and validation after some batches each; callbacks see a whole epoch.
class FewBatches : public Callback {
 public:
  explicit FewBatches(int n_batches) : n_batches_(n_batches) {}
  int order() const override { return -1000; }
  void on_epoch_begin(TrainState&) override { validated_ = 0; }
  void on_batch_end(TrainState& state) override {
    const auto done = state.train ? state.num_batch + 1 : ++validated_;
    if (done >= n_batches_) state.stop_epoch = true;
  }
  void on_epoch_end(TrainState& state) override { state.stop_epoch = false; }

 private:
  std::int64_t n_batches_, validated_ = 0;
};

// Ends the fit after some training batches, without a validation.
class FewSteps : public Callback {
 public:
  explicit FewSteps(int n_batches) : n_batches_(n_batches) {}
  bool in_lr_find() const override { return true; }
  void on_train_begin(TrainState& state) override { state.skip_validate = true; }
  void on_batch_end(TrainState& state) override {
    if (state.iteration + 1 >= n_batches_) state.stop_epoch = state.stop_training = true;
  }

 private:
  std::int64_t n_batches_;
};

}  // namespace

Learner::Impl::Before::Before(Impl& impl)
    : impl_(impl),
      data_(impl.data),
      options_(impl.options),
      path_(impl.path),
      layer_groups_(impl.layer_groups),
      fits_(impl.fits),
      processes_(impl.processes),
      precision_(impl.precision),
      features_(impl.features) {
  if (impl.opt) opt_ = impl.opt->snapshot();
  if (impl.recorder) recorder_ = *impl.recorder;
  for (const auto& module : impl.model->modules()) {
    modes_.emplace_back(module, module->is_training());
  }
  const torch::NoGradGuard no_grad;
  for (const auto& tensor : tensors_of(impl)) {
    saved_.push_back(tensor.detach().clone());
    trainable_.push_back(tensor.requires_grad());
  }
}

std::vector<torch::Tensor> Learner::Impl::Before::tensors_of(const Impl& impl) {
  auto all = impl.model->parameters();
  const auto buffers = impl.model->buffers();
  all.insert(all.end(), buffers.begin(), buffers.end());
  return all;
}

void Learner::Impl::Before::restore_training() {
  const torch::NoGradGuard no_grad;
  auto now = tensors_of(impl_);
  for (std::size_t i = 0; i < now.size(); ++i) {
    now[i].detach().copy_(saved_[i]);
    if (now[i].requires_grad() != trainable_[i]) now[i].set_requires_grad(trainable_[i]);
  }
  for (const auto& parameter : impl_.model->parameters()) {
    parameter.mutable_grad() = torch::Tensor();
  }
  // Parents come before their children, which get their own mode after them.
  for (auto& [module, training] : modes_) {
    if (module->is_training() != training) module->train(training);
  }
  impl_.layer_groups = layer_groups_;
  if (opt_) {
    *impl_.opt = *opt_;
  } else {
    impl_.opt.reset();
  }
}

void Learner::Impl::Before::restore() {
  restore_training();
  impl_.data = data_;
  impl_.options = options_;
  impl_.path = path_;
  impl_.fits = fits_;
  impl_.processes = processes_;
  impl_.precision = precision_;
  impl_.features = features_;
  impl_.real_model_dir.reset();
  impl_.clock = nullptr;
  if (recorder_) {
    *impl_.recorder = *recorder_;
  } else {
    impl_.recorder.reset();
  }
}

void Learner::try_out(bool silent, const std::function<void()>& work) {
  refuse_nested_fit();
  auto& impl = *impl_;
  const PassingFolder folder;
  Impl::Before before(impl);
  try {
    // Loaders of its own: the passes of the learner's count on as if nothing had been.
    impl.data = impl.data.copy();
    if (impl.features) impl.features->data = impl.features->data.copy();
    impl.real_model_dir = model_dir();
    impl.path = folder.path();
    if (impl.options.model_dir.is_absolute()) impl.options.model_dir = "models";
    if (silent) impl.options.silent = true;
    work();
  } catch (...) {
    before.restore();
    throw;
  }
  before.restore();
}

FitRecord Learner::dry_run() {
  return dry_run(DryRunOptions{});
}

FitRecord Learner::dry_run(const DryRunOptions& options) {
  return boundary([&] {
    if (options.n_batches < 1) {
      throw ValueError(
          "value.n_batches",
          fmt::format("n_batches: expected a number of batches >= 1, found {}", options.n_batches));
    }
    FitRecord record;
    try_out(false, [&] {
      FitOptions fit_with;
      fit_with.wd = options.wd;
      fit_with.callbacks = options.callbacks;
      fit_with.callbacks.emplace_back(std::make_shared<FewBatches>(options.n_batches));
      fit_with.stop = options.stop;
      run({1, options.lr, Value::dict()}, fit_with, nullptr);
      record = impl_->recorder->record();
    });
    return record;
  });
}

// In a try-out.
bool Learner::fits(std::int64_t bs, int n_batches) {
  auto& impl = *impl_;
  impl.data = impl.data.with_batch_size(bs);
  if (impl.features) impl.features->data = impl.features->data.with_batch_size(bs);
  try {
    run({1, 0.0, Value::dict()}, {}, std::make_shared<FewSteps>(n_batches));
    return true;
  } catch (const MemoryError&) {
    // Gradients of a step that was not finished would be in the way of the next trial.
    for (const auto& parameter : impl.model->parameters()) {
      parameter.mutable_grad() = torch::Tensor();
    }
    return false;
  }
}

}  // namespace fastcpp
