// Writes what the examples promise to leave in --out.
#pragma once

#include <string>
#include <vector>

#include "cli.hpp"
#include "fastcpp/vision.hpp"

class Report {
 public:
  Report(const Cli& cli, const fastcpp::DataBunch& data);
  // Loss and metrics before any training.
  void untrained(const std::vector<double>& figures);
  // The rows of a finished fit.
  void stage(const std::string& name, const fastcpp::Recorder& recorder);
  void most_confused(const std::vector<fastcpp::Confusion>& pairs);
  // Writes history.csv, most_confused.txt and summary.json.
  void write() const;

 private:
  struct Stage {
    std::string name;
    std::vector<std::string> columns;
    std::vector<fastcpp::HistoryRow> rows;
    std::string csv;
  };
  Cli cli_;
  std::int64_t n_train_ = 0, n_valid_ = 0;
  std::vector<std::string> classes_;
  std::vector<double> untrained_;
  std::vector<Stage> stages_;
  std::string confused_;
  double start_ = 0;
};
