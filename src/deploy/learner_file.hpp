// The file that Learner::export_model writes, taken apart.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "deploy/batch_reader.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

constexpr const char* kLearnerFormat = "fastcpp learner";
constexpr int kLearnerVersion = 1;

struct LearnerFile {
  Model model;  // in evaluation mode, on the CPU
  std::shared_ptr<const Labels> labels;
  Loss loss;
  std::optional<BatchReader::Pictures> pictures;
  std::optional<Stats> stats;
  std::vector<torch::ScalarType> dtypes;          // of a sample's tensors; empty: not known
  std::vector<std::vector<std::int64_t>> shapes;  // theirs, where they are several
  std::optional<Recipe> items;                    // of the reader of single items
};

// Throws FormatError naming the file, IoError.
LearnerFile read_learner_file(const Path& file);

// The model of a recipe, one of fastcpp's own or a registered one. Throws as make_model.
Model make_known_model(const Recipe& recipe);
// The same of the reader of items. Throws as make_item_reader.
ItemReader make_known_reader(const Recipe& recipe);

// Element types by their names, as `float32`.
Value dtype_names(const std::vector<torch::ScalarType>& dtypes);

// Whether a reader takes rows of a table.
bool reads_rows(const Recipe& items);

// How many numbers and bytes weights are, as the file says it beside them.
Value size_of(const StateDict& weights);

}  // namespace fastcpp
