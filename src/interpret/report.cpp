// A page for people: training knows nothing of pages, so these members of Learner are defined here.
#include "fastcpp/interpret/report.hpp"

#include <fmt/format.h>
#include <torch/types.h>
#include <torch/version.h>

#include <chrono>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/version.hpp"
#include "interpret/report_parts.hpp"

namespace fastcpp::inline v0 {
namespace report_detail {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check(const ReportOptions& options) {
  const auto within = [](const char* name, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
    if (value >= low && value <= high) return;
    throw ValueError("value.report",
                     fmt::format("{} must lie in {}..{}, found {}", name, low, high, value));
  };
  within("top_losses", options.top_losses, 0, 200);
  within("pair_pictures", options.pair_pictures, 0, 50);
  within("picture_size", options.picture_size, 16, 1024);
  within("importance_repeats", options.importance_repeats, 0, 100);
}

bool has_items(const DataBunch& data, DatasetType type) {
  switch (type) {
    case DatasetType::Valid:
    case DatasetType::Single:
      return !data.empty_val();
    case DatasetType::Test:
      return data.has_test() && data.test_dl().dataset()->size() > 0;
    default:
      return data.train_ds().size() > 0;
  }
}

// What a recorder keeps, where there was a fit.
void read_recorder(Context& report) {
  try {
    for (auto& fit : report.learn.recorder().fits()) {
      if (fit.lr_find) {
        report.lr_find = std::move(fit);
      } else {
        report.fits.push_back(std::move(fit));
      }
    }
  } catch (const TrainError& e) {
    if (e.code() != "train.nothing_recorded") throw;
  }
}

void predict(Context& report) {
  const auto type = report.options.ds_type;
  if (type == DatasetType::Train) {
    throw ValueError("value.report",
                     "the training loader shuffles its items, so that results match none of them; "
                     "DatasetType::Fix has the same items in order");
  }
  if (!has_items(report.data, type)) {
    report.why_no_results = "There are no items to predict: this data has no such set.";
    return;
  }
  const auto loader = report.data.dl(type);
  report.pictures = dynamic_cast<const ImageDataset*>(loader.dataset().get());
  report.rows = tabular_dataset(*loader.dataset());
  if ((report.pictures && report.pictures->list().y->kind() == LabelKind::kEmpty) ||
      (report.rows && report.rows->y()->kind() == LabelKind::kEmpty)) {
    report.why_no_results = "These items have no labels that predictions could be compared with.";
    return;
  }
  const auto start = Clock::now();
  try {
    report.interp = ClassificationInterpretation::from_learner(
        report.learn, {.ds_type = type, .stop = report.options.stop});
  } catch (const DataError& e) {
    if (e.code() != "data.left_out") throw;
    report.why_no_results = e.what();
  }
  report.predict_seconds = since(start);
}

std::string written_at() {
  const auto now = std::chrono::system_clock::now();
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::minutes>(now - day));
  return fmt::format("{}-{:02}-{:02} {:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count());
}

std::string html_of(Learner learn, const ReportOptions& options) {
  check(options);
  Context report{.learn = learn, .data = learn.data(), .options = options};
  if (report.data.is_empty() && !has_items(report.data, options.ds_type)) {
    throw DataError("data.empty",
                    "a report needs items, and this learner's data has none: give it some by "
                    "set_data");
  }
  // Heat maps and predictions leave the layers in the modes they had.
  const EvaluationMode evaluation(learn.model());
  read_recorder(report);
  predict(report);
  std::vector<Section> sections;
  const auto add = [&](const char* id, const char* title, std::string html) {
    report.look_for_stop();
    if (!html.empty()) sections.push_back({id, title, std::move(html)});
  };
  const bool classes = report.interp && report.interp->pred_class().defined();
  add("summary", "Summary", summary_html(report));
  add("data", "Data", data_html(report));
  add("batch", "A batch as the network sees it", batch_html(report));
  add("model", "Model", model_html(report));
  add("training", "Training", training_html(report));
  add("lr", "Learning rate finder", lr_find_html(report));
  add("confusion", "Confusion", classes ? confusion_html(report) : std::string());
  add("top-losses", "Top losses", top_losses_html(report));
  add("importance", "Importance of columns", importance_html(report));
  add("classes", "Precision and recall", classes_html(report));
  add("numbers", "Predicted and actual numbers", numbers_html(report));
  add("calibration", "Calibration", calibration_html(report));
  add("timings", "Timings", timings_html(report));
  const auto head = fmt::format("<p class=\"meta\">Written {} by fastcpp {}.{}.{}, LibTorch {}</p>",
                                written_at(), FASTCPP_VERSION_MAJOR, FASTCPP_VERSION_MINOR,
                                FASTCPP_VERSION_PATCH, TORCH_VERSION);
  return page_html(options.title, head, sections);
}

}  // namespace

std::string Context::class_name(std::int64_t cls) const {
  const auto& names = data.classes();
  const auto i = static_cast<std::size_t>(cls);
  return i < names.size() ? names[i] : std::to_string(cls);
}

std::string Context::item_name(std::int64_t index) const {
  if (rows) return rows->item_name(index);
  if (!pictures) return fmt::format("item {}", index);
  return relative_below(pictures->item_name(index), data.path());
}

Picture Context::picture(std::int64_t index) const {
  Rng rng(0);
  return to_picture(pictures->get(index, rng).x.one("a picture"));
}

std::string Context::truth(std::int64_t index) const {
  const Labels& labels = pictures ? *pictures->list().y : *data.labels();
  const auto text = labels.target_text(interp->y_true()[index]);
  return text.empty() ? "none" : text;
}

std::string Context::prediction(std::int64_t index) const {
  const auto text = to_prediction(*data.labels(), interp->preds()[index]).category;
  return text.empty() ? "none" : text;
}

void Context::look_for_stop() const {
  if (!options.stop.stop_requested()) return;
  throw TrainError("train.stopped", "the report was stopped; no file was written");
}

}  // namespace report_detail

Path Learner::report(const Path& file) {
  return report(file, {});
}

Path Learner::report(const Path& file, const ReportOptions& options) {
  return boundary([&] {
    const auto target = path() / file;
    write_file(target, report_detail::html_of(*this, options));
    return target;
  });
}

}  // namespace fastcpp
