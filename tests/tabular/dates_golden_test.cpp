// Dates in tables beside the reference: section "dates" of tabular.json.
#include "fastcpp/tabular/dates.hpp"

#include "fastcpp/core/error.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

Cell cell_of(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  return value.get<std::string>();
}

Column column_of(const std::string& name, const Json& values) {
  std::vector<Cell> cells;
  for (const auto& value : values) cells.push_back(cell_of(value));
  return {name, cells};
}

Table table_of(const Json& columns) {
  std::vector<Column> made;
  for (const auto& [name, column] : columns.items()) {
    made.push_back(column_of(name, column["values"]));
  }
  return Table(made);
}

// The date column, and x, which counts rows.
Table dated(const Json& item) {
  std::vector<Cell> x;
  for (std::size_t i = 0; i < item["values"].size(); ++i)
    x.emplace_back(static_cast<std::int64_t>(i));
  return Table({column_of(item["field"].get<std::string>(), item["values"]), Column("x", x)});
}

ColumnKind kind_of(const std::string& kind) {
  if (kind == "int64") return ColumnKind::kInt64;
  if (kind == "float64") return ColumnKind::kFloat64;
  return kind == "bool" ? ColumnKind::kBool : ColumnKind::kText;
}

// A missing date has no seconds; the reference gives it -9223372037.
bool is_accident(const std::string& name, const Json& value) {
  return name.ends_with("Elapsed") && value == -9223372037;
}

void check_table(const Table& got, const Json& want, Deviation& deviation) {
  constexpr double kTolerance = 1e-12;  // the golden README's, of cosine and sine
  std::vector<std::string> names;
  for (const auto& [name, column] : want.items()) names.push_back(name);
  REQUIRE(got.names() == names);
  for (const auto& [name, column] : want.items()) {
    INFO(name);
    const auto& values = column["values"];
    const auto& found = got[name];
    REQUIRE(found.size() == static_cast<std::int64_t>(values.size()));
    bool accident = false;
    for (const auto& value : values) accident = accident || is_accident(name, value);
    if (!accident) CHECK(found.kind() == kind_of(column["kind"]));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      if (values[i].is_null() || is_accident(name, values[i])) {
        CHECK(found.missing(row));
      } else if (values[i].is_string()) {
        CHECK(found.text(row) == values[i].get<std::string>());
      } else if (values[i].is_boolean()) {
        CHECK(found.cell(row) == Cell(values[i].get<bool>()));
      } else {
        CHECK(deviation(found.number(row), number(values[i])) <= kTolerance);
      }
    }
  }
}

std::string code_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.code();
  }
  return "none";
}

}  // namespace

TEST_CASE("dates are read as the reference reads them") {
  const auto& file = golden("tabular.json")["dates"];
  for (const auto& item : file["make_date"]) {
    const auto text = item["text"].get<std::string>();
    INFO(text);
    const auto table = make_date(Table({Column("d", {text})}), "d");
    CHECK(table["d"].text(0) == item["iso"].get<std::string>());
    CHECK(make_date(table, "d")["d"].text(0) == item["iso"].get<std::string>());
  }
  for (const auto& item : file["make_date_errors"]) {
    const auto text = item["text"].get<std::string>();
    INFO(text);
    CHECK(code_of([&] { make_date(Table({Column("d", {text})}), "d"); }) == "data.not_a_date");
  }
}

TEST_CASE("orders, zones and what is no date") {
  const auto iso = [](const char* text, DateOrder order = DateOrder::kMonthFirst) {
    return make_date(Table({Column("d", {Cell(text), Cell()})}), "d", order)["d"].text(0);
  };
  CHECK(iso("02/03/2017", DateOrder::kDayFirst) == "2017-03-02T00:00:00");
  CHECK(iso("2017-03-02T10:11Z") == "2017-03-02T10:11:00+00:00");
  CHECK(iso("2017-03-02 10:11:12.25-0330") == "2017-03-02T10:11:12.250000-03:30");
  CHECK(iso("1/2/69") == "1969-01-02T00:00:00");
  for (const auto* bad :
       {"", "2017-", "2017-3-", "0000-01-01", "2017-03-02T", "2017-03-02 1", "3/2", "31/31/2017",
        "Foo 2, 2017", "2017-03-02 10:60", "2017-03-02x", "123", "2017-03-02 10:11+25:00"}) {
    INFO(bad);
    CHECK(code_of([&] { make_date(Table({Column("d", {Cell(bad)})}), "d"); }) == "data.not_a_date");
  }
  CHECK(code_of([&] { make_date(Table({Column("d", {20170302})}), "d"); }) == "data.not_a_date");
  const Table mixed({Column("d", {"02/03/2017", "13/03/2017"})});
  CHECK(code_of([&] { make_date(mixed, "d"); }) == "data.mixed_dates");
  CHECK(make_date(mixed, "d", DateOrder::kDayFirst)["d"].text(0) == "2017-03-02T00:00:00");
  CHECK(code_of([&] { make_date(mixed, "e"); }) == "data.no_column");
}

TEST_CASE("parts of dates beside the reference") {
  Deviation deviation("tabular.dates");
  for (const auto& item : golden("tabular.json")["dates"]["add_datepart"]) {
    INFO(item.dump().substr(0, 200));
    AddDatepartOptions options{.drop = item.value("drop", true), .time = item.value("time", false)};
    if (item.contains("prefix") && !item["prefix"].is_null())
      options.prefix = item["prefix"].get<std::string>();
    check_table(add_datepart(dated(item), item["field"].get<std::string>(), options), item["out"],
                deviation);
  }
}

TEST_CASE("parts of dates on circles beside the reference") {
  Deviation deviation("tabular.cyclic");
  for (const auto& item : golden("tabular.json")["dates"]["add_cyclic_datepart"]) {
    INFO(item.dump().substr(0, 200));
    AddCyclicDatepartOptions options{.drop = item.value("drop", true),
                                     .time = item.value("time", false),
                                     .add_linear = item.value("add_linear", false)};
    if (item.contains("prefix") && !item["prefix"].is_null())
      options.prefix = item["prefix"].get<std::string>();
    check_table(add_cyclic_datepart(dated(item), item["field"].get<std::string>(), options),
                item["out"], deviation);
  }
  CHECK(code_of([] {
          add_cyclic_datepart(Table({Column("d", {Cell("2017"), Cell()})}), "d");
        }) == "data.missing_date");
}

TEST_CASE("days since and until events beside the reference") {
  Deviation deviation("tabular.elapsed");
  for (const auto& item : golden("tabular.json")["dates"]["add_elapsed_times"]) {
    check_table(add_elapsed_times(
                    table_of(item["table"]), item["fields"].get<std::vector<std::string>>(),
                    item["date_field"].get<std::string>(), item["base_field"].get<std::string>()),
                item["out"], deviation);
  }
  const Table twice(
      {Column("d", {"2017-01-01", "2017-01-01"}), Column("s", {1, 1}), Column("e", {0, 1})});
  CHECK(code_of([&] { add_elapsed_times(twice, {"e"}, "d", "s"); }) == "data.repeated_rows");
}
