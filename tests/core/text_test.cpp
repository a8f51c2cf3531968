#include "fastcpp/core/text.hpp"

#include "support/catch.hpp"

using namespace fastcpp;

TEST_CASE("texts become valid UTF-8, without control characters") {
  CHECK(clean_text("caf\u00e9 \u4e2d\n") == "caf\u00e9 \u4e2d\n");
  CHECK(clean_text("a\xff"
                   "b\xc3") ==
        "a\uFFFD"
        "b\uFFFD");
  CHECK(clean_text("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");  // half of a pair of UTF-16
  CHECK(clean_text(std::string("a\0b\tc\x7f", 6)) == "a b c ");
  CHECK(clean_text("").empty());
  CHECK(utf8_length("\u4e2d") == 3);
  CHECK(utf8_length("\xc0\x80") == 0);  // a zero in disguise
}

TEST_CASE("texts mean nothing to HTML, within attributes too") {
  CHECK(html_text("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#39;");
  CHECK(html_text("&amp;") == "&amp;amp;");
  CHECK(html_text("a\xff<") == "a\uFFFD&lt;");
  CHECK(html_text("plain") == "plain");
}
