// Tables as pictures.
#include "fastcpp/tabular/table_figure.hpp"

#include "fastcpp/tabular/tabular_list.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::vector<std::int64_t> numbers_to(std::int64_t n) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < n; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

TEST_CASE("a table becomes a picture as large as its rows and columns") {
  const Table table({Column("row", numbers_to(50))});
  const auto height = [&](const TableFigureOptions& options) {
    return table_figure(table, options).pixel_height();
  };
  // A line for the names, one for each row, one that counts the others.
  const auto all = height({.rows = 50}), some = height({.rows = 10}), one = height({.rows = 1});
  CHECK(all > 4 * some);
  const double a_row = (some - one) / 9.0;
  CHECK(a_row == Approx(19 * 100 / 72.0).margin(0.2));
  CHECK(all - some == Approx(39 * 19 * 100 / 72.0).margin(1.5));
  // Wider with a further column, but not beyond the columns that are shown.
  const auto wide = table.with_column(Column("another", numbers_to(50)));
  CHECK(table_figure(wide).pixel_width() > table_figure(table).pixel_width());
  CHECK(table_figure(wide, {.columns = 1}).svg() != table_figure(table, {.columns = 1}).svg());
}

TEST_CASE("cells of a picture: holes, long numbers, texts of any length, tables of nothing") {
  const auto csv = [](const std::string& text) { return Table::parse_csv(text); };
  // Ten digits are enough for the eye.
  CHECK(table_figure(csv("a\n0.30000000000000004\n")).svg() == table_figure(csv("a\n0.3\n")).svg());
  CHECK(table_figure(csv("a,b\n1.5,x\n,y\n")).svg() !=
        table_figure(csv("a,b\n1.5,x\n2.5,y\n")).svg());
  const Table book({Column("text", {std::string(100'000, 'w')})});
  CHECK(table_figure(book).pixel_width() < 300);
  CHECK(table_figure(book, {.widest = 5}).pixel_width() > 450);
  CHECK_FALSE(table_figure(Table()).png().empty());
  CHECK_FALSE(table_figure(csv("a,b\n")).png().empty());
  const auto code = [&](const TableFigureOptions& options) {
    return caught([&] { table_figure(book, options); }).code;
  };
  CHECK(code({.rows = 0}) == "value.rows");
  CHECK(code({.columns = 0}) == "value.rows");
  CHECK(code({.size = -1}) == "value.plot_option");
  CHECK(code({.dpi = 1e7}) == "value.figure_size");
}
