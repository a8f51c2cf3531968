#include "fastcpp/data/item_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "data/regex.hpp"
#include "data/table_labels.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/data/files.hpp"

namespace fastcpp::inline v0 {
namespace {

void check_length(const std::vector<std::int64_t>& indices, const std::vector<Label>& labels) {
  if (labels.size() == indices.size()) return;
  throw DataError("data.length",
                  fmt::format("expected one label per item, found {} items and {} labels",
                              indices.size(), labels.size()));
}

}  // namespace

ItemListBase::ItemListBase(Paths items, Path path, std::optional<Table> inner_df, EmptyParts empty)
    : items_(std::make_shared<const Paths>(std::move(items))),
      path_(std::move(path)),
      inner_df_(std::move(inner_df)),
      empty_(empty) {
  if (inner_df_ && inner_df_->rows() != size()) {
    throw DataError("data.length", fmt::format("expected a row of the table for each item, found "
                                               "{} items and {} rows",
                                               size(), inner_df_->rows()));
  }
}

const Paths& ItemListBase::items() const {
  static const Paths none;
  return items_ ? *items_ : none;
}

void ItemListBase::to_text(const Path& fn) const {
  boundary([&] {
    std::string text;
    for (const auto& item : items()) text += relative_below(item, path_) + '\n';
    write_file(path_ / fn, text);
  });
}

void ItemListBase::keep(const std::vector<std::int64_t>& indices) {
  boundary([&] {
    std::vector<std::int64_t> from_start;
    from_start.reserve(indices.size());
    for (const auto i : indices) {
      const auto at = i < 0 ? i + size() : i;
      if (at < 0 || at >= size()) {
        throw ValueError("value.index",
                         fmt::format("there is no item {} in a list of {}", i, size()));
      }
      from_start.push_back(at);
    }
    if (inner_df_) inner_df_ = inner_df_->take(from_start);
    items_ = std::make_shared<const Paths>(items().take(from_start));
  });
}

void ItemListBase::number() {
  boundary([&] {
    auto numbered = std::make_shared<Paths>();
    numbered->reserve(items().size());
    for (std::size_t i = 0; i < items().size(); ++i) numbered->push_back_text(std::to_string(i));
    items_ = std::move(numbered);
  });
}

void ItemListBase::append(const ItemListBase& other) {
  boundary([&] {
    auto all = items();
    all.append(other.items());
    // Without a table the rows of the other list have only missing cells.
    const auto without = [](const Table& columns, std::int64_t n) {
      std::vector<Column> missing;
      for (const auto& column : columns.columns()) {
        missing.emplace_back(column.name(), std::vector<Cell>(static_cast<std::size_t>(n)));
      }
      return Table(std::move(missing));
    };
    std::optional<Table> table;
    if (inner_df_ && other.inner_df_) {
      table = inner_df_->append(*other.inner_df_);
    } else if (inner_df_) {
      table = inner_df_->append(without(*inner_df_, other.size()));
    } else if (other.inner_df_) {
      table = without(*other.inner_df_, size()).append(*other.inner_df_);
    }
    items_ = std::make_shared<const Paths>(std::move(all));
    inner_df_ = std::move(table);
  });
}

std::vector<std::int64_t> ItemListBase::sliced(std::int64_t start, std::int64_t stop,
                                               std::int64_t step) const {
  if (step < 1) throw ValueError("value.step", fmt::format("step must be >= 1, found {}", step));
  const auto bound = [this](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + size() : i, 0, size());
  };
  std::vector<std::int64_t> indices;
  const auto last = bound(stop);
  for (auto i = bound(start); i < last; i += std::min(step, last - i)) indices.push_back(i);
  return indices;
}

std::vector<std::int64_t> ItemListBase::masked(const std::vector<bool>& mask) const {
  if (static_cast<std::int64_t>(mask.size()) != size()) {
    throw DataError(
        "data.length",
        fmt::format("a mask of {} values does not fit a list of {} items", mask.size(), size()));
  }
  std::vector<std::int64_t> indices;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i]) indices.push_back(static_cast<std::int64_t>(i));
  }
  return indices;
}

std::vector<std::int64_t> ItemListBase::where(const std::function<bool(const Path&)>& func) const {
  if (!func) throw ValueError("value.filter", "the function that filters is empty (null)");
  return boundary([&] {
    std::vector<std::int64_t> indices;
    for (std::size_t i = 0; i < items().size(); ++i) {
      if (func(items()[i])) indices.push_back(static_cast<std::int64_t>(i));
    }
    return indices;
  });
}

const Table& ItemListBase::table(const char* what) const {
  if (!inner_df_) {
    throw DataError("data.no_table",
                    fmt::format("{} reads a table, but these items come from none: "
                                "make the list by from_df or from_csv",
                                what));
  }
  return *inner_df_;
}

Split ItemListBase::checked(Split split) const {
  if (empty_ == EmptyParts::kWarn) warn_of_empty_parts(split);
  return split;
}

std::vector<Label> ItemListBase::folder_labels(const Indices& indices) const {
  return function_labels(indices,
                         [](const Path& file) { return file.parent_path().filename().string(); });
}

std::vector<Label> ItemListBase::pattern_labels(const Indices& indices, std::string_view pat,
                                                bool full_path) const {
  return boundary([&] {
    const Regex regex(pat);
    return function_labels(indices, [&](const Path& item) -> Label {
      const auto relative = relative_below(item, path_);
      const bool whole = full_path && !is_web_address(relative);
      const auto text = whole ? (path_ / relative).generic_string() : item.generic_string();
      auto label = regex.search(text);
      if (!label) {
        throw DataError("data.no_match", fmt::format("Failed to find \"{}\" in \"{}\"", pat, text));
      }
      return std::move(*label);
    });
  });
}

std::vector<Label> ItemListBase::function_labels(
    const Indices& indices, const std::function<Label(const Path&)>& func) const {
  if (!func) throw ValueError("value.label_func", "the function that labels is empty (null)");
  return boundary([&] {
    std::vector<Label> labels;
    labels.reserve(indices.size());
    for (const auto i : indices) labels.push_back(func(items().at(static_cast<std::size_t>(i))));
    return labels;
  });
}

LabelLists ItemListBase::label_by_table(const Split& split, const ColumnIds& cols,
                                        LabelOptions options) const {
  return boundary([&] {
    const auto& all = table("label_from_df");
    const auto part = [&](const Indices& indices) {
      return label_rows(all, indices, cols, options, [&](std::int64_t row) {
        return fmt::format("row {}, counted from 0, of '{}',", row,
                           items()[static_cast<std::size_t>(row)].string());
      });
    };
    auto train = part(split.train);
    const auto valid = part(split.valid);
    return label(split, train.labels, valid.labels, train.options);
  });
}

LabelLists ItemListBase::label(const Split& split, const std::vector<Label>& train,
                               const std::vector<Label>& valid, const LabelOptions& options) const {
  return boundary([&] {
    check_length(split.train, train);
    check_length(split.valid, valid);
    const auto name = [this](const Indices& indices) {
      return [this, &indices](std::int64_t i) {
        return items()[static_cast<std::size_t>(indices[static_cast<std::size_t>(i)])].string();
      };
    };
    const auto made = make_labels(train, valid, options, {name(split.train), name(split.valid)});
    const auto list = [&](const Indices& indices, const Indices& kept,
                          const std::shared_ptr<const Labels>& y) {
      auto of_list = kept;
      for (auto& i : of_list) i = indices[static_cast<std::size_t>(i)];
      return LabelList(items().take(of_list), y);
    };
    return LabelLists{list(split.train, made.kept_train, made.train),
                      list(split.valid, made.kept_valid, made.valid)};
  });
}

LabelLists ItemListBase::unlabelled(const Split& split) const {
  const auto list = [&](const Indices& indices) {
    const auto n = static_cast<std::int64_t>(indices.size());
    return LabelList(items().take(indices), std::make_shared<EmptyLabelList>(n));
  };
  return {list(split.train), list(split.valid)};
}

std::string ItemListBase::described(std::string_view name,
                                    const std::vector<std::string>& first) const {
  return fmt::format("{} ({} items)\n{}\nPath: {}", name, size(), fmt::join(first, ","),
                     path_.string());
}

void warn_deprecated(std::string_view old_name, std::string_view new_name) {
  log_warning(fmt::format("`{}` is deprecated, please use `{}`.", old_name, new_name));
}

}  // namespace fastcpp
