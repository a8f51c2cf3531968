#include "plot/names.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "fastcpp/core/rng.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

// Costs in points of distance: what a reader would rather have farther away.
constexpr double kCoverSpot = 70;        // a name over somebody's dot
constexpr double kCrossSpot = 12;        // a line over somebody's dot
constexpr double kCrossLeader = 30;      // a line over a line
constexpr double kStandApart = 12;       // a line at all
constexpr double kCollide = 500;         // while names are moved: one over another
constexpr double kHeat = 80, kCold = 1;  // costs that a move may have at first, at last
constexpr double kSweeps = 1000;         // moves of each name
constexpr int kRounds = 6;               // of looking for better places at the end
// More names than these get less care: most of them have no room anyway.
constexpr std::size_t kFewNames = 120, kSomeNames = 300, kManyNames = 1500;

struct Direction {
  double x, y;
  double cost;  // right is best read
};

const std::array<Direction, 16>& directions() {
  static const std::array<Direction, 16> all = [] {
    std::array<Direction, 16> list{};
    for (int i = 0; i < 16; ++i) {
      // Right, left, above, below, the corners, and what lies between.
      constexpr int eighths[] = {0, 8, 4, 12, 2, 14, 6, 10, 1, 15, 7, 9, 3, 5, 11, 13};
      constexpr double costs[] = {0, 2, 2.5, 2.5, 1, 1, 3, 3, 1, 1, 3, 3, 3, 3, 3, 3};
      const double angle = eighths[i] * M_PI / 8;
      list[i] = {std::cos(angle), -std::sin(angle), costs[i]};
    }
    return list;
  }();
  return all;
}

bool overlap(const Rect& a, const Rect& b) {
  return a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom();
}

bool covers(const Rect& box, const Spot& spot) {
  const double dx = spot.x - std::clamp(spot.x, box.x, box.right());
  const double dy = spot.y - std::clamp(spot.y, box.y, box.bottom());
  return dx * dx + dy * dy < spot.radius * spot.radius;
}

double turn(double ax, double ay, double bx, double by, double cx, double cy) {
  return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
}

bool cross(const Leader& a, const Leader& b) {
  return turn(a.x0, a.y0, a.x1, a.y1, b.x0, b.y0) * turn(a.x0, a.y0, a.x1, a.y1, b.x1, b.y1) < 0 &&
         turn(b.x0, b.y0, b.x1, b.y1, a.x0, a.y0) * turn(b.x0, b.y0, b.x1, b.y1, a.x1, a.y1) < 0;
}

bool passes(const Leader& line, const Spot& spot) {
  const double dx = line.x1 - line.x0, dy = line.y1 - line.y0;
  const double square = std::max(dx * dx + dy * dy, 1e-12);
  const double at =
      std::clamp(((spot.x - line.x0) * dx + (spot.y - line.y0) * dy) / square, 0.0, 1.0);
  const double away = std::hypot(line.x0 + at * dx - spot.x, line.y0 + at * dy - spot.y);
  return away < spot.radius;
}

bool passes(const Leader& line, const Rect& box) {
  const auto inside = [&](double x, double y) {
    return x > box.x && x < box.right() && y > box.y && y < box.bottom();
  };
  return inside(line.x0, line.y0) || inside(line.x1, line.y1) ||
         cross(line, {box.x, box.y, box.right(), box.bottom()}) ||
         cross(line, {box.right(), box.y, box.x, box.bottom()});
}

// Dots by squares of the paper.
class Spots {
 public:
  Spots(const std::vector<Spot>& spots, const Rect& room) : spots_(spots), room_(room) {
    cols_ = std::clamp(static_cast<int>(room.width / kSide) + 1, 1, 2000);
    rows_ = std::clamp(static_cast<int>(room.height / kSide) + 1, 1, 2000);
    cells_.resize(static_cast<std::size_t>(cols_) * static_cast<std::size_t>(rows_));
    for (std::size_t i = 0; i < spots.size(); ++i) {
      const Spot& spot = spots[i];
      const double r = spot.radius;
      each_cell({spot.x - r, spot.y - r, 2 * r, 2 * r},
                [&](auto& cell) { cell.push_back(static_cast<std::uint32_t>(i)); });
    }
  }

  // How many dots other than that at a point satisfy something, among those near a box. A dot of several squares counts in each.
  template <typename F>
  int count(const Rect& box, double x, double y, F holds) {
    int found = 0;
    each_cell(box, [&](const auto& cell) {
      for (const auto i : cell) {
        const Spot& spot = spots_[i];
        if ((spot.x != x || spot.y != y) && holds(spot)) ++found;
      }
    });
    return found;
  }

 private:
  static constexpr double kSide = 24;

  template <typename F>
  void each_cell(const Rect& box, F f) {
    const auto at = [](double where, double from, int count) {
      return static_cast<int>(std::clamp((where - from) / kSide, 0.0, count - 1.0));
    };
    for (int r = at(box.y, room_.y, rows_); r <= at(box.bottom(), room_.y, rows_); ++r) {
      for (int c = at(box.x, room_.x, cols_); c <= at(box.right(), room_.x, cols_); ++c) {
        f(cells_[static_cast<std::size_t>(r) * static_cast<std::size_t>(cols_) +
                 static_cast<std::size_t>(c)]);
      }
    }
  }

  const std::vector<Spot>& spots_;
  Rect room_;
  int cols_ = 1, rows_ = 1;
  std::vector<std::vector<std::uint32_t>> cells_;
};

struct Place {
  PlacedName name;
  double cost;  // without regard to other names
  Rect reach;   // of the name and its line
};

Rect together(const Rect& a, const Rect& b) {
  const double x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.right(), b.right()) - x, std::max(a.bottom(), b.bottom()) - y};
}

// The way from the point to the nearest point of the box.
Leader leader_to(const Rect& box, double x, double y) {
  return {x, y, std::clamp(x, box.x, box.right()), std::clamp(y, box.y, box.bottom())};
}

class Placing {
 public:
  Placing(const std::vector<NamedPoint>& names, const std::vector<Spot>& spots,
          const std::vector<Rect>& taken, const Rect& room, double unit)
      : names_(names), taken_(taken), room_(room), unit_(unit), chosen_(names.size(), -1) {
    Spots near(spots, room);
    for (const auto& name : names) {
      double radius = 0;
      for (const auto& spot : spots) {
        if (spot.x == name.x && spot.y == name.y) radius = std::max(radius, spot.radius);
      }
      places_.push_back(places_of(name, radius, near));
    }
  }

  std::vector<std::optional<PlacedName>> solve() {
    if (names_.size() <= kFewNames) {
      for (std::size_t i = 0; i < names_.size(); ++i) {
        if (!places_[i].empty()) put(i, 0);
      }
      anneal();
      drop_collisions();
    } else {
      in_turn();
    }
    bool better = true;
    for (int round = 0; round < kRounds && better; ++round) {
      better = false;
      for (std::size_t i = 0; i < names_.size(); ++i) {
        better = improve(i) || better;
        better = push_aside(i) || better;
      }
    }
    std::vector<std::optional<PlacedName>> result(names_.size());
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (chosen_[i] >= 0) result[i] = place(i).name;
    }
    return result;
  }

 private:
  static constexpr double kNoPlace = 1e6;  // dearer than any place

  std::vector<Place> places_of(const NamedPoint& name, double radius, Spots& spots) const {
    std::vector<Place> places;
    const auto& all = directions();
    const int rings = names_.size() > kManyNames ? 1 : names_.size() > kSomeNames ? 6 : 14;
    for (int ring = 0; ring < rings; ++ring) {
      // Near, then ever farther away.
      const double gap = ring == 0 ? unit_ : unit_ * (2.0 + 1.5 * ring + 0.45 * ring * ring);
      for (std::size_t d = 0; d < (ring == 0 ? 8 : all.size()); ++d) {
        const auto& to = all[d];
        const double reach = radius + gap, longest = std::max(std::abs(to.x), std::abs(to.y));
        const double fx = (1 - to.x / longest) / 2, fy = (1 - to.y / longest) / 2;
        const Rect box{name.x + reach * to.x - fx * name.width,
                       name.y + reach * to.y - fy * name.height, name.width, name.height};
        if (box.x < room_.x || box.y < room_.y || box.right() > room_.right() ||
            box.bottom() > room_.bottom()) {
          continue;
        }
        const auto hits = [&](const Rect& other) { return overlap(box, other); };
        if (std::any_of(taken_.begin(), taken_.end(), hits)) continue;
        Place place{{box, {}}, to.cost, box};
        place.cost += kCoverSpot * spots.count(box, name.x, name.y,
                                               [&](const Spot& spot) { return covers(box, spot); });
        if (ring > 0) {
          const auto line = leader_to(box, name.x, name.y);
          const Rect around{std::min(line.x0, line.x1), std::min(line.y0, line.y1),
                            std::abs(line.x1 - line.x0), std::abs(line.y1 - line.y0)};
          const auto in_way = [&](const Spot& spot) { return passes(line, spot); };
          place.cost += kStandApart + std::hypot(line.x1 - line.x0, line.y1 - line.y0) +
                        kCrossSpot * spots.count(around, name.x, name.y, in_way);
          place.name.leader = line;
          place.reach = together(box, around);
        }
        places.push_back(place);
      }
    }
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& a, const Place& b) { return a.cost < b.cost; });
    return places;
  }

  const Place& place(std::size_t i) const {
    return places_[i][static_cast<std::size_t>(chosen_[i])];
  }

  bool collide(const Place& one, const Place& other) const {
    if (!overlap(one.reach, other.reach)) return false;
    const auto &a = one.name, &b = other.name;
    return overlap(a.box, b.box) || (a.leader && passes(*a.leader, b.box)) ||
           (b.leader && passes(*b.leader, a.box));
  }

  double crossings(const Place& one, const Place& other) const {
    const auto &a = one.name, &b = other.name;
    return a.leader && b.leader && cross(*a.leader, *b.leader) ? kCrossLeader : 0;
  }

  // What a name costs where it is now.
  double cost_now(std::size_t i) const {
    if (chosen_[i] < 0) return kNoPlace;
    double cost = place(i).cost;
    for (const auto j : set_) {
      if (j != i) cost += crossings(place(i), place(j));
    }
    return cost;
  }

  void put(std::size_t i, std::ptrdiff_t choice) {
    if (chosen_[i] < 0 && choice >= 0) set_.push_back(i);
    if (chosen_[i] >= 0 && choice < 0) std::erase(set_, i);
    chosen_[i] = choice;
  }

  // Each name takes the best place that is left; who has the fewest good ones chooses first.
  void in_turn() {
    std::vector<std::pair<std::ptrdiff_t, std::size_t>> order;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const auto good = std::count_if(places_[i].begin(), places_[i].end(),
                                      [](const Place& one) { return one.cost < kStandApart; });
      order.emplace_back(good, i);
    }
    std::sort(order.begin(), order.end());
    for (const auto& entry : order) improve(entry.second);
  }

  // What a name would cost at a place, when names may lie over each other.
  double rough_cost(std::size_t i, const Place& at) const {
    double cost = at.cost;
    for (const auto j : set_) {
      if (j == i) continue;
      const auto& other = place(j);
      cost += collide(at, other) ? kCollide : crossings(at, other);
    }
    return cost;
  }

  // Moves names at random, to worse places too, ever more rarely (Christensen, Marks and Shieber 1995, doi:10.1145/212332.212334).
  void anneal() {
    if (set_.empty()) return;
    const auto moves = static_cast<std::int64_t>(kSweeps * static_cast<double>(set_.size()));
    Rng rng{0};
    const auto names = set_;
    double heat = kHeat;
    const double cooling = std::pow(kCold / kHeat, 1.0 / static_cast<double>(moves));
    for (std::int64_t move = 0; move < moves; ++move, heat *= cooling) {
      const auto i = names[static_cast<std::size_t>(move) % names.size()];
      const auto& mine = places_[i];
      // Cheap places more often.
      const double part = rng.uniform();
      const auto p = static_cast<std::size_t>(part * part * static_cast<double>(mine.size()));
      const double now = rough_cost(i, place(i)), then = rough_cost(i, mine[p]);
      if (then <= now || rng.uniform() < std::exp((now - then) / heat)) {
        put(i, static_cast<std::ptrdiff_t>(p));
      }
    }
  }

  // Of names that lie over each other the one with the most such loses its place, of equals the later one.
  void drop_collisions() {
    while (true) {
      std::size_t worst = 0;
      int most = 0;
      for (std::size_t i = 0; i < names_.size(); ++i) {
        if (chosen_[i] < 0) continue;
        int count = 0;
        for (const auto j : set_) count += j != i && collide(place(i), place(j));
        if (count > 0 && count >= most) {
          most = count;
          worst = i;
        }
      }
      if (most == 0) return;
      put(worst, -1);
    }
  }

  // Moves a name to the cheapest place that is free; whether that was a better one.
  bool improve(std::size_t i) {
    double best = cost_now(i);
    std::ptrdiff_t choice = -1;
    for (std::size_t p = 0; p < places_[i].size(); ++p) {
      const Place& candidate = places_[i][p];
      if (candidate.cost >= best) break;
      double cost = candidate.cost;
      bool free = true;
      for (const auto j : set_) {
        if (j == i) continue;
        const auto& other = place(j);
        if (collide(candidate, other)) {
          free = false;
          break;
        }
        cost += crossings(candidate, other);
      }
      if (!free || cost >= best) continue;
      best = cost;
      choice = static_cast<std::ptrdiff_t>(p);
    }
    if (choice < 0) return false;
    put(i, choice);
    return true;
  }

  // Moves a name to a place that one other name holds, if both together are better off then.
  bool push_aside(std::size_t i) {
    const double now = cost_now(i);
    if (now < kStandApart) return false;
    for (std::size_t p = 0; p < places_[i].size(); ++p) {
      const Place& candidate = places_[i][p];
      if (candidate.cost >= now) return false;
      std::size_t holder = i;
      bool one = true;
      for (const auto j : set_) {
        if (j == i || !collide(candidate, place(j))) continue;
        one = holder == i;
        if (!one) break;
        holder = j;
      }
      if (!one || holder == i) continue;
      const auto mine = chosen_[i], its = chosen_[holder];
      const double before = now + cost_now(holder);
      put(holder, -1);
      put(i, static_cast<std::ptrdiff_t>(p));
      improve(holder);
      // Of two of which only one has room the earlier one stays.
      const bool both = chosen_[holder] >= 0;
      if ((both && cost_now(i) + cost_now(holder) < before - 1e-9) ||
          (!both && mine < 0 && i < holder)) {
        return true;
      }
      put(holder, -1);
      put(i, mine);
      put(holder, its);
    }
    return false;
  }

  const std::vector<NamedPoint>& names_;
  const std::vector<Rect>& taken_;
  Rect room_;
  double unit_;
  std::vector<std::vector<Place>> places_;  // of each name, the cheapest first
  std::vector<std::ptrdiff_t> chosen_;      // -1: none
  std::vector<std::size_t> set_;            // the names that have one
};

}  // namespace

std::vector<std::optional<PlacedName>> place_names(const std::vector<NamedPoint>& names,
                                                   const std::vector<Spot>& spots,
                                                   const std::vector<Rect>& taken, const Rect& room,
                                                   double unit) {
  return Placing(names, spots, taken, room, unit).solve();
}

}  // namespace fastcpp::plot_detail
