/// \file
/// A small table of columns, as a pandas DataFrame serves fastai: read from CSV or made in memory.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class Value;  // io/value.hpp

/// One value of a table with its type: `1`, `1.0`, `"1"` and `true` are four different ones; std::monostate is a missing
/// one. A whole number is int64 wherever int64 holds it.
using Cell = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

/// A cell as Python prints it: `1`, `1.0`, `1`, `True`; a missing one `nan`.
FASTCPP_API std::string cell_text(const Cell& cell);

/// A cell as a file holds it, its type kept.
FASTCPP_API Value to_value(const Cell& cell);
/// The cell of such a value; None is a missing one.
/// \throws ValueError `value.kind` on a list or what else is no cell
FASTCPP_API Cell to_cell(const Value& value);

/// What the cells of a column are.
enum class ColumnKind {
  kInt64,
  kUInt64,   ///< numbers from 2^63 on among them, none negative
  kFloat64,  ///< numbers; also whole ones with missing cells among them
  kBool,     ///< may have missing cells
  kText,
};

/// Names a column: by its name, or by its position, where a negative one counts from the right (-1 is the last). A
/// value: copies share nothing. Threads: const calls by any number at once.
class FASTCPP_API ColumnId {
 public:
  /// By its name.
  ColumnId(std::string name) : id_(std::move(name)) {}
  /// By its name.
  ColumnId(std::string_view name) : id_(std::string(name)) {}
  /// By its name.
  ColumnId(const char* name) : id_(std::string(name)) {}
  /// By its position; negative counts from the right.
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) ColumnId(T position)
      : id_(static_cast<std::int64_t>(position)) {}

  /// The name; null when this is a position.
  const std::string* name() const { return std::get_if<std::string>(&id_); }
  /// The position; null when this is a name.
  const std::int64_t* position() const { return std::get_if<std::int64_t>(&id_); }
  /// As fastai's messages name it: `label`, `1`.
  std::string text() const;

 private:
  std::variant<std::string, std::int64_t> id_;
};

/// A name and typed values, some of which may be missing.
///
/// Never changes. Copies share the values, so they cost little; any thread may read any copy. The spans and string views
/// that it gives live as long as one copy.
class FASTCPP_API Column {
 public:
  /// Makes the column of all the cells: `Column("label", {0, 1})`, `Column("name", {"a.png", "b.png"})`.
  ///
  /// The kind is the one that holds all cells, as if they stood in a file: whole numbers with others, or with missing
  /// ones, become float64; anything else mixed becomes text. NaN is missing. Only missing cells are float64; no cells are text.
  Column(std::string name, std::initializer_list<Cell> cells);
  /// \overload
  Column(std::string name, std::vector<Cell> cells);
  /// \overload
  template <std::convertible_to<Cell> T>
  requires(!std::same_as<T, Cell>) Column(std::string name, const std::vector<T>& cells)
      : Column(std::move(name), std::vector<Cell>(cells.begin(), cells.end())) {}

  /// The column's name.
  const std::string& name() const { return name_; }
  /// What its cells are.
  ColumnKind kind() const;
  /// Number of cells.
  std::int64_t size() const;

  /// Whether cell `row` is missing.
  /// \throws ValueError `value.index`
  bool missing(std::int64_t row) const;
  /// Whether any cell is missing.
  bool has_missing() const;

  /// Cell `row` with its type.
  /// \throws ValueError `value.index`
  Cell cell(std::int64_t row) const;
  /// Cell `row` as Python prints it, `nan` when missing.
  /// \throws ValueError `value.index`
  std::string text(std::int64_t row) const;
  /// Cell `row` letter for letter as it stood in the file, without its quotes: `0001` where the value is 1. Names of files
  /// are this. In a column made in memory it is what Python prints, and empty when missing.
  /// \throws ValueError `value.index`
  std::string_view raw(std::int64_t row) const;
  /// Cell `row` as a number: true is 1, missing is NaN; a text is read.
  /// \throws ValueError `value.index`; DataError `data.not_a_number` naming column, row and text
  double number(std::int64_t row) const;

  /// All values at once; what a missing cell has there means nothing (in `float64s` it is NaN).
  /// \throws ValueError `value.column_kind` when the column is of another kind
  std::span<const std::int64_t> int64s() const;
  /// \overload
  std::span<const std::uint64_t> uint64s() const;
  /// \overload
  std::span<const double> float64s() const;
  std::span<const std::uint8_t> bools() const;  ///< 0 or 1
  /// \overload
  std::span<const std::string_view> texts() const;

  /// This column as one of categories: the values it may have, in an order that means something (pandas: `Categorical`).
  /// Values are found by what they are: 1 is 1.0, but neither `"1"` nor `true`. A value that is none of them is missing.
  /// \param categories none twice, none missing
  /// \throws ValueError `value.classes`
  Column with_categories(const std::vector<Cell>& categories) const;
  /// The same with its own distinct values: numbers in their order, texts by code point, false before true.
  Column as_category() const;
  /// The categories in their order; null when it has none. Live as long as one copy of the column.
  const std::vector<Cell>* categories() const;
  /// The position of each value among the categories, -1 where it is missing (pandas: `cat.codes`).
  /// \throws ValueError `value.column_kind` without categories
  std::span<const std::int32_t> codes() const;

  struct Data;  // how it is stored; src/data/column.hpp

 private:
  Column(std::string name, std::shared_ptr<const Data> data)
      : name_(std::move(name)), data_(std::move(data)) {}

  std::string name_;
  std::shared_ptr<const Data> data_;
};

/// One row, or one that is to be predicted: a value for each column by its name. A value: copies share nothing.
///
///     TabularRow{{"age", 49}, {"workclass", " Private"}, {"education-num", {}}}
using TabularRow = std::map<std::string, Cell, std::less<>>;

/// How the letters of a text file are written.
enum class Encoding { kUtf8, kLatin1 };

/// Arguments of Table::read_csv, with the defaults of pandas' `read_csv`.
struct ReadCsvOptions {
  /// Stands between cells: any ASCII character but a quote and those that end lines. Nothing is guessed.
  char delimiter = ',';
  /// The line with the names, counted from 0 over lines that are not blank; those above it are ignored. Nothing: no such
  /// line, and the columns are called `0`, `1`, ...
  std::optional<std::int64_t> header = 0;
  /// Names to use instead of the file's; as many as there are columns.
  std::vector<std::string> names = {};
  /// Reads the first `nrows` rows only, and looks at nothing behind them but the encoding.
  std::optional<std::int64_t> nrows = {};
  Encoding encoding = Encoding::kUtf8;  ///< of the file's letters
};

/// What ends a line of a file: LF as on Unix, CRLF as RFC 4180 has it.
enum class LineEnd { kLf, kCrLf };

/// Whether a file begins with a line of names.
enum class CsvHeader { kNames, kNone };

/// Arguments of Table::to_csv.
struct WriteCsvOptions {
  char delimiter = ',';                  ///< as in ReadCsvOptions
  LineEnd line_end = LineEnd::kLf;       ///< what ends a line
  CsvHeader header = CsvHeader::kNames;  ///< whether names stand first
};

/// Columns of equal length and different names (fastai: a pandas `DataFrame` with rows addressed by position).
///
/// Never changes: `take`, `select` and `append` give new tables. Copies share the cells; any thread may read any copy.
///
///     const Table table = Table::read_csv(path / "labels.csv");
///     for (std::int64_t i = 0; i < table.rows(); ++i) use(table["name"].raw(i), table[1].cell(i));
class FASTCPP_API Table {
 public:
  /// No rows, no columns.
  Table() = default;
  /// \param columns of equal length: `Table({{"name", {"a.png", "b.png"}}, {"label", {0, 1}}})`
  /// \throws DataError `data.length` when they differ in length; ValueError `value.names` when a name repeats
  Table(std::initializer_list<Column> columns);
  /// \overload
  explicit Table(std::vector<Column> columns);

  /// Reads a file of comma-separated values as pandas does.
  ///
  /// Cells may stand in `"quotes"`, doubled inside, and then hold delimiters and line ends. A line ends with LF, CRLF or CR.
  /// Lines with nothing but blanks are skipped; a byte-order mark is dropped at the start and from names; blanks beside a
  /// delimiter belong to the cell. A short row ends in missing cells. A name that repeats becomes `a.1`, an empty one
  /// `Unnamed: 2`.
  ///
  /// A cell is missing when it is empty or one of pandas' words (`NA`, `N/A`, `NaN`, `nan`, `null`, `NULL`, `n/a`, `<NA>`,
  /// `#N/A`, ...). A column of whole numbers is int64, or uint64; of numbers float64; of `True`, `false` in any case bool;
  /// else text. Whatever the locale.
  ///
  /// The file's bytes are kept as long as a column read from them. About 24 bytes a cell come on top.
  /// \throws IoError `io.cannot_read`
  /// \throws FormatError `table.empty` without a line of names or data, `table.encoding` on bytes that are no text,
  ///   `table.open_quote`, `table.row_length` on a row longer than the header, or when nearly all cells are absent,
  ///   `table.too_wide` on more than 262144 columns; all name the file, most the line
  /// \throws ValueError `value.delimiter`, `value.header`, `value.names`
  static Table read_csv(const Path& file, const ReadCsvOptions& options = {});
  /// The same for a text in memory.
  static Table parse_csv(std::string text, const ReadCsvOptions& options = {});

  /// Number of rows.
  std::int64_t rows() const { return rows_; }
  /// The columns from left to right; live as long as the table.
  const std::vector<Column>& columns() const { return columns_; }
  /// The columns' names from left to right.
  std::vector<std::string> names() const;
  /// Whether the columns have names of their own; false after reading without a header, when they are called by position.
  bool has_names() const { return has_names_; }
  /// Whether a column has this name.
  bool contains(std::string_view name) const;

  /// The position, from 0, of a column. Looks through the names one by one.
  /// \throws DataError `data.no_column` on an unknown name, listing the known; ValueError `value.index` on a position
  std::int64_t position(const ColumnId& id) const;
  /// \throws as `position`
  const Column& operator[](const ColumnId& id) const;

  /// Row `i` by the columns' names, categories as their values (pandas: `df.iloc[i]`).
  /// \throws ValueError `value.index`
  TabularRow row(std::int64_t i) const;
  /// The rows at `indices`, in this order, repeats too (pandas: `df.iloc[indices]`).
  /// \throws ValueError `value.index`
  Table take(std::span<const std::int64_t> indices) const;
  /// \overload
  Table take(std::initializer_list<std::int64_t> indices) const;
  /// Some columns, in the order given.
  /// \throws as `position`; ValueError `value.names` when one is named twice
  Table select(const std::vector<ColumnId>& ids) const;
  /// The same table with this column, instead of the one of its name or as the last.
  /// \throws DataError `data.length`
  [[nodiscard]] Table with_column(Column column) const;
  /// Without this column (pandas: `df.drop`).
  /// \throws as `position`
  [[nodiscard]] Table without_column(const ColumnId& id) const;
  /// These rows and below them those of `other`; columns are matched by name. A column that only one has is missing in the
  /// other's rows; columns that only `other` has stand last. Kinds become one as if all rows stood in one file. Categories stay where both have the same.
  [[nodiscard]] Table append(const Table& other) const;

  /// Writes the table, whole or not at all. Cells stand as they were read (`raw`), missing ones empty; quotes stand where
  /// reading needs them.
  /// \throws IoError `io.cannot_write`, `io.cannot_create`; ValueError `value.delimiter`
  void to_csv(const Path& file, const WriteCsvOptions& options = {}) const;
  /// The same as a text.
  std::string to_csv_text(const WriteCsvOptions& options = {}) const;

  /// The first `n` rows printed in columns, with the row number first and `NaN` for missing cells; long cells are cut and
  /// columns beyond the tenth left out, with `...` instead.
  std::string head(std::int64_t n = 5) const;

 private:
  std::vector<Column> columns_;
  std::int64_t rows_ = 0;
  bool has_names_ = true;
};

/// Prints the head and, below, `[3 rows x 2 columns]`.
FASTCPP_API std::ostream& operator<<(std::ostream& out, const Table& table);

}  // namespace fastcpp
