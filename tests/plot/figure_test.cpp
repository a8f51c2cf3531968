#include "fastcpp/plot/figure.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using plot_detail::layout_of;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// The names of all elements when every one is closed in its turn, else nothing.
std::vector<std::string> elements(const std::string& xml) {
  std::vector<std::string> open, all;
  for (std::size_t at = 0; (at = xml.find('<', at)) != std::string::npos;) {
    const std::size_t end = xml.find('>', at);
    if (end == std::string::npos) return {};
    const std::string tag = xml.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag.empty() || tag.find('<') != std::string::npos) return {};
    if (tag[0] == '?' || tag[0] == '!') continue;
    const std::string name = tag.substr(0, tag.find_first_of(" /\n", 1));
    if (tag[0] == '/') {
      if (open.empty() || "/" + open.back() != tag) return {};
      open.pop_back();
      continue;
    }
    all.push_back(name);
    if (tag.back() != '/') open.push_back(name);
  }
  return open.empty() ? all : std::vector<std::string>{};
}

// The pixel of a PNG at 72 dpi, where points are pixels.
Color pixel(const Pixels& pixels, double x, double y) {
  return pixels.at(static_cast<int>(std::floor(x)), static_cast<int>(std::floor(y)));
}

}  // namespace

TEST_CASE("a PNG has inches times dpi pixels") {
  struct Case {
    FigureOptions options;
    int width, height;
  };
  for (const Case& c : {Case{{}, 640, 480}, Case{{7, 6}, 700, 600}, Case{{15, 11, 72}, 1080, 792},
                        Case{{12, 12, 60}, 720, 720}, Case{{1, 2, 200}, 200, 400}}) {
    const Figure figure(c.options);
    const std::string png = figure.png();
    CHECK(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    const Pixels pixels(png);
    CHECK(pixels.width() == c.width);
    CHECK(pixels.height() == c.height);
    CHECK(figure.pixel_width() == c.width);
    CHECK(figure.pixel_height() == c.height);
  }
}

TEST_CASE("an SVG is a closed document of the figure's size with the letters in it") {
  const std::string svg = losses().svg();
  const auto all = elements(svg);
  REQUIRE_FALSE(all.empty());
  CHECK(all.front() == "svg");
  CHECK(svg.find("viewBox=\"0 0 432 288\"") != std::string::npos);
  const auto letters = [](const Figure& figure) {
    const auto names = elements(figure.svg());
    return std::count(names.begin(), names.end(), "use");
  };
  Figure titled = losses();
  const auto before = letters(titled);
  titled.axes().title("abc");
  CHECK(letters(titled) >= before + 3);
  // Pictures, heat maps and matrices stay vectors or pictures of their own: no bitmap of the whole
  // page.
  Figure picture({.width = 2, .height = 2, .dpi = 72});
  picture.axes().imshow(gradient(50, 50)).overlay({0, 1, 2, 3}, 2, 2).axis_off();
  const auto parts = elements(picture.svg());
  CHECK(std::count(parts.begin(), parts.end(), "image") == 2);
}

TEST_CASE("several SVGs may stand in one page of HTML") {
  const auto ids = [](const std::string& svg) {
    std::vector<std::string> found;
    for (std::size_t at = 0; (at = svg.find(" id=\"", at)) != std::string::npos;) {
      at += 5;
      found.push_back(svg.substr(at, svg.find('"', at) - at));
    }
    std::sort(found.begin(), found.end());
    return found;
  };
  Figure other;
  other.axes().imshow(gradient(5, 5)).title("other");
  const std::string one = losses().svg(), two = other.svg();
  CHECK(losses().svg() == one);
  const auto a = ids(one), b = ids(two);
  CHECK(std::adjacent_find(a.begin(), a.end()) == a.end());
  CHECK(std::adjacent_find(b.begin(), b.end()) == b.end());
  CHECK(a.size() > 5);
  CHECK(b.size() > 5);
  std::vector<std::string> shared;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(shared));
  CHECK(shared.empty());
  // Every reference has its target.
  for (const std::string& svg : {one, two}) {
    const auto known = ids(svg);
    for (const std::string& mark : {std::string("href=\"#"), std::string("url(#")}) {
      for (std::size_t at = 0; (at = svg.find(mark, at)) != std::string::npos;) {
        at += mark.size();
        CHECK(std::binary_search(known.begin(), known.end(),
                                 svg.substr(at, svg.find_first_of("\")", at) - at)));
      }
    }
  }
}

TEST_CASE("save chooses by the ending and writes whole files") {
  const TempDir folder;
  const Figure figure = losses();
  figure.save(folder / "a.png");
  figure.save(folder / "a.svg");
  figure.save(folder / "B.PNG");
  const bool same = read_file(folder / "a.png") == figure.png() &&
                    read_file(folder / "B.PNG") == figure.png() &&
                    read_file(folder / "a.svg") == figure.svg();
  CHECK(same);
  for (const char* name : {"a.jpg", "a", "a.png.txt", ".png"}) {
    const auto error = caught([&] { figure.save(folder / name); });
    CHECK(error.code == "value.figure_format");
    CHECK(error.message.find(name) != std::string::npos);
  }
  CHECK(caught([&] { figure.save(folder / "a.png" / "b.png"); }).code.substr(0, 3) == "io.");
  CHECK(ls(folder.path()).size() == 3);
}

TEST_CASE("handles share one drawing") {
  Figure figure({.dpi = 72});
  Axes axes = figure.add_axes();
  const std::string empty = figure.png();
  const Figure copy = figure;
  const Axes same = axes;
  axes.plot({0, 1}, {0, 1});
  CHECK(figure.png() != empty);
  CHECK(copy.png() == figure.png());
  CHECK(figure.size() == 1);
  const auto grid = figure.subplots(2, 3);
  CHECK(grid.size() == 6);
  CHECK(figure.size() == 6);
  // The former axes went with their grid, and drawing into them does no harm.
  const std::string fresh = figure.png();
  axes.title("nowhere");
  CHECK(figure.png() == fresh);
}

TEST_CASE("colour maps") {
  CHECK(colormap(Colormap::kBlues, 0) == Color{0xf7, 0xfb, 0xff});
  CHECK(colormap(Colormap::kBlues, 1) == Color{0x08, 0x30, 0x6b});
  CHECK(colormap(Colormap::kBlues, 0.5) == Color{0x6b, 0xae, 0xd6});
  // Entries 0, 64, 128, 192 and 255 of matplotlib's tables; 18 of 256 entries are kept, hence
  // 5/255.
  struct Case {
    Colormap cmap;
    Color entries[5];
  };
  const Case cases[] = {
      {Colormap::kMagma,
       {{0x00, 0x00, 0x04},
        {0x51, 0x12, 0x7c},
        {0xb7, 0x37, 0x79},
        {0xfc, 0x89, 0x61},
        {0xfc, 0xfd, 0xbf}}},
      {Colormap::kViridis,
       {{0x44, 0x01, 0x54},
        {0x3b, 0x52, 0x8b},
        {0x21, 0x91, 0x8c},
        {0x5e, 0xc9, 0x62},
        {0xfd, 0xe7, 0x25}}},
  };
  for (const Case& c : cases) {
    const int index[5] = {0, 64, 128, 192, 255};
    for (int i = 0; i < 5; ++i) {
      INFO(static_cast<int>(c.cmap) << " " << index[i]);
      CHECK(distance(colormap(c.cmap, index[i] / 255.0), c.entries[i]) <= 5);
    }
  }
  CHECK(colormap(Colormap::kMagma, -3) == colormap(Colormap::kMagma, 0));
  CHECK(colormap(Colormap::kMagma, kInf) == colormap(Colormap::kMagma, 1));
  CHECK(colormap(Colormap::kMagma, kNan) == colors::white);

  const Picture picture = colorize({-5, 5, 0, kNan}, 2, 2, Colormap::kGray);
  CHECK(picture.width == 2);
  CHECK(picture.rgb ==
        std::vector<std::uint8_t>{0, 0, 0, 255, 255, 255, 128, 128, 128, 255, 255, 255});
  CHECK(caught([] { colorize({1, 2, 3}, 2, 2); }).code == "value.plot_size");
}

TEST_CASE("a cell of a matrix has the colour of its value") {
  Figure figure({.width = 4, .height = 4, .dpi = 72});
  figure.axes().matrix({10, 20, 30, 50, kNan, 40}, 2, 3);
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  const Color expected[] = {colormap(Colormap::kBlues, 0),
                            colormap(Colormap::kBlues, 0.25),
                            colormap(Colormap::kBlues, 0.5),
                            colormap(Colormap::kBlues, 1.0),
                            colors::white,
                            colormap(Colormap::kBlues, 0.75)};
  for (int i = 0; i < 6; ++i) {
    // All four corners of the cell, two pixels inside.
    for (double dx : {-0.5, 0.5}) {
      for (double dy : {-0.5, 0.5}) {
        const double x = axes.x_at(i % 3 + dx) - 4 * dx, y = axes.y_at(i / 3 + dy) - 4 * dy;
        CHECK(pixel(pixels, x, y) == expected[i]);
      }
    }
  }
}

TEST_CASE("large matrices are drawn as one picture of the same colours") {
  std::vector<double> values(200 * 100);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 100 < 50 ? 0 : 1;
  Figure figure({.width = 4, .height = 6, .dpi = 72});
  figure.axes().matrix(values, 200, 100);
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  CHECK(pixel(pixels, axes.x_at(25), axes.y_at(100)) == colormap(Colormap::kBlues, 0));
  CHECK(pixel(pixels, axes.x_at(75), axes.y_at(100)) == colormap(Colormap::kBlues, 1));
}

TEST_CASE("a pixel of a picture is where it belongs") {
  const Picture picture{
      3, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 40, 50, 60, 70, 80, 90}};
  for (const bool off : {false, true}) {
    Figure figure({.width = 3, .height = 3, .dpi = 72});
    figure.axes().imshow(picture);
    if (off) figure.axes().axis_off();
    const Pixels pixels(figure.png());
    const auto axes = layout_of(figure).axes[0];
    CHECK(axes.box.width / axes.box.height == Approx(1.5));
    for (int i = 0; i < 6; ++i) {
      const Color expected{picture.rgb[3 * i], picture.rgb[3 * i + 1], picture.rgb[3 * i + 2]};
      CHECK(pixel(pixels, axes.x_at(i % 3), axes.y_at(i / 3)) == expected);
      CHECK(pixel(pixels, axes.x_at(i % 3 - 0.4), axes.y_at(i / 3 + 0.4)) == expected);
    }
  }
}

TEST_CASE("a photograph made smaller keeps its colours") {
  Figure figure({.width = 2, .height = 2, .dpi = 72});
  figure.axes().imshow(gradient(500, 500)).axis_off();
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  for (int x : {50, 250, 450}) {
    for (int y : {50, 250, 450}) {
      const Color expected{static_cast<std::uint8_t>(255 * x / 500),
                           static_cast<std::uint8_t>(255 * y / 500), 128};
      // One drawn pixel covers four of the picture, two levels of the gradient.
      CHECK(distance(pixel(pixels, axes.x_at(x), axes.y_at(y)), expected) <= 3);
    }
  }
}

TEST_CASE("a heat map lies over the whole picture, scaled by its own values") {
  Figure figure({.width = 3, .height = 3, .dpi = 72});
  const Picture gray{2, 2, std::vector<std::uint8_t>(12, 100)};
  figure.axes().imshow(gray).overlay({-4, 6, -4, 6}, 2, 2).axis_off();
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  const auto over = [](Color c) {
    const auto mix = [](int channel) {
      return static_cast<std::uint8_t>(std::lround(0.6 * channel + 40));
    };
    return Color{mix(c.r), mix(c.g), mix(c.b)};
  };
  const double y = axes.y_at(0.5);
  // Beyond the centres of the outer cells the value stays, between them it is bilinear. Rounding
  // twice: 2/255, and the middle lies within one pixel of 0.5.
  CHECK(distance(pixel(pixels, axes.box.x + 2, y), over(colormap(Colormap::kMagma, 0))) <= 2);
  CHECK(distance(pixel(pixels, axes.box.right() - 2, y), over(colormap(Colormap::kMagma, 1))) <= 2);
  CHECK(distance(pixel(pixels, axes.x_at(0.5), y), over(colormap(Colormap::kMagma, 0.5))) <= 4);
  CHECK(distance(pixel(pixels, axes.x_at(0.25), y), over(colormap(Colormap::kMagma, 0.25))) <= 4);

  // Without contrast or without numbers there is still a picture.
  for (const double value : {1.0, kNan}) {
    Figure flat({.width = 2, .height = 2, .dpi = 72});
    flat.axes().imshow(gray).overlay({value, value}, 1, 2).axis_off();
    const Color expected =
        std::isnan(value) ? Color{100, 100, 100} : over(colormap(Colormap::kMagma, 0));
    const auto box = layout_of(flat).axes[0];
    CHECK(distance(pixel(Pixels(flat.png()), box.x_at(0.5), box.y_at(0.5)), expected) <= 2);
  }
}

TEST_CASE("lines, dots and bars are drawn where their values are") {
  Figure figure({.width = 6, .height = 4, .dpi = 72});
  figure.axes()
      .plot({0, 10}, {5, 5}, {.width = 4})
      .scatter({5}, {8}, {.color = colors::red, .size = 10})
      .bar({2}, {3}, {.color = colors::green});
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  CHECK(pixel(pixels, axes.x_at(7), axes.y_at(5)) == colors::tab_blue);
  CHECK(pixel(pixels, axes.x_at(5), axes.y_at(8)) == colors::red);
  CHECK(pixel(pixels, axes.x_at(5), axes.y_at(8) - 7) == colors::white);
  CHECK(pixel(pixels, axes.x_at(2.3), axes.y_at(1)) == colors::green);
  CHECK(pixel(pixels, axes.x_at(2.6), axes.y_at(1)) == colors::white);
}

TEST_CASE("values that are not finite leave a gap, a lonely point is a dot") {
  Figure figure({.width = 6, .height = 4, .dpi = 72});
  figure.axes()
      .plot({0, 4, 5, 6, 10}, {1, 1, kNan, 1, 1}, {.width = 3})
      .plot({5}, {2})
      .plot({kNan, 3}, {kInf, -kInf});
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  CHECK(pixel(pixels, axes.x_at(2), axes.y_at(1)) == colors::tab_blue);
  CHECK(pixel(pixels, axes.x_at(5), axes.y_at(1)) == colors::white);
  CHECK(pixel(pixels, axes.x_at(5), axes.y_at(2)) == colors::tab_orange);
}

TEST_CASE("numbers at the ends of the range of doubles do no harm") {
  const double most = std::numeric_limits<double>::max(),
               least = std::numeric_limits<double>::denorm_min();
  const std::vector<std::vector<double>> hard{{},
                                              {0},
                                              {most, -most},
                                              {1e300, -1e300},
                                              {least, 2 * least},
                                              {1e9, 1e9 + 1e-6},
                                              {-5, -5, -5},
                                              {1, 1 + 1e-15},
                                              {kNan, kInf},
                                              {1e-320, 1e300},
                                              {0, 1e-310}};
  for (const auto& x : hard) {
    for (const auto& y : hard) {
      const std::size_t n = std::min(x.size(), y.size());
      const std::vector<double> xs(x.begin(), x.begin() + n), ys(y.begin(), y.begin() + n);
      for (const auto scale : {AxisScale::kLinear, AxisScale::kLog}) {
        Figure figure({.width = 2, .height = 2, .dpi = 72});
        figure.axes()
            .plot(xs, ys, {.label = "a"})
            .scatter(xs, ys)
            .bar(xs, ys)
            .xscale(scale)
            .yscale(scale)
            .legend();
        CHECK_NOTHROW(figure.png());
        CHECK(text_faults(layout_of(figure)) == "");
      }
    }
  }
}

TEST_CASE("limits") {
  Figure figure({.width = 4, .height = 4, .dpi = 72});
  figure.axes().plot({-1e6, 1e6}, {-1e6, 1e6}, {.width = 3}).xlim(0, 10).ylim(10, 0);
  const auto axes = layout_of(figure).axes[0];
  CHECK(axes.x_at(0) == Approx(axes.box.x));
  CHECK(axes.y_at(0) == Approx(axes.box.y));
  const Pixels pixels(figure.png());
  CHECK(pixel(pixels, axes.x_at(3), axes.y_at(3)) == colors::tab_blue);
  CHECK(pixel(pixels, axes.x_at(3), axes.y_at(6)) == colors::white);
}

TEST_CASE("thousands of points") {
  std::vector<double> x, y;
  Rng rng(1);
  for (int i = 0; i < 50000; ++i) {
    x.push_back(i);
    y.push_back(rng.uniform());
  }
  Figure figure({.dpi = 72});
  figure.axes().plot(x, y);
  // Points that add nothing to the drawing are left out of it; all would be about a megabyte.
  CHECK(figure.svg().size() < 300000);
  const Pixels pixels(figure.png());
  const auto axes = layout_of(figure).axes[0];
  CHECK(pixel(pixels, axes.x_at(25000), axes.y_at(0.5)) == colors::tab_blue);
}

TEST_CASE("texts of any bytes") {
  CapturedLog log;  // of letters that no font here has
  struct Case {
    const char *given, *drawn;
  };
  for (const Case& c :
       {Case{"größer 日本 𝛼", "größer 日本 𝛼"},
        Case{"a\xff"
             "b",
             "a\uFFFD"
             "b"},
        Case{"cut \xe2\x82", "cut \uFFFD\uFFFD"}, Case{"\xc0\x80", "\uFFFD\uFFFD"},
        Case{"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"}, Case{"tab\there\x01", "tab here "},
        Case{"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}}) {
    Figure figure({.dpi = 72});
    figure.axes().title(c.given);
    CHECK(count_texts(layout_of(figure), c.drawn) == 1);
    CHECK_NOTHROW(figure.png());
  }
  Rng rng(3);
  for (int i = 0; i < 50; ++i) {
    std::string noise;
    for (int k = 0; k < 60; ++k) noise += static_cast<char>(rng.integer(0, 255));
    Figure figure({.width = 3, .height = 2, .dpi = 72});
    figure.suptitle(noise);
    figure.axes()
        .plot({0, 1}, {0, 1}, {.label = noise})
        .title(noise)
        .xlabel(noise)
        .ylabel(noise)
        .legend();
    CHECK_NOTHROW(figure.png());
    CHECK_FALSE(elements(figure.svg()).empty());
  }
}

TEST_CASE("what cannot be drawn is refused with a code") {
  Figure figure({.dpi = 72});
  Axes axes = figure.axes();
  const auto code = [](auto&& f) { return caught(f).code; };
  for (const FigureOptions& options :
       {FigureOptions{0, 1}, FigureOptions{1, -1}, FigureOptions{kNan, 1}, FigureOptions{1, 1, 0},
        FigureOptions{500, 1, 72}, FigureOptions{10, 10, kInf}}) {
    CHECK(code([&] { Figure refused(options); }) == "value.figure_size");
  }
  CHECK(code([&] { axes.plot({1, 2}, {1}); }) == "value.plot_size");
  CHECK(code([&] { axes.scatter({1}, {}); }) == "value.plot_size");
  CHECK(code([&] { axes.bar({1}, {1}, {.names = {"a", "b"}}); }) == "value.plot_size");
  CHECK(code([&] { axes.imshow({2, 2, {0}}); }) == "value.plot_size");
  CHECK(code([&] { axes.imshow({}); }) == "value.plot_size");
  CHECK(code([&] { axes.imshow({-1, -1, {0, 0, 0}}); }) == "value.plot_size");
  CHECK(code([&] { axes.overlay({1}, 1, 2); }) == "value.plot_size");
  CHECK(code([&] { axes.overlay({1}, 1, 1, {.alpha = 2}); }) == "value.plot_option");
  CHECK(code([&] { axes.matrix({}, 0, 0); }) == "value.plot_size");
  CHECK(code([&] { axes.matrix({1}, -1, -1); }) == "value.plot_size");
  CHECK(code([&] { axes.matrix({1, 2}, 1, 2, {.col_labels = {"a"}}); }) == "value.plot_size");
  CHECK(code([&] { axes.matrix({1, 2}, 1, 2, {.texts = {"a"}}); }) == "value.plot_size");
  CHECK(code([&] { axes.plot({}, {}, {.width = 0}); }) == "value.plot_option");
  CHECK(code([&] { axes.scatter({}, {}, {.size = kNan}); }) == "value.plot_option");
  CHECK(code([&] { axes.title("a", {.size = -1}); }) == "value.plot_option");
  CHECK(code([&] { figure.suptitle("a", {.size = kInf}); }) == "value.plot_option");
  CHECK(code([&] { axes.xlim(1, 1); }) == "value.limits");
  CHECK(code([&] { axes.ylim(0, kInf); }) == "value.limits");
  for (const char* format : {"{", "{:s}", "{} {}", "{:1000000}", "{0:{1}}"}) {
    CHECK(code([&] { axes.xtick_format(format); }) == "value.tick_format");
  }
  CHECK(code([&] { figure.subplots(0, 1); }) == "value.plot_size");
  CHECK(code([&] { figure.axes(1); }) == "value.axes_index");
  // Nothing of it was drawn.
  CHECK(figure.png() == [] {
    Figure empty({.dpi = 72});
    empty.axes();
    return empty.png();
  }());
}
