// What the copies of a bunch share. Private to the room.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/io/recipe.hpp"

namespace fastcpp::inline v0 {

struct DataBunch::Impl {
  DataBunchOptions options;
  Path path;
  torch::Device device = torch::kCPU;
  std::optional<DataLoader> train, valid, fix, test, single;
  std::shared_ptr<const Labels> labels;
  std::shared_ptr<const Dataset> empty_valid;  // one without items, for the printed form
  std::optional<Stats> stats;
  ItemReader reader;
  std::shared_ptr<const Recipe> reader_recipe;  // null where nobody said

  // Whether x is a batch of samples, by the shape that the training set says they have.
  bool is_batch(const torch::Tensor& x) const;

  std::vector<DataLoader*> loaders() {
    std::vector<DataLoader*> all;
    for (auto* loader : {&train, &valid, &fix, &single, &test}) {
      if (*loader) all.push_back(&**loader);
    }
    return all;
  }
};

}  // namespace fastcpp
