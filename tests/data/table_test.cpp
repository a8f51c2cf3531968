// Tables: making, reading, writing, and what bad files get.
#include "fastcpp/data/table.hpp"

#include <cmath>
#include <fstream>
#include <sstream>

#include <sys/stat.h>

#include "fastcpp/core/python_text.hpp"
#include "fastcpp/io/value.hpp"
#include "support/catch.hpp"
#include "support/foreign_locale.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

using Kind = ColumnKind;

std::string error_of(const std::string& text, const ReadCsvOptions& options = {}) {
  return caught([&] { Table::parse_csv(text, options); }).code;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Cell first_cell(const std::string& text) {
  return Table::parse_csv("a,b\n" + text + ",x\n")[0].cell(0);
}

}  // namespace

TEST_CASE("A table is made of columns of any type") {
  const Table table({{"name", {"a.png", "b.png", "c.png"}},
                     {"label", {0, 1, 0}},
                     {"size", {1.0, 2.5, 3.0}},
                     {"valid", {true, false, true}},
                     {"hole", {Cell(1), Cell(), Cell(3)}},
                     {"tag", std::vector<std::string>{"x", "", "z"}},
                     {"many", std::vector<int>{7, 8, 9}}});
  CHECK(table.rows() == 3);
  CHECK(table.names() ==
        std::vector<std::string>{"name", "label", "size", "valid", "hole", "tag", "many"});
  CHECK(table["name"].kind() == Kind::kText);
  CHECK(table["label"].kind() == Kind::kInt64);
  CHECK(table["size"].kind() == Kind::kFloat64);
  CHECK(table["valid"].kind() == Kind::kBool);
  CHECK(table["hole"].kind() == Kind::kFloat64);
  CHECK(table["many"].int64s()[2] == 9);
  CHECK(table["hole"].missing(1));
  CHECK(std::isnan(table["hole"].float64s()[1]));
  CHECK_FALSE(table["tag"].has_missing());
  CHECK(table["name"].texts()[1] == "b.png");
  CHECK(table["valid"].bools()[0] == 1);
  CHECK((table["size"].cell(0) == Cell(1.0)));
  CHECK(table["size"].text(0) == "1.0");
  CHECK(table["valid"].text(1) == "False");
  CHECK(table[0].name() == "name");
  CHECK(table[-1].name() == "many");
  const Table pair({{"from", {"a", "b"}}, {"to", {"c", "d"}}});
  CHECK(pair.rows() == 2);
  CHECK(pair["to"].texts()[1] == "d");
  CHECK(Table({{"none", {}}}).rows() == 0);
  CHECK(table.contains("tag"));
  CHECK_FALSE(table.contains("Tag"));
}

TEST_CASE("Mixed cells become what holds them all") {
  const auto kind = [](std::vector<Cell> cells) { return Column("c", std::move(cells)).kind(); };
  CHECK(kind({1, 2.5}) == Kind::kFloat64);
  CHECK(kind({1, "x"}) == Kind::kText);
  CHECK(kind({"1", "2"}) == Kind::kText);
  CHECK(kind({true, 1}) == Kind::kText);
  CHECK(kind({true, Cell()}) == Kind::kBool);
  CHECK(kind({1, std::nan("")}) == Kind::kFloat64);
  CHECK(kind({std::uint64_t{1} << 63, 1}) == Kind::kUInt64);
  CHECK(kind({std::uint64_t{1} << 63, -1}) == Kind::kText);
  CHECK(kind({std::uint64_t{5}}) == Kind::kInt64);
  CHECK(kind({Cell(), Cell()}) == Kind::kFloat64);
  CHECK(kind({}) == Kind::kText);
  CHECK((Column("c", {1, 2.5}).cell(0) == Cell(1.0)));
}

TEST_CASE("1, 1.0, \"1\" and true are four cells") {
  const Cell cells[] = {1, 1.0, "1", true};
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t k = 0; k < 4; ++k) CHECK((cells[i] == cells[k]) == (i == k));
  }
}

TEST_CASE("Columns of a table differ in name and agree in length") {
  CHECK(caught([] { Table({{"a", {1, 2}}, {"b", {1}}}); }).code == "data.length");
  CHECK(caught([] { Table({{"a", {1}}, {"a", {1}}}); }).code == "value.names");
}

TEST_CASE("The text of a cell in its file is kept beside its value") {
  const auto table = Table::parse_csv("name,label\n0001,007\n\"0002\", 8\n");
  CHECK(table["name"].int64s()[0] == 1);
  CHECK(table["name"].raw(0) == "0001");
  CHECK(table["name"].raw(1) == "0002");
  CHECK(table["name"].text(0) == "1");
  CHECK(table["label"].raw(1) == " 8");
  CHECK(table.to_csv_text() == "name,label\n0001,007\n0002, 8\n");
}

TEST_CASE("Columns and rows that are not there") {
  const auto table = Table::parse_csv("name;label\na;1\n");
  const auto name = caught([&] { table["label"]; });
  CHECK(name.code == "data.no_column");
  CHECK(holds(name.message, "'name;label'"));
  CHECK(caught([&] { table[1]; }).code == "value.index");
  CHECK(caught([&] { table[-2]; }).code == "value.index");
  CHECK(caught([&] { table[0].cell(1); }).code == "value.index");
  CHECK(caught([&] { table[0].raw(-1); }).code == "value.index");
  CHECK(caught([&] { table[0].int64s(); }).code == "value.column_kind");
  CHECK(caught([&] { Table()[0]; }).code == "value.index");
}

TEST_CASE("Rows are taken in any order, repeats too") {
  const auto table = Table::parse_csv("n,v,t\na,1,True\nb,,False\nc,3,True\n");
  const auto some = table.take({2, 0, 2});
  CHECK(some.rows() == 3);
  CHECK(some["n"].texts()[0] == "c");
  CHECK(some["v"].kind() == Kind::kFloat64);
  CHECK_FALSE(some["v"].has_missing());
  CHECK(some["v"].raw(1) == "1");
  CHECK(some["t"].bools()[2] == 1);
  CHECK(table.take({1})["v"].missing(0));
  CHECK(table.take({}).rows() == 0);
  CHECK(table.take({}).names() == table.names());
  CHECK(caught([&] { table.take({3}); }).code == "value.index");
  CHECK(caught([&] { table.take({-1}); }).code == "value.index");
  const auto two = table.select({"v", 0});
  CHECK(two.names() == std::vector<std::string>{"v", "n"});
  CHECK(caught([&] { table.select({"v", 1}); }).code == "value.names");
}

TEST_CASE("Tables are stacked by column names") {
  const auto a = Table::parse_csv("n,v,only\n1,1,x\n2,2,y\n");
  const auto b = Table::parse_csv("v,n,more\n2.5,c,True\n");
  const auto both = a.append(b);
  CHECK(both.names() == std::vector<std::string>{"n", "v", "only", "more"});
  CHECK(both.rows() == 3);
  CHECK(both["n"].kind() == Kind::kText);
  CHECK(both["n"].texts()[0] == "1");
  CHECK(both["v"].kind() == Kind::kFloat64);
  CHECK(both["v"].float64s()[0] == 1.0);
  CHECK(both["only"].missing(2));
  CHECK(both["more"].kind() == Kind::kBool);
  CHECK(both["more"].missing(0));
  CHECK(both["more"].bools()[2] == 1);
  // What a column is does not change by what is stacked below it.
  CHECK(Table({{"c", {"1"}}}).append(Table({{"c", {2}}}))["c"].kind() == Kind::kText);
  CHECK(Table({{"c", {1}}}).append(Table({{"c", {Cell()}}}))["c"].kind() == Kind::kFloat64);
  CHECK(Table({{"c", {Cell()}}}).append(Table({{"c", {"x"}}}))["c"].kind() == Kind::kText);
  CHECK(Table({{"c", {true}}}).append(Table({{"c", {1}}}))["c"].kind() == Kind::kText);
  CHECK(Table({{"c", {1.0}}}).append(Table({{"c", {2}}}))["c"].kind() == Kind::kFloat64);
  CHECK(Table({{"c", {1}}}).append(Table({{"c", {std::uint64_t{1} << 63}}}))["c"].kind() ==
        Kind::kUInt64);
  CHECK(Table().append(a).rows() == 2);
  CHECK(a.append(Table()).rows() == 2);
  CHECK(a.append(a.take({}))["v"].kind() == Kind::kInt64);
  CHECK(a.take({}).append(a)["v"].kind() == Kind::kInt64);
  // Texts live on without the tables they came from.
  Table grown = Table::parse_csv("n\nfirst\n");
  for (int i = 0; i < 3; ++i)
    grown = grown.append(Table::parse_csv("n\nr" + std::to_string(i) + "\n"));
  CHECK(grown["n"].texts()[3] == "r2");
}

TEST_CASE("Quotes are written where reading needs them") {
  const Table table({{"a,b", {"x,y", "\"q\"", "two\nlines", "cr\r", " plain ", "semi;colon"}},
                     {"n", {1, 2, 3, 4, 5, 6}}});
  CHECK(table.to_csv_text() ==
        "\"a,b\",n\n\"x,y\",1\n\"\"\"q\"\"\",2\n\"two\nlines\",3\n\"cr\r\",4\n plain "
        ",5\nsemi;colon,6\n");
  CHECK(table.take({0, 5}).to_csv_text(
            {.delimiter = ';', .line_end = LineEnd::kCrLf, .header = CsvHeader::kNone}) ==
        "x,y;1\r\n\"semi;colon\";6\r\n");
  const auto back = Table::parse_csv(table.to_csv_text());
  for (std::int64_t i = 0; i < 6; ++i) CHECK(back[0].raw(i) == table[0].raw(i));
  // A row of one blank cell is still a row.
  const Table alone({{"a", {"x", "  ", "y"}}});
  CHECK(Table::parse_csv(alone.to_csv_text())["a"].raw(1) == "  ");
  CHECK(Table::parse_csv(Table({{"a", {Cell("x"), Cell(), Cell("y")}}}).to_csv_text())["a"].missing(
      1));
  CHECK(Table({{"f", {0.1, 1e16, 1e-5}}}).to_csv_text() == "f\n0.1\n1e+16\n1e-05\n");
  CHECK(Table({{"b", {true, false}}}).to_csv_text() == "b\nTrue\nFalse\n");
  CHECK(Table().to_csv_text().empty());
  CHECK(caught([&] { table.to_csv_text({.delimiter = '"'}); }).code == "value.delimiter");
}

TEST_CASE("A table that cannot be written leaves the old file") {
  const TempDir folder;
  const Table table({{"a", {1}}});
  table.to_csv(folder / "sub/t.csv");
  CHECK(read_file(folder / "sub/t.csv") == "a\n1\n");
  CHECK(caught([&] { table.to_csv(folder.path()); }).code == "io.cannot_write");
  CHECK(caught([&] { table.to_csv(folder / "sub/t.csv", {.delimiter = '\n'}); }).code ==
        "value.delimiter");
  CHECK(read_file(folder / "sub/t.csv") == "a\n1\n");
  if (std::filesystem::exists("/dev/full")) {
    CHECK(caught([&] { table.to_csv("/dev/full"); }).code == "io.cannot_write");
  }
}

TEST_CASE("What is a number") {
  CHECK((first_cell("1e-400") == Cell(0.0)));
  CHECK((first_cell("0.0000001e-330") == Cell(0.0)));
  CHECK((first_cell("-1e-99999999999999999999") == Cell(-0.0)));
  CHECK((first_cell("0e99999999999999999999") == Cell(0.0)));
  CHECK((first_cell("1e99999999999999999999") == Cell("1e99999999999999999999")));
  CHECK((first_cell("1e308") == Cell(1e308)));
  CHECK((first_cell("1" + std::string(400, '0')) == Cell("1" + std::string(400, '0'))));
  CHECK((first_cell("5e-324") == Cell(5e-324)));
  CHECK((first_cell("-Infinity") == Cell(-INFINITY)));
  CHECK((first_cell("+.5") == Cell(0.5)));
  CHECK((first_cell(" 2.5 ") == Cell(2.5)));
  CHECK((first_cell("\"\t7\n\"") == Cell(7)));
  for (const char* text : {"+", "-", ".", "+-1", "--1", "1e", "e1", "0x1p3", "infinite", "NAN",
                           "nan(1)", " inf", "1.5f", "1 2", "- 1"}) {
    CHECK((first_cell(text) == Cell(text)));
  }
  // One number with a point makes all of them float64, unless one is beyond it.
  CHECK(Table::parse_csv("a\n18446744073709551616\n0.5\n")[0].kind() == Kind::kFloat64);
  CHECK(Table::parse_csv("a\n1" + std::string(400, '0') + "\n0.5\n")[0].kind() == Kind::kText);
  CHECK(Table::parse_csv("a,b\n9223372036854775808,1\n,1\n")[0].kind() == Kind::kText);
}

TEST_CASE("Any cell can be asked for as a number") {
  const auto table = Table::parse_csv("i,f,b,t\n1,2.5,True, 7 \n2,,False,x\n");
  CHECK(table["i"].number(0) == 1);
  CHECK(table["f"].number(0) == 2.5);
  CHECK(std::isnan(table["f"].number(1)));
  CHECK(table["b"].number(0) == 1);
  CHECK(table["t"].number(0) == 7);
  const auto error = caught([&] { table["t"].number(1); });
  CHECK(error.code == "data.not_a_number");
  CHECK(holds(error.message, "row 1"));
  CHECK(holds(error.message, "'t'"));
}

TEST_CASE("Arguments of reading") {
  const auto named =
      Table::parse_csv("196\t242\n186\t302\n",
                       {.delimiter = '\t', .header = std::nullopt, .names = {"user", "film"}});
  CHECK(named["film"].int64s()[1] == 302);
  CHECK(named.has_names());
  CHECK_FALSE(Table::parse_csv("1,2\n", {.header = std::nullopt}).has_names());
  CHECK(Table::parse_csv("a,b\n1,2\n", {.names = {"x", "y"}})["y"].int64s()[0] == 2);
  CHECK(error_of("1,2\n", {.header = std::nullopt, .names = {"x"}}) == "value.names");
  CHECK(error_of("1,2\n", {.header = std::nullopt, .names = {"x", "x"}}) == "value.names");
  CHECK(Table::parse_csv("a\n1\n2\nx\n", {.nrows = 2})[0].kind() == Kind::kInt64);
  CHECK(Table::parse_csv("a\n1\n", {.nrows = 0}).rows() == 0);
  CHECK(Table::parse_csv("a\n1\n\"open", {.nrows = 1}).rows() == 1);
  CHECK(error_of("a\n1\n", {.nrows = -1}) == "value.items");
  CHECK(error_of("a\n1\n", {.header = -1}) == "value.header");
  CHECK(error_of("a\n1\n", {.header = 2}) == "table.empty");
  CHECK(Table::parse_csv("made,by,hand\n\na\n1\n", {.header = 1})["a"].int64s()[0] == 1);
  for (const char c : {'"', '\n', '\r', '\0', '\xE9'})
    CHECK(error_of("a\n", {.delimiter = c}) == "value.delimiter");
  CHECK(Table::parse_csv("a\ncaf\xE9\n", {.encoding = Encoding::kLatin1})[0].raw(0) ==
        "caf\xC3\xA9");
}

TEST_CASE("Names that repeat do not meet names that are there") {
  CHECK(Table::parse_csv("a,a,,b,a\n").names() ==
        std::vector<std::string>{"a", "a.1", "Unnamed: 2", "b", "a.2"});
  CHECK(Table::parse_csv("a,a.1,a,Unnamed: 3,\n").names().size() == 5);
}

TEST_CASE("Byte-order marks are no part of a name") {
  const std::string mark = "\xEF\xBB\xBF";
  const auto names = [](const std::string& text) { return Table::parse_csv(text).names(); };
  const std::vector<std::string> want{"a", "b"};
  CHECK(names(mark + "a,b\n1,2\n") == want);
  CHECK(names(mark + mark + "a,b\n1,2\n") == want);
  CHECK(names(mark + "\"a\",b\n1,2\n") == want);
  CHECK(names("\"" + mark + "a\",b\n1,2\n") == want);
  CHECK(names("\"\"" + mark + "a,b\n1,2\n") == want);
  CHECK(names("a," + mark + "b\n1,2\n") == want);
  CHECK(names("a" + mark + ",b\n1,2\n") == want);
  CHECK(Table::parse_csv("by hand\n\"" + mark + "a\",b\n1,2\n", {.header = 1}).names() == want);
  // What is left counts: nothing, or a name that is there.
  CHECK(names(mark + mark + ",a,\"" + mark + "a\"\n1,2,3\n") ==
        std::vector<std::string>{"Unnamed: 0", "a", "a.1"});
  // Written and read again, the names and cells are the same.
  const auto table = Table::parse_csv("\"" + mark + "a\",b\n" + mark + "x,2\n");
  const auto again = Table::parse_csv(table.to_csv_text());
  CHECK(again.names() == want);
  CHECK(again["a"].texts()[0] == mark + "x");
}

TEST_CASE("Lines are counted as an editor counts them") {
  CHECK(holds(caught([] { Table::parse_csv("a,b\r\n\r\n\"x\ny\",1\r\n1,2,3\r\n"); }).message,
              "line 5:"));
  const auto error = caught([] { Table::parse_csv("a,b\n1,\"open\n2,3\n"); });
  CHECK(error.code == "table.open_quote");
  CHECK(holds(error.message, "line 2:"));
  CHECK(error_of("a\n\"") == "table.open_quote");
  CHECK(error_of("a\n\"x\"\"") == "table.open_quote");
}

TEST_CASE("What is no text is refused") {
  for (const char* bad : {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF5\x80\x80\x80", "\xE2\x82", "\x80", "\xFF"}) {
    CHECK(error_of(std::string("a\n12345678") + bad) == "table.encoding");
    CHECK(error_of(std::string("a\n") + bad + "\n12345678") == "table.encoding");
  }
  CHECK(error_of(std::string("a\nx\0y\n", 6)) == "table.encoding");
  CHECK(error_of("a\n\xF4\x8F\xBF\xBF\xEF\xBF\xBF\xC2\x80\n").empty());
  std::string garbage;
  for (int i = 0; i < 100000; ++i) garbage += static_cast<char>((i * 2654435761U) >> 13);
  CHECK(error_of(garbage) == "table.encoding");
  try {
    Table::parse_csv("ab\ncaf\xE9\n");
    FAIL("no error");
  } catch (const FormatError& e) {
    CHECK(e.offset() == 6);
  }
}

TEST_CASE("What is no file is refused") {
  const TempDir folder;
  CHECK(caught([&] { Table::read_csv(folder.path()); }).code == "io.cannot_read");
  const auto error = caught([&] { Table::read_csv(folder / "none.csv"); });
  CHECK(error.code == "io.cannot_read");
  CHECK(holds(error.message, "none.csv"));
  for (const char* text : {"", "\n", "  \r\n\t", "\xEF\xBB\xBF"})
    CHECK(error_of(text) == "table.empty");
}

// The time of each is that of its bytes; the square of it would be hours, and CTest ends such a test.
TEST_CASE("Large and odd files take no more than their size") {
  const std::string many(20'000'000, 'x');
  CHECK(Table::parse_csv("a\n" + many).rows() == 1);
  CHECK(error_of("a\n\"" + many) == "table.open_quote");
  CHECK(error_of(std::string(20'000'000, '\n')) == "table.empty");
  CHECK(error_of(std::string(20'000'000, ' ')) == "table.empty");
  CHECK(error_of(std::string(20'000'000, ',')) == "table.too_wide");
  CHECK(error_of("a\n" + std::string(20'000'000, ',')) == "table.row_length");
  CHECK(error_of("a\n" + std::string(19'999'999, '"')) == "table.open_quote");
  std::string wide;
  for (int i = 0; i < 100000; ++i) wide += "a,";
  const auto table = Table::parse_csv(wide + "a\n" + wide + "a\n");
  CHECK(table.columns().size() == 100001);
  CHECK(table[-1].name() == "a.100000");
  CHECK(table.append(table).rows() == 2);
  // A short file must not ask for 10^11 cells.
  std::string short_rows = wide + "a\n";
  for (int i = 0; i < 1000000; ++i) short_rows += "x\n";
  CHECK(error_of(short_rows) == "table.row_length");
  const std::string name(5'000'000, 'n');
  CHECK(caught([&] { Table::parse_csv(name + "\n1\n")["x"]; }).message.size() < 500);
}

TEST_CASE("A table reads and writes alike in any language") {
  const ForeignLocale german("de_DE");
  const auto table = Table::parse_csv("a,b\n1.5,1000000\n2.25,2\n");
  CHECK(table["a"].float64s()[0] == 1.5);
  CHECK(table["b"].text(0) == "1000000");
  CHECK(Table({{"x", {1234567.5}}}).to_csv_text() == "x\n1234567.5\n");
  std::ostringstream out;
  out << table;
  CHECK(holds(out.str(), "1000000"));
  CHECK(holds(out.str(), "[2 rows x 2 columns]"));
}

TEST_CASE("A table is printed in columns") {
  const auto table = Table::parse_csv("name,label\n\xC3\xA9t\xC3\xA9.png,1\nb.png,\n");
  CHECK(table.head() == "      name  label\n0  \xC3\xA9t\xC3\xA9.png    1.0\n1    b.png    NaN\n");
  CHECK(table.head(1) == "      name  label\n0  \xC3\xA9t\xC3\xA9.png    1.0\n");
  CHECK(holds(Table::parse_csv("a,b,c,d,e,f,g,h,i,j,k\n").head(), "..."));
  CHECK(caught([&] { table.head(-1); }).code == "value.items");
}

TEST_CASE("Numbers print as Python prints them") {
  CHECK(python_float(0.5) == "0.5");
  CHECK(python_float(-1.0) == "-1.0");
  CHECK(python_float(100.0) == "100.0");
  CHECK(python_float(123.456) == "123.456");
  CHECK(python_float(1e-4) == "0.0001");
  CHECK(python_float(1e-5) == "1e-05");
  CHECK(python_float(1.5e300) == "1.5e+300");
  CHECK(python_float(1e16) == "1e+16");
  CHECK(python_float(-0.0) == "-0.0");
  CHECK(python_float(1e-4F) == "1e-04");
  CHECK(python_float(123456789.0F) == "123456790.0");
  CHECK(python_float(16777216.0F) == "16777216.0");
  CHECK(python_float(1.0F / 3) == "0.33333334");
  CHECK(python_float(INFINITY) == "inf");
  CHECK(python_float(-NAN) == "nan");
}

namespace {

std::vector<int> codes_of(const Column& column) {
  return {column.codes().begin(), column.codes().end()};
}

}  // namespace

TEST_CASE("A column of categories keeps their order, and finds values by what they are") {
  const Column sizes("size", {"lo", "hi", Cell(), "lo", "odd"});
  CHECK(sizes.categories() == nullptr);
  CHECK(caught([&] { sizes.codes(); }).code == "value.column_kind");
  const auto ordered = sizes.with_categories({"lo", "mid", "hi"});
  CHECK(codes_of(ordered) == std::vector<int>{0, 2, -1, 0, -1});
  CHECK(ordered.missing(4));
  CHECK_FALSE(sizes.missing(4));
  CHECK((*ordered.categories() == std::vector<Cell>{"lo", "mid", "hi"}));
  CHECK(codes_of(sizes.as_category()) == std::vector<int>{1, 0, -1, 1, 2});

  const Column numbers("n", {10, 9, 1, 10});
  CHECK((*numbers.as_category().categories() == std::vector<Cell>{1, 9, 10}));
  CHECK(codes_of(numbers.as_category()) == std::vector<int>{2, 1, 0, 2});
  // A number of another type is the same number; a text and a truth value are none.
  CHECK(codes_of(numbers.with_categories({1.0, "9", 10})) == std::vector<int>{2, -1, 0, 2});
  CHECK(codes_of(Column("b", {true, false}).with_categories({1, false})) ==
        std::vector<int>{-1, 1});
  // Whole numbers beyond what a double holds stay apart.
  constexpr std::int64_t kLarge = (1LL << 53) + 1;
  CHECK(Column("n", {kLarge, kLarge - 1}).as_category().categories()->size() == 2);
  CHECK(caught([&] { numbers.with_categories({1, 1.0}); }).code == "value.classes");
  CHECK(caught([&] { numbers.with_categories({1, Cell()}); }).code == "value.classes");
}

TEST_CASE("Categories stay when rows are taken, and when both tables have the same") {
  const auto of = [](std::vector<Cell> cells, const std::vector<Cell>& categories) {
    return Table({Column("size", std::move(cells)).with_categories(categories)});
  };
  const std::vector<Cell> order{"lo", "mid", "hi"};
  const auto table = of({"hi", "lo", Cell()}, order);
  CHECK(codes_of(table.take({1, 0, 1})["size"]) == std::vector<int>{0, 2, 0});
  const auto both = table.append(of({"mid"}, order));
  REQUIRE(both["size"].categories() != nullptr);
  CHECK(codes_of(both["size"]) == std::vector<int>{2, 0, -1, 1});
  CHECK(table.append(of({"hi"}, {"hi", "lo"}))["size"].categories() == nullptr);
  CHECK(table.append(Table({{"size", {"hi"}}}))["size"].categories() == nullptr);
}

TEST_CASE("Rows and columns of a table, one by one") {
  const Table table({{"a", {1, 2}}, {"b", {"x", Cell()}}});
  const TabularRow want{{"a", 2}, {"b", {}}};
  CHECK((table.row(1) == want));
  CHECK(caught([&] { table.row(2); }).code == "value.index");
  CHECK(table.with_column(Column("c", {0.5, 1.5})).names() ==
        std::vector<std::string>{"a", "b", "c"});
  const auto changed = table.with_column(Column("a", {"p", "q"}));
  CHECK(changed.names() == table.names());
  CHECK(changed["a"].text(1) == "q");
  CHECK(table["a"].text(1) == "2");
  CHECK(caught([&] { static_cast<void>(table.with_column(Column("c", {1}))); }).code ==
        "data.length");
  CHECK(table.without_column("a").names() == std::vector<std::string>{"b"});
  CHECK(table.without_column("a").without_column("b").rows() == 0);
  CHECK(caught([&] { static_cast<void>(table.without_column("c")); }).code == "data.no_column");
  // A cell to a file and back.
  constexpr std::uint64_t kHuge = 18446744073709551615u;
  for (const Cell& cell : {Cell(), Cell(true), Cell(-3), Cell(kHuge), Cell(0.1), Cell("x")}) {
    CHECK((to_cell(to_value(cell)) == cell));
  }
  CHECK(caught([] { to_cell(Value::list()); }).code == "value.wrong_kind");
}
