// Texts: cleaning, measuring, wrapping. All lengths are points.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plot/fonts.hpp"

namespace fastcpp::inline v0::plot_detail {

// The lines between newlines; at least one.
std::vector<std::string> split_lines(const std::string& text);

class TextMeasurer {
 public:
  TextMeasurer();

  // Of one line.
  double width(const std::string& text, double size, bool bold = false);
  // The widest of several lines.
  double width(const std::vector<std::string>& lines, double size, bool bold = false);
  // Above and below the baseline, the same for all texts of a size.
  double ascent(double size) const { return ascent_ * size; }
  double descent(double size) const { return descent_ * size; }
  double line_height(double size) const { return (ascent_ + descent_) * size; }
  // From the baseline to the middle of a capital letter.
  double middle(double size) const { return middle_ * size; }

 private:
  struct Close {
    void operator()(cairo_t* cr) const;
  };
  Fonts fonts_;
  std::unique_ptr<cairo_t, Close> cr_;
  std::unordered_map<std::string, double> widths_[2];  // at size 1; normal and bold
  double ascent_ = 1, descent_ = 0.25, middle_ = 0.36;
};

// The text on one line, without blanks at its ends; a longer one is cut and ends in an ellipsis.
std::string fit_line(const std::string& text, double width, double size, bool bold,
                     TextMeasurer& measurer);

// A text that has to find room in a width.
struct FitRequest {
  std::string text;
  double size;
  bool bold;
  double width;
};
struct FittedText {
  std::vector<std::string> lines;
  double size = 10;
};
// Makes all texts fit by one common factor and by wrapping: first a little smaller, then more lines
// between words, then between the parts of a name, at last anywhere.
std::vector<FittedText> fit_texts(const std::vector<FitRequest>& requests, TextMeasurer& measurer);

}  // namespace fastcpp::plot_detail
