// fastcpp train: from a folder or a table of pictures to a model and all that tells about it.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <stop_token>

#include "commands.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/file_source.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/vision.hpp"
#include "signals.hpp"

using namespace fastcpp;

namespace tool {
namespace {

struct TrainArgs {
  Path data;
  std::string arch = "resnet34";
  int size = 224;
  int epochs = 4;
  int finetune = 0;
  double lr = 3e-3;
  std::int64_t bs = 0;  // 0: automatic_batch
  int workers = default_workers();
  double valid_pct = 0.2;
  std::string train_folder = "train", valid_folder = "valid";
  std::string folder, suffix, fn_col, label_col, label_delim, delimiter = ",";
  bool no_header = false;
  bool regression = false, no_augment = false, from_scratch = false, live = false;
  std::uint64_t seed = 42;
  int checkpoint = 5;  // minutes; 0: at the end of an epoch only
  bool resume = false;
  std::string weights, device;
  Path out;
};

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

// A run never writes into the folder of another one.
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

ColumnId column(const std::string& given, int standard) {
  if (given.empty()) return standard;
  constexpr std::size_t kMostDigits = 9;  // more are a name
  const bool number = given.find_first_not_of("0123456789") == std::string::npos;
  if (number && given.size() <= kMostDigits) return std::stoi(given);
  return given;
}

// Several columns are joined by commas.
ColumnIds columns(const std::string& given) {
  std::vector<ColumnId> ids;
  for (std::size_t from = 0; from <= given.size();) {
    const auto end = std::min(given.find(',', from), given.size());
    ids.push_back(column(given.substr(from, end - from), 1));
    from = end + 1;
  }
  if (ids.size() == 1) return ids.front();
  return ids;
}

char delimiter(const std::string& given) {
  if (given == "tab" || given == "\\t") return '\t';
  if (given.size() != 1) throw UsageError("--delimiter is one character, or tab");
  return given[0];
}

// The items of a table. What the training would stumble over in its middle is told before it: files that are not there,
// and names of columns that are a row.
ImageList listed(const TrainArgs& args) {
  const auto table = Table::read_csv(
      args.data, {.delimiter = delimiter(args.delimiter),
                  .header = args.no_header ? std::nullopt : std::optional<std::int64_t>(0)});
  // A folder that is absolute lies below nothing.
  const bool absolute = Path(args.folder).is_absolute();
  const auto beside = args.data.has_parent_path() ? args.data.parent_path() : Path(".");
  const auto path = absolute ? Path(args.folder) : beside;
  const auto cols = column(args.fn_col, 0);
  const ImageListDfOptions options{
      .cols = cols, .folder = absolute ? "" : args.folder, .suffix = args.suffix};
  auto list = ImageList::from_df(table, path, options);
  std::size_t missing = 0;
  std::string first;
  for (std::size_t i = 0; i < list.items().size(); ++i) {
    const Path file = list.items()[i];
    std::error_code ec;
    if (FileSource::is_special(file) || std::filesystem::exists(file, ec)) continue;
    if (missing++ == 0) first = file.string();
  }
  if (missing > 0) {
    throw UsageError(std::to_string(missing) + " of the " + std::to_string(list.items().size()) +
                     " pictures of '" + args.data.string() + "' are not there, the first '" +
                     first +
                     "': --folder says where they lie, --suffix how their names end; or take "
                     "their rows out");
  }
  if (!args.no_header) {
    const auto name = table[cols].name();
    const auto file = path / options.folder / (name + args.suffix);
    std::error_code ec;
    if (!name.empty() && std::filesystem::is_regular_file(file, ec)) {
      log_warning("the first line of '" + args.data.string() +
                  "' was taken for names of columns, but '" + name +
                  "' is a picture: a table without names needs --no-header");
    }
  }
  return list;
}

// Few pictures in batches of fastai's 64 are a few steps an epoch, or none.
std::int64_t automatic_batch(std::int64_t pictures) {
  constexpr std::int64_t kStandard = 64, kLeast = 4, kSteps = 8;
  auto bs = kStandard;
  while (bs > kLeast && pictures / bs < kSteps) bs /= 2;
  return bs;
}

ImageLabelLists labelled(const TrainArgs& args) {
  LabelOptions labels;
  if (!args.label_delim.empty()) labels.label_delim = args.label_delim;
  if (args.regression) labels.label_cls = LabelKind::kFloat;
  const auto seed = static_cast<std::int64_t>(args.seed);
  const bool is_folder = std::filesystem::is_directory(args.data);
  if (!is_folder && args.data.extension() == ".pack") {
    const auto list = ImageList::from_pack(args.data, {.empty = EmptyParts::kIgnore});
    // The labels and sets of a bunch that was prepared stand beside its pictures.
    const auto& table = list.inner_df();
    if (table && (!args.label_col.empty() || table->contains("label"))) {
      const bool has_sets = table->contains("is_valid");
      auto parts =
          has_sets ? list.split_from_df("is_valid") : list.split_by_rand_pct(args.valid_pct, seed);
      if (parts.split().train.empty() || parts.split().valid.empty()) {
        parts = list.split_by_rand_pct(args.valid_pct, seed);
      }
      const auto cols = args.label_col.empty() ? ColumnIds("label") : columns(args.label_col);
      return parts.label_from_df(cols, labels);
    }
    const auto in_folders = list.split_by_folder(args.train_folder, args.valid_folder);
    const auto& split = in_folders.split();
    return (split.train.empty() || split.valid.empty()
                ? list.split_by_rand_pct(args.valid_pct, seed)
                : in_folders)
        .label_from_folder(labels);
  }
  if (!is_folder) {
    return listed(args)
        .split_by_rand_pct(args.valid_pct, seed)
        .label_from_df(columns(args.label_col), labels);
  }
  auto list = ImageList::from_folder(args.data);
  const bool is_split = std::filesystem::is_directory(args.data / args.train_folder) &&
                        std::filesystem::is_directory(args.data / args.valid_folder);
  return (is_split ? list.split_by_folder(args.train_folder, args.valid_folder)
                   : list.split_by_rand_pct(args.valid_pct, seed))
      .label_from_folder(labels);
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
                      {"seed", Value::big_int(std::to_string(args.seed))}});
}

// An interrupted run goes on with the arguments that it began with.
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

void plots(Learner& learn, const Path& out) {
  if (learn.recorder().history.empty()) return;
  learn.recorder().plot_losses().save(out / "losses.png");
  learn.recorder().plot_lr({.show_moms = true}).save(out / "lr.png");
  if (learn.data().empty_val()) return;
  if (learn.data().label_kind() == LabelKind::kCategory) {
    const auto interp = ClassificationInterpretation::from_learner(learn);
    interp.plot_confusion_matrix().save(out / "confusion_matrix.png");
    interp.plot_top_losses(9, {.show_names = true}).save(out / "top_losses.png");
  }
  learn.show_results(DatasetType::Valid, {.rows = 3}).save(out / "results.png");
  learn.report(std::filesystem::absolute(out / "report.html"));
}

std::optional<torch::Device> device_of(const std::string& name) {
  if (name.empty()) return std::nullopt;
  try {
    return boundary([&] { return torch::Device(name); });
  } catch (const Error&) {
    throw UsageError("--device '" + name + "' is no device: cpu, cuda or cuda:1, for example");
  }
}

// The key q does what a signal does.
void show_live(const LiveKeys& keys, const std::string& title, std::stop_source stop) {
  auto view = keys.progress(title);
  view.on_stop = [stop]() mutable { stop.request_stop(); };
  set_progress_sink(live_progress(view));
}

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

Learner learner(const ImageDataBunch& data, const TrainArgs& args, const Common& common) {
  try {
    return cnn_learner(data, models::find(args.arch),
                       {.pretrained = !args.from_scratch,
                        .metrics = metrics_for(data.label_kind()),
                        .silent = common.quiet,
                        .weights = args.weights.empty() ? std::optional<Path>()
                                                        : std::optional<Path>(args.weights)});
  } catch (const DownloadError&) {
    std::fprintf(
        stderr,
        "fastcpp train: without a network, --weights FILE takes the published weights from a "
        "file; --from-scratch does without, and needs many more pictures\n");
    throw;
  }
}

int train(TrainArgs args, const Common& common) {
  if (!std::filesystem::exists(args.data)) {
    throw UsageError("'" + args.data.string() +
                     "' is neither a folder of pictures nor a table or prepared file");
  }
  models::find(args.arch);  // refused before a folder is made
  const auto device = device_of(args.device);
  auto lists = labelled(args);
  const auto pictures = lists.train().size();
  const auto out = new_folder(args.out, args.data, args.resume);
  if (args.bs == 0 && args.resume && std::filesystem::exists(out / "args.json")) {
    // As it was, also where pictures have come since, or an earlier version took another.
    const auto before = from_json(read_file(out / "args.json"));
    if (const auto* bs = before.find("bs")) args.bs = bs->as_int();
  }
  if (args.bs == 0) {
    args.bs = automatic_batch(pictures);
    if (!common.quiet && args.bs < automatic_batch(std::numeric_limits<std::int64_t>::max())) {
      std::printf("%lld pictures to train on: batches of %lld (--bs)\n\n",
                  static_cast<long long>(pictures), static_cast<long long>(args.bs));
    }
  }
  if (args.resume) refuse_other_run(args, out);
  set_seed(args.seed);
  const auto tfms = args.no_augment ? ImageTransforms{} : get_transforms();
  const auto data =
      lists.transform(tfms, {.size = args.size})
          .databunch({.path = out, .bs = args.bs, .num_workers = args.workers, .device = device})
          .normalize(imagenet_stats);
  if (!common.quiet) std::printf("%s\n\n", data.str().c_str());
  auto learn = learner(data, args, common);
  // Not before: what fails until here leaves the folder empty, and the same command may be given again.
  if (!args.resume) write_file(out / "args.json", to_json(args_value(args)) + "\n");
  data.show_batch({.rows = 3}).save(out / "batch.png");
  const auto outcome = fit(learn, args, out);
  learn.export_model(std::filesystem::absolute(out / "model.fastcpp"));
  if (outcome == FitOutcome::kStopped) {
    std::fprintf(
        stderr,
        "fastcpp train: stopped; the model as it is lies in '%s'. The same command with --out %s "
        "--resume goes on\n",
        out.string().c_str(), out.string().c_str());
    return kStopped;
  }
  plots(learn, out);
  if (!common.quiet) {
    std::printf("\nResults lie in %s. Next:\n  fastcpp predict %s PICTURE...\n",
                out.string().c_str(), (out / "model.fastcpp").string().c_str());
  }
  return kDone;
}

}  // namespace

Run add_train(CLI::App& app) {
  auto args = std::make_shared<TrainArgs>();
  app.footer(
      R"(A folder has one folder a class (FOLDER/cat/*.jpg, FOLDER/dog/*.jpg), below train and valid when it is split already.
A table is a CSV file with a column of picture files and a column of labels. What `fastcpp prepare` wrote of a folder takes
its place:

  fastcpp train pictures/ --epochs 4 --finetune 2
  fastcpp train labels.csv --folder images --label-delim ' '      several labels a picture
  fastcpp train angles.csv --label-col angle --regression         a number to predict

Leaves args.json, history.csv, metrics.jsonl, figures, report.html and model.fastcpp in runs/<time>.)");
  app.add_option("DATA", args->data, "folder of pictures, CSV file, or prepared file")->required();
  app.add_option("--arch", args->arch, "network, for example resnet18")->capture_default_str();
  app.add_option("--size", args->size, "side of the pictures in pixels")
      ->check(CLI::Range(8, 4096))
      ->capture_default_str();
  app.add_option("--epochs", args->epochs, "epochs of the head, body frozen")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_option("--finetune", args->finetune, "epochs after that, with all layers")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_option("--lr", args->lr, "highest learning rate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--bs", args->bs, "batch size (64, or fewer for fewer than 512 pictures)")
      ->check(CLI::Range(1, 65536));
  app.add_option("--workers", args->workers, "threads that load pictures")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--valid-pct", args->valid_pct, "share that validates, where nothing is split yet")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--train", args->train_folder, "folder of the training pictures")
      ->capture_default_str();
  app.add_option("--valid", args->valid_folder, "folder of the validation pictures")
      ->capture_default_str();
  app.add_option("--folder", args->folder,
                 "of a table: where its pictures lie, beside it or absolute");
  app.add_option("--suffix", args->suffix, "of a table: ends each file name, for example .jpg");
  app.add_option("--fn-col", args->fn_col, "of a table: column of the files, name or number (0)");
  app.add_option("--label-col", args->label_col,
                 "of a table: column of the labels (1); several, joined by commas, are one-hot");
  app.add_option("--label-delim", args->label_delim,
                 "of a table: splits a cell into several labels");
  app.add_option("--delimiter", args->delimiter, "of a table: between its cells, or tab (,)");
  app.add_flag("--no-header", args->no_header, "of a table: its first line is a picture already");
  app.add_flag("--regression", args->regression, "labels are numbers to predict");
  app.add_flag("--no-augment", args->no_augment, "no random flips, turns, zooms and light");
  app.add_flag("--from-scratch", args->from_scratch, "random weights instead of ImageNet's");
  app.add_option("--weights", args->weights, "a file instead of the published ImageNet weights");
  app.add_flag("--live", args->live, "curves in the terminal; s saves models/live.pth, q stops");
  app.add_option("--seed", args->seed, "decides split, order, augmentation and weights")
      ->capture_default_str();
  app.add_option("--device", args->device, "cpu or cuda (cuda where there is one)");
  app.add_option("--out", args->out, "new folder for the results (runs/<time>)");
  app.add_option("--checkpoint", args->checkpoint,
                 "minutes between two checkpoints; 0: at the end of an epoch only")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_flag("--resume", args->resume,
               "go on with the interrupted run in --out, to the same numbers");
  return [args](const Common& common) { return train(*args, common); };
}

}  // namespace tool
