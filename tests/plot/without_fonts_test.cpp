// A bare server has no fonts at all: figures must come out nevertheless. A program of its own,
// because fontconfig reads its settings once.
#include <cstdlib>

#include "fastcpp/core/path.hpp"
#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("figures without a single font") {
  CapturedLog log;
  const TempDir folder;
  write_file(folder / "fonts.conf",
             "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig>"
             "<cachedir>" +
                 (folder / "cache").string() + "</cachedir></fontconfig>");
  ::setenv("FONTCONFIG_FILE", (folder / "fonts.conf").c_str(), 1);
  Figure figure({.width = 6, .height = 4, .dpi = 72});
  figure.axes().plot({0, 1, 2}, {3, 1, 2}, {.label = "Train"}).title("größer").xlabel("x").legend();
  const auto layout = plot_detail::layout_of(figure);
  CHECK(text_faults(layout) == "");
  CHECK(count_texts(layout, "Train") == 1);
  CHECK(Pixels(figure.png()).width() == 432);
  CHECK(figure.svg().find("</svg>") != std::string::npos);
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("ß ö") != std::string::npos);
}
