#include "fastcpp/tabular/processors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {
namespace {

std::vector<double> numbers_of(const Column& column) {
  const auto rows = static_cast<std::size_t>(column.size());
  std::vector<double> numbers(rows);
  const auto copy = [&](const auto& values) {
    std::transform(values.begin(), values.end(), numbers.begin(),
                   [](auto value) { return static_cast<double>(value); });
  };
  switch (column.kind()) {
    case ColumnKind::kInt64:
      copy(column.int64s());
      break;
    case ColumnKind::kUInt64:
      copy(column.uint64s());
      break;
    case ColumnKind::kFloat64:
      copy(column.float64s());
      return numbers;
    case ColumnKind::kBool:
      copy(column.bools());
      break;
    case ColumnKind::kText:
      // What is no number is told with its row.
      for (std::size_t row = 0; row < rows; ++row) {
        numbers[row] = column.number(static_cast<std::int64_t>(row));
      }
      return numbers;
  }
  if (column.has_missing()) {
    for (std::size_t row = 0; row < rows; ++row) {
      if (column.missing(static_cast<std::int64_t>(row))) {
        numbers[row] = std::numeric_limits<double>::quiet_NaN();
      }
    }
  }
  return numbers;
}

Value value_of(const std::map<std::string, double>& numbers) {
  auto dict = Value::dict();
  // JSON has no number that is none.
  for (const auto& [name, number] : numbers) {
    dict.set(name, std::isnan(number) ? Value() : Value(number));
  }
  return dict;
}

std::map<std::string, double> numbers_from(const Value& dict) {
  std::map<std::string, double> numbers;
  for (const auto& [name, number] : dict.entries()) {
    numbers[name.as_string()] =
        number.is_none() ? std::numeric_limits<double>::quiet_NaN() : number.as_double();
  }
  return numbers;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

double most_common(const std::vector<double>& values) {
  std::unordered_map<double, std::int64_t> counts;
  std::int64_t most = 0;
  for (const auto value : values) most = std::max(most, ++counts[value]);
  return *std::find_if(values.begin(), values.end(),
                       [&](double value) { return counts[value] == most; });
}

// A column of texts without holes: that it should be numbers is for others to say.
bool is_full_text(const TabularFrame& frame, const std::string& name) {
  return !frame.is_numeric(name) && !frame.table()[name].has_missing();
}

}  // namespace

TabularFrame::TabularFrame(Table table, std::vector<std::string> cats,
                           std::vector<std::string> conts)
    : cat_names(std::move(cats)), cont_names(std::move(conts)), table_(std::move(table)) {
  for (const auto* names : {&cat_names, &cont_names}) {
    for (const auto& name : *names) table_.position(name);
  }
}

void TabularFrame::set_column(Column column) {
  numbers_.erase(column.name());
  table_ = table_.with_column(std::move(column));
}

std::vector<double>& TabularFrame::numbers(const std::string& name) {
  const auto found = numbers_.find(name);
  if (found != numbers_.end()) return found->second;
  return boundary([&]() -> std::vector<double>& {
    return numbers_.emplace(name, numbers_of(table_[name])).first->second;
  });
}

bool TabularFrame::is_numeric(const std::string& name) const {
  return numbers_.count(name) > 0 || table_[name].kind() != ColumnKind::kText || table_.rows() == 0;
}

namespace tabular {

void FillMissing::fill(TabularFrame& frame, const std::string& name, double filler) const {
  auto& numbers = frame.numbers(name);
  if (options_.add_col) {
    std::vector<Cell> flags;
    flags.reserve(numbers.size());
    for (const auto number : numbers) flags.emplace_back(std::isnan(number));
    const auto flag = name + "_na";
    if (std::find(frame.cat_names.begin(), frame.cat_names.end(), flag) == frame.cat_names.end()) {
      frame.cat_names.push_back(flag);
    }
    frame.set_column(Column(flag, std::move(flags)));
  }
  for (auto& number : numbers) {
    if (std::isnan(number)) number = filler;
  }
}

void FillMissing::apply_train(TabularFrame& frame) {
  na_dict_.clear();
  for (const auto& name : frame.cont_names) {
    if (is_full_text(frame, name)) continue;
    const auto& numbers = frame.numbers(name);
    std::vector<double> present;
    std::copy_if(numbers.begin(), numbers.end(), std::back_inserter(present),
                 [](double number) { return !std::isnan(number); });
    if (present.size() == numbers.size()) continue;
    double filler = options_.fill_val;
    if (options_.fill_strategy != FillStrategy::CONSTANT) {
      if (present.empty()) {
        throw DataError("data.all_missing",
                        fmt::format("the column '{}' has no value in the training rows, so there "
                                    "is none to fill it with: leave it out, or fill it with a "
                                    "constant (FillStrategy::CONSTANT)",
                                    name));
      }
      filler = options_.fill_strategy == FillStrategy::MEDIAN ? median(std::move(present))
                                                              : most_common(present);
    }
    na_dict_[name] = filler;
    fill(frame, name, filler);
  }
}

void FillMissing::apply_test(TabularFrame& frame) const {
  for (const auto& name : frame.cont_names) {
    if (const auto known = na_dict_.find(name); known != na_dict_.end()) {
      fill(frame, name, known->second);
      continue;
    }
    if (is_full_text(frame, name)) continue;
    const auto& numbers = frame.numbers(name);
    const auto hole = std::find_if(numbers.begin(), numbers.end(),
                                   [](double number) { return std::isnan(number); });
    if (hole == numbers.end()) continue;
    throw DataError("data.missing_value",
                    fmt::format("There are nan values in field {} but there were none in the "
                                "training set.\nPlease fix those manually. (row {})",
                                name, hole - numbers.begin()));
  }
}

Value FillMissing::state() const {
  return Value::dict({{"fill_strategy", static_cast<int>(options_.fill_strategy)},
                      {"add_col", options_.add_col},
                      {"fill_val", options_.fill_val},
                      {"na_dict", value_of(na_dict_)}});
}

FillMissing FillMissing::from_state(const Value& state) {
  const auto strategy = state.at("fill_strategy").as_int();
  if (strategy < 1 || strategy > 3) {
    throw FormatError("model.bad_file", fmt::format("no strategy to fill is number {}", strategy));
  }
  FillMissing proc({.fill_strategy = static_cast<FillStrategy>(strategy),
                    .add_col = state.at("add_col").as_bool(),
                    .fill_val = state.at("fill_val").as_double()});
  proc.na_dict_ = numbers_from(state.at("na_dict"));
  return proc;
}

void Categorify::apply_train(TabularFrame& frame) {
  categories_.clear();
  for (const auto& name : frame.cat_names) {
    const auto& column = frame.table()[name];
    auto made = column.categories() ? column : column.as_category();
    categories_[name] = *made.categories();
    frame.set_column(std::move(made));
  }
}

void Categorify::apply_test(TabularFrame& frame) const {
  for (const auto& name : frame.cat_names) {
    const auto known = categories_.find(name);
    if (known == categories_.end()) continue;  // told as not made categories
    frame.set_column(frame.table()[name].with_categories(known->second));
  }
}

Value Categorify::state() const {
  auto dict = Value::dict();
  for (const auto& [name, cells] : categories_) {
    auto list = Value::list();
    for (const auto& cell : cells) list.append(to_value(cell));
    dict.set(name, std::move(list));
  }
  return Value::dict({{"categories", std::move(dict)}});
}

Categorify Categorify::from_state(const Value& state) {
  Categorify proc;
  for (const auto& [name, list] : state.at("categories").entries()) {
    auto& cells = proc.categories_[name.as_string()];
    for (const auto& one : list.items()) cells.push_back(to_cell(one));
  }
  return proc;
}

namespace {

void scale(std::vector<double>& numbers, double mean, double std) {
  for (auto& number : numbers) number = (number - mean) / (1e-7 + std);
}

}  // namespace

void Normalize::apply_train(TabularFrame& frame) {
  means_.clear();
  stds_.clear();
  for (const auto& name : frame.cont_names) {
    if (!frame.is_numeric(name)) {
      throw DataError("data.not_numeric",
                      fmt::format("Cannot normalize '{}' column as it isn't numerical.\nAre you "
                                  "sure it doesn't belong in the categorical set of columns?",
                                  name));
    }
    auto& numbers = frame.numbers(name);
    double sum = 0, squares = 0;
    std::int64_t count = 0;
    for (const auto number : numbers) {
      if (std::isnan(number)) continue;
      sum += number;
      ++count;
    }
    const double mean = sum / static_cast<double>(count);
    for (const auto number : numbers) {
      if (!std::isnan(number)) squares += (number - mean) * (number - mean);
    }
    const double std = count > 1 ? std::sqrt(squares / static_cast<double>(count - 1))
                                 : std::numeric_limits<double>::quiet_NaN();
    if (!(std > 0)) {
      log_warning(
          fmt::format("the column '{}' has {} in the training rows, so that nothing can be "
                      "learnt from it{}",
                      name, count > 1 ? "one value only" : "no two values",
                      count > 1 ? "; any other becomes a huge number" : ""));
    }
    means_[name] = mean;
    stds_[name] = std;
    scale(numbers, mean, std);
  }
}

void Normalize::apply_test(TabularFrame& frame) const {
  for (const auto& name : frame.cont_names) {
    const auto mean = means_.find(name);
    if (mean == means_.end()) continue;  // a processor behind this one added it
    scale(frame.numbers(name), mean->second, stds_.at(name));
  }
}

Value Normalize::state() const {
  return Value::dict({{"means", value_of(means_)}, {"stds", value_of(stds_)}});
}

Normalize Normalize::from_state(const Value& state) {
  Normalize proc;
  proc.means_ = numbers_from(state.at("means"));
  proc.stds_ = numbers_from(state.at("stds"));
  for (const auto& [name, mean] : proc.means_) {
    if (proc.stds_.count(name) == 0) {
      throw FormatError("model.bad_file", fmt::format("'{}' has a mean but no deviation", name));
    }
  }
  return proc;
}

}  // namespace tabular
}  // namespace fastcpp
