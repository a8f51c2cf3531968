#include "fastcpp/data/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <unordered_map>
#include <unordered_set>

#include "column.hpp"
#include "csv.hpp"
#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

using Data = Column::Data;

[[noreturn]] void bad_row(std::int64_t row, std::int64_t rows) {
  throw ValueError("value.index", fmt::format("row {} was asked for, but the table has {} rows, "
                                              "counted from 0",
                                              row, rows));
}

template <typename T>
std::vector<T> taken(const std::vector<T>& values, std::span<const std::int64_t> indices) {
  std::vector<T> result;
  if (values.empty()) return result;
  result.reserve(indices.size());
  for (const auto i : indices) result.push_back(values[static_cast<std::size_t>(i)]);
  return result;
}

std::shared_ptr<const Data> taken(const Data& from, std::span<const std::int64_t> indices) {
  auto data = std::make_shared<Data>();
  data->kind = from.kind;
  data->texts = taken(from.texts, indices);
  data->missing = taken(from.missing, indices);
  data->int64s = taken(from.int64s, indices);
  data->uint64s = taken(from.uint64s, indices);
  data->float64s = taken(from.float64s, indices);
  data->bools = taken(from.bools, indices);
  data->categories = from.categories;
  data->codes = taken(from.codes, indices);
  data->buffers = from.buffers;
  if (std::count(data->missing.begin(), data->missing.end(), 1) == 0) data->missing.clear();
  return data;
}

// A column of missing cells only.
Data nothing(std::size_t rows) {
  Data data;
  data.texts.resize(rows);
  data.missing.assign(rows, 1);
  table::set_kind(data, rows == 0 ? ColumnKind::kText : ColumnKind::kFloat64);
  return data;
}

bool all_missing(const Data& data) {
  const auto count = std::count(data.missing.begin(), data.missing.end(), 1);
  return static_cast<std::size_t>(count) == data.texts.size();
}

bool is_number(ColumnKind kind) {
  return kind != ColumnKind::kBool && kind != ColumnKind::kText;
}

// The kind of two columns one below the other, whose cells are in `both` already.
ColumnKind joined_kind(const Data& a, const Data& b, const Data& both) {
  // Missing cells alone say nothing, but a whole number beside them is no longer int64.
  const auto& known = all_missing(a) ? b : a;
  const auto& other = all_missing(b) ? a : b;
  if (all_missing(both)) return both.texts.empty() ? ColumnKind::kText : ColumnKind::kFloat64;
  if (!is_number(known.kind) || !is_number(other.kind)) {
    return known.kind == other.kind ? known.kind : ColumnKind::kText;
  }
  if (known.kind == ColumnKind::kFloat64 || other.kind == ColumnKind::kFloat64) {
    return ColumnKind::kFloat64;
  }
  return table::guess_kind(both.texts, both.missing);
}

std::shared_ptr<const Data> joined(const Data& a, const Data& b) {
  auto data = std::make_shared<Data>();
  data->texts = a.texts;
  data->texts.insert(data->texts.end(), b.texts.begin(), b.texts.end());
  if (!a.missing.empty() || !b.missing.empty()) {
    data->missing = a.missing;
    data->missing.resize(a.texts.size());
    data->missing.insert(data->missing.end(), b.missing.begin(), b.missing.end());
    data->missing.resize(data->texts.size());
  }
  data->buffers = a.buffers;
  for (const auto& buffer : b.buffers) {
    if (std::find(data->buffers.begin(), data->buffers.end(), buffer) == data->buffers.end()) {
      data->buffers.push_back(buffer);
    }
  }
  table::set_kind(*data, joined_kind(a, b, *data));
  if (a.categories && b.categories &&
      (a.categories == b.categories || *a.categories == *b.categories)) {
    data->categories = a.categories;
    data->codes = a.codes;
    data->codes.insert(data->codes.end(), b.codes.begin(), b.codes.end());
  }
  return data;
}

void add_cell(std::string& out, std::string_view text, const WriteCsvOptions& options, bool alone) {
  const char special[] = {options.delimiter, '"', '\n', '\r'};
  // A row of nothing but blanks would be skipped by a reader.
  const bool blank = alone && text.find_first_not_of(" \t") == std::string_view::npos;
  if (!blank &&
      text.find_first_of(std::string_view(special, sizeof special)) == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

// Gives the text piece by piece, so that a large table is never there twice.
template <typename Sink>
void write_csv(const Table& table, const WriteCsvOptions& options, Sink&& sink) {
  table::check_delimiter(options.delimiter);
  const auto& columns = table.columns();
  const char* const line_end = options.line_end == LineEnd::kLf ? "\n" : "\r\n";
  std::string piece;
  const auto add_line = [&](auto&& text_of) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) piece += options.delimiter;
      add_cell(piece, text_of(columns[i]), options, columns.size() == 1);
    }
    piece += line_end;
    if (piece.size() < 65536) return;
    sink(std::string_view(piece));
    piece.clear();
  };
  if (columns.empty()) return;
  if (options.header == CsvHeader::kNames) {
    add_line([](const Column& column) -> std::string_view { return column.name(); });
  }
  for (std::size_t row = 0; row < static_cast<std::size_t>(table.rows()); ++row) {
    add_line([&](const Column& column) {
      const auto& data = Data::of(column);
      return data.is_missing(row) ? std::string_view() : data.texts[row];
    });
  }
  sink(std::string_view(piece));
}

}  // namespace

Table::Table(std::initializer_list<Column> columns) : Table(std::vector<Column>(columns)) {}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  boundary([&] {
    if (!columns_.empty()) rows_ = columns_[0].size();
    std::unordered_set<std::string_view> names;
    for (const auto& column : columns_) {
      if (column.size() != rows_) {
        throw DataError("data.length", fmt::format("the column '{}' has {} cells, but '{}' has {}",
                                                   table::shown(column.name()), column.size(),
                                                   table::shown(columns_[0].name()), rows_));
      }
      if (!names.insert(column.name()).second) {
        throw ValueError("value.names", fmt::format("two columns are called '{}'; give one of them "
                                                    "another name",
                                                    table::shown(column.name())));
      }
    }
  });
}

Table Table::read_csv(const Path& file, const ReadCsvOptions& options) {
  return boundary([&] {
    Table table(table::read_columns(read_file(file), options, fmt::format("'{}'", file.string())));
    table.has_names_ = options.header || !options.names.empty();
    return table;
  });
}

Table Table::parse_csv(std::string text, const ReadCsvOptions& options) {
  return boundary([&] {
    Table table(table::read_columns(std::move(text), options, "the text"));
    table.has_names_ = options.header || !options.names.empty();
    return table;
  });
}

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column.name());
  return names;
}

bool Table::contains(std::string_view name) const {
  return std::any_of(columns_.begin(), columns_.end(),
                     [&](const Column& column) { return column.name() == name; });
}

std::int64_t Table::position(const ColumnId& id) const {
  return boundary([&] {
    const auto count = static_cast<std::int64_t>(columns_.size());
    if (const auto* position = id.position()) {
      if (*position < -count || *position >= count) {
        throw ValueError(
            "value.index",
            fmt::format("column {} was asked for, but the table has {}, counted from "
                        "0{}",
                        *position, count, count == 1 ? "; is its delimiter another?" : ""));
      }
      return *position < 0 ? *position + count : *position;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      if (columns_[static_cast<std::size_t>(i)].name() == *id.name()) return i;
    }
    std::string known;
    for (std::size_t i = 0; i < std::min<std::size_t>(columns_.size(), 20); ++i) {
      known += fmt::format("{}'{}'", i > 0 ? ", " : "", table::shown(columns_[i].name()));
    }
    throw DataError(
        "data.no_column",
        fmt::format("no column is called '{}'; there {} {}{}{}", table::shown(*id.name()),
                    count == 1 ? "is" : "are", count == 0 ? "none" : known,
                    count > 20 ? ", ..." : "", count == 1 ? ", is its delimiter another?" : ""));
  });
}

const Column& Table::operator[](const ColumnId& id) const {
  return columns_[static_cast<std::size_t>(position(id))];
}

TabularRow Table::row(std::int64_t i) const {
  return boundary([&] {
    if (i < 0 || i >= rows_) bad_row(i, rows_);
    TabularRow row;
    for (const auto& column : columns_) row.emplace(column.name(), column.cell(i));
    return row;
  });
}

Table Table::with_column(Column column) const {
  return boundary([&] {
    auto columns = columns_;
    const auto same = std::find_if(columns.begin(), columns.end(), [&](const Column& mine) {
      return mine.name() == column.name();
    });
    if (same != columns.end()) {
      *same = std::move(column);
    } else {
      columns.push_back(std::move(column));
    }
    Table table(std::move(columns));
    table.has_names_ = has_names_;
    return table;
  });
}

Table Table::without_column(const ColumnId& id) const {
  return boundary([&] {
    auto table = *this;
    table.columns_.erase(table.columns_.begin() + position(id));
    if (table.columns_.empty()) table.rows_ = 0;
    return table;
  });
}

Table Table::take(std::span<const std::int64_t> indices) const {
  return boundary([&] {
    for (const auto i : indices) {
      if (i < 0 || i >= rows_) bad_row(i, rows_);
    }
    Table table;
    for (const auto& column : columns_) {
      table.columns_.push_back(Data::column(column.name(), taken(Data::of(column), indices)));
    }
    table.rows_ = static_cast<std::int64_t>(columns_.empty() ? 0 : indices.size());
    table.has_names_ = has_names_;
    return table;
  });
}

Table Table::take(std::initializer_list<std::int64_t> indices) const {
  return take(std::span<const std::int64_t>(indices.begin(), indices.size()));
}

Table Table::select(const std::vector<ColumnId>& ids) const {
  return boundary([&] {
    std::vector<Column> columns;
    for (const auto& id : ids) columns.push_back((*this)[id]);
    Table table(std::move(columns));
    table.has_names_ = has_names_;
    return table;
  });
}

Table Table::append(const Table& other) const {
  return boundary([&] {
    // Nothing to stack on: not even rows without cells.
    if (columns_.empty()) return other;
    if (other.columns_.empty()) return *this;
    std::unordered_map<std::string_view, const Column*> theirs;
    for (const auto& column : other.columns_) theirs.emplace(column.name(), &column);
    Table table;
    for (const auto& column : columns_) {
      const auto found = theirs.find(column.name());
      const auto& mine = Data::of(column);
      table.columns_.push_back(Data::column(
          column.name(), found == theirs.end()
                             ? joined(mine, nothing(static_cast<std::size_t>(other.rows_)))
                             : joined(mine, Data::of(*found->second))));
      if (found != theirs.end()) theirs.erase(found);
    }
    for (const auto& column : other.columns_) {
      if (theirs.count(column.name()) == 0) continue;
      table.columns_.push_back(Data::column(
          column.name(), joined(nothing(static_cast<std::size_t>(rows_)), Data::of(column))));
    }
    table.rows_ = rows_ + other.rows_;
    table.has_names_ = has_names_ || other.has_names_;
    return table;
  });
}

void Table::to_csv(const Path& file, const WriteCsvOptions& options) const {
  boundary([&] {
    table::check_delimiter(options.delimiter);
    AtomicWriter out(file);
    write_csv(*this, options, [&](std::string_view piece) { out.write(piece); });
    out.commit();
  });
}

std::string Table::to_csv_text(const WriteCsvOptions& options) const {
  return boundary([&] {
    std::string text;
    write_csv(*this, options, [&](std::string_view piece) { text += piece; });
    return text;
  });
}

}  // namespace fastcpp
