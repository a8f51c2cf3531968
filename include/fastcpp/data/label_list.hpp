/// \file
/// Items with labels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/data/paths.hpp"
#include "fastcpp/data/split.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// The label of each file by a regular expression (fastai: `label_from_re`): a search in the path with `/`, group 1.
/// Characters are text, as in Python's `re`; names that are not UTF-8 are matched byte by byte.
/// \param pat Perl syntax, as in Python's `re`; compiled once (PCRE2)
/// \throws ValueError `value.pattern` when the pattern does not compile or has no group
/// \throws DataError `data.no_match` when a file does not match, or the group took no part, naming pattern and file
FASTCPP_API std::vector<std::string> label_from_re(const std::vector<Path>& files,
                                                   std::string_view pat);

/// The label of each file: the name of its folder (fastai: `label_from_folder`).
FASTCPP_API std::vector<std::string> label_from_folder(const std::vector<Path>& files);

/// Items with a label each (fastai: `LabelList`). A value: copies share the labels, which never change. Threads: const
/// calls by any number at once.
struct FASTCPP_API LabelList {
  /// No items.
  LabelList();
  /// \param items one file (or other name) per item
  /// \param y     as many labels
  /// \throws DataError `data.length` when they differ in number
  LabelList(Paths items, std::shared_ptr<const Labels> y);
  /// One class each.
  /// \param y       class index of each item
  /// \param classes class names; y indexes them
  /// \throws DataError `data.length`, `data.unknown_label` on an index that is no class; ValueError `value.classes`
  LabelList(Paths items, std::vector<std::int64_t> y, std::vector<std::string> classes);

  Paths items;                      ///< one file per item
  std::shared_ptr<const Labels> y;  ///< their labels; never null

  /// Number of items.
  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
  /// Class names in the order of their indices.
  const std::vector<std::string>& classes() const { return y->classes(); }
  /// The label of item i in words; empty without labels (fastai: `EmptyLabel`).
  /// \throws ValueError `value.index`
  std::string label(std::int64_t i) const { return y->text(i); }
  /// Some of the items with their labels, in this order.
  /// \throws ValueError `value.index`
  LabelList take(const std::vector<std::int64_t>& indices) const;
  /// A table with the columns `x` (the file, relative to `path` where it lies below) and `y` (the label in words).
  Table to_df(const Path& path) const;
  /// Writes that table to `path / dest`, whole or not at all.
  /// \throws IoError `io.cannot_write`, `io.cannot_create`
  void to_csv(const Path& path, const Path& dest) const;
};

/// What `LabelLists::filter_by_func` asks: whether a pair is to be left out.
/// \param x      the item
/// \param target the processed label: class index, 0/1 vector, numbers
using DropPair = std::function<bool(const Path& x, const torch::Tensor& target)>;

/// Training, validation and test items with labels of one kind (fastai: `LabelLists`). A value: copies share the
/// labels, which never change. Threads: const calls by any number at once.
struct FASTCPP_API LabelLists {
  LabelList train;                     ///< items that train
  LabelList valid = {};                ///< items that validate
  std::optional<LabelList> test = {};  ///< items to predict, if any

  /// Adds test items without labels (fastai: `add_test`).
  void add_test(Paths items);
  /// Adds test items with labels, one for all of them or one each. Classes are never extended: an unknown label is target 0.
  /// \throws DataError `data.length`
  void add_test(Paths items, const std::vector<Label>& labels);
  /// Leaves out the pairs for which `drop` is true, from all sets (fastai: `LabelLists.filter_by_func`, which drops too).
  void filter_by_func(const DropPair& drop);
};

/// Splits items and turns labels into targets of one kind.
///
/// Classes are the sorted distinct training labels unless given. An item whose label is no class is left out with fastai's
/// warning, from training and validation alike.
/// \param items  files
/// \param labels one per item
/// \param split  indices into both
/// \throws DataError `data.length` when items and labels differ in number, `data.empty` when there is no item at all; as
/// `make_labels`
/// \throws ValueError `value.classes` when a class is given twice, `value.index` on an index without an item
FASTCPP_API LabelLists label_lists(const Paths& items, const std::vector<Label>& labels,
                                   const Split& split, const LabelOptions& options = {});
/// The same with one class name each.
/// \param classes fixes names and order of the classes; no name twice
FASTCPP_API LabelLists make_label_lists(const Paths& items, const std::vector<std::string>& labels,
                                        const Split& split,
                                        std::optional<std::vector<std::string>> classes = {});

}  // namespace fastcpp
