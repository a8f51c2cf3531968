// Going on with an interrupted training: the fit that its checkpoint tells of.
#include <fmt/format.h>
#include <torch/types.h>

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/checkpoints.hpp"
#include "train/learner_impl.hpp"
#include "train/plan.hpp"

namespace fastcpp::inline v0 {
namespace {

std::vector<double> numbers_in(const Value& list) {
  std::vector<double> numbers;
  for (const auto& item : list.items()) numbers.push_back(item.as_double());
  return numbers;
}

std::pair<double, double> pair_in(const Value& list) {
  const auto numbers = numbers_in(list);
  if (numbers.size() != 2) {
    throw TrainError("train.checkpoint",
                     fmt::format("the checkpoint's plan should hold two momenta, found {}; remove "
                                 "it to go on from an earlier one",
                                 numbers.size()));
  }
  return {numbers[0], numbers[1]};
}

std::optional<double> number_in(const Value& value) {
  if (value.is_none()) return std::nullopt;
  return value.as_double();
}

std::optional<int> integer_in(const Value& value) {
  if (value.is_none()) return std::nullopt;
  return static_cast<int>(value.as_int());
}

CheckpointOptions checkpoint_in(const Value& plan, const std::string& name) {
  const auto& saved = plan.at("checkpoint");
  CheckpointOptions options{.keep = static_cast<int>(saved.at("keep").as_int()),
                            .best = saved.at("best").as_string(),
                            .name = name,
                            .resume = true,
                            .background = saved.at("background").as_bool(),
                            .on_error = saved.at("on_error").as_bool()};
  if (const auto& every = saved.at("every"); !every.is_none()) {
    options.every = std::chrono::milliseconds(every.as_int());
  }
  return options;
}

// The call that the plan tells of.
std::function<FitOutcome(Learner&)> fit_of(const Value& plan, const ResumeOptions& options) {
  const auto& schedule = plan.at("schedule").as_string();
  const auto epochs = static_cast<int>(plan.at("epochs").as_int());
  const auto checkpoint = checkpoint_in(plan, options.name);
  const auto wd = number_in(plan.at("wd"));
  if (schedule == "one_cycle") {
    const OneCycleOptions cycle{.max_lr = numbers_in(plan.at("max_lr")),
                                .moms = pair_in(plan.at("moms")),
                                .div_factor = plan.at("div_factor").as_double(),
                                .pct_start = plan.at("pct_start").as_double(),
                                .final_div = number_in(plan.at("final_div")),
                                .wd = wd,
                                .callbacks = options.callbacks,
                                .tot_epochs = integer_in(plan.at("tot_epochs")),
                                .start_epoch = static_cast<int>(plan.at("start_epoch").as_int()),
                                .stop = options.stop,
                                .checkpoint = checkpoint};
    return [=](Learner& learn) { return learn.fit_one_cycle(epochs, cycle); };
  }
  if (schedule == "flat_cos") {
    const FitFcOptions flat{.lr = numbers_in(plan.at("lr")),
                            .moms = pair_in(plan.at("moms")),
                            .start_pct = plan.at("start_pct").as_double(),
                            .wd = wd,
                            .callbacks = options.callbacks,
                            .stop = options.stop,
                            .checkpoint = checkpoint};
    return [=](Learner& learn) { return learn.fit_fc(epochs, flat); };
  }
  const FitOptions plain{
      .wd = wd, .callbacks = options.callbacks, .stop = options.stop, .checkpoint = checkpoint};
  return
      [=, lr = numbers_in(plan.at("lr"))](Learner& learn) { return learn.fit(epochs, lr, plain); };
}

}  // namespace

FitOutcome Learner::resume(const ResumeOptions& options) {
  return boundary([&] {
    refuse_nested_fit();
    const auto fit_number = Checkpoints::last_fit(model_dir(), options.name);
    if (!fit_number) {
      throw TrainError("train.no_checkpoint",
                       fmt::format("there is no checkpoint '{}_…' in '{}': give the fit a "
                                   ".checkpoint, or its .name here",
                                   options.name, model_dir().string()));
    }
    const auto saved = Checkpoints::last(model_dir(), options.name, *fit_number);
    const auto go_on = from_checkpoint([&] { return fit_of(saved->at("plan"), options); });
    // Of this fit alone, also when it refuses to begin.
    struct Resuming {
      std::optional<Value>& checkpoint;
      ~Resuming() { checkpoint.reset(); }
    };
    const Resuming resuming{impl_->resuming};
    impl_->fits = *fit_number;
    impl_->resuming = saved;
    return go_on(*this);
  });
}

}  // namespace fastcpp
