/// \file
/// Ratings of items by users, as loaders.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"

namespace fastcpp::inline v0 {

/// Options of `CollabDataBunch::from_df`, in fastai's order.
struct CollabDataBunchOptions {
  double valid_pct = 0.2;                       ///< share of the ratings that validate, [0, 1)
  std::optional<std::string> user_name = {};    ///< column of the users; absent: the first
  std::optional<std::string> item_name = {};    ///< column of the items; absent: the second
  std::optional<std::string> rating_name = {};  ///< column of the ratings; absent: the third
  std::optional<Table> test = {};               ///< users and items to guess for
  std::optional<std::int64_t> seed = {};        ///< of the split; absent: `set_seed`'s
  Path path = ".";                              ///< what models and results are below
  std::int64_t bs = 64;                         ///< as in TabularDatabunchOptions, from here on
  std::optional<std::int64_t> val_bs = {};
  std::vector<BatchTransform> dl_tfms = {};
  std::optional<torch::Device> device = {};
  Collate collate_fn = {};
  std::optional<std::uint64_t> order_seed = {};  ///< decides the order; absent: `set_seed`'s
  bool shuffle = true;
};

/// Loaders over ratings (fastai: `CollabDataBunch`). Batches are {codes of users, codes of items} and float32 ratings; a user or
/// an item that no training row has is `#na#`, code 0. A handle as DataBunch, with its lifetime and threads.
class FASTCPP_API CollabDataBunch : public DataBunch {
 public:
  /// \param ratings a row for each; further columns are left out of account
  /// \throws DataError `data.no_column`, `data.missing_value` on a missing rating, `data.not_a_number`, `data.empty`; ValueError
  ///   `value.valid_pct`, `value.seed`
  static CollabDataBunch from_df(const Table& ratings, const CollabDataBunchOptions& options = {});
  /// The same of a file.
  /// \throws as Table::read_csv, and `from_df`
  static CollabDataBunch from_csv(const Path& csv, const ReadCsvOptions& read = {},
                                  const CollabDataBunchOptions& options = {});

  /// The ratings that train. Live as long as any copy of the bunch.
  const TabularDataset& train() const { return *tabular_dataset(*fix_dl().dataset()); }
  /// What was learnt from them: the categories of users and items.
  const TabularProcessor& processor() const { return train().processor(); }
  /// The first ratings of a batch in words (fastai: `show_batch`).
  /// \throws ValueError `value.rows`; as `dl`
  Table show_batch(std::int64_t rows = 5, DatasetType ds_type = DatasetType::Train) const;

 private:
  explicit CollabDataBunch(DataBunch bunch) : DataBunch(std::move(bunch)) {}
};

}  // namespace fastcpp
