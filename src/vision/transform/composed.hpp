// A plan as one resampling of one picture.
#pragma once

#include <vector>

#include "vision/transform/geometry.hpp"

namespace fastcpp::inline v0::detail {

// What a plan comes to for one picture.
struct Composed {
  Matrix points = kIdentity;  // output grid to source, both -1..1
  Resolution flow;
  bool resamples = false;
  // Where jitter left each point of the flow, row by row; `points` goes on from there. Empty without jitter.
  std::vector<Point> jittered;
  Light light;
  IndexMaps maps{Resolution{}};
  // Pixels that are replaced in a picture made from this one, which `size` is the size of; `maps` leads from the result to
  // that picture. In order.
  struct Patch {
    const Step* step;  // of the plan
    Resolution size;
    IndexMaps maps;
  };
  std::vector<Patch> patches;
};

// For plans of `fast_form`, which must outlive the result.
Composed compose(const Plan& plan, Resolution picture);

// Point i of n between -1 and 1.
inline double grid_point(int i, int n) {
  return n > 1 ? 2.0 * i / (n - 1) - 1 : -1.0;
}

// Result in pixels of the source instead of -1..1.
Matrix in_pixels(const Matrix& m, Resolution source);

// The source, or where the resampling would pass over pixels, its area averages in `smaller`.
Source shrunk(const Composed& all, const Source& source, Planes& smaller);

}  // namespace fastcpp::detail
