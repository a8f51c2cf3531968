#include "plot/layout.hpp"

#include <algorithm>
#include <cmath>

#include "plot/decor.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kColumnGap = 12, kRowGap = 10, kTitleSize = 12, kTitleGap = 6;
// A box smaller than this part of its cell is too cramped: everything around it is made smaller.
constexpr double kLeastPart = 0.3;
constexpr double kLeastNameSize = 1.5;

// The room one column or row needs on both sides of its boxes.
struct Margin {
  double before = 0, after = 0;
};

class Grid {
 public:
  Grid(const FigureModel& model, const Style& style, TextMeasurer& measurer)
      : model_(model),
        style_(style),
        measurer_(measurer),
        width_(model.options.width * 72),
        height_(model.options.height * 72) {
    for (const auto& axes : model.axes) ranges_.push_back(data_ranges(*axes));
    fit_suptitle();
    solve();
  }

  bool names_fit() const {
    return std::all_of(decors_.begin(), decors_.end(),
                       [](const Decor& decor) { return decor.x.fits && decor.y.fits; });
  }

  // The smaller part of its cell that is left for a box.
  double least_part() const {
    if (model_.axes.empty()) return 1;
    const double cell_width = (width_ - 2 * edge()) / model_.cols;
    const double cell_height = (height_ - 2 * edge()) / model_.rows;
    return std::min(inner_width_ / cell_width, inner_height_ / cell_height);
  }

  FigureLayout place() {
    FigureLayout figure{width_, height_, {}, {}};
    double y = edge();
    for (const std::string& line : suptitle_.lines) {
      figure.texts.push_back(
          text_box(line, suptitle_.size, model_.suptitle_style, width_ / 2, y, 0.5, 0, measurer_));
      y = figure.texts.back().box.bottom();
    }
    for (std::size_t i = 0; i < model_.axes.size(); ++i) {
      AxesLayout axes{model_.axes[i].get(), box(i), ranges_[i], {}, {}, {}, {}};
      const auto [left, right] = cell_sides(i);
      place_decor(decors_[i], titles_[i], left, right, style_, axes, figure, measurer_);
      figure.axes.push_back(std::move(axes));
    }
    std::erase_if(figure.texts, [&](const TextBox& text) { return !on_paper(text.box); });
    return figure;
  }

 private:
  double edge() const { return kFigureEdge * style_.scale; }
  double column_gap() const { return kColumnGap * style_.scale; }
  double row_gap() const { return kRowGap * style_.scale; }
  int column(std::size_t i) const { return static_cast<int>(i) % model_.cols; }
  int row(std::size_t i) const { return static_cast<int>(i) / model_.cols; }

  // In figures of a few points nothing helps; half a text is worse than none.
  bool on_paper(const Rect& box) const {
    return box.x >= -0.5 && box.y >= -0.5 && box.right() <= width_ + 0.5 &&
           box.bottom() <= height_ + 0.5;
  }

  void fit_suptitle() {
    if (model_.suptitle.empty()) return;
    const TextOptions& look = model_.suptitle_style;
    suptitle_ = fit_texts({{model_.suptitle, look.size.value_or(kTitleSize) * style_.scale,
                            look.bold, width_ - 2 * edge()}},
                          measurer_)[0];
    above_ =
        measurer_.line_height(suptitle_.size) * suptitle_.lines.size() + kTitleGap * style_.scale;
  }

  void solve() {
    columns_.assign(model_.cols, {});
    rows_.assign(model_.rows, {});
    // Ticks depend on the size of the box, and the box on the room the ticks need. From the third
    // round on margins only grow, so this comes to an end.
    for (int round = 0; round < 8; ++round) {
      size_boxes();
      fit_titles();
      decors_.clear();
      auto columns = std::vector<Margin>(model_.cols), rows = std::vector<Margin>(model_.rows);
      for (std::size_t i = 0; i < model_.axes.size(); ++i) {
        const Rect rect = box(i);
        decors_.push_back(measure_decor(*model_.axes[i], ranges_[i], rect.width, rect.height,
                                        titles_[i], style_, measurer_));
        const Decor& decor = decors_.back();
        grow(columns[column(i)], decor.left, decor.right);
        grow(rows[row(i)], decor.top, decor.bottom);
      }
      if (round >= 2) {
        if (covers(columns_, columns) && covers(rows_, rows)) return;
        for (int c = 0; c < model_.cols; ++c)
          grow(columns[c], columns_[c].before, columns_[c].after);
        for (int r = 0; r < model_.rows; ++r) grow(rows[r], rows_[r].before, rows_[r].after);
      }
      columns_ = std::move(columns);
      rows_ = std::move(rows);
    }
  }

  static void grow(Margin& margin, double before, double after) {
    margin.before = std::max(margin.before, before);
    margin.after = std::max(margin.after, after);
  }

  static bool covers(const std::vector<Margin>& have, const std::vector<Margin>& need) {
    for (std::size_t i = 0; i < have.size(); ++i) {
      if (have[i].before < need[i].before - 1e-6 || have[i].after < need[i].after - 1e-6)
        return false;
    }
    return true;
  }

  void size_boxes() {
    inner_width_ = width_ - 2 * edge() - column_gap() * (model_.cols - 1);
    for (const Margin& margin : columns_) inner_width_ -= margin.before + margin.after;
    inner_width_ = std::max(inner_width_ / std::max(model_.cols, 1), 1.0);
    inner_height_ = height_ - 2 * edge() - above_ - row_gap() * (model_.rows - 1);
    for (const Margin& margin : rows_) inner_height_ -= margin.before + margin.after;
    inner_height_ = std::max(inner_height_ / std::max(model_.rows, 1), 1.0);
  }

  Rect inner(std::size_t i) const {
    Rect rect{edge(), edge() + above_, inner_width_, inner_height_};
    for (int c = 0; c < column(i); ++c) {
      rect.x += columns_[c].before + inner_width_ + columns_[c].after + column_gap();
    }
    for (int r = 0; r < row(i); ++r) {
      rect.y += rows_[r].before + inner_height_ + rows_[r].after + row_gap();
    }
    rect.x += columns_[column(i)].before;
    rect.y += rows_[row(i)].before;
    return rect;
  }

  Rect box(std::size_t i) const {
    Rect rect = inner(i);
    if (!keeps_aspect(*model_.axes[i])) return rect;
    const Ranges& ranges = ranges_[i];
    const double aspect = std::abs(ranges.x.hi - ranges.x.lo) / std::abs(ranges.y.hi - ranges.y.lo);
    const double width = std::min(rect.width, rect.height * aspect);
    const double height = std::min(rect.height, rect.width / aspect);
    return {rect.x + (rect.width - width) / 2, rect.y + (rect.height - height) / 2, width, height};
  }

  // Where titles of neighbours must not meet.
  std::pair<double, double> cell_sides(std::size_t i) const {
    const Margin& margin = columns_[column(i)];
    const Rect rect = inner(i);
    const double spare = 0.3 * column_gap();
    return {std::max(rect.x - margin.before - (column(i) > 0 ? spare : 0), 1.0),
            std::min(rect.right() + margin.after + (column(i) + 1 < model_.cols ? spare : 0),
                     width_ - 1)};
  }

  void fit_titles() {
    std::vector<FitRequest> requests;
    std::vector<std::size_t> of;
    for (std::size_t i = 0; i < model_.axes.size(); ++i) {
      const AxesModel& axes = *model_.axes[i];
      if (axes.title.empty()) continue;
      const auto [left, right] = cell_sides(i);
      requests.push_back({axes.title, axes.title_style.size.value_or(kTitleSize) * style_.scale,
                          axes.title_style.bold, right - left});
      of.push_back(i);
    }
    titles_.assign(model_.axes.size(), {});
    const auto fitted = fit_texts(requests, measurer_);
    for (std::size_t k = 0; k < of.size(); ++k) titles_[of[k]] = fitted[k];
  }

  const FigureModel& model_;
  Style style_;
  TextMeasurer& measurer_;
  double width_, height_, above_ = 0, inner_width_ = 1, inner_height_ = 1;
  std::vector<Ranges> ranges_;
  FittedText suptitle_;
  std::vector<FittedText> titles_;
  std::vector<Margin> columns_, rows_;
  std::vector<Decor> decors_;
};

}  // namespace

FigureLayout layout(const FigureModel& figure) {
  TextMeasurer measurer;
  for (double scale = 1;; scale *= 0.88) {
    for (double names = 10 * scale;; names *= 0.95) {
      Grid grid(figure, {scale, names}, measurer);
      if (!grid.names_fit() && names > kLeastNameSize) continue;
      if (grid.least_part() < kLeastPart && scale > 0.15) break;
      return grid.place();
    }
  }
}

}  // namespace fastcpp::plot_detail
