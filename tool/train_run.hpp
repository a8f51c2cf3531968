// What trainings on pictures and on tables share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "commands.hpp"
#include "fastcpp/train.hpp"

namespace tool {

using fastcpp::Path;

struct TrainArgs {
  Path data;
  std::string arch = "resnet34";
  int size = 224;
  int epochs = 4;
  int finetune = 0;
  double lr = 3e-3;
  std::int64_t bs = 0;  // 0: automatic_batch
  int workers = fastcpp::default_workers();
  double valid_pct = 0.2;
  std::string train_folder = "train", valid_folder = "valid";
  std::string folder, suffix, fn_col, label_col, label_delim, delimiter = ",";
  bool no_header = false;
  bool regression = false, no_augment = false, from_scratch = false, live = false;
  std::uint64_t seed = 42;
  int checkpoint = 5;  // minutes; 0: at the end of an epoch only
  bool resume = false;
  std::string weights, device;
  std::string target, cat, cont, ignore;  // of a table of numbers and texts
  std::vector<std::int64_t> layers = {200, 100};
  Path out;
};

// A folder for the results, which holds no other run; with --resume the one of the run that goes on.
// Throws UsageError.
Path new_folder(const Path& wanted, const Path& data, bool resume);
char delimiter(const std::string& given);
// The batch size of a run: what was given, what it was, or as many as fit the items, which are called `what`.
std::int64_t batch_size(const TrainArgs& args, const Path& out, std::int64_t items,
                        const char* what, const Common& common);
std::vector<fastcpp::Metric> metrics_for(fastcpp::LabelKind kind);
fastcpp::Value args_value(const TrainArgs& args);
// An interrupted run goes on with the arguments that it began with. Throws UsageError.
void refuse_other_run(const TrainArgs& args, const Path& out);
std::optional<torch::Device> device_of(const std::string& name);
fastcpp::FitOutcome fit(fastcpp::Learner& learn, const TrainArgs& args, const Path& out);
// Writes the model; true when the training was stopped, which is told.
bool export_stopped(const fastcpp::Learner& learn, fastcpp::FitOutcome outcome, const Path& out);

// A table of numbers and texts, one column of which is to be told from the others.
int train_table(TrainArgs args, const Common& common);

}  // namespace tool
