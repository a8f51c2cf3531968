#include "fastcpp/plot/figure.hpp"

#include <cairo-svg.h>
#include <cairo.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <set>
#include <unordered_map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/text.hpp"
#include "plot/draw.hpp"
#include "plot/layout.hpp"
#include "plot/model.hpp"

namespace fastcpp::inline v0 {
namespace plot_detail {

struct FigureAccess {
  static const FigureModel& model(const Figure& figure) { return *figure.model_; }
};

FigureLayout layout_of(const Figure& figure) {
  return layout(FigureAccess::model(figure));
}

}  // namespace plot_detail

namespace {

using namespace plot_detail;

// Cairo's coordinates end there.
constexpr double kMostPixels = 32767;

struct Closer {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* cr) const { cairo_destroy(cr); }
};
using FileSurface = std::unique_ptr<cairo_surface_t, Closer>;
using Context = std::unique_ptr<cairo_t, Closer>;

// Called from C, which an exception must not pass.
cairo_status_t append(void* to, const unsigned char* bytes, unsigned int count) {
  try {
    static_cast<std::string*>(to)->append(reinterpret_cast<const char*>(bytes), count);
    return CAIRO_STATUS_SUCCESS;
  } catch (const std::exception&) {
    return CAIRO_STATUS_NO_MEMORY;
  }
}

void warn_of_missing(const std::set<char32_t>& letters) {
  constexpr std::size_t most = 10;
  std::string some;
  for (std::size_t i = 0; const char32_t letter : letters) {
    if (i++ == most) break;
    if (!some.empty()) some += ' ';
    some += utf8(letter);
  }
  log_warning(fmt::format(
      "no installed font has the letters {}{}: the figure shows boxes instead; install a font that "
      "has them (for Chinese, Japanese and Korean Debian's fonts-noto-cjk)",
      some, letters.size() > most ? " and others" : ""));
}

void paint(const FigureModel& model, cairo_surface_t* surface, bool vector, double scale) {
  check(cairo_surface_status(surface));
  const Context cr(cairo_create(surface));
  cairo_scale(cr.get(), scale, scale);
  Fonts fonts;
  draw(layout(model), {cr.get(), vector, scale, fonts});
  check(cairo_status(cr.get()));
  if (!fonts.missing().empty() && !model.warned.exchange(true)) warn_of_missing(fonts.missing());
}

// Names every id anew: prefix and a number, in order of appearance.
std::string with_ids(const std::string& svg, const std::string& prefix) {
  struct Place {
    std::string mark;
    char end;
    std::size_t next;
  };
  Place places[] = {{" id=\"", '"', 0}, {"href=\"#", '"', 0}, {"url(#", ')', 0}};
  for (Place& place : places) place.next = svg.find(place.mark);
  std::unordered_map<std::string, std::string> names;
  std::string result;
  result.reserve(svg.size());
  std::size_t done = 0;
  while (true) {
    Place& place =
        *std::min_element(std::begin(places), std::end(places),
                          [](const Place& a, const Place& b) { return a.next < b.next; });
    if (place.next == std::string::npos) break;
    const std::size_t start = place.next + place.mark.size();
    const std::size_t end = std::min(svg.find(place.end, start), svg.size());
    const auto known =
        names.try_emplace(svg.substr(start, end - start), prefix + std::to_string(names.size()));
    result.append(svg, done, start - done).append(known.first->second);
    done = end;
    place.next = svg.find(place.mark, end);
  }
  return result.append(svg, done);
}

// Cairo counts ids through the whole process and starts anew in each document: equal figures would
// differ, and different ones in a page of HTML would take each other's letters. So ids are made
// from the content.
std::string with_own_ids(const std::string& svg) {
  const std::string plain = with_ids(svg, "i");
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (unsigned char c : plain) hash = (hash ^ c) * 0x100000001b3u;
  return with_ids(plain, fmt::format("f{:016x}-", hash));
}

int pixels(double inches, double dpi) {
  return std::max(1, static_cast<int>(std::lround(inches * dpi)));
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

Figure::Figure(const FigureOptions& options)
    : model_(boundary([] { return std::make_shared<FigureModel>(); })) {
  const auto fits = [](double inches, double per_inch) {
    return inches > 0 && per_inch > 0 && inches * per_inch <= kMostPixels;
  };
  if (!fits(options.width, options.dpi) || !fits(options.height, options.dpi) ||
      !fits(options.width, 72) || !fits(options.height, 72)) {
    throw ValueError(
        "value.figure_size",
        fmt::format(
            "a figure cannot be {} by {} inches at {} dpi; all must be above 0 and a side at "
            "most {} pixels",
            options.width, options.height, options.dpi, kMostPixels));
  }
  model_->options = options;
}

Axes Figure::add_axes() {
  return subplots(1, 1)[0];
}

std::vector<Axes> Figure::subplots(int rows, int cols) {
  return boundary([&] {
    if (rows < 1 || cols < 1 || rows > 1000 || cols > 1000) {
      throw ValueError(
          "value.plot_size",
          fmt::format("a figure cannot have {} rows of {} axes; both lie in 1..1000", rows, cols));
    }
    model_->rows = rows;
    model_->cols = cols;
    model_->axes.clear();
    std::vector<Axes> handles;
    for (int i = 0; i < rows * cols; ++i) {
      model_->axes.push_back(std::make_shared<AxesModel>());
      handles.push_back(Axes(model_->axes.back()));
    }
    return handles;
  });
}

Axes Figure::axes(std::size_t index) {
  if (model_->axes.empty() && index == 0) return add_axes();
  if (index >= model_->axes.size()) {
    throw ValueError("value.axes_index",
                     fmt::format("there are no axes {} in a figure of {}; they count from 0", index,
                                 model_->axes.size()));
  }
  return Axes(model_->axes[index]);
}

std::size_t Figure::size() const {
  return model_->axes.size();
}

Figure& Figure::suptitle(std::string text, const TextOptions& options) {
  if (options.size && !(*options.size > 0 && *options.size <= 1000)) {
    throw ValueError("value.plot_option",
                     fmt::format("the size of a text is {}; it must be above 0 and at most 1000",
                                 *options.size));
  }
  boundary([&] { model_->suptitle = clean_text(text); });
  model_->suptitle_style = options;
  return *this;
}

int Figure::pixel_width() const {
  return pixels(model_->options.width, model_->options.dpi);
}

int Figure::pixel_height() const {
  return pixels(model_->options.height, model_->options.dpi);
}

void Figure::save(const Path& path) const {
  boundary([&] {
    const std::string ending = lower(path.extension().string());
    if (ending != ".png" && ending != ".svg") {
      throw ValueError("value.figure_format",
                       fmt::format("cannot save a figure as '{}': the file's ending must be "
                                   ".png or .svg",
                                   path.string()));
    }
    write_file(path, ending == ".png" ? png() : svg());
  });
}

std::string Figure::svg() const {
  return boundary([&] {
    std::string text;
    const FileSurface surface(cairo_svg_surface_create_for_stream(
        append, &text, model_->options.width * 72, model_->options.height * 72));
    paint(*model_, surface.get(), true, 1);
    cairo_surface_finish(surface.get());
    check(cairo_surface_status(surface.get()));
    return with_own_ids(text);
  });
}

std::string Figure::png() const {
  return boundary([&] {
    const FileSurface surface(
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, pixel_width(), pixel_height()));
    paint(*model_, surface.get(), false, model_->options.dpi / 72);
    std::string bytes;
    check(cairo_surface_write_to_png_stream(surface.get(), append, &bytes));
    return bytes;
  });
}

FigureOptions matrix_figure_options(const std::vector<std::string>& labels, double dpi) {
  return boundary([&] {
    TextMeasurer measurer;
    constexpr double size = 9, around = 60;
    double longest = 0;
    for (const std::string& label : labels)
      longest = std::max(longest, measurer.width(clean_text(label), size));
    const double cells = static_cast<double>(labels.size()) * 1.4 * size;
    // Thousands of labels would ask for gigabytes of pixels.
    const double most = 100;
    const double side = (cells + longest + around) / 72;
    return FigureOptions{std::min(std::max(6.4, side), most), std::min(std::max(4.8, side), most),
                         dpi};
  });
}

}  // namespace fastcpp
