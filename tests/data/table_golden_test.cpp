// Tables against pandas' read_csv: section "csv" of datablock.json, and of tabular.json where it is at hand.
#include "fastcpp/data/table.hpp"

#include <cmath>
#include <fstream>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::string bytes_of(const Json& kase) {
  if (kase.contains("text")) return kase["text"];
  const std::string hex = kase["hex"];
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

ReadCsvOptions options_of(const Json& kase) {
  ReadCsvOptions options;
  const auto& read = kase.contains("read") ? kase["read"] : kase;
  if (read.contains("delimiter")) options.delimiter = read["delimiter"].get<std::string>().at(0);
  if (read.contains("header")) {
    options.header =
        read["header"].is_null() ? std::nullopt : std::optional(read["header"].get<std::int64_t>());
  }
  if (read.contains("names")) options.names = read["names"].get<std::vector<std::string>>();
  return options;
}

ColumnKind kind_of(const std::string& name) {
  if (name == "int64") return ColumnKind::kInt64;
  if (name == "uint64") return ColumnKind::kUInt64;
  if (name == "float64") return ColumnKind::kFloat64;
  if (name == "bool") return ColumnKind::kBool;
  REQUIRE(name == "text");
  return ColumnKind::kText;
}

Cell cell_of(const Json& value, ColumnKind kind) {
  if (value.is_null()) return {};
  switch (kind) {
    case ColumnKind::kBool:
      return value.get<bool>();
    case ColumnKind::kFloat64:
      return number(value);
    case ColumnKind::kText:
      return value.get<std::string>();
    default:
      // Only what int64 cannot hold is uint64.
      if (value.get<std::uint64_t>() >> 63 && kind == ColumnKind::kUInt64)
        return value.get<std::uint64_t>();
      return value.get<std::int64_t>();
  }
}

// A number is read to the nearest double; pandas' reader may be one unit of the last place off (12e34).
bool same_cell(const Cell& a, const Cell& b) {
  const auto *x = std::get_if<double>(&a), *y = std::get_if<double>(&b);
  return a == b || (x && y && std::nextafter(*x, *y) == *y);
}

void check_columns(const Table& table, const Json& expected) {
  REQUIRE(table.columns().size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& want = expected[i];
    const auto& column = table[i];
    if (want["name"].is_number()) {
      CHECK_FALSE(table.has_names());
      CHECK(column.name() == std::to_string(want["name"].get<int>()));
    } else {
      CHECK(table.has_names());
      CHECK(column.name() == want["name"].get<std::string>());
    }
    const auto kind = kind_of(want["kind"]);
    CHECK(column.kind() == kind);
    REQUIRE(column.size() == static_cast<std::int64_t>(want["values"].size()));
    for (std::int64_t row = 0; row < column.size(); ++row) {
      const auto expect = cell_of(want["values"][static_cast<std::size_t>(row)], kind);
      const auto cell = column.cell(row);
      INFO("row " << row << ": " << cell_text(cell));
      CHECK(cell.index() == expect.index());
      CHECK(same_cell(cell, expect));
    }
  }
}

void check_error(const Caught& error, const Json& expected) {
  const std::string kind = expected["kind"];
  CHECK(error.code == (kind == "empty_table" ? "table.empty" : "table." + kind));
  CHECK(error.message.find("labels.csv'") != std::string::npos);
  if (expected.contains("line")) {
    const auto line = "line " + std::to_string(expected["line"].get<int>()) + ":";
    CHECK(error.message.find(line) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("Every CSV text gives pandas' columns, or the error that pandas should give") {
  const TempDir folder;
  const auto file = folder / "labels.csv";
  std::size_t count = 0;
  for (const auto& kase : golden("datablock.json")["csv"]) {
    INFO("case " << kase["name"]);
    std::ofstream(file, std::ios::binary) << bytes_of(kase);
    const auto& expect = kase["expect"];
    if (expect.contains("error")) {
      check_error(caught([&] { Table::read_csv(file, options_of(kase)); }), expect["error"]);
    } else {
      const auto table = Table::read_csv(file, options_of(kase));
      check_columns(table, expect["columns"]);
      // What was written reads back as the same.
      table.to_csv(file, {.header = table.has_names() ? CsvHeader::kNames : CsvHeader::kNone});
      const auto header = table.has_names() ? std::optional<std::int64_t>(0) : std::nullopt;
      check_columns(Table::read_csv(file, {.header = header}), expect["columns"]);
    }
    ++count;
  }
  CHECK(count == 52);
}

TEST_CASE("The tables of tabular data are read as pandas reads them", "[skips]") {
  if (!has_golden("tabular.json")) return skip("no tabular.json");
  std::size_t count = 0;
  for (const auto& kase : golden("tabular.json")["csv"]) {
    INFO("case " << kase["name"]);
    const auto read = [&] { return Table::parse_csv(bytes_of(kase), options_of(kase)); };
    if (kase.contains("error")) {
      CHECK(caught(read).code.starts_with("table."));
    } else {
      check_columns(read(), kase["columns"]);
    }
    ++count;
  }
  CHECK(count == 28);
}
