/// \file
/// The data block: from files or a table to items that are split and labelled.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/data/label_list.hpp"
#include "fastcpp/data/paths.hpp"
#include "fastcpp/data/split.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Warns that a name is deprecated, in fastai's words.
FASTCPP_API void warn_deprecated(std::string_view old_name, std::string_view new_name);

/// Whether parts without items are warned of.
enum class EmptyParts { kWarn, kIgnore };

/// What every list of items has: their names, the folder they belong to and the table they came from, if any. Items and rows
/// of the table always stay together. A value, whose copies share items and table until one of them changes; used from one
/// thread at a time.
class FASTCPP_API ItemListBase {
 public:
  /// \param items    files or other names
  /// \param path     what relative names, models and results are below
  /// \param inner_df a row for each item
  /// \param empty    whether empty parts are warned of after a split (fastai: `ignore_empty`)
  /// \throws DataError `data.length` when items and rows differ in number
  explicit ItemListBase(Paths items, Path path = ".", std::optional<Table> inner_df = {},
                        EmptyParts empty = EmptyParts::kWarn);

  /// Number of items.
  std::int64_t size() const { return static_cast<std::int64_t>(items().size()); }
  /// Live until this list changes.
  const Paths& items() const;
  /// The folder that they belong to.
  const Path& path() const { return path_; }
  /// The table that they came from, if any: a row an item.
  const std::optional<Table>& inner_df() const { return inner_df_; }

  /// Writes the items' names to `path() / fn`, relative to the folder, one a line.
  /// \throws IoError `io.cannot_write`, `io.cannot_create`
  void to_text(const Path& fn) const;

 protected:
  // Calls the items 0, 1, ...
  void number();
  // Each item with its row, in this order; negative indices count from the end.
  void keep(const std::vector<std::int64_t>& indices);
  void append(const ItemListBase& other);
  std::vector<std::int64_t> sliced(std::int64_t start, std::int64_t stop, std::int64_t step) const;
  std::vector<std::int64_t> masked(const std::vector<bool>& mask) const;
  std::vector<std::int64_t> where(const std::function<bool(const Path&)>& func) const;
  const Table& table(const char* what) const;
  // Warns of empty parts.
  Split checked(Split split) const;

  // Labels of some items, each as its method finds it.
  using Indices = std::vector<std::int64_t>;
  std::vector<Label> folder_labels(const Indices& indices) const;
  std::vector<Label> pattern_labels(const Indices& indices, std::string_view pat,
                                    bool full_path) const;
  std::vector<Label> function_labels(const Indices& indices,
                                     const std::function<Label(const Path&)>& func) const;
  LabelLists label_by_table(const Split& split, const ColumnIds& cols, LabelOptions options) const;
  LabelLists label(const Split& split, const std::vector<Label>& train,
                   const std::vector<Label>& valid, const LabelOptions& options) const;
  LabelLists unlabelled(const Split& split) const;
  std::string described(std::string_view name, const std::vector<std::string>& first) const;

  template <typename List>
  friend class ItemLists;

 private:
  std::shared_ptr<const Paths> items_;  // null after a move
  Path path_;
  std::optional<Table> inner_df_;
  EmptyParts empty_;
};

/// How `label_from_re` searches.
struct LabelFromReOptions {
  bool full_path =
      false;  ///< in the whole path, with the list's folder, instead of the item's name as it is
  LabelOptions labels = {};  ///< how labels are read
};

/// Items that are split (fastai: `ItemLists`): what follows is one of `label_*`. A value: copies share items and table.
/// Threads: as the list, one at a time.
/// \tparam List the class of the list of items; its `LabelLists` is what labelling gives
template <typename List>
class ItemLists {
 public:
  /// What labelling gives.
  using Labelled = typename List::LabelLists;

  /// Items and which of them train and validate.
  ItemLists(List list, Split split) : list_(std::move(list)), split_(std::move(split)) {
    // Rows have no name but their place, from here on the one in this list.
    if constexpr (requires { list_.number_items(); }) list_.number_items();
  }

  /// Which items train and which validate, as indices of the list that was split.
  const Split& split() const { return split_; }
  /// The items that train.
  List train() const { return list_[split_.train]; }
  /// The items that validate.
  List valid() const { return list_[split_.valid]; }
  /// The folder that they belong to.
  const Path& path() const { return list_.path(); }

  /// Labels are cells of the table, by default of its second column (fastai: `label_from_df`). One column gives one label an
  /// item, or several with `label_delim`; several columns (`ColumnIds{"cat", "dog"}`) are one-hot labels, or numbers with
  /// `label_cls` kFloat.
  /// \throws DataError `data.no_table`, `data.no_column`, `data.missing_value`; as `make_labels`
  Labelled label_from_df(const LabelOptions& options = {}) const {
    return label_from_df(ColumnIds(1), options);
  }
  // A template, so that options in braces are no columns.
  /// \overload
  template <std::convertible_to<ColumnIds> Columns>
  Labelled label_from_df(const Columns& cols, const LabelOptions& options = {}) const {
    return {list_, list_.label_by_table(split_, cols, options)};
  }
  /// Labels are the names of the items' folders (fastai: `label_from_folder`).
  /// \throws as `make_labels`
  Labelled label_from_folder(const LabelOptions& options = {}) const {
    return labelled(list_.folder_labels(split_.train), list_.folder_labels(split_.valid), options);
  }
  /// Labels are group 1 of a search in the items' paths with `/` (fastai: `label_from_re`).
  /// \throws ValueError `value.pattern`; DataError `data.no_match`; as `make_labels`
  Labelled label_from_re(std::string_view pat, const LabelFromReOptions& options = {}) const {
    return labelled(list_.pattern_labels(split_.train, pat, options.full_path),
                    list_.pattern_labels(split_.valid, pat, options.full_path), options.labels);
  }
  /// Labels are what a function says of the items' paths (fastai: `label_from_func`).
  /// \throws whatever `func` throws, as an Error; as `make_labels`
  Labelled label_from_func(const std::function<Label(const Path&)>& func,
                           const LabelOptions& options = {}) const {
    return labelled(list_.function_labels(split_.train, func),
                    list_.function_labels(split_.valid, func), options);
  }
  /// Labels in the order of the items of each part (fastai: `label_from_lists`).
  /// \throws DataError `data.length` when they differ from the items in number; as `make_labels`
  Labelled label_from_lists(const std::vector<Label>& train_labels,
                            const std::vector<Label>& valid_labels,
                            const LabelOptions& options = {}) const {
    return labelled(train_labels, valid_labels, options);
  }
  /// One label for all (fastai: `label_const`).
  /// \throws as `make_labels`
  Labelled label_const(const Label& label = 0, const LabelOptions& options = {}) const {
    return labelled(std::vector<Label>(split_.train.size(), label),
                    std::vector<Label>(split_.valid.size(), label), options);
  }
  /// No labels (fastai: `label_empty`).
  Labelled label_empty() const { return {list_, list_.unlabelled(split_)}; }

  /// fastai's printed form. Opens the first items.
  std::string str() const {
    return "ItemLists;\n\nTrain: " + train().str() + ";\n\nValid: " + valid().str() +
           ";\n\nTest: None";
  }
  friend std::ostream& operator<<(std::ostream& to, const ItemLists& x) { return to << x.str(); }

 private:
  Labelled labelled(const std::vector<Label>& train, const std::vector<Label>& valid,
                    const LabelOptions& options) const {
    return {list_, list_.label(split_, train, valid, options)};
  }

  List list_;
  Split split_;
};

/// Items before the split (fastai: `ItemList`): filters, then one of `split_*`. Filters change the list and return it.
/// Lifetime and threads as ItemListBase.
///
/// \tparam List the class that derives from it; has `str()`, and as `LabelLists` the class that labelling gives, made of a
/// list and a `fastcpp::LabelLists`
template <typename List>
class ItemList : public ItemListBase {
 public:
  using ItemListBase::ItemListBase;

  /// Some of the items in this order, with their rows of the table; negative indices count from the end.
  /// \throws ValueError `value.index`
  List operator[](const std::vector<std::int64_t>& indices) const {
    return changed([&](ItemList& list) { list.keep(indices); });
  }
  /// The items where the mask is true.
  /// \throws DataError `data.length`
  List where(const std::vector<bool>& mask) const { return (*this)[this->masked(mask)]; }
  /// As Python's `list[start:stop:step]`.
  /// \throws ValueError `value.step`
  List slice(std::int64_t start, std::int64_t stop, std::int64_t step = 1) const {
    return (*this)[this->sliced(start, stop, step)];
  }

  /// Appends the items of another list; tables are stacked, with missing cells where a column is absent (fastai: `add`).
  List& add(const List& other) & {
    return change([&] { this->append(other); });
  }
  List add(const List& other) && { return std::move(add(other)); }
  /// Keeps the items for which `func` is true (fastai: `filter_by_func`).
  List& filter_by_func(const std::function<bool(const Path&)>& func) & {
    return change([&] { this->keep(ItemListBase::where(func)); });
  }
  List filter_by_func(const std::function<bool(const Path&)>& func) && {
    return std::move(filter_by_func(func));
  }
  /// Keeps the items whose first folder below `path()` is among `include` (none: all are) and not among `exclude` (fastai:
  /// `filter_by_folder`).
  /// \throws ValueError `value.folder` on an item outside `path()`
  List& filter_by_folder(const std::vector<std::string>& include,
                         const std::vector<std::string>& exclude = {}) & {
    return change([&] { this->keep(in_folders(this->items(), this->path(), include, exclude)); });
  }
  /// \overload
  List filter_by_folder(const std::vector<std::string>& include,
                        const std::vector<std::string>& exclude = {}) && {
    return std::move(filter_by_folder(include, exclude));
  }
  /// Keeps each item with probability `p` (fastai: `filter_by_rand`).
  /// \throws ValueError `value.share`, `value.seed`
  List& filter_by_rand(double p, std::int64_t seed = default_split_seed()) & {
    return change([&] { this->keep(random_sample_below(this->size(), p, seed)); });
  }
  List filter_by_rand(double p, std::int64_t seed = default_split_seed()) && {
    return std::move(filter_by_rand(p, seed));
  }
  /// Keeps a random sample, in permuted order (fastai: `use_partial_data`).
  /// \throws ValueError `value.share`, `value.seed`
  List& use_partial_data(double sample_pct = 0.01, std::int64_t seed = default_split_seed()) & {
    return change([&] { this->keep(partial_sample(this->size(), sample_pct, seed)); });
  }
  List use_partial_data(double sample_pct = 0.01, std::int64_t seed = default_split_seed()) && {
    return std::move(use_partial_data(sample_pct, seed));
  }

  /// Everything trains (fastai: `split_none`).
  ItemLists<List> split_none() const { return {self(), fastcpp::split_none(size())}; }
  /// Random split (fastai: `split_by_rand_pct`), see the function of this name, like all below.
  /// \throws ValueError `value.valid_pct`, `value.seed`
  ItemLists<List> split_by_rand_pct(double valid_pct = 0.2,
                                    std::int64_t seed = default_split_seed()) const {
    if (valid_pct == 0) return split_none();
    return split(fastcpp::split_by_rand_pct(size(), valid_pct, seed));
  }
  /// \throws ValueError `value.share`, `value.seed`
  ItemLists<List> split_subsets(double train_size, double valid_size,
                                std::int64_t seed = default_split_seed()) const {
    return split(fastcpp::split_subsets(size(), train_size, valid_size, seed));
  }
  /// \throws ValueError `value.index`
  ItemLists<List> split_by_idx(const std::vector<std::int64_t>& valid_idx) const {
    return split(fastcpp::split_by_idx(size(), valid_idx));
  }
  /// \throws ValueError `value.index`
  ItemLists<List> split_by_idxs(std::vector<std::int64_t> train_idx,
                                std::vector<std::int64_t> valid_idx) const {
    return split(fastcpp::split_by_idxs(size(), std::move(train_idx), std::move(valid_idx)));
  }
  /// By the folders below `path()` (fastai: `split_by_folder`).
  ItemLists<List> split_by_folder(const std::string& train = "train",
                                  const std::string& valid = "valid") const {
    return split(fastcpp::split_by_folder(items(), path(), train, valid));
  }
  /// Those for which `func` is true validate (fastai: `split_by_valid_func`).
  ItemLists<List> split_by_valid_func(const std::function<bool(const Path&)>& func) const {
    return split(fastcpp::split_by_valid_func(items(), func));
  }
  /// The files of these names validate (fastai: `split_by_files`).
  ItemLists<List> split_by_files(const std::vector<std::string>& valid_names) const {
    return split(fastcpp::split_by_files(items(), valid_names));
  }
  /// \param fname a file below `folder`, or below `path()` when that is absent
  /// \throws IoError `io.cannot_read`
  ItemLists<List> split_by_fname_file(const Path& fname,
                                      const std::optional<Path>& folder = {}) const {
    return split(fastcpp::split_by_fname_file(items(), folder.value_or(path()) / fname));
  }
  /// \throws DataError `data.no_table`, `data.no_column`, `data.missing_value`, `data.not_boolean`
  ItemLists<List> split_from_df(const ColumnId& col = 2) const {
    return split(fastcpp::split_from_df(this->table("split_from_df"), col));
  }
  /// The old name of `split_by_rand_pct`; warns (fastai: `random_split_by_pct`).
  ItemLists<List> random_split_by_pct(double valid_pct = 0.2,
                                      std::int64_t seed = default_split_seed()) const {
    warn_deprecated("random_split_by_pct", "split_by_rand_pct");
    return split_by_rand_pct(valid_pct, seed);
  }
  /// The old name of `split_none`; warns (fastai: `no_split`).
  ItemLists<List> no_split() const {
    warn_deprecated("no_split", "split_none");
    return split_none();
  }

  friend std::ostream& operator<<(std::ostream& to, const ItemList& x) {
    return to << x.self().str();
  }

 protected:
  static std::int64_t default_split_seed() { return static_cast<std::uint32_t>(default_seed()); }

 private:
  const List& self() const { return static_cast<const List&>(*this); }
  template <typename F>
  List& change(F&& how) {
    how();
    return static_cast<List&>(*this);
  }
  template <typename F>
  List changed(F&& how) const {
    List list = self();
    how(list);
    return list;
  }
  ItemLists<List> split(Split split) const { return {self(), this->checked(std::move(split))}; }
};

}  // namespace fastcpp
