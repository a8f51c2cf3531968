// fastcpp train --target: a column of a table from the others.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "fastcpp/core/log.hpp"
#include "fastcpp/interpret.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/tabular.hpp"
#include "fastcpp/train/threads.hpp"
#include "train_run.hpp"

using namespace fastcpp;

namespace tool {
namespace {

std::vector<std::string> names(const std::string& given) {
  std::vector<std::string> all;
  for (std::size_t from = 0; !given.empty() && from <= given.size();) {
    const auto end = std::min(given.find(',', from), given.size());
    all.push_back(given.substr(from, end - from));
    from = end + 1;
  }
  return all;
}

bool has(const std::vector<std::string>& all, const std::string& name) {
  return std::find(all.begin(), all.end(), name) != all.end();
}

// What the table says of each column, unless the command line does.
TabularListOptions columns(const TrainArgs& args, const Table& table, const Path& out) {
  const auto targets = names(args.target), left_out = names(args.ignore);
  TabularListOptions options{
      .cat_names = names(args.cat), .cont_names = names(args.cont), .path = out};
  options.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()};
  for (const auto* list : {&targets, &left_out}) {
    for (const auto& name : *list) table.position(name);
  }
  const auto [conts, cats] = cont_cat_split(table, {.dep_var = targets});
  const auto add = [&](const std::vector<std::string>& guessed, std::vector<std::string>& to,
                       const std::vector<std::string>& others) {
    for (const auto& name : guessed) {
      if (!has(left_out, name) && !has(others, name) && !has(to, name)) to.push_back(name);
    }
  };
  // Who names one kind leaves the rest to the other; who names both means no more.
  if (args.cat.empty()) add(cats, options.cat_names, options.cont_names);
  if (args.cont.empty()) add(conts, options.cont_names, options.cat_names);
  for (const auto& name : options.cat_names) {
    const auto different =
        static_cast<std::int64_t>(table[name].as_category().categories()->size());
    if (different > 100 && 2 * different > table.rows()) {
      log_warning("the column '" + name + "' has " + std::to_string(different) + " values in " +
                  std::to_string(table.rows()) +
                  " rows: as a category it says little of others; --ignore leaves it out");
    }
  }
  return options;
}

}  // namespace

int train_table(TrainArgs args, const Common& common) {
  if (args.finetune > 0)
    throw UsageError("--finetune is for pictures: a table's network is trained as a whole");
  const auto device = device_of(args.device);
  // Matrices of a batch of rows are small: threads would wait for each other longer than they compute.
  if (common.threads == 0) set_threads(1);
  const auto table = Table::read_csv(
      args.data, {.delimiter = delimiter(args.delimiter),
                  .header = args.no_header ? std::nullopt : std::optional<std::int64_t>(0)});
  LabelOptions labels;
  if (args.regression) labels.label_cls = LabelKind::kFloat;
  if (!args.label_delim.empty()) labels.label_delim = args.label_delim;
  const auto targets = names(args.target);
  const auto target = targets.size() == 1 ? ColumnIds(targets.front()) : ColumnIds(targets);
  // Before a folder is made: names of columns that are none are refused.
  auto options = columns(args, table, args.out);
  const auto out = new_folder(args.out, args.data, args.resume);
  options.path = out;
  const auto lists = TabularList::from_df(table, options)
                         .split_by_rand_pct(args.valid_pct, static_cast<std::int64_t>(args.seed))
                         .label_from_df(target, labels);
  args.bs = batch_size(args, out, lists.train().size(), "rows", common);
  if (args.resume) refuse_other_run(args, out);
  set_seed(args.seed);
  const auto data = lists.databunch({.bs = args.bs, .device = device});
  if (!common.quiet) std::printf("%s\n\n", data.str().c_str());
  auto learn = tabular_learner(
      data,
      {.layers = args.layers, .metrics = metrics_for(data.label_kind()), .silent = common.quiet});
  if (!args.resume) write_file(out / "args.json", to_json(args_value(args)) + "\n");
  const auto outcome = fit(learn, args, out);
  if (export_stopped(learn, outcome, out)) return kStopped;
  if (!learn.recorder().history.empty()) {
    learn.recorder().plot_losses().save(out / "losses.png");
    learn.recorder().plot_lr({.show_moms = true}).save(out / "lr.png");
  }
  if (!data.empty_val() && data.label_kind() == LabelKind::kCategory) {
    ClassificationInterpretation::from_learner(learn).plot_confusion_matrix().save(
        out / "confusion_matrix.png");
  }
  if (!data.empty_val()) learn.report(std::filesystem::absolute(out / "report.html"));
  if (!common.quiet) {
    std::printf("\nResults lie in %s. Next:\n  fastcpp predict %s TABLE.csv\n",
                out.string().c_str(), (out / "model.fastcpp").string().c_str());
  }
  return kDone;
}

}  // namespace tool
