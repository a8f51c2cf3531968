// Texts in rows and columns: nothing is cut off, nothing meets, long texts end in an ellipsis.
#include "fastcpp/plot/text_table.hpp"

#include <algorithm>

#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using plot_detail::layout_of;

TEST_CASE("a table of texts is as large as its texts, and none meets another") {
  const Figure figure =
      text_table({{.name = "name", .texts = {"Anna", "Bartholomew", ""}},
                  {.name = "a number", .texts = {"1", "22", "333"}, .align = TextAlign::kRight}},
                 {.below = "4 more rows"});
  const auto layout = layout_of(figure);
  CHECK(text_faults(layout) == "");
  CHECK(layout.texts.size() == 2 + 5 + 1);
  // One unit is one point, so no text shrinks.
  for (const auto& text : layout.texts)
    CHECK(text.size == Approx(text.text == "4 more rows" ? 9 : 10));
  const auto box_of = [&](const std::string& text) {
    const auto found = std::find_if(layout.texts.begin(), layout.texts.end(),
                                    [&](const auto& box) { return box.text == text; });
    REQUIRE(found != layout.texts.end());
    return *found;
  };
  CHECK(box_of("name").bold);
  CHECK_FALSE(box_of("Anna").bold);
  CHECK(box_of("Anna").box.x == Approx(box_of("name").box.x));
  CHECK(box_of("22").box.right() == Approx(box_of("333").box.right()));
  CHECK(box_of("333").box.right() == Approx(box_of("a number").box.right()));
  CHECK(box_of("Bartholomew").box.right() < box_of("22").box.x);
  CHECK(box_of("4 more rows").box.y > box_of("333").box.bottom());
  CHECK(layout.width < 220);
  CHECK(layout.height < 120);
}

TEST_CASE("long texts of a table end in an ellipsis, whatever letters they have") {
  const std::string book(100'000, 'w');
  std::string greek, bad = "caf\xe9\nau lait";
  for (int i = 0; i < 200; ++i) greek += "\u03bb";
  const Figure figure =
      text_table({{.name = std::string(90, 'N'), .texts = {book, greek, bad}}}, {.widest = 1});
  const auto layout = layout_of(figure);
  CHECK(text_faults(layout) == "");
  REQUIRE(layout.texts.size() == 4);
  for (const auto& text : layout.texts) {
    CHECK(text.box.width <= 72.01);
    if (text.text.find("lait") == std::string::npos) CHECK(text.text.ends_with("\u2026"));
    if (text.text.starts_with("\u03bb"))
      CHECK(text.text.size() % 2 == 1);  // whole letters, and three bytes
  }
  CHECK(count_texts(layout, "caf\ufffd au lait") == 1);
  // Blanks at the ends do not push a text to the side.
  CHECK(count_texts(layout_of(text_table({{.name = " a ", .texts = {"  ", " b"}}})), "b") == 1);
  // Narrower than a letter: the ellipsis alone.
  CHECK(count_texts(layout_of(text_table({{.name = "x", .texts = {"yes"}}}, {.widest = 0.01})),
                    "\u2026") == 2);
}

TEST_CASE("a table of texts refuses what it cannot draw, and draws one of nothing") {
  const auto code = [](const auto& f) { return caught(f).code; };
  CHECK(code([] {
          text_table({{.name = "a", .texts = {"1"}}, {.name = "b"}});
        }) == "value.plot_size");
  CHECK(code([] { text_table({}, {.size = 0}); }) == "value.plot_option");
  CHECK(code([] { text_table({}, {.widest = -1}); }) == "value.plot_option");
  CHECK(code([] { text_table({}, {.dpi = 1e9}); }) == "value.figure_size");
  CHECK_FALSE(text_table({}).png().empty());
  CHECK(count_texts(layout_of(text_table({{.name = "a"}}, {.below = "no rows"})), "no rows") == 1);
}
