// The page of a table and of ratings.
#include <torch/types.h>

#include <fmt/format.h>

#include <filesystem>
#include <limits>

#include "deploy/small_tables.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/interpret/feature_importance.hpp"
#include "fastcpp/interpret/report.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/tabular/tabular_list.hpp"
#include "interpret/page.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// From the section's beginning to its end.
std::string section_of(const std::string& html, const std::string& id) {
  const auto start = html.find("<section id=\"" + id + "\"");
  REQUIRE(start != std::string::npos);
  return html.substr(start, html.find("</section>", start) - start);
}

Learner animal_learner(const DataBunch& data) {
  auto learn = tabular_learner(data, {.layers = {8}, .silent = true});
  learn.fit(2, 1e-2);
  return learn;
}

}  // namespace

TEST_CASE("the report of a table shows rows, columns and their importance") {
  TempDir dir;
  auto learn = animal_learner(animal_data(dir.path()));
  const auto html = page_of(learn);
  check_page(html);
  for (const char* id : {"summary", "data", "batch", "model", "training", "confusion", "top-losses",
                         "importance", "classes", "calibration", "timings"}) {
    INFO(id);
    CHECK(has_section(html, id));
  }
  CHECK_FALSE(has_part(html, "<img "));
  CHECK_FALSE(has_part(html, "opens its pictures"));
  const auto data = section_of(html, "data");
  CHECK(has_part(data, "<h3>Columns</h3>"));
  CHECK(has_part(data, "<td>kind</td><td class=\"n\">3</td>"));
  // The median of the ages stands in for those that are missing.
  CHECK(has_part(data, "<td>age</td>"));
  CHECK(has_part(data, "Instead of holes"));
  const auto batch = section_of(html, "batch");
  CHECK(count(batch, "<tr>") == 1 + 12);
  for (const char* name : {"kind", "age_na", "age", "weight", "target"}) {
    CHECK(has_part(batch, std::string(">") + name + "</th>"));
  }
  const auto interp = ClassificationInterpretation::from_learner(learn);
  const auto worst = interp.plot_tab_top_losses(12);
  const auto top = section_of(html, "top-losses");
  CHECK(count(top, "<tr>") == 1 + static_cast<std::size_t>(worst.rows()));
  for (std::int64_t row = 0; row < worst.rows(); ++row) {
    std::string cells;
    for (const char* name : {"Prediction", "Actual"}) {
      cells += "<td>" + std::string(worst[name].raw(row)) + "</td>";
    }
    CHECK(
        has_part(top, cells + "<td class=\"n\">" + std::string(worst["Loss"].raw(row)) + "</td>"));
  }
  // What a cell of the matrix opens are rows too.
  CHECK(has_part(section_of(html, "confusion"), ">weight</th>"));

  const auto importance = section_of(html, "importance");
  const auto found = FeatureImportance::from_learner(learn, {.repeats = 3, .seed = 0});
  REQUIRE(found.columns().size() == 3);
  CHECK(count(importance, "<tr>") == 1 + 3);
  for (const auto& one : found.columns()) {
    CHECK(has_part(importance, fmt::format("<td>{}</td><td class=\"n\">{:.4f}</td>"
                                           "<td class=\"n\">{:.4f}</td>",
                                           one.column, one.importance, one.deviation)));
  }
  CHECK(has_part(importance, "aria-label=\"Importance of columns. Most important: " +
                                 found.columns()[0].column));
  CHECK(has_part(section_of(html, "timings"), "Importance of columns of this page"));

  CHECK_FALSE(has_section(page_of(learn, {.importance_repeats = 0}), "importance"));
  CHECK_FALSE(has_part(section_of(page_of(learn, {.importance_repeats = 1}), "importance"),
                       "Standard deviation"));
  CHECK(caught([&] { learn.report("no.html", {.importance_repeats = -1}); }).code ==
        "value.report");
  CHECK(caught([&] { learn.report("no.html", {.importance_repeats = 101}); }).code ==
        "value.report");
  std::stop_source stop;
  stop.request_stop();
  CHECK(caught([&] { learn.report("no.html", {.stop = stop.get_token()}); }).code ==
        "train.stopped");
  CHECK_FALSE(std::filesystem::exists(dir.path() / "no.html"));
}

TEST_CASE("the report of numbers and of ratings shows how far they are off") {
  TempDir dir;
  auto weights = animal_learner(
      animal_data(dir.path(), {.target = "weight", .cats = {"kind", "asleep"}, .conts = {"age"}}));
  const auto html = page_of(weights);
  check_page(html);
  for (const char* id : {"batch", "top-losses", "importance", "numbers"}) {
    INFO(id);
    CHECK(has_section(html, id));
  }
  CHECK(count(html, "aria-label=\"How often numbers were missed by how much: by ") == 1);
  CHECK(count(section_of(html, "importance"), "<tr>") == 1 + 3);

  auto ratings = collab_learner(rating_data(dir.path()), {.n_factors = 4, .silent = true});
  ratings.fit(1, 1e-2);
  const auto page = page_of(ratings);
  check_page(page);
  CHECK(count(section_of(page, "importance"), "<tr>") == 1 + 2);
  CHECK(has_part(section_of(page, "top-losses"), ">film</th>"));
  CHECK(has_part(section_of(page, "batch"), ">user</th>"));
}

TEST_CASE("texts of a table cannot break a report, nor a network that broke") {
  TempDir dir;
  std::string csv = "<i>name,b&\"x,target\n";
  for (int i = 0; i < 40; ++i) {
    csv += fmt::format("<b>&'{}</b>,{},{}\n", i % 3, i % 5, i % 2 == 0 ? "<script>" : "no");
  }
  const auto data =
      TabularDataBunch::from_df(dir.path(), Table::parse_csv(csv), "target", {0, 1, 2, 3, 4, 5},
                                {.procs = {tabular::Categorify(), tabular::Normalize()},
                                 .cat_names = {"<i>name"},
                                 .cont_names = {{"b&\"x"}},
                                 .bs = 8,
                                 .device = torch::kCPU});
  auto learn = tabular_learner(data, {.layers = {4}, .silent = true});
  const auto html = page_of(learn);
  check_page(html);
  CHECK(has_section(html, "importance"));
  CHECK(has_part(html, "&lt;b&gt;&amp;&#39;1&lt;/b&gt;"));
  CHECK_FALSE(has_part(html, "<i>name"));
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : learn.model()->parameters()) {
      parameter.fill_(std::numeric_limits<float>::quiet_NaN());
    }
  }
  check_page(page_of(learn));
}

TEST_CASE("rows without targets have a report without results") {
  TempDir dir;
  const auto data = TabularDataBunch::from_df(
      dir.path(), animals(), "asleep", {0, 1, 2},
      {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
       .cat_names = {"kind"},
       .cont_names = {{"age", "weight"}},
       .test_df = animals(),
       .bs = 16,
       .device = torch::kCPU});
  auto learn = tabular_learner(data, {.layers = {4}, .silent = true});
  const auto html = page_of(learn, {.ds_type = DatasetType::Test});
  check_page(html);
  CHECK(has_part(html, "Without results. These items have no labels"));
  CHECK_FALSE(has_section(html, "importance"));
}
