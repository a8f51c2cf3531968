/// \file
/// From rows of a table to what a network takes in.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/tabular/processors.hpp"

namespace fastcpp::inline v0 {

/// Rows as a network takes them in.
struct TabularItems {
  torch::Tensor
      codes;  ///< n x categories, int64: 0 is `#na#`, else 1 + the position among the categories
  torch::Tensor conts;  ///< n x numbers, float32
};

/// What was learnt from the rows that train: names of columns, categories, the fitted steps (fastai: `TabularProcessor`). Never
/// changes once it is fitted: const calls by any number of threads at once. Copies share what was learnt.
class FASTCPP_API TabularProcessor {
 public:
  /// Categories of one column.
  struct Categories {
    std::vector<Cell> cells;           ///< their values, without `#na#`
    std::vector<std::string> classes;  ///< their texts as Python prints them, `#na#` first
  };

  /// A column that a row needs.
  struct Input {
    std::string name;                 ///< of the column
    bool categories = false;          ///< or numbers
    std::vector<Cell> cells = {};     ///< of categories: the known values
    std::optional<double> mean = {};  ///< of numbers: what Normalize learnt
  };

  /// Fits the steps, in their order, on the rows that train.
  /// \param cat_names columns of categories
  /// \param cont_names columns of numbers
  /// \param procs usually FillMissing, Categorify, Normalize
  /// \param items gets the rows
  /// \throws ValueError `value.procs` on an order that cannot be right, `value.names` on a column named twice; DataError
  ///   `data.no_column`, `data.not_categories` on a column of categories without Categorify, and what the steps throw
  TabularProcessor(const Table& train, std::vector<std::string> cat_names,
                   std::vector<std::string> cont_names, const std::vector<TabularProcArg>& procs,
                   TabularItems* items = nullptr);

  /// Other rows by what was learnt. Columns beyond those that are needed are left out of account.
  /// \throws DataError `data.no_column` naming it, `data.missing_value`, `data.not_a_number`
  TabularItems process(const Table& table) const;
  /// One row: {codes (categories), conts (numbers)} (fastai: `process_one`).
  /// \throws as `process`
  Tensors process_one(const TabularRow& row) const;

  /// The columns that a row needs: categories, then numbers, as they were named.
  std::vector<Input> inputs() const;
  /// Columns of categories: those that were named, then those that steps added.
  const std::vector<std::string>& cat_names() const { return learnt_->cat_names; }
  /// Columns of numbers.
  const std::vector<std::string>& cont_names() const { return learnt_->cont_names; }
  /// Both.
  std::vector<std::string> col_names() const;
  /// Categories by column (fastai: `classes`).
  const std::map<std::string, Categories>& categories() const { return learnt_->categories; }
  /// The texts of a column's classes, `#na#` first, in the order of the codes (fastai: `classes[name]`).
  /// \throws DataError `data.no_column`
  const std::vector<std::string>& classes(const std::string& name) const;
  /// The code of a value, found by what it is or else by its text; nothing where there is none.
  /// \throws DataError `data.no_column`
  std::optional<std::int64_t> code(const std::string& name, const Cell& value) const;
  /// The fitted steps.
  const std::vector<std::shared_ptr<const TabularProc>>& procs() const { return learnt_->procs; }

  /// One row in words (fastai: `TabularLine`): `workclass  Private; age 0.9915; `.
  std::string line(const torch::Tensor& codes, const torch::Tensor& conts) const;
  /// The cells of a row: texts of the classes, then numbers with four decimals.
  std::vector<std::string> cells(const torch::Tensor& codes, const torch::Tensor& conts) const;

  /// All of it for a file; of what JSON holds.
  Value state() const;
  /// From such a state.
  /// \throws ValueError `value.unknown_recipe` on a step that nobody registered; FormatError `model.bad_file`
  static TabularProcessor from_state(const Value& state);

 private:
  struct Learnt {
    std::vector<std::string> given_cats, given_conts;  // as named, before steps added some
    std::vector<std::string> cat_names, cont_names;
    std::map<std::string, Categories> categories;
    std::vector<std::shared_ptr<const TabularProc>> procs;
  };
  TabularProcessor() = default;
  TabularItems gathered(TabularFrame& frame) const;

  std::shared_ptr<const Learnt> learnt_;
};

/// How a row is handed to a network.
enum class TabularInput {
  kMatrices,  ///< two tensors: codes of the categories, numbers
  kColumns,   ///< a tensor for each column of categories: users and items of ratings
};

/// Reads rows (TabularRow, or a Table of one row) as a network takes them in. A file calls it `tabular`, or `collab` with a tensor
/// for each column; its options are the processor's state.
FASTCPP_API ItemReader tabular_reader(const TabularProcessor& processor,
                                      TabularInput input = TabularInput::kMatrices);

}  // namespace fastcpp
