#include "csv.hpp"

#include <fmt/format.h>

#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "column.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::table {
namespace {

constexpr std::size_t kMaxColumns = 262144;
// A table this small may hold any share of absent cells; a larger one at most so many for each that is there.
constexpr std::size_t kFreeAbsent = 10'000'000, kAbsentPerCell = 16;

// The first byte that is not UTF-8, or is zero; text.size() when there is none.
std::size_t bad_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t i = 0;
  while (i < text.size()) {
    // Eight letters of ASCII at once: no high bit, and none that becomes one by taking 1 away from zero.
    for (std::uint64_t word = 0; i + 8 <= text.size(); i += 8) {
      std::memcpy(&word, text.data() + i, 8);
      if ((word | (word - 0x0101010101010101U)) & 0x8080808080808080U) break;
    }
    if (i == text.size()) break;
    const unsigned first = byte(i);
    if (first == 0) return i;
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || i + more >= text.size()) return i;
    const unsigned second = byte(i + 1);
    // Neither longer than needed, nor half a pair, nor beyond the last letter.
    if (second < (first == 0xE0   ? 0xA0U
                  : first == 0xF0 ? 0x90U
                                  : 0x80U) ||
        second > (first == 0xED   ? 0x9FU
                  : first == 0xF4 ? 0x8FU
                                  : 0xBFU)) {
      return i;
    }
    for (std::size_t k = 2; k <= more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    }
    i += more + 1;
  }
  return text.size();
}

std::string from_latin1(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 8);
  for (const char c : bytes) {
    const auto letter = static_cast<unsigned char>(c);
    if (letter < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (letter >> 6));
      text += static_cast<char>(0x80 | (letter & 0x3F));
    }
  }
  return text;
}

// Splits a text into rows. Quotes are taken out in place, so that no cell needs memory of its own.
class Reader {
 public:
  Reader(std::string& text, std::size_t start, char delimiter, const std::string& name)
      : place_(text.data() + start),
        end_(text.data() + text.size()),
        delimiter_(delimiter),
        name_(name) {}

  // The next row that is not blank; false at the end. Keeps its first `most` cells.
  bool next(std::size_t most) {
    if (!skip_blank_lines()) return false;
    cells_.clear();
    count_ = 0;
    row_line_ = line_;
    do {
      const auto cell = place_ < end_ && *place_ == '"' ? quoted() : plain(place_);
      if (count_++ < most) cells_.push_back(cell);
    } while (skip_delimiter());
    end_line();
    return true;
  }

  const std::vector<std::string_view>& cells() const { return cells_; }
  // How many the row has.
  std::size_t count() const { return count_; }
  // Where the row begins, from 1.
  std::int64_t line() const { return row_line_; }

 private:
  bool at_line_end() const { return *place_ == '\n' || *place_ == '\r'; }

  bool skip_blank_lines() {
    for (;;) {
      char* const start = place_;
      while (place_ < end_ && (*place_ == ' ' || *place_ == '\t') && *place_ != delimiter_)
        ++place_;
      if (place_ == end_) return false;
      if (!at_line_end()) {
        place_ = start;
        return true;
      }
      end_line();
    }
  }

  bool skip_delimiter() {
    if (place_ == end_ || *place_ != delimiter_) return false;
    ++place_;
    return true;
  }

  void end_line() {
    if (place_ == end_) return;
    if (*place_ == '\r' && place_ + 1 < end_ && place_[1] == '\n') ++place_;
    ++place_;
    ++line_;
  }

  std::string_view plain(char* start) {
    while (place_ < end_ && *place_ != delimiter_ && !at_line_end()) ++place_;
    return {start, place_};
  }

  std::string_view quoted() {
    const auto first_line = line_;
    char* const start = place_;
    char* out = start;
    for (++place_;; ++place_) {
      if (place_ == end_) open_quote(first_line);
      if (*place_ == '"') {
        if (place_ + 1 == end_ || place_[1] != '"') break;
        ++place_;
      } else if (*place_ == '\n' ||
                 (*place_ == '\r' && (place_ + 1 == end_ || place_[1] != '\n'))) {
        ++line_;
      }
      *out++ = *place_;
    }
    ++place_;
    // What follows the closing quote belongs to the cell.
    const auto rest = plain(place_);
    std::memmove(out, rest.data(), rest.size());
    return {start, out + rest.size()};
  }

  [[noreturn]] void open_quote(std::int64_t line) const {
    throw FormatError("table.open_quote",
                      fmt::format("{}, line {}: the quote that opens cell {} of the row is never "
                                  "closed; add the missing \", and double those inside a cell",
                                  name_, line, count_ + 1));
  }

  char* place_;
  char* end_;
  char delimiter_;
  const std::string& name_;
  std::vector<std::string_view> cells_;
  std::size_t count_ = 0;
  std::int64_t line_ = 1, row_line_ = 1;
};

// A name without byte-order marks, which nobody sees or types: a second one, one within quotes, or that of a file whose lines
// were put beside those of another.
std::string without_marks(std::string_view cell) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  std::string name;
  for (;;) {
    const auto at = cell.find(kMark);
    name += cell.substr(0, at);
    if (at == cell.npos) return name;
    cell.remove_prefix(at + kMark.size());
  }
}

// Names as pandas makes them different.
std::vector<std::string> distinct_names(const std::vector<std::string_view>& cells) {
  std::vector<std::string> names;
  std::vector<char> unnamed;
  for (const auto cell : cells) {
    auto name = without_marks(cell);
    unnamed.push_back(name.empty());
    names.push_back(name.empty() ? fmt::format("Unnamed: {}", names.size()) : std::move(name));
  }
  // A name that the file has goes before one that was made up.
  std::unordered_set<std::string> taken(names.begin(), names.end());
  std::unordered_set<std::string> seen;
  std::unordered_map<std::string, std::size_t> repeats;
  for (const bool made_up : {false, true}) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if ((unnamed[i] != 0) != made_up || seen.insert(names[i]).second) continue;
      std::string name;
      auto& count = repeats[names[i]];
      do {
        name = fmt::format("{}.{}", names[i], ++count);
      } while (!taken.insert(name).second);
      seen.insert(name);
      names[i] = std::move(name);
    }
  }
  return names;
}

[[noreturn]] void empty(const std::string& name, const std::string& what) {
  throw FormatError("table.empty", fmt::format("{}: {}", name, what));
}

class Parser {
 public:
  Parser(std::string bytes, const ReadCsvOptions& options, const std::string& name)
      : options_(options), name_(name), buffer_(std::make_shared<std::string>(std::move(bytes))) {
    check_options();
    const auto start = decode();
    Reader reader(*buffer_, start, options.delimiter, name);
    bool at_row = read_names(reader);
    for (std::int64_t row = 0; row < options_.nrows.value_or(INT64_MAX); ++row) {
      if (!at_row && !reader.next(texts_.size())) break;
      at_row = false;
      add_row(reader);
    }
  }

  std::vector<Column> columns() {
    std::vector<Column> columns;
    columns.reserve(names_.size());
    for (std::size_t i = 0; i < names_.size(); ++i) {
      auto data = std::make_shared<Column::Data>();
      data->texts = std::move(texts_[i]);
      for (std::size_t row = 0; row < data->texts.size(); ++row) {
        if (!is_missing(data->texts[row])) continue;
        if (data->missing.empty()) data->missing.resize(data->texts.size());
        data->missing[row] = 1;
      }
      data->buffers = {buffer_};
      set_kind(*data, guess_kind(data->texts, data->missing));
      columns.push_back(Column::Data::column(std::move(names_[i]), std::move(data)));
    }
    return columns;
  }

 private:
  void check_options() const {
    check_delimiter(options_.delimiter);
    if (options_.header.value_or(0) < 0) {
      throw ValueError("value.header",
                       fmt::format("header is {}, but lines are counted from 0; std::nullopt "
                                   "stands for a file without names",
                                   *options_.header));
    }
    if (options_.nrows.value_or(0) < 0) {
      throw ValueError("value.items",
                       fmt::format("nrows is {}, but it cannot be negative", *options_.nrows));
    }
  }

  // Where the text begins.
  std::size_t decode() {
    if (options_.encoding == Encoding::kLatin1) *buffer_ = from_latin1(*buffer_);
    const std::string_view text(*buffer_);
    const auto bad = bad_utf8(text);
    if (bad < text.size()) not_text(bad);
    return text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  }

  [[noreturn]] void not_text(std::size_t bad) const {
    const std::string_view text(*buffer_);
    std::int64_t line = 1;
    for (std::size_t i = 0; i < bad; ++i) {
      if (text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n')) ++line;
    }
    const bool wide =
        text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") || text[bad] == 0;
    throw FormatError(
        "table.encoding",
        fmt::format("{}, line {}: the byte {:#04x} at position {} is no text in UTF-8; {}", name_,
                    line, static_cast<unsigned char>(text[bad]), bad,
                    wide ? "is this UTF-16, or no text at all? Save it as UTF-8"
                         : "save it as UTF-8, or read it with .encoding = Encoding::kLatin1"),
        static_cast<std::int64_t>(bad));
  }

  // True when the reader stands at the first row of data already, which set the number of columns.
  bool read_names(Reader& reader) {
    const auto skipped = options_.header.value_or(0);
    for (std::int64_t i = 0; i < skipped; ++i) {
      if (!reader.next(0)) {
        empty(name_, fmt::format("header = {} asks for a line that is not there; only {} have "
                                 "something in them",
                                 skipped, i));
      }
    }
    if (!reader.next(kMaxColumns)) {
      empty(name_, "no line has anything in it; a table begins with the names of its columns");
    }
    if (reader.count() > kMaxColumns) {
      throw FormatError(
          "table.too_wide",
          fmt::format("{}, line {}: {} cells, but a table has {} columns at most; is "
                      "this a table, and does '{}' stand between its cells?",
                      name_, reader.line(), reader.count(), kMaxColumns, options_.delimiter));
    }
    texts_.resize(reader.count());
    if (options_.header) {
      names_ = distinct_names(reader.cells());
    } else {
      for (std::size_t i = 0; i < reader.count(); ++i) names_.push_back(fmt::format("{}", i));
    }
    first_ = options_.names.empty() && options_.header ? "the header" : "the first row";
    if (!options_.names.empty()) {
      if (options_.names.size() != names_.size()) {
        throw ValueError("value.names", fmt::format("{} names were given for the {} columns of {}",
                                                    options_.names.size(), names_.size(), name_));
      }
      names_ = options_.names;
    }
    return !options_.header;
  }

  void add_row(const Reader& reader) {
    const auto& cells = reader.cells();
    if (reader.count() > texts_.size()) {
      throw FormatError(
          "table.row_length",
          fmt::format("{}, line {}: {} cells, but {} has {}; put quotes around a cell that holds a "
                      "'{}', and take away one at the end of the line",
                      name_, reader.line(), reader.count(), first_, texts_.size(),
                      options_.delimiter));
    }
    present_ += cells.size();
    absent_ += texts_.size() - cells.size();
    if (absent_ > kFreeAbsent && absent_ / kAbsentPerCell > present_) {
      throw FormatError(
          "table.row_length",
          fmt::format("{}, line {}: {} has {} cells, but nearly all those of the rows "
                      "below it are absent; does '{}' stand between them?",
                      name_, reader.line(), first_, texts_.size(), options_.delimiter));
    }
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      texts_[i].push_back(i < cells.size() ? cells[i] : std::string_view());
    }
  }

  const ReadCsvOptions& options_;
  const std::string& name_;
  std::shared_ptr<std::string> buffer_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string_view>> texts_;  // column by column
  std::string first_;                                 // what sets the number of columns
  std::size_t present_ = 0, absent_ = 0;
};

}  // namespace

void check_delimiter(char delimiter) {
  const auto byte = static_cast<unsigned char>(delimiter);
  if (byte == 0 || byte > 126 || delimiter == '"' || delimiter == '\n' || delimiter == '\r') {
    throw ValueError("value.delimiter",
                     fmt::format("the byte {:#04x} cannot stand between cells; use an ASCII "
                                 "character other than a quote or a line end",
                                 byte));
  }
}

std::vector<Column> read_columns(std::string bytes, const ReadCsvOptions& options,
                                 const std::string& name) {
  return Parser(std::move(bytes), options, name).columns();
}

}  // namespace fastcpp::table
