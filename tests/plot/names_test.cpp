// Names of points: none over another, none cut off, beside their points where there is room.
#include "plot/names.hpp"

#include <cmath>

#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace fastcpp::plot_detail;

namespace {

constexpr Rect kRoom{0, 0, 600, 450};

// Points in a heap, as factors of films lie, with names of different lengths.
struct Heap {
  std::vector<NamedPoint> names;
  std::vector<Spot> spots;
  Heap(int n, double spread) {
    std::uint32_t state = 7;
    const auto next = [&] {
      state = state * 1664525u + 1013904223u;
      return (state >> 8) / 16777216.0;
    };
    for (int i = 0; i < n; ++i) {
      const auto heaped = [&] { return (next() + next() + next() - 1.5) / 1.5 * spread; };
      const double x = 300 + 280 * heaped(), y = 225 + 200 * heaped();
      names.push_back({x, y, 20 + 90 * next(), 12});
      spots.push_back({x, y, 3});
    }
  }
};

bool touch(const Rect& a, const Rect& b) {
  return a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom();
}

struct Result {
  int placed = 0, apart = 0, over_dots = 0;
};

// Counts, and checks what must never be.
Result checked_places(const Heap& heap, const std::vector<Rect>& taken = {}) {
  const auto places = place_names(heap.names, heap.spots, taken, kRoom, 3);
  REQUIRE(places.size() == heap.names.size());
  Result result;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!places[i]) continue;
    const Rect& box = places[i]->box;
    ++result.placed;
    result.apart += places[i]->leader.has_value();
    CHECK(box.x >= kRoom.x);
    CHECK(box.y >= kRoom.y);
    CHECK(box.right() <= kRoom.right());
    CHECK(box.bottom() <= kRoom.bottom());
    CHECK(box.width == heap.names[i].width);
    for (const auto& other : taken) CHECK_FALSE(touch(box, other));
    for (std::size_t j = 0; j < i; ++j) {
      if (places[j]) CHECK_FALSE(touch(box, places[j]->box));
    }
    for (const auto& spot : heap.spots) {
      result.over_dots += touch(box, {spot.x - 2, spot.y - 2, 4, 4});
    }
    // A line begins at the point and ends at the name.
    if (const auto& line = places[i]->leader) {
      CHECK(line->x0 == heap.names[i].x);
      CHECK(line->y0 == heap.names[i].y);
      CHECK(touch({line->x1 - 0.1, line->y1 - 0.1, 0.2, 0.2}, box));
    } else {
      // Without one the name is right beside it.
      const double dx = heap.names[i].x - std::clamp(heap.names[i].x, box.x, box.right());
      const double dy = heap.names[i].y - std::clamp(heap.names[i].y, box.y, box.bottom());
      CHECK(std::hypot(dx, dy) <= 3 + 3 + 0.01);
    }
  }
  return result;
}

}  // namespace

TEST_CASE("names of points do not overlap, and all of fifty have a place") {
  const auto fifty = checked_places(Heap(50, 1));
  CHECK(fifty.placed == 50);
  CHECK(fifty.over_dots <= 1);
  CHECK(fifty.apart <= 15);
  const auto heaped = checked_places(Heap(50, 0.25));
  CHECK(heaped.placed >= 48);
  CHECK(heaped.over_dots <= 3);
  // What is written already stays readable.
  const auto beside = checked_places(Heap(50, 1), {{0, 0, 600, 100}, {400, 300, 200, 150}});
  CHECK(beside.placed == 50);
}

TEST_CASE("more names than there is room for are left out") {
  const auto many = checked_places(Heap(300, 1));
  CHECK(many.placed > 100);
  CHECK(many.placed < 300);
  CHECK(checked_places(Heap(2000, 1)).placed > 100);
  const Heap one(1, 1);
  CHECK_FALSE(place_names({{300, 225, 700, 12}}, {}, {}, kRoom, 3)[0]);
  CHECK(place_names({}, one.spots, {}, kRoom, 3).empty());
}

TEST_CASE("names have the same places whenever they are placed") {
  const Heap heap(30, 0.4);
  const auto first = place_names(heap.names, heap.spots, {}, kRoom, 3);
  const auto again = place_names(heap.names, heap.spots, {}, kRoom, 3);
  for (std::size_t i = 0; i < first.size(); ++i) {
    REQUIRE(first[i].has_value() == again[i].has_value());
    if (!first[i]) continue;
    CHECK(first[i]->box.x == again[i]->box.x);
    CHECK(first[i]->box.y == again[i]->box.y);
  }
}

TEST_CASE("annotate draws names of points within the axes, whatever they are") {
  Figure figure({.width = 6, .height = 4});
  auto axes = figure.axes();
  axes.scatter({0, 1, 2, 2}, {0, 1, 2, 2}, {.label = "films"})
      .annotate({0, 1, 2, 2, NAN, 1}, {0, 1, 2, 2, 1, INFINITY},
                {"left", "a \n middle", "right", std::string(500, 'w'), "nowhere", "nowhere"})
      .legend();
  const auto layout = layout_of(figure);
  CHECK(text_faults(layout) == "");
  CHECK(count_texts(layout, "left") == 1);
  CHECK(count_texts(layout, "a   middle") == 1);
  CHECK(count_texts(layout, "right") == 1);
  CHECK(count_texts(layout, "nowhere") == 0);
  int cut = 0;
  for (const auto& text : layout.texts) {
    if (!text.text.ends_with("\u2026")) continue;
    ++cut;
    CHECK(text.box.width <= 3 * 72.01);
    CHECK(text.size == 9);
  }
  CHECK(cut == 1);
  // Without dots the points still make the range.
  Figure bare;
  bare.axes().annotate({10, 20}, {1, 2}, {"a", "b"});
  CHECK(count_texts(layout_of(bare), "b") == 1);
  CHECK(layout_of(bare).axes[0].ranges.x.lo == Approx(9.5));
  CHECK_FALSE(figure.png().empty());
  CHECK(figure.svg() == figure.svg());

  const auto code = [&](auto f) { return caught(f).code; };
  CHECK(code([&] { axes.annotate({1}, {1, 2}, {"a"}); }) == "value.plot_size");
  CHECK(code([&] { axes.annotate({1}, {1}, {}); }) == "value.plot_size");
  CHECK(code([&] { axes.annotate({1}, {1}, {"a"}, {.size = 0}); }) == "value.plot_option");
  CHECK(code([&] { axes.annotate({1}, {1}, {"a"}, {.widest = -1}); }) == "value.plot_option");
}

TEST_CASE("whatever the size of the figure, names stay inside") {
  for (double inches : {0.1, 0.5, 1.0, 3.0, 12.0}) {
    Figure figure({.width = inches, .height = inches});
    std::vector<double> x, y;
    for (int i = 0; i < 37; ++i) {
      x.push_back(std::cos(i * i));
      y.push_back(std::sin(3 * i));
    }
    figure.axes().scatter(x, y).annotate(x, y, pet_names()).title("Pets");
    const auto layout = layout_of(figure);
    INFO(inches << " inches: " << text_faults(layout));
    CHECK(text_faults(layout) == "");
    if (inches == 12) CHECK(layout.texts.size() >= 37 + 1);
    for (const auto& text : layout.texts) CHECK(text.box.right() <= layout.width);
  }
}
