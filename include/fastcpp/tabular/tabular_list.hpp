/// \file
/// The data block of tables: rows that are split, labelled and processed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/item_list.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"

namespace fastcpp::inline v0 {

class TabularLabelLists;

/// Options of `TabularList::from_df`, in fastai's order.
struct TabularListOptions {
  std::vector<std::string> cat_names = {};   ///< columns of categories
  std::vector<std::string> cont_names = {};  ///< columns of numbers
  std::vector<TabularProcArg> procs = {};    ///< usually FillMissing, Categorify, Normalize
  Path path = ".";                           ///< what models and results are below
};

/// Options of `TabularList::from_csv`.
struct TabularListCsvOptions {
  std::vector<std::string> cat_names = {};   ///< columns of categories
  std::vector<std::string> cont_names = {};  ///< columns of numbers
  std::vector<TabularProcArg> procs = {};    ///< as in TabularListOptions
  ReadCsvOptions csv = {};                   ///< how the file is read
};

/// Rows of a table before the split (fastai: `TabularList`). Items are called by their number. The table is shared and never
/// changes: what processors do, they do to copies. Lifetime and threads as ItemListBase.
class FASTCPP_API TabularList : public ItemList<TabularList> {
 public:
  /// What labelling gives.
  using LabelLists = TabularLabelLists;

  /// \throws DataError `data.empty` without rows, `data.no_column`
  static TabularList from_df(const Table& df, const TabularListOptions& options = {});
  /// The file `path / csv_name`.
  /// \throws as Table::read_csv, and `from_df`
  static TabularList from_csv(const Path& path, const Path& csv_name,
                              const TabularListCsvOptions& options = {});

  /// How rows are processed.
  const TabularListOptions& options() const { return *options_; }
  /// Row i as it stands in the table (fastai: `list[i]`); negative i count from the end.
  /// \throws ValueError `value.index`
  TabularRow get(std::int64_t i) const;
  /// fastai's printed form: how many, the first five, the folder.
  std::string str() const;
  /// Calls the rows by their places in this list.
  void number_items() { number(); }

 private:
  TabularList(Paths items, const Table& df, const TabularListOptions& options);
  std::shared_ptr<const TabularListOptions> options_;
};

/// Rows that are split, labelled and processed (fastai: `LabelLists`): the steps learn from the rows that train. A value; used
/// from one thread at a time.
class FASTCPP_API TabularLabelLists {
 public:
  /// Of a list that was split and labelled.
  /// \throws as TabularProcessor
  TabularLabelLists(const TabularList& list, const fastcpp::LabelLists& lists);

  /// Rows that train.
  const TabularDataset& train() const { return *train_; }
  /// Rows that validate.
  const TabularDataset& valid() const { return *valid_; }
  /// Rows to predict; null when there are none.
  const TabularDataset* test() const { return test_.get(); }
  /// What was learnt from the rows that train.
  const TabularProcessor& processor() const { return train_->processor(); }
  /// The folder that they belong to.
  const Path& path() const { return path_; }

  /// Rows to predict, without labels or with one for all (fastai: `add_test`).
  /// \throws as TabularProcessor::process
  TabularLabelLists& add_test(const Table& items, const std::optional<Label>& label = {}) &;
  /// \overload
  TabularLabelLists add_test(const Table& items, const std::optional<Label>& label = {}) && {
    return std::move(add_test(items, label));
  }

  /// The loaders (fastai: `databunch`).
  /// \throws ValueError as DataLoader
  TabularDataBunch databunch(const TabularDatabunchOptions& options = {}) const;

  /// fastai's printed form.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const TabularLabelLists& x) {
    return to << x.str();
  }

 private:
  std::shared_ptr<const TabularDataset> train_, valid_, test_;
  Path path_;
};

}  // namespace fastcpp
