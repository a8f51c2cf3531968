// fastcpp train: from a folder or a table of pictures to a model and all that tells about it.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "commands.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/file_source.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/vision.hpp"
#include "train_run.hpp"

using namespace fastcpp;

namespace tool {
namespace {

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
  if (!args.target.empty()) return train_table(std::move(args), common);
  models::find(args.arch);  // refused before a folder is made
  const auto device = device_of(args.device);
  auto lists = labelled(args);
  const auto pictures = lists.train().size();
  const auto out = new_folder(args.out, args.data, args.resume);
  args.bs = batch_size(args, out, pictures, "pictures", common);
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
  if (export_stopped(learn, outcome, out)) return kStopped;
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
  fastcpp train people.csv --target salary                        no pictures: a column from the others

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
  app.add_option(
      "--target", args->target,
      "of a table without pictures: the column that is to be told; several, joined by commas");
  app.add_option("--cat", args->cat,
                 "its columns of categories, joined by commas (as the table says)");
  app.add_option("--cont", args->cont, "its columns of numbers, likewise");
  app.add_option("--ignore", args->ignore, "its columns that are left out, likewise");
  app.add_option("--layers", args->layers, "its network's hidden layers (200,100)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000000));
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
