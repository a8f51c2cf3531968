// The learner's methods that are a fit with one more callback (fastai defines them in train.py, on top of the learner).
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/general_sched.hpp"
#include "fastcpp/train/callbacks/mixed_precision.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/before.hpp"
#include "train/plan.hpp"

namespace fastcpp::inline v0 {
namespace {

// The options of a fit among those of a schedule. A field more in FitOptions does not compile here.
template <typename Options>
FitOptions fit_options(const Options& from) {
  FitOptions options;
  auto& [wd, callbacks, stop, checkpoint] = options;
  wd = from.wd;
  callbacks = from.callbacks;
  stop = from.stop;
  checkpoint = from.checkpoint;
  return options;
}

Value pair_list(const std::pair<double, double>& pair) {
  return Value::list({pair.first, pair.second});
}

Value plan_of(const OneCycleOptions& options, const std::vector<double>& rates) {
  return Value::dict({{"schedule", "one_cycle"},
                      {"max_lr", to_list(rates)},
                      {"moms", pair_list(options.moms)},
                      {"div_factor", options.div_factor},
                      {"pct_start", options.pct_start},
                      {"final_div", to_value(options.final_div)},
                      {"tot_epochs", to_value(options.tot_epochs)},
                      {"start_epoch", options.start_epoch}});
}

Value plan_of(const FitFcOptions& options, const std::vector<double>& rates) {
  return Value::dict({{"schedule", "flat_cos"},
                      {"lr", to_list(rates)},
                      {"moms", pair_list(options.moms)},
                      {"start_pct", options.start_pct}});
}

void no_epochs(const char* name, int epochs) {
  if (epochs < 0) {
    throw ValueError("value.epochs", fmt::format("{} must be >= 0, found {}", name, epochs));
  }
}

}  // namespace

FitOutcome Learner::fit_one_cycle(int cyc_len, const OneCycleOptions& options) {
  return boundary([&] {
    no_epochs("cyc_len", cyc_len);
    auto fit_with = fit_options(options);
    fit_with.callbacks.push_back(std::make_shared<OneCycleScheduler>(options));
    const auto rates = lr_range(options.max_lr);
    return run({cyc_len, options.max_lr, plan_of(options, rates)}, fit_with, nullptr);
  });
}

FitOutcome Learner::fit_one_cycle(int cyc_len, const LearningRate& max_lr,
                                  OneCycleOptions options) {
  options.max_lr = max_lr;
  return fit_one_cycle(cyc_len, options);
}

FitOutcome Learner::fit_fc(int tot_epochs, const FitFcOptions& options) {
  return boundary([&] {
    no_epochs("tot_epochs", tot_epochs);
    auto fit_with = fit_options(options);
    fit_with.callbacks.push_back(std::make_shared<FlatCosAnnealScheduler>(options));
    return run({tot_epochs, options.lr, plan_of(options, lr_range(options.lr))}, fit_with, nullptr);
  });
}

FitOutcome Learner::fine_tune(int epochs, const FineTuneOptions& options) {
  const auto refuse = [](const char* what, const char* range, double found) {
    throw ValueError("value.fine_tune",
                     fmt::format("{} of fine_tune: expected {}, found {}", what, range, found));
  };
  const auto positive = [&](const char* what, double value) {
    if (!(std::isfinite(value) && value > 0)) refuse(what, "a finite number > 0", value);
  };
  positive("base_lr", options.base_lr);
  positive("lr_mult", options.lr_mult);
  if (epochs < 0) refuse("epochs", "a number >= 0", epochs);
  if (options.freeze_epochs < 0) refuse("freeze_epochs", "a number >= 0", options.freeze_epochs);
  OneCycleOptions cycle{.max_lr = slice(options.base_lr),
                        .moms = options.moms,
                        .pct_start = 0.99,
                        .wd = options.wd,
                        .callbacks = options.callbacks,
                        .stop = options.stop,
                        .checkpoint = options.checkpoint};
  if (layer_groups().size() > 1) freeze();
  const auto outcome = fit_one_cycle(options.freeze_epochs, cycle);
  if (outcome == FitOutcome::kStopped) return outcome;
  unfreeze();
  const double base_lr = options.base_lr / 2;
  cycle.max_lr = slice(base_lr / options.lr_mult, base_lr);
  cycle.pct_start = options.pct_start;
  cycle.div_factor = options.div;
  return fit_one_cycle(epochs, cycle);
}

FitOutcome Learner::fine_tune(int epochs, double base_lr, FineTuneOptions options) {
  options.base_lr = base_lr;
  return fine_tune(epochs, options);
}

SuggestedLRs Learner::lr_find(const LrFindOptions& options) {
  return boundary([&] {
    refuse_nested_fit();
    const auto finder = std::make_shared<LRFinder>(options);
    auto batches = data().train_dl().size();
    if (const auto& group = processes()) {
      batches = data().share(group->rank(), group->world_size()).train_dl().size();
    }
    batches = std::max<std::int64_t>(1, batches);
    const auto epochs = static_cast<int>((options.num_it + batches - 1) / batches);
    FitOptions fit_with;
    fit_with.wd = options.wd;
    fit_with.stop = options.stop;
    Impl::Before before(*impl_);
    FitOutcome outcome;
    try {
      outcome = run({epochs, options.start_lr, Value::dict()}, fit_with, finder);
    } catch (...) {
      before.restore_training();
      throw;
    }
    before.restore_training();
    auto found = recorder().suggested_lrs();
    found.outcome = outcome == FitOutcome::kStopped ? outcome : FitOutcome::kFinished;
    const auto steps = static_cast<std::int64_t>(recorder().losses.size());
    // What its plot leaves out at both ends, and two points of a line.
    const RecorderPlotOptions plot;
    const std::int64_t least = plot.skip_start + plot.skip_end + 2;
    if (outcome != FitOutcome::kStopped && options.stop_div &&
        steps < std::min<std::int64_t>(least, options.num_it)) {
      const bool is_number = steps > 0 && std::isfinite(recorder().losses.back());
      log_warning(fmt::format(
          "lr_find ended after {} of {} batches, too few for a curve: {}", steps, options.num_it,
          is_number
              ? "a loss was more than four times the lowest. Take larger batches (.bs), or let "
                "it go on with .stop_div = false"
              : "the loss is no finite number. Look at the inputs, the targets and the loss "
                "function"));
    }
    if (outcome != FitOutcome::kStopped) {
      log_info("LR Finder is complete: learn.recorder().plot() draws the curve.");
    }
    return found;
  });
}

Learner& Learner::mixup() {
  return mixup(MixUpOptions{});
}

Learner& Learner::mixup(const MixUpOptions& options) {
  // Twice is once, with the options given last.
  std::erase_if(callbacks(), [](const auto& callback) {
    return dynamic_cast<const MixUpCallback*>(callback.get()) != nullptr;
  });
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
  if (!data().device().is_cuda()) {
    throw ValueError("value.precision",
                     fmt::format("to_fp16 needs the data on a CUDA device, found {}: use to_bf16, "
                                 "which runs on every device",
                                 data().device().str()));
  }
  auto scaled = std::make_shared<MixedPrecision>(options);
  to_fp32();
  callbacks().push_back(std::move(scaled));
  set_precision(torch::kHalf);
  return *this;
}

Learner& Learner::to_bf16() {
  to_fp32();
  set_precision(torch::kBFloat16);
  return *this;
}

Learner& Learner::to_fp32() {
  set_precision(std::nullopt);
  std::erase_if(callbacks(), [](const auto& callback) {
    return dynamic_cast<const MixedPrecision*>(callback.get()) != nullptr;
  });
  return *this;
}

}  // namespace fastcpp
