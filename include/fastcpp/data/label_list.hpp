/// \file
/// Items with labels: splitting, labelling and classes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp {

/// Which items train and which validate, as indices.
struct Split {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> valid;
};

/// Random split (fastai: `split_by_rand_pct`): validation takes the first `int(valid_pct * n)`
/// indices of NumPy's seeded permutation in that order, training the rest in ascending order.
/// \param n         number of items
/// \param valid_pct share for validation, 0 <= valid_pct <= 1
/// \param seed      as given to `numpy.random.seed`
/// \throws ValueError `value.valid_pct`
FASTCPP_API Split split_by_rand_pct(std::int64_t n, double valid_pct, std::uint32_t seed);

/// Split by folders below `path` (fastai: `split_by_folder`); items in neither folder are left out. A folder may be
/// written `train/`, `./train`, nested or absolute; an absolute one holds the items of a relative path too.
FASTCPP_API Split split_by_folder(const std::vector<Path>& items, const Path& path,
                                  const std::string& train = "train",
                                  const std::string& valid = "valid");

/// The label of each file by a regular expression (fastai: `label_from_re`): a search in the path with `/`, group 1.
/// Characters are text, as in Python's `re`; names that are not UTF-8 are matched byte by byte.
/// \param pat Perl syntax, as in Python's `re`; compiled once (PCRE2)
/// \throws ValueError `value.pattern` when the pattern does not compile or has no group
/// \throws DataError `data.no_match` when a file does not match, or the group took no part, naming pattern and file
FASTCPP_API std::vector<std::string> label_from_re(const std::vector<Path>& files,
                                                   std::string_view pat);

/// The label of each file: the name of its folder (fastai: `label_from_folder`).
FASTCPP_API std::vector<std::string> label_from_folder(const std::vector<Path>& files);

/// Items with one class each (fastai: `LabelList` of a `CategoryList`).
struct LabelList {
  std::vector<Path> items;           ///< one file per item
  std::vector<std::int64_t> y;       ///< class index of each item
  std::vector<std::string> classes;  ///< class names; y indexes them
  bool labelled = true;              ///< false: test items, y means nothing

  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
  /// Class name of item i; empty without labels (fastai: `EmptyLabel`).
  /// \throws ValueError `value.index` when there is no such item; DataError `data.unknown_label` when its label is no class
  FASTCPP_API std::string label(std::int64_t i) const;
};

/// Training and validation items.
struct LabelLists {
  LabelList train;
  LabelList valid;
};

/// Splits items and turns label names into class indices.
///
/// Classes are the sorted distinct training labels (byte-wise) unless given. An item whose label is no class is dropped
/// with fastai's warning, from training and validation alike.
/// \param items   files
/// \param labels  one name per item
/// \param split   indices into both
/// \param classes fixes names and order of the classes; no name twice
/// \throws DataError `data.length` when items and labels differ in number, `data.empty` when there is no item at all
/// \throws ValueError `value.classes` when a class is given twice, `value.index` on an index without an item
FASTCPP_API LabelLists make_label_lists(const std::vector<Path>& items,
                                        const std::vector<std::string>& labels, const Split& split,
                                        std::optional<std::vector<std::string>> classes = {});

}  // namespace fastcpp
