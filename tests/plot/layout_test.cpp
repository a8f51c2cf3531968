#include <cmath>

#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using plot_detail::FigureLayout;
using plot_detail::layout_of;

namespace {

// Nothing reaches the edge of the figure: what is drawn is not cut off.
bool edge_is_white(const Figure& figure) {
  const Pixels pixels(figure.png());
  for (int x = 0; x < pixels.width(); ++x) {
    if (pixels.at(x, 0) != colors::white || pixels.at(x, pixels.height() - 1) != colors::white)
      return false;
  }
  for (int y = 0; y < pixels.height(); ++y) {
    if (pixels.at(0, y) != colors::white || pixels.at(pixels.width() - 1, y) != colors::white)
      return false;
  }
  return pixels.width() > 0;
}

Figure confusion(const FigureOptions& size, int decimals) {
  const auto names = pet_names();
  const int n = static_cast<int>(names.size());
  std::vector<double> counts;
  std::vector<std::string> texts;
  for (int i = 0; i < n * n; ++i) {
    counts.push_back(i % (n + 1) == 0 ? 35 + i % 7 : (i * 7919 % 23 == 0 ? 3 : 0));
    texts.push_back(decimals ? "0.12" : std::to_string(static_cast<int>(counts.back())));
  }
  Figure figure(size);
  figure.axes()
      .matrix(counts, n, n,
              {.row_labels = names,
               .col_labels = names,
               .texts = texts,
               .xlabel = "Predicted",
               .ylabel = "Actual"})
      .title("Confusion matrix");
  return figure;
}

const char* const kLongTitle =
    "staffordshire_bull_terrier/american_pit_bull_terrier / 10.32 / 0.01";

Figure picture_grid(int side, double inches) {
  Figure figure({.width = inches, .height = inches});
  figure.suptitle("Prediction/Actual/Loss/Probability", {.size = 14, .bold = true});
  for (Axes& axes : figure.subplots(side, side)) {
    axes.imshow(gradient(30, 30)).axis_off().title(kLongTitle);
  }
  return figure;
}

Figure lr_finder(double first, double last, const std::string& format) {
  std::vector<double> rates, losses;
  for (int i = 0; i < 100; ++i) {
    rates.push_back(first * std::pow(last / first, i / 99.0));
    losses.push_back(2 + std::cos(i / 15.0));
  }
  Figure figure({.width = 6, .height = 4});
  figure.axes()
      .plot(rates, losses)
      .scatter({rates[40]}, {losses[40]}, {.color = colors::red, .size = 10})
      .xscale(AxisScale::kLog)
      .xtick_format(format)
      .xlabel("Learning Rate")
      .ylabel("Loss");
  return figure;
}

std::string without_spaces(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

// All texts as one, from the last to the first.
std::string joined(const FigureLayout& layout) {
  std::string all;
  for (const auto& text : layout.texts) all = text.text + all;
  return all;
}

}  // namespace

TEST_CASE("all 37 names of a confusion matrix are readable and apart") {
  const auto names = pet_names();
  struct Case {
    FigureOptions size;
    int decimals;
    double least_name, least_cell;  // points
  };
  // fastai's lesson figure, the size proposed for these names, the same with decimals, the default
  // size.
  const Case cases[] = {{{12, 12, 60}, 0, 9.9, 9.9},
                        {matrix_figure_options(names), 0, 8, 8},
                        {{12, 12, 72}, 2, 9.9, 7},
                        {{}, 0, 5, 4}};
  for (const Case& c : cases) {
    const Figure figure = confusion(c.size, c.decimals);
    const FigureLayout layout = layout_of(figure);
    CHECK(text_faults(layout) == "");
    CHECK(edge_is_white(figure));
    for (const std::string& name : names) CHECK(count_texts(layout, name) == 2);
    CHECK(count_texts(layout, "Actual") == 1);
    CHECK(count_texts(layout, "Predicted") == 1);
    CHECK(layout.texts.size() == 2 * 37 + 37 * 37 + 3);
    double name_size = 0, cell_size = 0;
    int upright = 0;
    for (const auto& text : layout.texts) {
      if (text.text == "pug") name_size = text.size;
      if (text.text == (c.decimals ? "0.12" : "0")) cell_size = text.size;
      if (text.upright) ++upright;
    }
    CHECK(name_size >= c.least_name);
    CHECK(cell_size >= c.least_cell);
    CHECK(upright == 37 + 1);
  }
}

TEST_CASE("rows of a matrix go down, columns to the right, and every text sits in its cell") {
  Figure figure({.width = 4, .height = 4});
  figure.axes().matrix({1, 2, 3, 4, 5, 6}, 2, 3, {.texts = {"a", "b", "c", "d", "e", "f"}});
  const FigureLayout layout = layout_of(figure);
  const auto& box = layout.axes[0].box;
  CHECK(box.width / 3 == Approx(box.height / 2));
  int seen = 0;
  for (const auto& text : layout.texts) {
    if (text.text[0] < 'a' || text.text.size() != 1) continue;
    const int cell = text.text[0] - 'a';
    const double left = box.x + box.width / 3 * (cell % 3),
                 top = box.y + box.height / 2 * (cell / 3);
    CHECK(text.box.x >= left);
    CHECK(text.box.right() <= left + box.width / 3);
    CHECK(text.box.y >= top);
    CHECK(text.box.bottom() <= top + box.height / 2);
    // White above half the maximum of 6.
    CHECK(text.color == (cell + 1 > 3 ? colors::white : colors::black));
    ++seen;
  }
  CHECK(seen == 6);
}

TEST_CASE("a NaN in a matrix makes all texts black, as in numpy") {
  Figure figure;
  figure.axes().matrix({9, 1, NAN, NAN}, 2, 2, {.texts = {"9", "1", "nan", "nan"}});
  for (const auto& text : layout_of(figure).texts) CHECK(text.color == colors::black);
}

TEST_CASE("long titles over a grid of pictures never meet") {
  struct Case {
    int side;
    double inches;
  };
  for (const Case& c : {Case{3, 12}, Case{4, 12}, Case{4, 8}, Case{3, 6}, Case{5, 10}}) {
    const Figure figure = picture_grid(c.side, c.inches);
    const FigureLayout layout = layout_of(figure);
    INFO(c.side << " by " << c.side << " in " << c.inches << " inches");
    CHECK(text_faults(layout) == "");
    CHECK(edge_is_white(figure));
    CHECK(count_texts(layout, "Prediction/Actual/Loss/Probability") == 1);
    // Wrapping loses no letter: the lines of a title stand in the list from the last to the first.
    std::string all;
    for (int i = 0; i < c.side * c.side; ++i) all += without_spaces(kLongTitle);
    CHECK(without_spaces(joined(layout)) == all + "Prediction/Actual/Loss/Probability");
    for (const auto& text : layout.texts) CHECK(text.size >= 5);
    for (const auto& axes : layout.axes) {
      CHECK(axes.box.width == Approx(axes.box.height));
      // Pictures, not titles, fill the figure.
      CHECK(axes.box.width >= 0.45 * c.inches * 72 / c.side);
      for (const auto& text : layout.texts) {
        const bool apart = text.box.bottom() <= axes.box.y || text.box.y >= axes.box.bottom() ||
                           text.box.right() <= axes.box.x || text.box.x >= axes.box.right();
        CHECK(apart);
      }
    }
  }
}

TEST_CASE("short titles keep their size and their line breaks") {
  Figure figure({.width = 8, .height = 8});
  figure.suptitle("Ground truth\nPredictions", {.size = 12, .bold = true});
  for (Axes& axes : figure.subplots(2, 2))
    axes.imshow(gradient(20, 20)).axis_off().title("beagle\npug");
  const FigureLayout layout = layout_of(figure);
  CHECK(text_faults(layout) == "");
  CHECK(count_texts(layout, "beagle") == 4);
  CHECK(count_texts(layout, "Ground truth") == 1);
  for (const auto& text : layout.texts) CHECK(text.size == Approx(12));
}

TEST_CASE("the plot of the learning rate finder") {
  const Figure figure = lr_finder(1e-7, 10, "{:.0e}");
  const FigureLayout layout = layout_of(figure);
  CHECK(text_faults(layout) == "");
  CHECK(edge_is_white(figure));
  for (const char* text : {"1e-07", "1e-03", "1e+01", "Learning Rate", "Loss"}) {
    CHECK(count_texts(layout, text) == 1);
  }
  const auto& axes = layout.axes[0];
  // Decades are evenly spaced, with 5 % of the axis free at both ends.
  CHECK(axes.x_at(1e-3) - axes.x_at(1e-4) == Approx(axes.x_at(1e-6) - axes.x_at(1e-7)));
  CHECK(axes.x_at(1e-7) - axes.box.x == Approx(axes.box.width * 0.05 / 1.1));
  CHECK(axes.box.right() - axes.x_at(10) == Approx(axes.box.width * 0.05 / 1.1));
  int minor = 0;
  for (const auto& tick : axes.x_ticks) minor += tick.minor;
  CHECK(minor >= 8 * 8);

  CHECK(count_texts(layout_of(lr_finder(1e-7, 10, "")), "10⁻³") == 1);
  // Less than a decade has numbers as well, each of them once.
  const FigureLayout narrow = layout_of(lr_finder(1.5e-4, 3.5e-4, "{:.0e}"));
  CHECK(count_texts(narrow, "2e-04") == 1);
  CHECK(count_texts(narrow, "3e-04") == 1);
  CHECK(text_faults(narrow) == "");
  // Far more decades than there is room for.
  CHECK(text_faults(layout_of(lr_finder(1e-200, 1e200, "{:.0e}"))) == "");
}

TEST_CASE("numbers along linear axes") {
  Figure figure({.width = 12, .height = 4});
  auto axes = figure.subplots(1, 2);
  axes[0].plot({0, 368}, {0, 3e-3}).xlabel("Iterations").ylabel("Learning Rate");
  axes[1].plot({0, 368}, {0.85, 0.95}).xlabel("Iterations").ylabel("Momentum");
  const FigureLayout layout = layout_of(figure);
  CHECK(text_faults(layout) == "");
  CHECK(edge_is_white(figure));
  for (const char* text : {"0.0030", "0.0005", "0.86", "0.94", "Momentum"})
    CHECK(count_texts(layout, text) == 1);
  CHECK(count_texts(layout, "350") == 2);
  CHECK(layout.axes[0].box.width == Approx(layout.axes[1].box.width));
  CHECK(layout.axes[0].box.right() < layout.axes[1].box.x);

  Figure tiny;
  tiny.axes().plot({-2e7, 2e7}, {0, 3e-7}).title("tiny");
  const FigureLayout small = layout_of(tiny);
  CHECK(count_texts(small, "1e\u22127") == 1);
  CHECK(count_texts(small, "3.0") == 1);
  CHECK(count_texts(small, "1e7") == 1);
  CHECK(count_texts(small, "\u22122") + count_texts(small, "\u22122.0") == 1);
  CHECK(text_faults(small) == "");
}

TEST_CASE("a legend takes the corner that hides the least") {
  std::vector<double> x, down, up;
  for (int i = 0; i < 200; ++i) {
    x.push_back(i);
    down.push_back(std::exp(-i / 30.0));
    up.push_back(std::min(1.0, i / 5.0));
  }
  const auto legend_of = [&](const std::vector<double>& y, LegendLocation location) {
    Figure figure({.width = 6, .height = 4});
    figure.axes()
        .plot(x, y, {.label = "Train"})
        .plot({100, 199}, {y[100], y[199]}, {.label = "Validation"})
        .xlabel("Batches processed")
        .ylabel("Loss")
        .legend({.location = location});
    const FigureLayout layout = layout_of(figure);
    CHECK(text_faults(layout) == "");
    CHECK(count_texts(layout, "Train") == 1);
    CHECK(count_texts(layout, "Validation") == 1);
    const auto& axes = layout.axes[0];
    REQUIRE(axes.legend);
    CHECK(axes.legend->box.x > axes.box.x);
    CHECK(axes.legend->box.right() < axes.box.right());
    for (const auto& text : layout.texts) {
      if (text.text != "Validation") continue;
      CHECK(text.box.right() <= axes.legend->box.right());
      CHECK(text.box.bottom() <= axes.legend->box.bottom());
    }
    return std::pair(
        axes.legend->box.y<axes.box.y + axes.box.height / 2, axes.legend->box.x> axes.box.x +
        axes.box.width / 3);
  };
  // Pairs of: in the upper half, on the right.
  const bool upper_right = legend_of(down, LegendLocation::kBest) == std::pair(true, true);
  const bool lower_right = legend_of(up, LegendLocation::kBest) == std::pair(false, true);
  const bool lower_left = legend_of(down, LegendLocation::kLowerLeft) == std::pair(false, false);
  CHECK(upper_right);
  CHECK(lower_right);
  CHECK(lower_left);

  Figure unnamed;
  unnamed.axes().plot({0, 1}, {0, 1}).legend();
  CHECK_FALSE(layout_of(unnamed).axes[0].legend);
}

TEST_CASE("names below bars stand upright only when they have to") {
  const auto names = pet_names();
  std::vector<double> places, heights;
  for (int i = 0; i < 37; ++i) {
    places.push_back(i);
    heights.push_back(200 - i);
  }
  Figure many({.width = 10, .height = 5});
  many.axes().bar(places, heights, {.names = names});
  const FigureLayout upright = layout_of(many);
  CHECK(text_faults(upright) == "");
  for (const std::string& name : names) CHECK(count_texts(upright, name) == 1);
  // Bars stand on the lower end of the axis.
  CHECK(upright.axes[0].y_at(0) == Approx(upright.axes[0].box.bottom()));

  Figure few;
  few.axes().bar({0, 1, 2}, {1, 2, 3}, {.names = {"cat", "dog", "pug"}});
  const FigureLayout level = layout_of(few);
  CHECK(text_faults(level) == "");
  for (const auto& text : level.texts) CHECK_FALSE(text.upright);
}

TEST_CASE("whatever the size of the figure, no text leaves it") {
  const auto names = pet_names();
  for (double inches : {0.05, 0.3, 0.8, 1.5, 3.0, 20.0}) {
    Figure figure({.width = inches, .height = inches});
    figure.suptitle("Everything in one figure");
    auto axes = figure.subplots(2, 2);
    axes[0].matrix(std::vector<double>(37 * 37, 1), 37, 37,
                   {.row_labels = names, .col_labels = names});
    axes[1]
        .plot({1, 2, 3}, {1, 3, 2}, {.label = "a rather long name of a line"})
        .legend()
        .title(kLongTitle);
    axes[2].imshow(gradient(10, 10)).title(std::string(500, 'x'));
    axes[3].text(0.5, 0.5, "a note in the middle").ylabel("y").xlabel("a long label of the x axis");
    INFO(inches << " inches");
    const FigureLayout layout = layout_of(figure);
    for (const auto& text : layout.texts) {
      CHECK(text.box.x >= -0.5);
      CHECK(text.box.right() <= layout.width + 0.5);
      CHECK(text.box.y >= -0.5);
      CHECK(text.box.bottom() <= layout.height + 0.5);
    }
    if (inches >= 3) CHECK(count_texts(layout, "staffordshire_bull_terrier") == 2);
    CHECK_FALSE(figure.png().empty());
  }
}
