#include "plot/text.hpp"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "fastcpp/core/text.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kMeasureSize = 100;
constexpr const char* kEllipsis = "\u2026";

// Where a line may end: between words, between parts of a name, anywhere.
enum class Break { kWord, kPart, kAnywhere };

bool may_break_after(const std::string& text, std::size_t end, Break where) {
  const char last = text[end - 1], next = text[end];
  // "a / b" must not leave its slash at the start of a line.
  if (last == ' ') return next != '/';
  if (last == '/' || last == ';' || last == ',') return next != ' ';
  if (where == Break::kPart) return last == '_' || last == '-' || last == '.';
  return where == Break::kAnywhere;
}

std::string without_end_spaces(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// A part of a line that is never divided, with its widths at size 1.
struct Piece {
  std::string text;
  double width, width_at_end;  // spaces at the end of a line take no room
};

std::vector<Piece> pieces(const std::string& text, bool bold, Break where, TextMeasurer& measurer) {
  std::vector<Piece> result;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size();) {
    i += std::max<std::size_t>(utf8_length(std::string_view(text).substr(i)), 1);
    if (i < text.size() && !may_break_after(text, i, where)) continue;
    const std::string part = text.substr(start, i - start);
    result.push_back(
        {part, measurer.width(part, 1, bold), measurer.width(without_end_spaces(part), 1, bold)});
    start = i;
  }
  return result;
}

// Fills lines one after the other; nothing when a piece is wider than the width.
std::optional<std::vector<std::string>> fill(const std::vector<Piece>& parts, double width) {
  std::vector<std::string> lines(1);
  double used = 0;
  for (const Piece& part : parts) {
    if (part.width_at_end > width) return std::nullopt;
    if (used + part.width_at_end > width) {
      lines.back() = without_end_spaces(lines.back());
      lines.emplace_back();
      used = 0;
    }
    lines.back() += part.text;
    used += part.width;
  }
  lines.back() = without_end_spaces(lines.back());
  return lines;
}

// As `fill`, with lines of about the same length.
std::optional<std::vector<std::string>> wrap(const std::vector<Piece>& parts, double width) {
  auto best = fill(parts, width);
  if (!best || best->size() < 2) return best;
  double narrow = 0, wide = width;
  for (int i = 0; i < 10; ++i) {
    const double middle = (narrow + wide) / 2;
    auto lines = fill(parts, middle);
    if (lines && lines->size() == best->size()) {
      best = std::move(lines);
      wide = middle;
    } else {
      narrow = middle;
    }
  }
  return best;
}

struct Attempt {
  double factor;
  std::size_t lines;  // at most, for each line of the text
  Break where;
};

const std::vector<Attempt>& attempts() {
  static const std::vector<Attempt> all = [] {
    std::vector<Attempt> list;
    for (int f = 100; f >= 85; f -= 5) list.push_back({f / 100.0, 1, Break::kWord});
    for (int f = 100; f >= 70; f -= 5) list.push_back({f / 100.0, 3, Break::kWord});
    for (int f = 85; f >= 50; f -= 5) list.push_back({f / 100.0, 4, Break::kPart});
    for (int f = 70; f >= 40; f -= 10) list.push_back({f / 100.0, 5, Break::kAnywhere});
    return list;
  }();
  return all;
}

// A little less than the width, because the ink of a letter may reach beyond it.
double usable(double width) {
  return 0.995 * width;
}

std::optional<FittedText> try_fit(const FitRequest& request, const Attempt& attempt,
                                  TextMeasurer& measurer) {
  FittedText result{{}, request.size * attempt.factor};
  const double width = usable(request.width) / result.size;
  for (const std::string& line : split_lines(request.text)) {
    if (attempt.lines == 1) {
      if (measurer.width(line, 1, request.bold) > width) return std::nullopt;
      result.lines.push_back(line);
      continue;
    }
    const auto wrapped = wrap(pieces(line, request.bold, attempt.where, measurer), width);
    if (!wrapped || wrapped->size() > attempt.lines) return std::nullopt;
    result.lines.insert(result.lines.end(), wrapped->begin(), wrapped->end());
  }
  return result;
}

// The last resort: five lines, the rest left out.
FittedText cut(const FitRequest& request, TextMeasurer& measurer) {
  FittedText result{{}, request.size * attempts().back().factor};
  const double width = usable(request.width) / result.size;
  for (const std::string& line : split_lines(request.text)) {
    auto wrapped = fill(pieces(line, request.bold, Break::kAnywhere, measurer), width);
    if (!wrapped) continue;
    if (wrapped->size() > 5) {
      wrapped->resize(5);
      std::string& last = wrapped->back();
      while (!last.empty() && measurer.width(last + kEllipsis, 1, request.bold) > width) {
        last.pop_back();
        while (!last.empty() && (static_cast<unsigned char>(last.back()) & 0xC0) == 0x80)
          last.pop_back();
      }
      last += kEllipsis;
    }
    result.lines.insert(result.lines.end(), wrapped->begin(), wrapped->end());
  }
  return result;
}

}  // namespace

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  for (std::size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    lines.push_back(text.substr(start, end - start));
  }
  lines.push_back(text.substr(start));
  return lines;
}

void TextMeasurer::Close::operator()(cairo_t* cr) const {
  cairo_destroy(cr);
}

TextMeasurer::TextMeasurer() {
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
  cr_.reset(cairo_create(surface));
  cairo_surface_destroy(surface);
  Fonts::prepare(cr_.get(), kMeasureSize, false);
  cairo_set_font_face(cr_.get(), fonts_.usual(false));
  cairo_font_extents_t font;
  cairo_font_extents(cr_.get(), &font);
  if (font.ascent > 0 && font.descent >= 0) {
    ascent_ = font.ascent / kMeasureSize;
    descent_ = font.descent / kMeasureSize;
  }
  cairo_text_extents_t capital;
  cairo_text_extents(cr_.get(), "H", &capital);
  if (capital.y_bearing < 0) middle_ = -capital.y_bearing / 2 / kMeasureSize;
}

double TextMeasurer::width(const std::string& text, double size, bool bold) {
  if (text.empty()) return 0;
  auto& known = widths_[bold ? 1 : 0];
  auto it = known.find(text);
  if (it == known.end()) {
    double advance = 0, ink = 0;
    for (const auto& run : fonts_.runs(text, bold)) {
      cairo_set_font_face(cr_.get(), run.face);
      cairo_text_extents_t extents;
      cairo_text_extents(cr_.get(), run.text.c_str(), &extents);
      ink = std::max(ink, advance + extents.x_bearing + extents.width);
      advance += extents.x_advance;
    }
    it = known.emplace(text, std::max(advance, ink) / kMeasureSize).first;
  }
  return it->second * size;
}

double TextMeasurer::width(const std::vector<std::string>& lines, double size, bool bold) {
  double widest = 0;
  for (const std::string& line : lines) widest = std::max(widest, width(line, size, bold));
  return widest;
}

std::string fit_line(const std::string& text, double width, double size, bool bold,
                     TextMeasurer& measurer) {
  // More letters than that stand in no line; measuring a book takes long.
  constexpr std::size_t most = 2000;
  std::string clean = clean_text(std::string_view(text).substr(0, most));
  for (char& c : clean) {
    if (c == '\n') c = ' ';
  }
  clean.erase(0, clean.find_first_not_of(' '));
  clean = without_end_spaces(std::move(clean));
  if (text.size() <= most && measurer.width(clean, size, bold) <= width) return clean;
  std::vector<std::size_t> ends{0};
  while (ends.back() < clean.size()) {
    const auto length = utf8_length(std::string_view(clean).substr(ends.back()));
    ends.push_back(ends.back() + std::max<std::size_t>(length, 1));
  }
  const auto cut_at = [&](std::size_t end) {
    return without_end_spaces(clean.substr(0, end)) + kEllipsis;
  };
  // The last end whose text has room; at least the ellipsis stays.
  const auto past = std::partition_point(ends.begin() + 1, ends.end(), [&](std::size_t end) {
    return measurer.width(cut_at(end), size, bold) <= width;
  });
  return cut_at(*(past - 1));
}

std::vector<FittedText> fit_texts(const std::vector<FitRequest>& requests, TextMeasurer& measurer) {
  std::vector<FittedText> result;
  for (const Attempt& attempt : attempts()) {
    result.clear();
    for (const FitRequest& request : requests) {
      auto fitted = try_fit(request, attempt, measurer);
      if (!fitted) break;
      result.push_back(std::move(*fitted));
    }
    if (result.size() == requests.size()) return result;
  }
  result.clear();
  for (const FitRequest& request : requests) {
    const auto fitted = try_fit(request, attempts().back(), measurer);
    result.push_back(fitted ? *fitted : cut(request, measurer));
  }
  return result;
}

}  // namespace fastcpp::plot_detail
