#include "fastcpp/train/callbacks/tracker.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/train/process_group.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"
#include "train/values.hpp"

namespace fastcpp::inline v0 {
namespace {

// Python writes a whole number as 1.0.
std::string python_number(double value) {
  auto text = fmt::format("{}", value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

bool expects_less(const TrackerOptions& options) {
  if (options.mode != TrackerMode::kAuto) return options.mode == TrackerMode::kMin;
  return lower_is_better(options.monitor);
}

void expect_patience(int patience) {
  expect(patience >= 0, "value.tracker", "patience", "a number of epochs >= 0", patience);
}

void expect_min_delta(double min_delta) {
  expect(not_negative(min_delta), "value.tracker", "min_delta", "a finite number >= 0", min_delta);
}

// What the first of several processes has.
std::optional<double> figure_of_first(ProcessGroup& processes, const std::optional<double>& own) {
  const auto figure = torch::tensor({own ? 1.0 : 0.0, own.value_or(0)}, torch::kDouble);
  processes.broadcast(figure);
  if (figure[0].item<double>() == 0) return std::nullopt;
  return figure[1].item<double>();
}

// What every tracker watches, among a tracker's own options.
template <typename Options>
TrackerOptions watched(const Options& options) {
  TrackerOptions result{.monitor = options.monitor, .mode = options.mode};
  // A field more in TrackerOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2] = result;
  return result;
}

}  // namespace

TrackerCallback::TrackerCallback(const TrackerOptions& options)
    : options_(options), lower_is_better_(expects_less(options)) {
  if (options.monitor.empty()) {
    throw ValueError(
        "value.tracker",
        "monitor: expected train_loss, valid_loss or a metric's name, found an empty text");
  }
}

void TrackerCallback::on_train_begin(TrainState&) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  best_ = lower_is_better_ ? kInfinity : -kInfinity;
}

Value TrackerCallback::state() const {
  return Value::dict({{"best", best_}});
}

void TrackerCallback::load_state(const Value& state) {
  best_ = state.at("best").as_double();
}

std::optional<double> TrackerCallback::get_monitor_value() const {
  const auto learner = learn();
  const auto& recorder = learner.recorder();
  const auto& name = options_.monitor;
  auto value = recorder.last_value(name);
  // What is done about it is done by all together: `load` waits for the others. One that only the first process has decides
  // alone.
  if (const auto processes = first_process_only() ? nullptr : learner.processes()) {
    value = figure_of_first(*processes, value);
  }
  if (value || !learner.first_process()) return value;
  const bool validated =
      !recorder.history.empty() && recorder.history.back().valid_loss && !recorder.metrics.empty();
  std::vector<std::string> available{"train_loss"};
  if (validated) {
    available.push_back("valid_loss");
    for (std::size_t i = 0; i < recorder.metrics.back().size(); ++i)
      available.push_back(recorder.names[i + 3]);
  }
  log_warning(
      fmt::format("a callback watches '{}', which this training does not report; it "
                  "reports {}",
                  name, fmt::join(available, ", ")));
  return std::nullopt;
}

bool TrackerCallback::improved(double value, double min_delta) {
  const bool better = lower_is_better_ ? value + min_delta < best_ : value - min_delta > best_;
  if (better) best_ = value;
  return better;
}

EarlyStoppingCallback::EarlyStoppingCallback(const EarlyStoppingOptions& options)
    : TrackerCallback(watched(options)), options_(options) {
  expect_patience(options.patience);
  expect_min_delta(options.min_delta);
}

void EarlyStoppingCallback::on_train_begin(TrainState& state) {
  TrackerCallback::on_train_begin(state);
  wait_ = 0;
}

void EarlyStoppingCallback::on_epoch_end(TrainState& state) {
  const auto value = get_monitor_value();
  if (!value) return;
  wait_ = improved(*value, options_.min_delta) ? 0 : wait_ + 1;
  if (wait_ > options_.patience) {
    log_info(fmt::format("Epoch {}: early stopping", state.epoch));
    state.stop_training = true;
  }
}

Value EarlyStoppingCallback::state() const {
  auto state = TrackerCallback::state();
  state.set("wait", wait_);
  return state;
}

void EarlyStoppingCallback::load_state(const Value& state) {
  TrackerCallback::load_state(state);
  wait_ = static_cast<int>(state.at("wait").as_int());
}

SaveModelCallback::SaveModelCallback(const SaveModelOptions& options)
    : TrackerCallback(watched(options)), options_(options) {
  expect_name("name of SaveModelCallback", options.name);
}

void SaveModelCallback::on_train_begin(TrainState& state) {
  TrackerCallback::on_train_begin(state);
  saved_ = watched_ = false;
}

void SaveModelCallback::jump_to_epoch(int epoch) {
  auto learner = learn();
  const auto name = fmt::format("{}_{}", options_.name, epoch - 1);
  if (options_.every == SaveEvery::kImprovement) {
    log_warning(fmt::format(
        "Model {} not found: the best model alone is kept, so that epoch {} starts from the "
        "weights that the learner has; to go on after a break, keep every epoch (.every = "
        "SaveEvery::kEpoch)",
        name, epoch));
    return;
  }
  const auto file = learner.model_dir() / (name + ".pth");
  std::error_code ec;
  if (!std::filesystem::exists(file, ec)) {
    throw IoError(
        "io.cannot_read",
        fmt::format(
            "the training is to go on with epoch {}, but the model of the epoch before is not "
            "there: '{}'; put it back, or start again with epoch 0",
            epoch, file.string()));
  }
  learner.load(name);
  log_info(fmt::format("Loaded {}", name));
}

Value SaveModelCallback::state() const {
  auto state = TrackerCallback::state();
  state.set("saved", saved_);
  state.set("watched", watched_);
  return state;
}

void SaveModelCallback::load_state(const Value& state) {
  const bool saved = state.at("saved").as_bool();
  const auto file = learn().model_dir() / (options_.name + ".pth");
  std::error_code ec;
  if (!saved || std::filesystem::exists(file, ec)) {
    TrackerCallback::load_state(state);
    saved_ = saved;
    watched_ = state.at("watched").as_bool();
    return;
  }
  throw IoError("io.cannot_read",
                fmt::format("the training is to go on, but its best model so far is not there: "
                            "'{}'; put it back, or start again from the beginning",
                            file.string()));
}

void SaveModelCallback::on_epoch_end(TrainState& state) {
  auto learner = learn();
  if (options_.every == SaveEvery::kEpoch) {
    learner.save(fmt::format("{}_{}", options_.name, state.epoch));
    return;
  }
  const auto value = get_monitor_value();
  watched_ = watched_ || value;
  if (!value || !improved(*value)) return;
  log_info(fmt::format("Better model found at epoch {} with {} value: {}.", state.epoch, monitor(),
                       python_number(*value)));
  learner.save(options_.name);
  saved_ = true;
}

void SaveModelCallback::on_train_end(TrainState&) {
  if (saved_) {
    saved_ = false;
    learn().load(options_.name);
  } else if (watched_) {
    log_warning(fmt::format(
        "no epoch improved {}: no model was saved as '{}', the weights are those of the last epoch",
        monitor(), options_.name));
  }
  watched_ = false;
}

ReduceLROnPlateauCallback::ReduceLROnPlateauCallback(const ReduceLrOnPlateauOptions& options)
    : TrackerCallback(watched(options)), options_(options) {
  expect_patience(options.patience);
  expect(options.factor > 0 && options.factor < 1, "value.tracker", "factor", "0 < factor < 1",
         options.factor);
  expect_min_delta(options.min_delta);
  expect(not_negative(options.min_lr), "value.tracker", "min_lr", "a finite number >= 0",
         options.min_lr);
}

void ReduceLROnPlateauCallback::on_train_begin(TrainState& state) {
  TrackerCallback::on_train_begin(state);
  wait_ = 0;
}

void ReduceLROnPlateauCallback::on_epoch_end(TrainState& state) {
  const auto value = get_monitor_value();
  if (!value) return;
  wait_ = improved(*value, options_.min_delta) ? 0 : wait_ + 1;
  auto learner = learn();
  auto& opt = learner.opt();
  if (wait_ <= options_.patience || opt.lr().back() <= options_.min_lr) return;
  const double lr = opt.lr().back() * options_.factor;
  opt.set_lr({lr});
  wait_ = 0;
  log_info(fmt::format("Epoch {}: reducing lr to {}", state.epoch, python_number(lr)));
}

Value ReduceLROnPlateauCallback::state() const {
  auto state = TrackerCallback::state();
  state.set("wait", wait_);
  return state;
}

void ReduceLROnPlateauCallback::load_state(const Value& state) {
  TrackerCallback::load_state(state);
  wait_ = static_cast<int>(state.at("wait").as_int());
}

void TerminateOnNaNCallback::on_batch_end(TrainState& state) {
  if (!state.train || !std::isnan(state.last_loss.item<double>())) return;
  log_info(fmt::format("Epoch/Batch ({}/{}): Invalid loss, terminating training.", state.epoch,
                       state.num_batch));
  state.stop_epoch = state.stop_training = state.skip_validate = true;
}

TrackEpochCallback::TrackEpochCallback(const TrackEpochOptions& options) : options_(options) {
  expect_name("name of TrackEpochCallback", options.name);
  const int offset = options.epoch_offset.value_or(0);
  expect(offset >= 0, "value.start_epoch", "epoch_offset", "an epoch >= 0", offset);
}

Path TrackEpochCallback::file() const {
  return file_.empty() ? learn().model_dir() / options_.name : file_;
}

std::optional<int> TrackEpochCallback::get_completed() const {
  const auto path = file();
  std::error_code ec;
  if (!std::filesystem::exists(path, ec) && !ec) return std::nullopt;
  const auto text = read_file(path);
  int epoch = 0;
  const auto* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, epoch);
  // An editor may have put an end of line behind it.
  const bool rest =
      std::string_view(end, last).find_first_not_of(" \r\n") != std::string_view::npos;
  if (error == std::errc() && epoch >= 0 && !rest) return epoch;
  throw FormatError(
      "train.epoch_file",
      fmt::format(
          "'{}' should hold the number of the last finished epoch, found '{}'; write the number "
          "into it, or remove the file to start again with epoch 0",
          path.string(), text.substr(0, 40)));
}

void TrackEpochCallback::on_train_begin(TrainState& state) {
  finished_.reset();
  const Path name = options_.name;
  file_ = learn().model_dir() / (state.dry_run ? name.filename() : name);
  const auto completed = get_completed();
  state.epoch = options_.epoch_offset.value_or(completed ? *completed + 1 : 0);
  if (state.epoch != 0 && state.epoch >= state.n_epochs) {
    log_warning(
        fmt::format("'{}' says that {} epochs are finished: of the {} epochs asked for none is "
                    "left to train; ask for "
                    "more, or remove the file to start again",
                    file_.string(), state.epoch, state.n_epochs));
  }
}

// Everybody has done with the epoch only when the next one begins, or the fit ends without an exception.
void TrackEpochCallback::on_epoch_begin(TrainState&) {
  write_down();
}

void TrackEpochCallback::on_epoch_end(TrainState& state) {
  if (!state.stop_epoch && !state.cancelled) finished_ = state.epoch;
}

void TrackEpochCallback::on_train_end(TrainState& state) {
  if (!state.exception) write_down();
  finished_.reset();
}

Value TrackEpochCallback::state() const {
  return Value::dict({{"finished", finished_ ? Value(*finished_) : Value()}});
}

void TrackEpochCallback::load_state(const Value& state) {
  const auto& finished = state.at("finished");
  finished_.reset();
  if (!finished.is_none()) finished_ = static_cast<int>(finished.as_int());
}

void TrackEpochCallback::write_down() {
  if (!finished_) return;
  if (learn().first_process()) {
    make_folder(file_.parent_path());
    write_file(file_, fmt::format("{}", *finished_));
  }
  finished_.reset();
}

void TrackEpochCallback::restart() const {
  boundary([&] { std::filesystem::remove(file()); });
}

CallbackFn early_stopping(const EarlyStoppingOptions& options) {
  return factory_of<EarlyStoppingCallback>(options);
}

CallbackFn save_model(const SaveModelOptions& options) {
  return factory_of<SaveModelCallback>(options);
}

CallbackFn reduce_lr_on_plateau(const ReduceLrOnPlateauOptions& options) {
  return factory_of<ReduceLROnPlateauCallback>(options);
}

CallbackFn terminate_on_nan() {
  return [](Learner&) { return std::make_shared<TerminateOnNaNCallback>(); };
}

CallbackFn track_epoch(const TrackEpochOptions& options) {
  return factory_of<TrackEpochCallback>(options);
}

}  // namespace fastcpp
