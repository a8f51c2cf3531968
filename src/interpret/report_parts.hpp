// The sections of a report. Each gives HTML, empty where there is nothing to show.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/interpret/calibration.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/interpret/report.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/image_dataset.hpp"
#include "interpret/report_html.hpp"

namespace fastcpp::inline v0::report_detail {

// What all sections look at.
struct Context {
  Learner learn;
  DataBunch data;
  ReportOptions options;
  std::vector<FitRecord> fits = {};       // trainings
  std::optional<FitRecord> lr_find = {};  // the last search
  std::optional<ClassificationInterpretation> interp = {};
  const ImageDataset* pictures = nullptr;  // those of `interp`; null for other items
  const TabularDataset* rows = nullptr;    // likewise of a table
  std::string why_no_results = {};
  double predict_seconds = 0, heat_seconds = 0, importance_seconds = 0;

  std::string class_name(std::int64_t cls) const;
  // The name of an item's file, below the data's folder; of other items and rows their number.
  std::string item_name(std::int64_t index) const;
  Picture picture(std::int64_t index) const;
  // Target and prediction of an item in words.
  std::string truth(std::int64_t index) const;
  std::string prediction(std::int64_t index) const;
  // Throws TrainError `train.stopped`.
  void look_for_stop() const;
};

// report_data.cpp
std::string data_html(const Context& report);
std::string batch_html(const Context& report);
std::string model_html(const Context& report);

// report_training.cpp
std::string training_html(const Context& report);
std::string lr_find_html(const Context& report);
std::string timings_html(const Context& report);
// Of all trainings.
double training_seconds(const Context& report);
std::int64_t training_epochs(const Context& report);

// report_confusion.cpp: for items of one class each
std::string confusion_html(const Context& report);

// report_results.cpp
std::string summary_html(const Context& report);
std::string top_losses_html(Context& report);
std::string classes_html(const Context& report);
std::string numbers_html(const Context& report);
std::string calibration_html(const Context& report);

// report_table.cpp: of a table, else empty
std::string columns_html(const Context& report);
std::string importance_html(Context& report);
std::string rows_of_batch_html(const Context& report, const TabularDataset& set,
                               const Batch& batch);
// Rows of `interp`, each with its prediction and loss.
std::string worst_rows_html(const Context& report, const std::vector<std::int64_t>& rows);
// A column beside those of the table; its cells are texts.
struct SideColumn {
  std::string name;
  bool numeric = true;
  std::vector<std::string> cells = {};
};
std::string rows_html(const std::string& caption, const TabularDataset& set,
                      const std::vector<std::int64_t>& rows,
                      const std::vector<SideColumn>& before = {},
                      const std::vector<SideColumn>& after = {});

}  // namespace fastcpp::report_detail
