// Letters that the usual font lacks come from another font. A program of its own, because fontconfig reads its settings
// once: the tests know two fonts, DejaVu and one that they make themselves, which has the cat 猫 only, as a black square.
#include <cstdlib>

#include "fastcpp/core/path.hpp"
#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Numbers of a TrueType file: big-endian.
std::string u16(int value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
std::string u32(std::uint32_t value) {
  return u16(static_cast<int>(value >> 16)) + u16(static_cast<int>(value & 0xFFFF));
}
std::string u16s(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += u16(value);
  return bytes;
}

std::string square_font() {
  constexpr int cat = 0x732B;
  const auto wide = [](const std::string& text) {
    std::string bytes;
    for (const char c : text) bytes += u16(c);
    return bytes;
  };
  const std::string family = wide("Square"), style = wide("Regular");
  const auto record = [](int id, std::size_t length, std::size_t at) {
    return u16s({3, 1, 0x409, id, static_cast<int>(length), static_cast<int>(at)});
  };
  const std::vector<std::pair<std::string, std::string>> tables{
      {"cmap", u16s({0, 1, 3, 1}) + u32(12) +
                   u16s({4, 32, 0, 4, 4, 1, 0, cat, 0xFFFF, 0, cat, 0xFFFF, 1 - cat, 1, 0, 0})},
      {"glyf", u16s({1, 100, 0, 900, 800, 3, 0}) + "\x01\x01\x01\x01" +
                   u16s({100, 800, 0, -800, 0, 0, 800, 0})},
      {"head", u32(0x10000) + u32(0x10000) + u32(0) + u32(0x5F0F3CF5) + u16s({0, 1000}) +
                   std::string(16, '\0') + u16s({100, 0, 900, 800, 0, 8, 2, 0, 0})},
      {"hhea", u32(0x10000) + u16s({900, -200, 0, 1000, 0, 0, 1000, 1, 0, 0, 0, 0, 0, 0, 0, 1})},
      {"hmtx", u16s({1000, 0, 100})},
      {"loca", u16s({0, 0, 17})},
      {"maxp", u32(0x10000) + u16s({2, 4, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0})},
      {"name", u16s({0, 2, 30}) + record(1, family.size(), 0) +
                   record(2, style.size(), family.size()) + family + style},
  };
  std::string head = u32(0x10000) + u16s({static_cast<int>(tables.size()), 128, 3, 0}), body;
  const auto start = 12 + 16 * tables.size();
  for (const auto& [name, bytes] : tables) {
    head += name + u32(0) + u32(static_cast<std::uint32_t>(start + body.size())) +
            u32(static_cast<std::uint32_t>(bytes.size()));
    body += bytes + std::string((4 - bytes.size() % 4) % 4, '\0');
  }
  return head + body;
}

// The two fonts, for the whole program.
const TempDir& fonts() {
  static const TempDir folder;
  static const bool made = [] {
    write_file(folder / "square.ttf", square_font());
    write_file(folder / "fonts.conf",
               "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig>"
               "<dir>/usr/share/fonts/truetype/dejavu</dir><dir>" +
                   folder.path().string() + "</dir><cachedir>" + (folder / "cache").string() +
                   "</cachedir></fontconfig>");
    return ::setenv("FONTCONFIG_FILE", (folder / "fonts.conf").c_str(), 1) == 0;
  }();
  (void)made;
  return folder;
}

Figure titled(const std::string& text) {
  fonts();
  Figure figure({.width = 4, .height = 3, .dpi = 72});
  figure.axes().title(text, {.size = 40});
  return figure;
}

}  // namespace

TEST_CASE("letters that the usual font lacks come from another one") {
  CapturedLog log;
  for (const bool bold : {false, true}) {
    fonts();
    Figure figure({.width = 4, .height = 3, .dpi = 72});
    figure.axes().title("a猫", {.size = 40, .bold = bold});
    const auto layout = plot_detail::layout_of(figure);
    for (const auto& text : layout.texts) {
      if (text.text != "a猫") continue;
      // The square stands at the right end, 100 of 1000 units from it, on the line.
      const Pixels pixels(figure.png());
      CHECK(pixels.at(static_cast<int>(text.box.right() - 20), static_cast<int>(text.y - 16)) ==
            colors::black);
      CHECK(pixels.at(static_cast<int>(text.box.right() - 1), static_cast<int>(text.y - 16)) ==
            colors::white);
    }
    CHECK(count_texts(layout, "a猫") == 1);
    CHECK(figure.svg().find("</svg>") != std::string::npos);
  }
  CHECK(log.warnings.empty());
}

TEST_CASE("letters that no font has are told once a figure") {
  CapturedLog log;
  const auto figure = titled("猫 größer 狗");
  figure.png();
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("狗") != std::string::npos);
  CHECK(log.warnings[0].find("猫") == std::string::npos);
  figure.png();
  figure.svg();
  CHECK(log.warnings.size() == 1);
  titled("狗").png();
  CHECK(log.warnings.size() == 2);
  // Marks without a shape are no letters.
  titled("a\uFE0F\u200D").png();
  CHECK(log.warnings.size() == 2);
}
