#include "train_run.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/io/json.hpp"
#include "signals.hpp"

using namespace fastcpp;

namespace tool {
namespace {

std::string now() {
  const std::time_t time = std::time(nullptr);
  std::tm local{};
  localtime_r(&time, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &local);
  return text;
}

// Figures of a run below the pictures would be pictures of the next one.
void refuse_inside(const Path& out, const Path& data) {
  if (!std::filesystem::is_directory(data)) return;
  const auto top = std::filesystem::weakly_canonical(data);
  const auto inside = std::filesystem::weakly_canonical(out).lexically_relative(top);
  if (!inside.empty() && *inside.begin() != "..") {
    throw UsageError("the results would lie in '" + out.string() +
                     "', below the pictures, and be taken for some: give --out another folder");
  }
}

}  // namespace

Path new_folder(const Path& wanted, const Path& data, bool resume) {
  if (resume && (wanted.empty() || !std::filesystem::is_directory(wanted))) {
    throw UsageError(
        "--resume goes on in the folder of the run that was interrupted: name it by --out, found "
        "'" +
        wanted.string() + "'");
  }
  if (!wanted.empty()) {
    refuse_inside(wanted, data);
    if (resume) return wanted;
    if (std::filesystem::exists(wanted) && !std::filesystem::is_empty(wanted)) {
      throw UsageError("--out '" + wanted.string() + "' is there and not empty; name a new folder" +
                       (std::filesystem::exists(wanted / "args.json")
                            ? ", or go on with the run in it by --resume"
                            : ""));
    }
    make_folder(wanted);
    return wanted;
  }
  refuse_inside("runs", data);
  make_folder("runs");
  const auto name = now();
  auto folder = Path("runs") / name;
  for (int i = 2; !std::filesystem::create_directory(folder); ++i) {
    folder = Path("runs") / (name + "-" + std::to_string(i));
  }
  return folder;
}

char delimiter(const std::string& given) {
  if (given == "tab" || given == "\\t") return '\t';
  if (given.size() != 1) throw UsageError("--delimiter is one character, or tab");
  return given[0];
}

namespace {

// Few items in batches of fastai's 64 are a few steps an epoch, or none.
std::int64_t automatic_batch(std::int64_t items) {
  constexpr std::int64_t kStandard = 64, kLeast = 4, kSteps = 8;
  auto bs = kStandard;
  while (bs > kLeast && items / bs < kSteps) bs /= 2;
  return bs;
}

}  // namespace

std::int64_t batch_size(const TrainArgs& args, const Path& out, std::int64_t items,
                        const char* what, const Common& common) {
  auto bs = args.bs;
  if (bs == 0 && args.resume && std::filesystem::exists(out / "args.json")) {
    // As it was, also where items have come since, or an earlier version took another.
    const auto before = from_json(read_file(out / "args.json"));
    if (const auto* was = before.find("bs")) bs = was->as_int();
  }
  if (bs > 0) return bs;
  bs = automatic_batch(items);
  if (!common.quiet && bs < automatic_batch(std::numeric_limits<std::int64_t>::max())) {
    std::printf("%lld %s to train on: batches of %lld (--bs)\n\n", static_cast<long long>(items),
                what, static_cast<long long>(bs));
  }
  return bs;
}

std::vector<Metric> metrics_for(LabelKind kind) {
  if (kind == LabelKind::kFloat) return {root_mean_squared_error};
  if (kind == LabelKind::kMultiCategory) return {accuracy_thresh({.thresh = 0.5})};
  return {error_rate};
}

Value args_value(const TrainArgs& args) {
  return Value::dict({{"data", args.data.string()},
                      {"arch", args.arch},
                      {"size", args.size},
                      {"epochs", args.epochs},
                      {"finetune", args.finetune},
                      {"lr", args.lr},
                      {"bs", args.bs},
                      {"workers", args.workers},
                      {"valid_pct", args.valid_pct},
                      {"train", args.train_folder},
                      {"valid", args.valid_folder},
                      {"folder", args.folder},
                      {"suffix", args.suffix},
                      {"fn_col", args.fn_col},
                      {"label_col", args.label_col},
                      {"label_delim", args.label_delim},
                      {"delimiter", args.delimiter},
                      {"header", !args.no_header},
                      {"regression", args.regression},
                      {"augment", !args.no_augment},
                      {"pretrained", !args.from_scratch},
                      {"weights", args.weights},
                      {"device", args.device},
                      {"target", args.target},
                      {"cat", args.cat},
                      {"cont", args.cont},
                      {"ignore", args.ignore},
                      {"layers", Value::list({args.layers.begin(), args.layers.end()})},
                      {"seed", Value::big_int(std::to_string(args.seed))}});
}

void refuse_other_run(const TrainArgs& args, const Path& out) {
  const auto before = from_json(read_file(out / "args.json"));
  const auto given = args_value(args);
  for (const auto& [name, now] : given.entries()) {
    if (name.as_string() == "workers" || name.as_string() == "data") continue;
    const auto* was = before.find(name);
    // A run of an earlier version knows fewer.
    if (!was || was->to_string() == now.to_string()) continue;
    throw UsageError("--resume: the run in '" + out.string() + "' was made with another " +
                     name.as_string() + " (" + was->to_string() + ", now " + now.to_string() +
                     "): give the arguments of its args.json");
  }
}

std::optional<torch::Device> device_of(const std::string& name) {
  if (name.empty()) return std::nullopt;
  try {
    return boundary([&] { return torch::Device(name); });
  } catch (const Error&) {
    throw UsageError("--device '" + name + "' is no device: cpu, cuda or cuda:1, for example");
  }
}

namespace {

// The key q does what a signal does.
void show_live(const LiveKeys& keys, const std::string& title, std::stop_source stop) {
  auto view = keys.progress(title);
  view.on_stop = [stop]() mutable { stop.request_stop(); };
  set_progress_sink(live_progress(view));
}

}  // namespace

FitOutcome fit(Learner& learn, const TrainArgs& args, const Path& out) {
  const StopOnSignal signals;
  const auto keys = std::make_shared<LiveKeys>();
  if (args.live) show_live(*keys, args.arch + " in " + out.string(), signals.source());
  const std::vector<CallbackArg> callbacks{
      csv_logger({.append = true}), json_logger({.filename = "metrics", .append = true}), keys};
  CheckpointOptions checkpoint{.keep = 1, .resume = args.resume};
  if (args.checkpoint > 0) checkpoint.every = std::chrono::minutes(args.checkpoint);
  const auto outcome = learn.fit_one_cycle(args.epochs, {.max_lr = args.lr,
                                                         .callbacks = callbacks,
                                                         .stop = signals.token(),
                                                         .checkpoint = checkpoint});
  if (args.finetune == 0 || outcome != FitOutcome::kFinished) return outcome;
  learn.unfreeze();
  return learn.fit_one_cycle(args.finetune, {.max_lr = slice(args.lr / 300, args.lr / 10),
                                             .callbacks = callbacks,
                                             .stop = signals.token(),
                                             .checkpoint = checkpoint});
}

bool export_stopped(const Learner& learn, FitOutcome outcome, const Path& out) {
  learn.export_model(std::filesystem::absolute(out / "model.fastcpp"));
  if (outcome != FitOutcome::kStopped) return false;
  std::fprintf(
      stderr,
      "fastcpp train: stopped; the model as it is lies in '%s'. The same command with --out %s "
      "--resume goes on\n",
      out.string().c_str(), out.string().c_str());
  return true;
}

}  // namespace tool
