// A little table and a few ratings.
#pragma once

#include <string>
#include <vector>

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"

namespace fastcpp::test {

// Kinds and ages of animals, of which some are missing, and who sleeps by day.
inline Table animals() {
  std::string csv = "kind,age,weight,asleep\n";
  for (int i = 0; i < 60; ++i) {
    const bool owl = i % 3 == 0;
    csv += owl ? "owl," : i % 3 == 1 ? "hen," : "cat,";
    csv += i % 7 == 0 ? "" : std::to_string(i % 9);
    csv += "," + std::to_string(0.5 * (i % 11)) + (owl ? ",yes\n" : ",no\n");
  }
  return Table::parse_csv(csv);
}

struct AnimalColumns {
  std::string target = "asleep";
  std::vector<std::string> cats = {"kind"}, conts = {"age", "weight"};
};

inline TabularDataBunch animal_data(const Path& path, const AnimalColumns& columns = {}) {
  return TabularDataBunch::from_df(
      path, animals(), columns.target, {0, 1, 2, 3, 4, 5, 6, 7},
      {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
       .cat_names = columns.cats,
       .cont_names = columns.conts,
       .bs = 16,
       .device = torch::kCPU,
       .seed = 3});
}

// Stars that eight users give five films.
inline CollabDataBunch rating_data(const Path& path) {
  std::string csv = "user,film,stars\n";
  for (int i = 0; i < 80; ++i) {
    csv += std::to_string(i % 8) + ",film " + std::to_string(i % 5) + "," +
           std::to_string(1 + (i % 8 + i % 5) % 5) + "\n";
  }
  return CollabDataBunch::from_df(
      Table::parse_csv(csv),
      {.seed = 1, .path = path, .bs = 16, .device = torch::kCPU, .order_seed = 2});
}

}  // namespace fastcpp::test
