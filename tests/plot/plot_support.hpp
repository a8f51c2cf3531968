// Helpers for the tests of plots: pixels of a PNG, names of the pets, boxes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fastcpp/plot/figure.hpp"
#include "plot/layout.hpp"

namespace fastcpp::test {

// A decoded PNG; an empty one when the bytes are none.
class Pixels {
 public:
  explicit Pixels(const std::string& png);
  int width() const { return width_; }
  int height() const { return height_; }
  Color at(int x, int y) const;

 private:
  int width_ = 0, height_ = 0;
  std::vector<std::uint32_t> argb_;
};

// The largest difference of a channel.
int distance(Color a, Color b);

// The 37 class names of the pets.
std::vector<std::string> pet_names();

// A picture without two equal rows or columns.
Picture gradient(int width, int height);

// A curve with labels and a legend, at 72 dpi.
Figure losses();

// What is wrong with the texts of a layout: one line for each text that leaves the figure or
// touches another.
std::string text_faults(const plot_detail::FigureLayout& layout);

// How many texts read so.
int count_texts(const plot_detail::FigureLayout& layout, const std::string& text);

}  // namespace fastcpp::test
