#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

#include "plot/draw.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

struct Point {
  double x, y;
};

// Beyond this distance from the box a point has no say in what is seen, but would overflow Cairo's
// numbers.
constexpr double kFar = 100;

bool near_enough(const Point& p, const Rect& box) {
  return p.x >= box.x - kFar && p.x <= box.right() + kFar && p.y >= box.y - kFar &&
         p.y <= box.bottom() + kFar;
}

// Cuts a stroke to the surroundings of the box (Liang and Barsky); false when nothing is left.
bool cut(Point& a, Point& b, const Rect& box) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double p[4] = {-dx, dx, -dy, dy};
  const double q[4] = {a.x - (box.x - kFar), box.right() + kFar - a.x, a.y - (box.y - kFar),
                       box.bottom() + kFar - a.y};
  double from = 0, to = 1;
  for (int i = 0; i < 4; ++i) {
    if (p[i] == 0) {
      if (q[i] < 0) return false;
    } else if (p[i] < 0) {
      from = std::max(from, q[i] / p[i]);
    } else {
      to = std::min(to, q[i] / p[i]);
    }
  }
  if (!(from <= to)) return false;
  const Point start = a;
  a = {start.x + from * dx, start.y + from * dy};
  b = {start.x + to * dx, start.y + to * dy};
  return true;
}

// Of many points within one half pixel column, the first, the lowest, the highest and the last look
// the same.
std::vector<Point> thinned(const std::vector<Point>& points, double column) {
  if (points.size() < 500) return points;
  std::vector<Point> result;
  const auto column_of = [&](const Point& p) { return std::floor(p.x / column); };
  for (std::size_t start = 0; start < points.size();) {
    std::size_t end = start + 1, low = start, high = start;
    for (; end < points.size() && column_of(points[end]) == column_of(points[start]); ++end) {
      if (points[end].y < points[low].y) low = end;
      if (points[end].y > points[high].y) high = end;
    }
    std::size_t kept[4] = {start, std::min(low, high), std::max(low, high), end - 1};
    for (std::size_t k = 0; k < 4; ++k) {
      if (k == 0 || kept[k] != kept[k - 1]) result.push_back(points[kept[k]]);
    }
    start = end;
  }
  return result;
}

void dot(const Point& at, double size, const Canvas& canvas) {
  cairo_new_sub_path(canvas.cr);
  cairo_arc(canvas.cr, at.x, at.y, size / 2, 0, 2 * M_PI);
}

void stroke_run(const std::vector<Point>& run, double width, const AxesLayout& axes,
                const Canvas& canvas) {
  if (run.empty()) return;
  if (run.size() == 1) {
    // A single epoch has a single validation loss: a line through it would be invisible.
    if (!near_enough(run[0], axes.box)) return;
    dot(run[0], 3 * width, canvas);
    cairo_fill(canvas.cr);
    return;
  }
  const auto points = thinned(run, 0.5 / canvas.scale);
  cairo_t* cr = canvas.cr;
  bool open = false;
  for (std::size_t i = 1; i < points.size(); ++i) {
    Point a = points[i - 1], b = points[i];
    if (!cut(a, b, axes.box)) {
      open = false;
      continue;
    }
    // A level or an upright stroke lies on whole pixels.
    if (points.size() == 2 && a.y == b.y) a.y = b.y = canvas.snap_stroke(a.y, width);
    if (points.size() == 2 && a.x == b.x) a.x = b.x = canvas.snap_stroke(a.x, width);
    if (!open) cairo_move_to(cr, a.x, a.y);
    cairo_line_to(cr, b.x, b.y);
    open = b.x == points[i].x && b.y == points[i].y;
  }
  cairo_set_line_width(cr, width);
  cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(cr, CAIRO_LINE_CAP_SQUARE);
  cairo_stroke(cr);
  cairo_set_line_join(cr, CAIRO_LINE_JOIN_MITER);
  cairo_set_line_cap(cr, CAIRO_LINE_CAP_BUTT);
}

void draw_item(const Line& line, const AxesLayout& axes, const Canvas& canvas) {
  canvas.color(line.color);
  std::vector<Point> run;
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    const Point p{axes.x_at(line.x[i]), axes.y_at(line.y[i])};
    if (std::isfinite(p.x) && std::isfinite(p.y)) {
      run.push_back(p);
      continue;
    }
    stroke_run(run, line.width, axes, canvas);
    run.clear();
  }
  stroke_run(run, line.width, axes, canvas);
}

void draw_item(const Dots& dots, const AxesLayout& axes, const Canvas& canvas) {
  canvas.color(dots.color);
  for (std::size_t i = 0; i < dots.x.size(); ++i) {
    const Point p{axes.x_at(dots.x[i]), axes.y_at(dots.y[i])};
    if (!std::isfinite(p.x) || !std::isfinite(p.y) || !near_enough(p, axes.box)) continue;
    dot(p, dots.size, canvas);
    cairo_fill(canvas.cr);
  }
}

void draw_item(const Bars& bars, const AxesLayout& axes, const Canvas& canvas) {
  canvas.color(bars.color);
  const Rect& box = axes.box;
  for (std::size_t i = 0; i < bars.x.size(); ++i) {
    const double x0 = axes.x_at(bars.x[i] - bars.width / 2),
                 x1 = axes.x_at(bars.x[i] + bars.width / 2);
    const double y0 = axes.y_at(bars.height[i]);
    // On a logarithmic axis bars stand on its end.
    const double zero = axes.ranges.y.log ? box.bottom() : axes.y_at(0);
    if (!std::isfinite(x0) || !std::isfinite(x1) || !std::isfinite(y0)) continue;
    const double left = std::clamp(std::min(x0, x1), box.x - kFar, box.right() + kFar);
    const double right = std::clamp(std::max(x0, x1), box.x - kFar, box.right() + kFar);
    const double top = std::clamp(std::min(y0, zero), box.y - kFar, box.bottom() + kFar);
    const double bottom = std::clamp(std::max(y0, zero), box.y - kFar, box.bottom() + kFar);
    const Rect rect = canvas.snap({left, top, right - left, bottom - top});
    cairo_rectangle(canvas.cr, rect.x, rect.y, rect.width, top == bottom ? 0 : rect.height);
    cairo_fill(canvas.cr);
  }
}

struct SurfaceCloser {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
using Surface = std::unique_ptr<cairo_surface_t, SurfaceCloser>;

// A surface whose pixels come from `pixel(x, y)` as premultiplied 0xaarrggbb.
template <typename F>
Surface make_surface(cairo_format_t format, int width, int height, F pixel) {
  Surface surface(cairo_image_surface_create(format, width, height));
  check(cairo_surface_status(surface.get()));
  cairo_surface_flush(surface.get());
  unsigned char* data = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int y = 0; y < height; ++y) {
    auto* row = reinterpret_cast<std::uint32_t*>(data + static_cast<std::ptrdiff_t>(y) * stride);
    for (int x = 0; x < width; ++x) row[x] = pixel(x, y);
  }
  cairo_surface_mark_dirty(surface.get());
  return surface;
}

void paint_surface(cairo_surface_t* surface, const Rect& rect, cairo_filter_t filter,
                   const Canvas& canvas) {
  const double width = cairo_image_surface_get_width(surface),
               height = cairo_image_surface_get_height(surface);
  if (!(rect.width > 0 && rect.height > 0)) return;
  cairo_t* cr = canvas.cr;
  cairo_save(cr);
  cairo_translate(cr, rect.x, rect.y);
  cairo_scale(cr, rect.width / width, rect.height / height);
  cairo_set_source_surface(cr, surface, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cr), filter);
  // SVG has no padding; Cairo would fall back to a bitmap of the whole page.
  cairo_pattern_set_extend(cairo_get_source(cr),
                           canvas.vector ? CAIRO_EXTEND_NONE : CAIRO_EXTEND_PAD);
  cairo_rectangle(cr, 0, 0, width, height);
  cairo_fill(cr);
  cairo_restore(cr);
}

std::uint32_t packed(const Color& c) {
  return 0xff000000u | static_cast<std::uint32_t>(c.r) << 16 |
         static_cast<std::uint32_t>(c.g) << 8 | c.b;
}

// Where the picture [0, cols] x [0, rows] lies, also when limits show a part of it only.
Rect extent(const AxesLayout& axes, int cols, int rows) {
  const double left = axes.x_at(-0.5), right = axes.x_at(cols - 0.5);
  const double top = axes.y_at(-0.5), bottom = axes.y_at(rows - 0.5);
  return {left, top, right - left, bottom - top};
}

// How many pixels of the surface show one pixel of the picture. Viewers of SVG smooth what they
// enlarge, so square blocks have to be put into the file as such.
int block_side(const Rect& rect, int width, const Canvas& canvas) {
  if (!canvas.vector) return 1;
  return static_cast<int>(
      std::clamp(std::ceil(2 * rect.width / width), 1.0, std::max(1.0, 2048.0 / width)));
}

void draw_item(const Image& image, const AxesLayout& axes, const Canvas& canvas) {
  const Picture& picture = image.picture;
  const Rect rect = canvas.snap(extent(axes, picture.width, picture.height));
  const double enlarged = rect.width * canvas.scale / picture.width;
  const bool blocks = image.interpolation == Interpolation::kNearest ||
                      (image.interpolation == Interpolation::kAuto && enlarged >= 3);
  const int side = blocks ? block_side(rect, std::max(picture.width, picture.height), canvas) : 1;
  const auto surface = make_surface(
      CAIRO_FORMAT_RGB24, picture.width * side, picture.height * side, [&](int x, int y) {
        const std::size_t at = (static_cast<std::size_t>(y / side) * picture.width + x / side) * 3;
        return packed({picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]});
      });
  paint_surface(surface.get(), rect, blocks ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD, canvas);
}

// Ends of the finite values; false when there are none.
bool value_range(const std::vector<double>& values, double& lo, double& hi) {
  lo = std::numeric_limits<double>::infinity();
  hi = -lo;
  for (double value : values) {
    if (!drawable(value)) continue;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  return lo <= hi;
}

void draw_item(const HeatMap& map, const AxesLayout& axes, const Canvas& canvas) {
  double lo, hi;
  if (!value_range(map.values, lo, hi)) return;
  // It lies over the whole picture, or over the whole axes where there is none.
  Rect rect = canvas.snap(axes.box);
  for (const Item& item : axes.model->items) {
    const auto* image = std::get_if<Image>(&item);
    if (image) rect = canvas.snap(extent(axes, image->picture.width, image->picture.height));
  }
  const auto value_at = [&](int row, int col) {
    const double value =
        map.values[static_cast<std::size_t>(std::clamp(row, 0, map.rows - 1)) * map.cols +
                   std::clamp(col, 0, map.cols - 1)];
    return drawable(value) ? value : lo;
  };
  const double detail = canvas.vector ? 2 : canvas.scale;
  const int width = static_cast<int>(std::clamp(std::round(rect.width * detail), 1.0, 2048.0));
  const int height = static_cast<int>(std::clamp(std::round(rect.height * detail), 1.0, 2048.0));
  const auto surface = make_surface(CAIRO_FORMAT_ARGB32, width, height, [&](int x, int y) {
    const double row = (y + 0.5) / height * map.rows - 0.5,
                 col = (x + 0.5) / width * map.cols - 0.5;
    const int r = static_cast<int>(std::floor(row)), c = static_cast<int>(std::floor(col));
    const double fr = row - r, fc = col - c;
    const double top = value_at(r, c) * (1 - fc) + value_at(r, c + 1) * fc;
    const double bottom = value_at(r + 1, c) * (1 - fc) + value_at(r + 1, c + 1) * fc;
    const double value = top * (1 - fr) + bottom * fr;
    const Color color = colormap(map.cmap, hi > lo ? (value - lo) / (hi - lo) : 0);
    const auto part = [&](int channel) {
      return static_cast<std::uint32_t>(std::lround(channel * map.alpha));
    };
    return part(255) << 24 | part(color.r) << 16 | part(color.g) << 8 | part(color.b);
  });
  paint_surface(surface.get(), rect, CAIRO_FILTER_GOOD, canvas);
}

void draw_item(const Matrix& matrix, const AxesLayout& axes, const Canvas& canvas) {
  double lo = 0, hi = 0;
  value_range(matrix.values, lo, hi);
  const auto color_at = [&](std::size_t i) {
    const double value = matrix.values[i];
    if (!drawable(value)) return colors::white;
    return colormap(matrix.cmap, hi > lo ? (value - lo) / (hi - lo) : 0);
  };
  if (matrix.values.size() > 10000) {
    const Rect rect = canvas.snap(extent(axes, matrix.cols, matrix.rows));
    const int side = block_side(rect, std::max(matrix.cols, matrix.rows), canvas);
    const auto surface =
        make_surface(CAIRO_FORMAT_RGB24, matrix.cols * side, matrix.rows * side, [&](int x, int y) {
          return packed(color_at(static_cast<std::size_t>(y / side) * matrix.cols + x / side));
        });
    paint_surface(surface.get(), rect, CAIRO_FILTER_NEAREST, canvas);
    return;
  }
  for (int row = 0; row < matrix.rows; ++row) {
    for (int col = 0; col < matrix.cols; ++col) {
      // Each cell reaches to the far end, where the next ones cover it: no seams in between.
      const double x = canvas.snap_edge(axes.x_at(col - 0.5)),
                   y = canvas.snap_edge(axes.y_at(row - 0.5));
      const double right =
          canvas.snap_edge(axes.x_at(col + 0.5)) + (col + 1 < matrix.cols ? 0.5 : 0);
      const double bottom =
          canvas.snap_edge(axes.y_at(row + 0.5)) + (row + 1 < matrix.rows ? 0.5 : 0);
      canvas.color(color_at(static_cast<std::size_t>(row) * matrix.cols + col));
      cairo_rectangle(canvas.cr, x, y, right - x, bottom - y);
      cairo_fill(canvas.cr);
    }
  }
}

// Placed with the other texts.
void draw_item(const Note&, const AxesLayout&, const Canvas&) {}
void draw_item(const Names&, const AxesLayout&, const Canvas&) {}

}  // namespace

void draw_items(const AxesLayout& axes, const Canvas& canvas) {
  for (const Item& item : axes.model->items) {
    std::visit([&](const auto& thing) { draw_item(thing, axes, canvas); }, item);
  }
}

}  // namespace fastcpp::plot_detail
