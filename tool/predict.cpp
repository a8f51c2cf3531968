// fastcpp predict: what pictures show, as a table, JSON or CSV.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "commands.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/deploy/prediction_value.hpp"
#include "fastcpp/io/json.hpp"

using namespace fastcpp;

namespace tool {
namespace {

struct PredictArgs {
  Path model;
  std::vector<Path> files;
  bool json = false, csv = false;
  int top_k = 3;
  std::optional<double> thresh;
};

// What became of one file.
struct Answer {
  Path file;
  Prediction prediction;
  std::vector<ClassProbability> top;
  std::string error;  // empty where there is a prediction
};

// A picture, or a row of a table with its place in it.
using Items = std::vector<std::pair<Path, std::optional<TabularRow>>>;

Items pictures(const std::vector<Path>& given) {
  Items items;
  for (const auto& path : given) {
    if (!std::filesystem::is_directory(path)) {
      items.emplace_back(path, std::nullopt);
      continue;
    }
    for (const auto& file : get_image_files(path, {.recurse = true})) {
      items.emplace_back(file, std::nullopt);
    }
  }
  return items;
}

Items rows(const std::vector<Path>& tables) {
  Items items;
  for (const auto& file : tables) {
    const auto table = Table::read_csv(file);
    for (std::int64_t row = 0; row < table.rows(); ++row) {
      items.emplace_back(file.string() + ":" + std::to_string(row), table.row(row));
    }
  }
  return items;
}

Value value_of(const Predictor& predictor, const Answer& answer, int top_k) {
  auto value = Value::dict({{"file", clean_text(answer.file.string())}});
  if (!answer.error.empty()) {
    value.set("error", clean_text(answer.error));
    return value;
  }
  const auto found = prediction_value(predictor, answer.prediction, top_k);
  for (const auto& [key, part] : found.entries()) value.set(key, part);
  return value;
}

std::string top_text(const Answer& answer) {
  std::string text;
  for (const auto& one : answer.top) {
    char number[32];
    std::snprintf(number, sizeof number, "%.3f", one.probability);
    text += (text.empty() ? "" : "  ") + one.category + ' ' + number;
  }
  return text;
}

void print_table(const std::vector<Answer>& answers) {
  std::size_t file = 4, prediction = 10;
  for (const auto& answer : answers) {
    file = std::max(file, answer.file.string().size());
    prediction = std::max(prediction, answer.prediction.category.size());
  }
  const auto row = [&](const std::string& a, const std::string& b, const std::string& c) {
    std::printf("%-*s  %-*s  %s\n", static_cast<int>(file), a.c_str(), static_cast<int>(prediction),
                b.c_str(), c.c_str());
  };
  row("file", "prediction", "");
  for (const auto& answer : answers) {
    if (answer.error.empty())
      row(answer.file.string(), answer.prediction.category, top_text(answer));
  }
}

void print_csv(const std::vector<Answer>& answers) {
  std::vector<Cell> files, predictions, probabilities, errors;
  for (const auto& answer : answers) {
    files.emplace_back(answer.file.string());
    predictions.push_back(answer.error.empty() ? Cell(answer.prediction.category) : Cell());
    probabilities.push_back(answer.top.empty() ? Cell() : Cell(answer.top[0].probability));
    errors.push_back(answer.error.empty() ? Cell() : Cell(answer.error));
  }
  const Table table({Column("file", files), Column("prediction", predictions),
                     Column("probability", probabilities), Column("error", errors)});
  std::fputs(table.to_csv_text().c_str(), stdout);
}

int predict(const PredictArgs& args) {
  const Predictor predictor(args.model);
  const bool classes = !predictor.classes().empty();
  std::vector<Answer> answers;
  bool failed = false;
  for (const auto& [file, row] : predictor.takes_rows() ? rows(args.files) : pictures(args.files)) {
    Answer answer{.file = file, .prediction = {}, .top = {}, .error = {}};
    try {
      const PredictOptions with{.thresh = args.thresh};
      answer.prediction = row ? predictor.predict(*row, with) : predictor.predict(file, with);
      if (classes) answer.top = predictor.top_k(answer.prediction, args.top_k);
    } catch (const Error& error) {
      answer.error = error.what();
      failed = true;
      std::fprintf(stderr, "fastcpp predict: %s [%s]\n", error.what(), error.code().c_str());
    }
    if (args.json)
      std::printf("%s\n", to_json(value_of(predictor, answer, args.top_k), {.indent = -1}).c_str());
    answers.push_back(std::move(answer));
  }
  if (answers.empty()) throw UsageError("there is no picture, or row, in what was named");
  if (args.csv) {
    print_csv(answers);
  } else if (!args.json) {
    print_table(answers);
  }
  return failed ? kFailed : kDone;
}

}  // namespace

Run add_predict(CLI::App& app) {
  auto args = std::make_shared<PredictArgs>();
  app.footer(R"(  fastcpp predict model.fastcpp cat.jpg dog.jpg
  fastcpp predict model.fastcpp inbox/ --json | jq .prediction

A picture that cannot be read is told on stderr, the others are answered, and the exit code is 1.)");
  app.add_option("MODEL", args->model, "what fastcpp train, or export_model, wrote")->required();
  app.add_option("FILES", args->files,
                 "pictures, or folders of pictures; CSV files for a model of a table")
      ->required();
  auto* json = app.add_flag("--json", args->json, "one JSON object a line and picture");
  app.add_flag("--csv", args->csv, "comma-separated rows with a head")->excludes(json);
  app.add_option("--top-k", args->top_k, "how many classes are listed")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--thresh", args->thresh, "of several labels: those with at least this (0.5)")
      ->check(CLI::Range(0.0, 1.0));
  return [args](const Common&) { return predict(*args); };
}

}  // namespace tool
