/// \file
/// Which items train and which validate.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/paths.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Which items train and which validate, as indices.
struct Split {
  std::vector<std::int64_t> train = {};  ///< indices of the items that train
  std::vector<std::int64_t> valid = {};  ///< indices of the items that validate
};

/// Everything trains (fastai: `split_none`).
/// \param n number of items, here and below
FASTCPP_API Split split_none(std::int64_t n);

/// Random split (fastai: `split_by_rand_pct`): validation takes the first `int(valid_pct * n)` indices of NumPy's seeded
/// permutation in that order, training the rest in ascending order.
/// \param valid_pct share for validation, 0 <= valid_pct <= 1
/// \param seed      as given to `numpy.random.seed`, 0..2^32-1
/// \throws ValueError `value.valid_pct`, `value.seed`
FASTCPP_API Split split_by_rand_pct(std::int64_t n, double valid_pct, std::int64_t seed);

/// Random shares (fastai: `split_subsets`): the first `int(train_size * n)` of NumPy's permutation train, the last
/// `int(valid_size * n)` validate.
/// \param train_size share, 0 < train_size < 1; likewise valid_size; together at most 1
/// \throws ValueError `value.share`, `value.seed`
FASTCPP_API Split split_subsets(std::int64_t n, double train_size, double valid_size,
                                std::int64_t seed);

/// Given items validate, in the given order; all others train, ascending (fastai: `split_by_idx`).
/// \throws ValueError `value.index` when there is no such item; negative ones are none
FASTCPP_API Split split_by_idx(std::int64_t n, const std::vector<std::int64_t>& valid_idx);

/// Given items, order and repeats kept (fastai: `split_by_idxs`).
/// \throws ValueError `value.index`
FASTCPP_API Split split_by_idxs(std::int64_t n, std::vector<std::int64_t> train_idx,
                                std::vector<std::int64_t> valid_idx);

/// Split by folders below `path` (fastai: `split_by_folder`); items in neither folder are left out, and when both are the
/// same its items are in both parts. A folder may be written `train/`, `./train`, nested or absolute; an absolute one holds
/// the items of a relative path too.
FASTCPP_API Split split_by_folder(const Paths& items, const Path& path,
                                  const std::string& train = "train",
                                  const std::string& valid = "valid");

/// Items for which `func` is true validate (fastai: `split_by_valid_func`).
FASTCPP_API Split split_by_valid_func(const Paths& items,
                                      const std::function<bool(const Path&)>& func);

/// Files whose name, without folders, is among `valid_names` validate (fastai: `split_by_files`).
FASTCPP_API Split split_by_files(const Paths& items, const std::vector<std::string>& valid_names);

/// The same with the names in a text file, one a line, blanks around them left out (fastai: `split_by_fname_file`).
/// \throws IoError `io.cannot_read`
FASTCPP_API Split split_by_fname_file(const Paths& items, const Path& file);

/// Rows whose cell is true, or a number other than 0, validate (fastai: `split_from_df`).
/// \throws DataError `data.no_column`, `data.missing_value` naming the row, `data.not_boolean` on texts
FASTCPP_API Split split_from_df(const Table& table, const ColumnId& col = 2);

/// Each item trains if NumPy's uniform number is above `valid_pct` (fastai: `core.random_split`); the counts vary.
/// \throws ValueError `value.valid_pct`, `value.seed`
FASTCPP_API Split random_split(double valid_pct, std::int64_t n, std::int64_t seed);

/// The items that a random sample keeps, in permuted order: `int(sample_pct * n)` of them (fastai: `use_partial_data`).
/// \throws ValueError `value.share`, `value.seed`
FASTCPP_API std::vector<std::int64_t> partial_sample(std::int64_t n, double sample_pct,
                                                     std::int64_t seed);

/// The items whose uniform number of Python's generator is below `p`, in order (fastai: `filter_by_rand`).
/// \throws ValueError `value.share`, `value.seed`
FASTCPP_API std::vector<std::int64_t> random_sample_below(std::int64_t n, double p,
                                                          std::int64_t seed);

/// The items whose first folder below `path` is among `include` (none: all are) and not among `exclude`
/// (fastai: `filter_by_folder`).
/// \throws ValueError `value.folder` on an item outside `path`
FASTCPP_API std::vector<std::int64_t> in_folders(const Paths& items, const Path& path,
                                                 const std::vector<std::string>& include,
                                                 const std::vector<std::string>& exclude);

/// fastai's warnings about parts without items.
FASTCPP_API void warn_of_empty_parts(const Split& split);

}  // namespace fastcpp
