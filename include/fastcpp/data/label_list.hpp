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

/// Split by the first folder below `path` (fastai: `split_by_folder`); items in neither folder are
/// left out.
FASTCPP_API Split split_by_folder(const std::vector<Path>& items, const Path& path,
                                  const std::string& train = "train",
                                  const std::string& valid = "valid");

/// The label of each file by a regular expression (fastai: `label_from_re`): a search in the path
/// with `/`, group 1. \param pat Perl syntax, as in Python's `re`; compiled once (PCRE2) \throws
/// ValueError `value.pattern` when the pattern does not compile or has no group \throws DataError
/// `data.no_match` when a file does not match, naming pattern and file
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
  std::string label(std::int64_t i) const {
    if (!labelled) return {};
    return classes[static_cast<std::size_t>(y[static_cast<std::size_t>(i)])];
  }
};

/// Training and validation items.
struct LabelLists {
  LabelList train;
  LabelList valid;
};

/// Splits items and turns label names into class indices.
///
/// Classes are the sorted distinct training labels (byte-wise) unless given. A validation item
/// whose label is no class is dropped with fastai's warning. \param items   files \param labels one
/// name per item \param split   indices into both \param classes fixes names and order of the
/// classes \throws DataError `data.length` when items and labels differ in number;
/// `data.unknown_label` when `classes` misses a
///         training label; `data.empty` when there is no item at all
FASTCPP_API LabelLists make_label_lists(const std::vector<Path>& items,
                                        const std::vector<std::string>& labels, const Split& split,
                                        std::optional<std::vector<std::string>> classes = {});

}  // namespace fastcpp
