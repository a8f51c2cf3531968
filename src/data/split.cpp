#include "fastcpp/data/split.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/numpy_random.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/data/files.hpp"

namespace fastcpp::inline v0 {
namespace {

using Indices = std::vector<std::int64_t>;

void check_items(std::int64_t n) {
  if (n < 0) {
    throw ValueError("value.items", fmt::format("a number of items must be >= 0, found {}", n));
  }
}

std::uint32_t checked_seed(std::int64_t seed) {
  if (seed < 0 || seed > std::numeric_limits<std::uint32_t>::max()) {
    throw ValueError("value.seed",
                     fmt::format("Seed must be between 0 and 2**32 - 1, found {}", seed));
  }
  return static_cast<std::uint32_t>(seed);
}

void check_share(const char* code, const char* name, double share) {
  if (!(share >= 0 && share <= 1)) {
    throw ValueError(code, fmt::format("{} must lie in 0..1, found {}", name, share));
  }
}

void check_indices(const char* part, const Indices& indices, std::int64_t n) {
  for (const auto i : indices) {
    if (i >= 0 && i < n) continue;
    throw ValueError(
        "value.index",
        fmt::format("the {} indices hold {}, but there are {} items, counted from 0", part, i, n));
  }
}

// How many items a share is, cut as Python's int() does.
std::ptrdiff_t count_of(double share, std::int64_t n) {
  return static_cast<std::ptrdiff_t>(share * static_cast<double>(n));
}

Indices all_items(std::int64_t n) {
  Indices all(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  return all;
}

template <typename IsValid>
Split split_by(std::size_t n, IsValid&& is_valid) {
  Split split;
  for (std::size_t i = 0; i < n; ++i) {
    (is_valid(i) ? split.valid : split.train).push_back(static_cast<std::int64_t>(i));
  }
  return split;
}

// The folder of a file as it is written, with its last '/'. Most files share theirs with others.
std::string_view folder_of(std::string_view file) {
  return file.substr(0, file.rfind('/') + 1);
}

std::string_view name_of(std::string_view file) {
  return file.substr(folder_of(file).size());
}

// What is asked of each folder once, for the files in it.
template <typename T>
class ByFolder {
 public:
  template <typename Ask>
  const T& of(std::string_view file, Ask&& ask) {
    const auto folder = folder_of(file);
    if (last_ && last_->first == folder) return last_->second;
    auto found = known_.find(folder);
    if (found == known_.end()) found = known_.emplace(folder, ask(Path(file))).first;
    last_ = &*found;
    return found->second;
  }

 private:
  std::unordered_map<std::string_view, T> known_;  // the texts are the files'
  const std::pair<const std::string_view, T>* last_ = nullptr;
};

enum class PartOf { kNeither, kTrain, kValid };

Split by_folder(const Paths& items, const Path& path, const std::string& train,
                const std::string& valid) {
  SubFolder in_train(path, train), in_valid(path, valid);
  // Names decide where they can. Where one is written from the root and the other is not, they say nothing.
  const auto holds_really = [](SubFolder& folder, const std::string& given, const Path& item) {
    const bool comparable =
        Path(given).is_relative() && item.is_absolute() == folder.path().is_absolute();
    return !comparable && folder.holds(item);
  };
  const auto ask = [&](const Path& item) {
    if (in_train.holds_as_written(item)) return PartOf::kTrain;
    if (in_valid.holds_as_written(item)) return PartOf::kValid;
    if (holds_really(in_train, train, item)) return PartOf::kTrain;
    if (holds_really(in_valid, valid, item)) return PartOf::kValid;
    return PartOf::kNeither;
  };
  // As in fastai, a part may be a single file.
  const auto is_itself = [](std::string_view item, const SubFolder& folder) {
    return name_of(item) == name_of(folder.path().native()) &&
           Path(item).lexically_normal() == folder.path();
  };
  ByFolder<PartOf> parts;
  Split split;
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto part = parts.of(items.text(i), ask);
    if (is_itself(items.text(i), in_train)) {
      part = PartOf::kTrain;
    } else if (is_itself(items.text(i), in_valid)) {
      part = PartOf::kValid;
    }
    if (part == PartOf::kTrain) split.train.push_back(static_cast<std::int64_t>(i));
    if (part == PartOf::kValid) split.valid.push_back(static_cast<std::int64_t>(i));
  }
  if (in_train.path() == in_valid.path()) split.valid = split.train;
  return split;
}

Split by_names(const Paths& items, const std::vector<std::string>& valid_names) {
  const std::unordered_set<std::string_view> names(valid_names.begin(), valid_names.end());
  return split_by(items.size(),
                  [&](std::size_t i) { return names.contains(name_of(items.text(i))); });
}

// The lines of a text however they end, without blanks around them and without a byte-order mark.
std::vector<std::string> stripped_lines(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  constexpr std::string_view kBlank = " \t\v\f";
  std::vector<std::string> lines;
  while (!text.empty()) {
    auto line = text.substr(0, text.find_first_of("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto first = line.find_first_not_of(kBlank);
    if (first == std::string_view::npos) continue;
    lines.emplace_back(line.substr(first, line.find_last_not_of(kBlank) - first + 1));
  }
  return lines;
}

// Whether each cell is true.
Split by_column(const Column& column) {
  const auto rows = static_cast<std::size_t>(column.size());
  if (rows == 0) return {};
  if (column.kind() == ColumnKind::kText) {
    throw DataError("data.not_boolean",
                    fmt::format("column '{}' tells who validates by True and False, or by 1 and 0, "
                                "but holds texts such as '{}' in row 0",
                                column.name(), column.text(0)));
  }
  for (std::size_t row = 0; column.has_missing() && row < rows; ++row) {
    if (!column.missing(static_cast<std::int64_t>(row))) continue;
    throw DataError("data.missing_value",
                    fmt::format("column '{}' tells who validates, but has no value in row {}, "
                                "counted from 0 below the names: fill it in",
                                column.name(), row));
  }
  const auto by_values = [&](auto values) {
    return split_by(rows, [&](std::size_t row) { return values[row] != 0; });
  };
  switch (column.kind()) {
    case ColumnKind::kInt64:
      return by_values(column.int64s());
    case ColumnKind::kUInt64:
      return by_values(column.uint64s());
    case ColumnKind::kFloat64:
      return by_values(column.float64s());
    default:
      return by_values(column.bools());
  }
}

// The first part of a path below `top`; empty for what lies elsewhere. Both in one form.
std::string first_part_below(const Path& top, const Path& item) {
  const auto [at_top, at] = std::mismatch(top.begin(), top.end(), item.begin(), item.end());
  return at_top == top.end() && at != item.end() ? at->string() : std::string();
}

// A path in one form: without `.`, `..` and a `/` at its end.
Path plain(const Path& path) {
  return (path / "").lexically_normal().parent_path();
}

// The same, from the root; empty where the working folder is gone.
Path full(const Path& path) {
  std::error_code ec;
  return plain(std::filesystem::absolute(path, ec));
}

class FirstFolders {
 public:
  explicit FirstFolders(const Path& path) : path_(path), top_(plain(path)), full_top_(full(path)) {}

  // The name of the first folder below the path that a file lies in, or the file's own name where there is none.
  std::string_view of(std::string_view item) {
    // The folder tells it for all its files, unless it is the top itself.
    const auto& folder = folders_.of(item, [this](const Path& file) {
      const auto written = folder_of(file.native());
      const Path parent(written.empty() ? "." : written);
      return is_top(parent) ? std::string() : part_of(file, parent);
    });
    return folder.empty() ? name_of(item) : std::string_view(folder);
  }

 private:
  bool is_top(const Path& folder) const {
    return plain(folder) == top_ || full(folder) == full_top_;
  }
  std::string part_of(const Path& item, const Path& folder) const {
    auto part = first_part_below(top_, plain(folder));
    if (part.empty()) part = first_part_below(full_top_, full(folder));
    if (part.empty()) {
      throw ValueError("value.folder",
                       fmt::format("'{}' does not lie below '{}', so none of its folders can be "
                                   "told from those to include or exclude",
                                   item.string(), path_.string()));
    }
    return part;
  }

  Path path_, top_, full_top_;
  ByFolder<std::string> folders_;
};

Indices items_in_folders(const Paths& items, const Path& path,
                         const std::vector<std::string>& include,
                         const std::vector<std::string>& exclude) {
  const auto among = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  FirstFolders folders(path);
  Indices kept;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto part = folders.of(items.text(i));
    if ((include.empty() || among(include, part)) && !among(exclude, part)) {
      kept.push_back(static_cast<std::int64_t>(i));
    }
  }
  return kept;
}

}  // namespace

Split split_none(std::int64_t n) {
  check_items(n);
  return boundary([&] { return Split{all_items(n), {}}; });
}

Split split_by_rand_pct(std::int64_t n, double valid_pct, std::int64_t seed) {
  check_items(n);
  check_share("value.valid_pct", "valid_pct", valid_pct);
  const auto order = numpy_permutation(checked_seed(seed), n);
  return boundary([&] {
    const auto cut = order.begin() + count_of(valid_pct, n);
    Split split{{cut, order.end()}, {order.begin(), cut}};
    std::sort(split.train.begin(), split.train.end());
    return split;
  });
}

Split split_subsets(std::int64_t n, double train_size, double valid_size, std::int64_t seed) {
  check_items(n);
  const auto inside = [](double share) { return share > 0 && share < 1; };
  if (!inside(train_size) || !inside(valid_size) || train_size + valid_size > 1) {
    throw ValueError("value.share",
                     fmt::format("train_size and valid_size must lie between 0 and 1, both left "
                                 "out, and be at most 1 together, found {} and {}",
                                 train_size, valid_size));
  }
  const auto order = numpy_permutation(checked_seed(seed), n);
  return boundary([&] {
    return Split{{order.begin(), order.begin() + count_of(train_size, n)},
                 {order.end() - count_of(valid_size, n), order.end()}};
  });
}

Split split_by_idx(std::int64_t n, const std::vector<std::int64_t>& valid_idx) {
  check_items(n);
  check_indices("validation", valid_idx, n);
  return boundary([&] {
    std::vector<bool> validates(static_cast<std::size_t>(n));
    for (const auto i : valid_idx) validates[static_cast<std::size_t>(i)] = true;
    auto split = split_by(validates.size(), [&](std::size_t i) { return validates[i]; });
    split.valid = valid_idx;
    return split;
  });
}

Split split_by_idxs(std::int64_t n, std::vector<std::int64_t> train_idx,
                    std::vector<std::int64_t> valid_idx) {
  check_items(n);
  check_indices("training", train_idx, n);
  check_indices("validation", valid_idx, n);
  return {std::move(train_idx), std::move(valid_idx)};
}

Split split_by_folder(const Paths& items, const Path& path, const std::string& train,
                      const std::string& valid) {
  return boundary([&] { return by_folder(items, path, train, valid); });
}

Split split_by_valid_func(const Paths& items, const std::function<bool(const Path&)>& func) {
  return boundary(
      [&] { return split_by(items.size(), [&](std::size_t i) { return func(items[i]); }); });
}

Split split_by_files(const Paths& items, const std::vector<std::string>& valid_names) {
  return boundary([&] { return by_names(items, valid_names); });
}

Split split_by_fname_file(const Paths& items, const Path& file) {
  return boundary([&] { return by_names(items, stripped_lines(read_file(file))); });
}

Split split_from_df(const Table& table, const ColumnId& col) {
  return boundary([&] { return by_column(table[col]); });
}

Split random_split(double valid_pct, std::int64_t n, std::int64_t seed) {
  if (!(valid_pct >= 0 && valid_pct <= 1)) {
    throw ValueError(
        "value.valid_pct",
        fmt::format("Validation set percentage should be between 0 and 1, found {}", valid_pct));
  }
  const auto numbers = numpy_random_sample(checked_seed(seed), n);
  return boundary([&] {
    return split_by(numbers.size(), [&](std::size_t i) { return !(numbers[i] > valid_pct); });
  });
}

std::vector<std::int64_t> partial_sample(std::int64_t n, double sample_pct, std::int64_t seed) {
  check_items(n);
  check_share("value.share", "sample_pct", sample_pct);
  auto order = numpy_permutation(checked_seed(seed), n);
  order.resize(static_cast<std::size_t>(count_of(sample_pct, n)));
  return order;
}

std::vector<std::int64_t> random_sample_below(std::int64_t n, double p, std::int64_t seed) {
  check_share("value.share", "p", p);
  const auto numbers = python_random(checked_seed(seed), n);
  return boundary([&] {
    return split_by(numbers.size(), [&](std::size_t i) { return numbers[i] < p; }).valid;
  });
}

std::vector<std::int64_t> in_folders(const Paths& items, const Path& path,
                                     const std::vector<std::string>& include,
                                     const std::vector<std::string>& exclude) {
  return boundary([&] { return items_in_folders(items, path, include, exclude); });
}

void warn_of_empty_parts(const Split& split) {
  if (split.train.empty()) {
    log_warning(
        "Your training set is empty. If this is by design, pass `ignore_empty=True` to remove this "
        "warning.");
  }
  if (split.valid.empty()) {
    log_warning(
        "Your validation set is empty. If this is by design, use `split_none()`\n"
        "                 or pass `ignore_empty=True` when labelling to remove this warning.");
  }
}

}  // namespace fastcpp
