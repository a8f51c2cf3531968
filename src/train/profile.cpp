// Where the time of a training goes, and what to do about it.
#include "fastcpp/train/profile.hpp"

#include <c10/util/Type.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <typeinfo>
#include <utility>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/load_clock.hpp"
#include "train/learner_impl.hpp"
#include "train/plan.hpp"
#include "train/step_clock.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr int kWarmUp = 2;  // steps: memory is taken, threads start
// What a culprit other than the computation takes of a step, at least.
constexpr double kNotable = 0.25;

// The class of a callback as people write it.
std::string callback_name(const char* mangled) {
  auto name = c10::demangle(mangled);
  for (const std::string part : {"fastcpp::v0::", "fastcpp::", "(anonymous namespace)::"}) {
    for (auto at = name.find(part); at != std::string::npos; at = name.find(part)) {
      name.erase(at, part.size());
    }
  }
  return name == "FunctionsCallback" ? "make_callback" : name;
}

// What the loader did in the thread that trains.
struct LoaderSeconds {
  double collate = 0, transfer = 0, transform = 0;
  LoaderSeconds() = default;
  explicit LoaderSeconds(const LoadClock& clock)
      : collate(clock.seconds(LoadClock::Part::kCollate)),
        transfer(clock.seconds(LoadClock::Part::kTransfer)),
        transform(clock.seconds(LoadClock::Part::kTransform)) {}
};

// Ends the fit after some steps, tells when the first ones are done, and doubles batches where it is told so.
class MeasuredSteps : public Callback {
 public:
  MeasuredSteps(std::int64_t steps, bool doubled, std::function<void()> warmed_up)
      : steps_(steps), doubled_(doubled), warmed_up_(std::move(warmed_up)) {}
  int order() const override { return 1000; }
  void on_train_begin(TrainState& state) override { state.skip_validate = true; }
  void on_batch_begin(TrainState& state) override {
    if (!doubled_ || !state.train) return;
    const auto twice = [](const torch::Tensor& tensor) { return torch::cat({tensor, tensor}); };
    state.last_input = state.last_input.each(twice);
    state.last_target = state.last_target.each(twice);
  }
  void on_batch_end(TrainState& state) override {
    if (state.iteration + 1 == kWarmUp) warmed_up_();
    if (state.iteration + 1 >= steps_) state.stop_epoch = state.stop_training = true;
  }

 private:
  std::int64_t steps_;
  bool doubled_;
  std::function<void()> warmed_up_;
};

// Seconds of each measurement that is compared with another one.
constexpr double kCompared = 0.05;

// Those that count; at least one.
std::size_t first_counted(const std::vector<StepClock::Step>& steps) {
  return std::min<std::size_t>(kWarmUp, steps.size() - 1);
}

// Seconds of forward, backward and optimizer: of the fastest step, because what disturbs a step only makes it slower.
double compute_of(const std::vector<StepClock::Step>& steps) {
  double fastest = std::numeric_limits<double>::infinity();
  for (std::size_t i = first_counted(steps); i < steps.size(); ++i) {
    const auto& parts = steps[i].parts;
    fastest = std::min(fastest, parts[StepClock::kForward] + parts[StepClock::kBackward] +
                                    parts[StepClock::kStep]);
  }
  return fastest;
}

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100 * share);
}

std::string milliseconds(double seconds) {
  return fmt::format("{:.3g} ms", 1000 * seconds);
}

// What of waiting is not explained by making the items: handing over a batch costs something too.
bool handing_over(const StepProfile& p) {
  const double making =
      p.item_seconds * static_cast<double>(p.bs) / static_cast<double>(std::max(1, p.num_workers));
  return making < 0.5 * p.seconds.wait;
}

void judge_data(StepProfile& p) {
  const auto& s = p.seconds;
  const double total = s.total();
  if (s.transform >= s.wait && s.transform >= s.collate) {
    p.culprit = ProfileCulprit::kTransform;
    p.sentence = fmt::format(
        "slow transform: the transforms of batches (dl_tfms) take {} of a step of {}; make them "
        "faster, or leave them to the data set, whose items are made on other threads",
        milliseconds(s.transform), milliseconds(total));
    return;
  }
  if (s.collate >= s.wait) {
    p.culprit = ProfileCulprit::kCollate;
    p.sentence = fmt::format(
        "slow collate: putting the samples of a batch together takes {} of a step of {}; give all "
        "samples one shape and the data set a layout, or make collate_fn faster",
        milliseconds(s.collate), milliseconds(total));
    return;
  }
  const auto waits =
      fmt::format("a step waits {} of {} for data", milliseconds(s.wait), milliseconds(total));
  const auto workers = p.num_workers == 0
                           ? std::string("load on threads of their own (num_workers)")
                           : std::string("take more workers (num_workers)");
  if (!p.reading) {
    p.culprit = ProfileCulprit::kLoading;
    p.sentence = fmt::format(
        "slow loading: {}; an item takes {}, and its data set does not say how much of it is "
        "reading (ReadingTime); {}",
        waits, milliseconds(p.item_seconds), workers);
  } else if (*p.reading >= 0.5) {
    p.culprit = ProfileCulprit::kReading;
    p.sentence = fmt::format(
        "slow disk: {}; reading is {} of the {} that an item takes; put the data on a faster disk "
        "or in memory (cache_bytes), make the files smaller, or {}",
        waits, percent(*p.reading), milliseconds(p.item_seconds), workers);
  } else {
    p.culprit = ProfileCulprit::kTransform;
    p.sentence = fmt::format(
        "slow transform: {}; decoding and transforming are {} of the {} that an item takes; make "
        "the items smaller, take fewer transforms, or {}",
        waits, percent(1 - *p.reading), milliseconds(p.item_seconds), workers);
  }
}

// The culprit beside the computation, if there is one.
bool judge(StepProfile& p) {
  const auto& s = p.seconds;
  const double total = s.total();
  const double wait = handing_over(p) ? 0 : s.wait;
  const double data = wait + s.collate + s.transform;
  const double largest = std::max({data, s.transfer, s.callbacks});
  if (largest < kNotable * total) return false;
  if (largest == data) {
    judge_data(p);
  } else if (largest == s.transfer) {
    p.culprit = ProfileCulprit::kTransfer;
    p.sentence = fmt::format(
        "slow transfer: bringing a batch to the device takes {} of a step of {}; send bytes "
        "instead "
        "of numbers (augment_on), or train in half precision",
        milliseconds(s.transfer), milliseconds(total));
  } else {
    p.culprit = ProfileCulprit::kCallback;
    const auto& [name, seconds] = p.callbacks.front();
    p.sentence = fmt::format(
        "slow callback: callbacks take {} of a step of {}, {} alone {}; let it do its work once an "
        "epoch, or on another thread",
        milliseconds(s.callbacks), milliseconds(total), name, milliseconds(seconds));
  }
  return true;
}

void judge_compute(StepProfile& p) {
  const auto& s = p.seconds;
  const double compute = s.forward + s.backward + s.step;
  if (p.overhead && *p.overhead >= 0.5) {
    p.culprit = ProfileCulprit::kSmallBatch;
    p.sentence = fmt::format(
        "tiny batch: {} of the computation of a step would be the same for twice as many items as "
        "these {}; take larger batches (.bs)",
        percent(*p.overhead), p.bs);
  } else {
    p.culprit = ProfileCulprit::kCompute;
    p.sentence = fmt::format(
        "nothing is in the way: the computation takes {} of a step of {}; faster are a smaller "
        "network, smaller items, half precision (to_fp16, to_bf16) or a faster device",
        milliseconds(compute), milliseconds(s.total()));
  }
}

// Means of what was measured, without the first steps.
void fill(StepProfile& p, const std::vector<StepClock::Step>& steps, const LoadClock& load,
          const LoaderSeconds& before) {
  std::map<const Callback*, std::pair<const char*, double>> of_callback;
  const auto first = first_counted(steps);
  const auto n = static_cast<double>(steps.size() - first);
  auto& s = p.seconds;
  for (std::size_t i = first; i < steps.size(); ++i) {
    const auto& parts = steps[i].parts;
    s.wait += parts[StepClock::kWait] / n;
    s.forward += parts[StepClock::kForward] / n;
    s.backward += parts[StepClock::kBackward] / n;
    s.step += parts[StepClock::kStep] / n;
    s.callbacks += parts[StepClock::kCallbacks] / n;
    s.other += parts[StepClock::kOther] / n;
    for (const auto& [callback, spent] : steps[i].callbacks) {
      auto& [name, seconds] = of_callback[callback];
      name = spent.first;
      seconds += spent.second / n;
    }
  }
  for (const auto& [callback, spent] : of_callback) {
    if (spent.first == typeid(MeasuredSteps).name()) continue;
    p.callbacks.emplace_back(callback_name(spent.first), spent.second);
  }
  std::stable_sort(p.callbacks.begin(), p.callbacks.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  // What the loader did in this thread is part of the wait.
  const LoaderSeconds after(load);
  s.collate = (after.collate - before.collate) / n;
  s.transfer = (after.transfer - before.transfer) / n;
  s.transform = (after.transform - before.transform) / n;
  s.wait = std::max(0.0, s.wait - s.collate - s.transfer - s.transform);
  const auto items = load.count(LoadClock::Part::kItem);
  const double loading = load.seconds(LoadClock::Part::kItem);
  if (items > 0) p.item_seconds = loading / static_cast<double>(items);
  if (load.count(LoadClock::Part::kReading) > 0 && loading > 0) {
    p.reading = std::min(1.0, load.seconds(LoadClock::Part::kReading) / loading);
  }
  p.steps = static_cast<std::int64_t>(steps.size() - first);
  const auto in_batch = static_cast<double>(p.bs);
  p.items_per_second = in_batch / s.total();
  p.items_in_memory = in_batch / (s.total() - s.wait - s.collate);
}

}  // namespace

StepProfile Learner::profile(int n) {
  return profile(n, ProfileOptions{});
}

StepProfile Learner::profile(int n, const ProfileOptions& options) {
  return boundary([&] {
    if (n < 1) {
      throw ValueError("value.n_batches",
                       fmt::format("n: expected a number of batches >= 1, found {}", n));
    }
    StepProfile result;
    try_out(true, [&] {
      auto& impl = *impl_;
      const auto load = std::make_shared<LoadClock>();
      auto loader = impl.training_data().train_dl();
      loader.measure(load);
      result.bs = loader.batch_size();
      result.num_workers = loader.options().num_workers;
      LoaderSeconds before;
      // Some steps of this training, and two before them.
      const auto measured = [&](std::int64_t n_steps, bool doubled) {
        const auto steps = n_steps + kWarmUp;
        const auto batches = std::max<std::int64_t>(1, loader.size());
        FitOptions fit_with;
        fit_with.wd = options.wd;
        fit_with.callbacks = options.callbacks;
        fit_with.callbacks.emplace_back(std::make_shared<MeasuredSteps>(
            steps, doubled, [&] { before = LoaderSeconds(*load); }));
        fit_with.stop = options.stop;
        StepClock clock(impl.data.device());
        impl.clock = &clock;
        const auto outcome =
            run({static_cast<int>((steps + batches - 1) / batches), options.lr, Value::dict()},
                fit_with, nullptr);
        impl.clock = nullptr;
        const auto done = static_cast<std::int64_t>(clock.steps().size());
        if (outcome == FitOutcome::kStopped || done == 0) throw_stopped("profile", done, steps);
        return clock.steps();
      };
      const auto steps = measured(n, /*doubled=*/false);
      fill(result, steps, *load, before);
      if (judge(result)) return;
      // Where the computation is what takes the time: how much of it is the same for twice as many items?
      try {
        // In turn, and long enough that a machine which is busy for a while disturbs both.
        double once = compute_of(steps), twice = std::numeric_limits<double>::infinity();
        const auto more = std::max<std::int64_t>(
            std::min(n, 10), static_cast<std::int64_t>(std::min(kCompared / once, 300.0)));
        for (int i = 0; i < 4; ++i) {
          twice = std::min(twice, compute_of(measured(more, /*doubled=*/true)));
          once = std::min(once, compute_of(measured(more, /*doubled=*/false)));
        }
        result.overhead = std::clamp((2 * once - twice) / once, 0.0, 1.0);
      } catch (const MemoryError&) {  // such batches do not fit
      } catch (const TrainError& e) {
        if (e.code() != "train.failed") throw;  // or are not what the model or a callback expects
      }
      judge_compute(result);
    });
    return result;
  });
}

std::string StepProfile::str() const {
  const double total = seconds.total();
  auto text = fmt::format("{:<18}{:>12}{:>9}\n", "part of a step", "ms", "share");
  const auto row = [&](const char* part, double value) {
    text += fmt::format("{:<18}{:>12.3f}{:>9}\n", part, 1000 * value, percent(value / total));
  };
  row("wait for data", seconds.wait);
  row("put together", seconds.collate);
  row("transfer", seconds.transfer);
  row("batch transforms", seconds.transform);
  row("forward", seconds.forward);
  row("backward", seconds.backward);
  row("step", seconds.step);
  row("callbacks", seconds.callbacks);
  row("the rest", seconds.other);
  row("all", total);
  text += fmt::format("{:.4g} items a second in batches of {}; {:.4g} with data in memory\n",
                      items_per_second, bs, items_in_memory);
  text += fmt::format("an item is made in {} by one of {} threads", milliseconds(item_seconds),
                      std::max(1, num_workers));
  if (reading) text += fmt::format(", {} of it reading", percent(*reading));
  return text + "\n" + sentence;
}

}  // namespace fastcpp
