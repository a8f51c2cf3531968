#include "report.hpp"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace fastcpp;
using Json = nlohmann::ordered_json;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Report::Report(const Cli& cli, const DataBunch& data)
    : cli_(cli),
      n_train_(data.train_ds().size()),
      n_valid_(data.empty_val() ? 0 : data.valid_ds().size()),
      classes_(data.classes()),
      start_(now()) {}

void Report::untrained(const std::vector<double>& figures) {
  untrained_ = figures;
}

void Report::stage(const std::string& name, const Recorder& recorder) {
  stages_.push_back({name, recorder.names, recorder.history, recorder.csv()});
}

void Report::most_confused(const std::vector<Confusion>& pairs) {
  for (const auto& [actual, predicted, count] : pairs) {
    confused_ += fmt::format("{}\t{}\t{}\n", actual, predicted, count);
  }
}

void Report::write() const {
  std::string history;
  auto stages = Json::array();
  for (const auto& stage : stages_) {
    std::istringstream lines(stage.csv);
    std::string line;
    for (bool header = true; std::getline(lines, line); header = false) {
      if (!header || history.empty())
        history += (header ? "stage" : stage.name) + "," + line + "\n";
    }
    auto rows = Json::array();
    for (const auto& row : stage.rows) {
      Json entry{{"epoch", row.epoch}, {"train_loss", row.train_loss}};
      if (row.valid_loss) {
        entry["valid_loss"] = *row.valid_loss;
        for (std::size_t i = 0; i < row.metrics.size(); ++i)
          entry[stage.columns[3 + i]] = row.metrics[i];
      }
      entry["seconds"] = row.seconds;
      rows.push_back(entry);
    }
    stages.push_back({{"name", stage.name}, {"rows", rows}});
  }
  Json summary{{"n_train", n_train_}, {"n_valid", n_valid_}, {"classes", classes_},
               {"arch", cli_.arch},   {"size", cli_.size},   {"bs", cli_.bs},
               {"seed", cli_.seed},   {"stages", stages},    {"seconds", now() - start_}};
  if (!untrained_.empty()) summary["untrained"] = untrained_;
  write_file(cli_.out / "history.csv", history);
  write_file(cli_.out / "most_confused.txt", confused_);
  // Names of files and so labels may be no UTF-8, which JSON must be.
  const auto text = summary.dump(2, ' ', false, Json::error_handler_t::replace);
  write_file(cli_.out / "summary.json", text + "\n");
}
