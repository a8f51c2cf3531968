// Where names of points go: beside their points, none over another.
#pragma once

#include <optional>
#include <vector>

#include "plot/layout.hpp"

namespace fastcpp::inline v0::plot_detail {

// A point and how large its name is.
struct NamedPoint {
  double x, y;
  double width, height;
};

// What names should not cover.
struct Spot {
  double x, y, radius;
};

struct PlacedName {
  Rect box;
  std::optional<Leader> leader;  // when it stands apart
};

// A place for each name inside `room`, none over another or one of `taken`, in the order of the points; nothing where there is
// no place. `unit` is the width of the smallest gap. A function of its arguments: the same ones give the same places.
std::vector<std::optional<PlacedName>> place_names(const std::vector<NamedPoint>& names,
                                                   const std::vector<Spot>& spots,
                                                   const std::vector<Rect>& taken, const Rect& room,
                                                   double unit);

}  // namespace fastcpp::plot_detail
