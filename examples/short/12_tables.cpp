// A table: categories and numbers, some of them missing, and what is to be told from them.
//
//   12_tables [adult.csv]
//
// Without a file it makes a table up: who earns more than 50,000 a year, by age, hours and work.
#include <iostream>

#include "fastcpp/tabular.hpp"
#include "fastcpp/train.hpp"

using namespace fastcpp;

namespace {

Table made_up() {
  Rng rng(1);
  const std::vector<std::string> works{"office", "farm", "ship", "school"};
  std::vector<Cell> age, hours, work, salary;
  for (int row = 0; row < 2000; ++row) {
    const auto years = rng.integer(17, 70);
    const double week = rng.uniform(10, 60);
    const auto kind = rng.integer(0, 3);
    age.emplace_back(years);
    hours.emplace_back(rng.chance(0.1) ? Cell() : Cell(week));
    work.emplace_back(works[static_cast<std::size_t>(kind)]);
    const double much = 0.04 * static_cast<double>(years) + 0.05 * week + (kind == 0 ? 1.5 : 0);
    salary.emplace_back(much + rng.normal() > 4.5 ? ">=50k" : "<50k");
  }
  return Table({{"age", age}, {"hours", hours}, {"work", work}, {"salary", salary}});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto table = argc > 1 ? Table::read_csv(argv[1]) : made_up();
    // Which columns are numbers follows from the table; what is to be told is neither.
    const auto [cont_names, cat_names] = cont_cat_split(table, {.dep_var = {"salary"}});
    const auto data =
        TabularList::from_df(
            table, {.cat_names = cat_names,
                    .cont_names = cont_names,
                    .procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
                    .path = "short-out/tables"})
            .split_by_rand_pct(0.2, 42)
            .label_from_df("salary")
            .databunch();
    std::cout << data.show_batch(4) << '\n';

    auto learn = tabular_learner(data, {.layers = {200, 100}, .metrics = {accuracy}});
    learn.fit_one_cycle(3, 1e-2);
    // A row as it stands in the table; a category that was never seen, or a hole, is no trouble.
    std::cout << "row 0: " << learn.predict(table.row(0)).category << '\n';
    std::cout << "written to " << learn.export_model("salary.fastcpp").string() << '\n';
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
