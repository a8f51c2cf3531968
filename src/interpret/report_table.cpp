// Rows of a table: in words, what was learnt of its columns, and which of them count.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "fastcpp/core/text.hpp"
#include "fastcpp/interpret/feature_importance.hpp"
#include "interpret/report_parts.hpp"

namespace fastcpp::inline v0::report_detail {
namespace {

constexpr std::size_t kMostTableColumns = 500;  // that are listed

std::string general(double value) {
  return fmt::format("{:g}", value);
}

// What steps that were fitted say of a column of numbers; a dash where none says anything.
template <typename Proc, typename Values>
std::string said_of(const TabularProcessor& processor, const std::string& name, Values values) {
  for (const auto& proc : processor.procs()) {
    const auto* fitted = dynamic_cast<const Proc*>(proc.get());
    if (!fitted) continue;
    const auto found = (fitted->*values)().find(name);
    if (found != (fitted->*values)().end()) return general(found->second);
  }
  return "\u2013";
}

}  // namespace

std::string rows_html(const std::string& caption, const TabularDataset& set,
                      const std::vector<std::int64_t>& rows, const std::vector<SideColumn>& before,
                      const std::vector<SideColumn>& after) {
  std::vector<fastcpp::Column> first, last;
  const auto cells_of = [](const SideColumn& column) {
    return std::vector<Cell>(column.cells.begin(), column.cells.end());
  };
  for (const auto& column : before) first.emplace_back(column.name, cells_of(column));
  for (const auto& column : after) last.emplace_back(column.name, cells_of(column));
  const auto words = set.in_words(rows, first, last);
  const auto cats = set.processor().cat_names().size(), conts = set.processor().cont_names().size();
  std::vector<Column> columns;
  for (std::size_t c = 0; c < words.columns().size(); ++c) {
    const auto inner = c - before.size();  // among the table's own, where it is one
    const bool numeric = c < before.size()       ? before[c].numeric
                         : inner >= cats + conts ? after[inner - cats - conts].numeric
                                                 : inner >= cats;
    columns.push_back({words.columns()[c].name(), numeric});
  }
  std::vector<std::vector<std::string>> html_rows(rows.size());
  for (const auto& column : words.columns()) {
    for (std::size_t row = 0; row < rows.size(); ++row) {
      html_rows[row].push_back(html_text(std::string(column.raw(static_cast<std::int64_t>(row)))));
    }
  }
  return "<div class=\"cells\">" + table_html(caption, columns, html_rows) + "</div>\n";
}

std::string columns_html(const Context& report) {
  const auto* set = tabular_dataset(report.data.train_ds());
  if (!set) return {};
  const auto& processor = set->processor();
  const bool numbers = !processor.cont_names().empty();
  std::vector<Column> columns{{"Column", false}, {"Categories"}};
  if (numbers) {
    for (const char* name : {"Mean", "Standard deviation", "Instead of holes"}) {
      columns.push_back({name});
    }
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& name : processor.cat_names()) {
    const auto classes = static_cast<std::int64_t>(processor.classes(name).size()) - 1;  // #na#
    rows.push_back({html_text(name), whole(classes)});
    if (numbers) rows.back().resize(columns.size(), "\u2013");
  }
  for (const auto& name : processor.cont_names()) {
    rows.push_back(
        {html_text(name), "\u2013",
         said_of<tabular::Normalize>(processor, name, &tabular::Normalize::means),
         said_of<tabular::Normalize>(processor, name, &tabular::Normalize::stds),
         said_of<tabular::FillMissing>(processor, name, &tabular::FillMissing::na_dict)});
  }
  if (rows.empty()) return {};
  const auto all = rows.size();
  rows.resize(std::min(all, kMostTableColumns));
  auto html = "<h3>Columns</h3>\n" +
              table_html("Columns, as the training rows have them", columns, rows, Sortable::kYes);
  if (all > rows.size()) {
    html += paragraph(
        fmt::format("and {} columns more", whole(static_cast<std::int64_t>(all - rows.size()))));
  }
  return html;
}

std::string rows_of_batch_html(const Context& report, const TabularDataset& set,
                               const Batch& batch) {
  constexpr std::size_t kMost = 12;
  auto rows = batch.indices;
  rows.resize(std::min(rows.size(), kMost));
  std::vector<std::string> targets;
  for (const auto row : rows) targets.push_back(set.y()->text(row));
  const bool number = report.data.label_kind() == LabelKind::kFloat;
  return paragraph(fmt::format("Rows of the first batch, which has {}: categories in words, "
                               "numbers as they go in.",
                               whole(batch.x.length()))) +
         rows_html("First training rows", set, rows, {}, {{"target", number, targets}});
}

std::string worst_rows_html(const Context& report, const std::vector<std::int64_t>& rows) {
  const auto& interp = *report.interp;
  const bool classes = interp.pred_class().defined(),
             numbers = report.data.label_kind() == LabelKind::kFloat;
  SideColumn row_numbers{"Row", true, {}}, predictions{"Prediction", numbers, {}},
      actual{"Actual", numbers, {}}, losses{"Loss", true, {}},
      probabilities{"Probability", true, {}};
  for (const auto row : rows) {
    row_numbers.cells.push_back(std::to_string(row));
    const auto outputs = interp.preds()[row];
    const bool one_number = numbers && outputs.numel() == 1;
    predictions.cells.push_back(one_number ? number(outputs.item<double>())
                                           : report.prediction(row));
    actual.cells.push_back(report.truth(row));
    losses.cells.push_back(number(interp.losses()[row].item<double>(), 2));
    if (!classes) continue;
    const auto cls = interp.y_true()[row].item<std::int64_t>();
    probabilities.cells.push_back(number(interp.preds()[row][cls].item<double>(), 2));
  }
  std::vector<SideColumn> before{row_numbers, predictions, actual, losses};
  if (classes) before.push_back(probabilities);
  return rows_html("Rows with their losses", *report.rows, rows, before);
}

std::string importance_html(Context& report) {
  // So that a page of a large table is made soon.
  constexpr std::int64_t kMostRows = 10'000;
  constexpr std::size_t kListed = 100, kDrawn = 20;
  if (!report.rows || !report.interp || report.options.importance_repeats == 0) return {};
  const auto start = std::chrono::steady_clock::now();
  const auto found =
      FeatureImportance::from_learner(report.learn, {.ds_type = report.options.ds_type,
                                                     .repeats = report.options.importance_repeats,
                                                     .seed = 0,
                                                     .rows = kMostRows,
                                                     .stop = report.options.stop});
  report.importance_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (found.columns().empty()) return {};
  const bool several = report.options.importance_repeats > 1;
  std::vector<Column> columns{{"Column", false}, {"Growth of the loss"}};
  if (several) columns.push_back({"Standard deviation"});
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : found.columns()) {
    if (rows.size() == kListed) break;
    rows.push_back({html_text(one.column), number(one.importance)});
    if (several) rows.back().push_back(number(one.deviation));
  }
  const auto text = fmt::format(
      "The mean loss of {} is {}. Here is how much larger it becomes when the cells of one column "
      "change places at random{}. About 0: the model does without the column, or has the same from "
      "another one. What says where a column had holes goes with it.",
      report.rows->size() > kMostRows ? whole(kMostRows) + " rows" : std::string("these rows"),
      number(found.baseline()),
      several ? fmt::format(", the mean of {} times", report.options.importance_repeats) : "");
  auto html = paragraph(text) + "<div class=\"plots\">";
  const auto& first = found.columns().front();
  html += figure_html(found.plot({.k = static_cast<std::int64_t>(kDrawn)}),
                      fmt::format("Importance of columns. Most important: {}, {}.", first.column,
                                  number(first.importance)));
  html += table_html("Importance of columns", columns, rows, Sortable::kYes) + "</div>\n";
  if (found.columns().size() > rows.size()) {
    html += paragraph(
        fmt::format("and {} columns more",
                    whole(static_cast<std::int64_t>(found.columns().size() - rows.size()))));
  }
  return html;
}

}  // namespace fastcpp::report_detail
