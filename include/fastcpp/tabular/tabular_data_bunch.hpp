/// \file
/// Tables as loaders.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/label.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"

namespace fastcpp::inline v0 {

/// Options of `TabularLabelLists::databunch`, in fastai's order.
struct TabularDatabunchOptions {
  std::optional<Path> path = {};                ///< where models and logs go; absent: the list's
  std::int64_t bs = 64;                         ///< training batch size
  std::optional<std::int64_t> val_bs = {};      ///< absent: bs
  std::vector<BatchTransform> dl_tfms = {};     ///< run on every batch
  std::optional<torch::Device> device = {};     ///< absent: CUDA if there is a device, else CPU
  Collate collate_fn = {};                      ///< puts samples together; absent: whole batches
  std::optional<std::uint64_t> seed = {};       ///< decides the order; absent: `set_seed`'s
  bool shuffle = true;                          ///< a new order of the training rows every epoch
  std::shared_ptr<const Sampler> sampler = {};  ///< of the training rows, instead of a shuffle
};

/// Options of `TabularDataBunch::from_df`, in fastai's order.
struct TabularDataBunchOptions {
  std::vector<TabularProcArg> procs = {};   ///< usually FillMissing, Categorify, Normalize
  std::vector<std::string> cat_names = {};  ///< columns of categories
  /// Columns of numbers; absent: all that are neither categories nor the target, in the table's order
  std::optional<std::vector<std::string>> cont_names = {};
  std::optional<ClassNames> classes = {};  ///< of the target; absent: its distinct training values
  std::optional<Table> test_df = {};       ///< rows to predict; need no target
  LabelOptions labels = {};                ///< how the target is read
  std::int64_t bs = 64;                    ///< as in TabularDatabunchOptions, from here on
  std::optional<std::int64_t> val_bs = {};
  std::vector<BatchTransform> dl_tfms = {};
  std::optional<torch::Device> device = {};
  Collate collate_fn = {};
  std::optional<std::uint64_t> seed = {};
};

/// The first rows of a batch of a table's data in words: a column for each of the table's, and `target`.
/// \param rows >= 1; cut to a batch
/// \throws ValueError `value.rows`, `value.tabular_data` when they are no table; as DataBunch::dl
FASTCPP_API Table show_rows(const DataBunch& data, std::int64_t rows, DatasetType ds_type);

/// Loaders over rows of a table (fastai: `TabularDataBunch`). A handle as DataBunch; batches are {codes, numbers}, taken from
/// the table in memory without threads.
class FASTCPP_API TabularDataBunch : public DataBunch {
 public:
  /// Rows of a table, some of which validate.
  /// \param path      folder that models and results go below
  /// \param dep_var   column of the target, or several
  /// \param valid_idx rows that validate, counted from 0, in this order
  /// \throws ValueError `value.index`; DataError `data.no_column`, `data.missing_value`, `data.empty`; as TabularProcessor
  static TabularDataBunch from_df(const Path& path, const Table& df, const ColumnIds& dep_var,
                                  const std::vector<std::int64_t>& valid_idx,
                                  const TabularDataBunchOptions& options = {});

  /// Of rows that are processed already; valid and test may be null.
  static TabularDataBunch make_bunch(std::shared_ptr<const TabularDataset> train,
                                     std::shared_ptr<const TabularDataset> valid,
                                     std::shared_ptr<const TabularDataset> test, const Path& path,
                                     const TabularDatabunchOptions& options);

  /// The rows that train: their matrices, and what was learnt from them. Live as long as any copy of the bunch.
  const TabularDataset& train() const;
  /// What was learnt from the rows that train; lives as long.
  const TabularProcessor& processor() const { return train().processor(); }
  /// Columns of categories, those that FillMissing added too.
  const std::vector<std::string>& cat_names() const { return processor().cat_names(); }
  /// Columns of numbers.
  const std::vector<std::string>& cont_names() const { return processor().cont_names(); }
  /// Both.
  std::vector<std::string> col_names() const { return processor().col_names(); }
  /// See fastcpp::get_emb_szs.
  std::vector<std::pair<std::int64_t, std::int64_t>> get_emb_szs(
      const std::map<std::string, std::int64_t>& sz_dict = {}) const;
  /// The first rows of a batch in words: a column for each of the table's, and `target` (fastai: `show_batch`). Print it, write
  /// it as CSV, or draw it by `table_figure`.
  /// \param rows >= 1; cut to a batch
  /// \throws ValueError `value.rows`; as `dl`
  Table show_batch(std::int64_t rows = 5, DatasetType ds_type = DatasetType::Train) const;

 private:
  explicit TabularDataBunch(DataBunch bunch) : DataBunch(std::move(bunch)) {}
};

}  // namespace fastcpp
