// A million rows, and how long an epoch takes.
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <chrono>

#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double peak_megabytes() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

}  // namespace

// Figures for the documentation, on a quiet machine: see "long" in CONTRIBUTING.md.
TEST_CASE("a million rows of 15 columns", "[.long]") {
  at::set_num_threads(1);
  const TempDir dir;
  std::string csv = "target";
  for (int c = 0; c < 7; ++c) csv += ",cat" + std::to_string(c) + ",num" + std::to_string(c);
  csv += '\n';
  std::uint64_t state = 1;
  const auto draw = [&](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  for (int row = 0; row < 1000000; ++row) {
    csv += draw(2) ? "yes" : "no";
    for (int c = 0; c < 7; ++c) {
      csv += ",value " + std::to_string(draw(20 + 30 * static_cast<std::uint64_t>(c)));
      csv += draw(50) ? "," + std::to_string(draw(100000)) + ".25" : ",";
    }
    csv += '\n';
  }
  write_file(dir / "large.csv", csv);
  csv = {};
  const double before = peak_megabytes();
  std::optional<TabularDataBunch> data;
  const double loading = seconds_of([&] {
    std::vector<std::int64_t> valid(10000);
    for (std::size_t i = 0; i < valid.size(); ++i) valid[i] = static_cast<std::int64_t>(100 * i);
    std::vector<std::string> cats;
    for (int c = 0; c < 7; ++c) cats.push_back("cat" + std::to_string(c));
    data = TabularDataBunch::from_df(
        dir.path(), Table::read_csv(dir / "large.csv"), "target", valid,
        {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
         .cat_names = cats,
         .bs = 64,
         .device = torch::kCPU});
  });
  const double peak = peak_megabytes() - before;
  const double walking = seconds_of([&] {
    std::int64_t rows = 0;
    for (auto& batch : data->train_dl()) rows += batch.x.length();
    CHECK(rows == 990000 / 64 * 64);
  });
  auto learn = tabular_learner(*data, {.layers = {200, 100}, .silent = true});
  const double training = seconds_of([&] { learn.fit(1, 1e-2); });
  WARN("from CSV to loaders " << loading << " s, " << peak
                              << " MB at the peak; a pass of the loader " << walking
                              << " s, an epoch " << training << " s");
  CHECK(data->train().size() == 990000);
}
