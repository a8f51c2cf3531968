// The texts of a figure.
#pragma once

#include <string>
#include <vector>

#include "fastcpp/plot/figure.hpp"
#include "plot/layout.hpp"

namespace fastcpp::test {

inline std::vector<std::string> titles(const Figure& figure) {
  std::vector<std::string> texts;
  for (const auto& box : plot_detail::layout_of(figure).texts) texts.push_back(box.text);
  return texts;
}

}  // namespace fastcpp::test
