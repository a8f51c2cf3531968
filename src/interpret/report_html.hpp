// The pieces of HTML that a report is made of. Texts go in as they are and are escaped here, except where a name says `html`.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fastcpp/plot/figure.hpp"
#include "fastcpp/plot/picture.hpp"

namespace fastcpp::inline v0::report_detail {

// Numbers for people; a dash for what is no finite number.
std::string number(double value, int decimals = 4);
std::string percent(double share);
std::string whole(std::int64_t value);  // 11,689,512
std::string duration(double seconds);   // 0.4 s, 1:05 min, 2:03:00 h
// "1 picture", "3 pictures".
std::string counted(std::int64_t n, const std::string& one, const std::string& many);

// A picture that holds its bytes, its longest side at most `longest` pixels.
std::string image_html(const Picture& picture, const std::string& alt, int longest);
// A picture with the values of a map over it, as `Axes::overlay` draws them.
Picture with_heat(const Picture& picture, const torch::Tensor& map);

// A plot with a text for those who do not see it. Dark themes turn its colours around.
std::string figure_html(const Figure& figure, const std::string& alt);

struct Column {
  std::string name;
  bool numeric = true;
};
enum class Sortable { kNo, kYes };
// Cells are HTML. The caption is for those who do not see the page.
std::string table_html(const std::string& caption, const std::vector<Column>& columns,
                       const std::vector<std::vector<std::string>>& html_rows,
                       Sortable sortable = Sortable::kNo);
// What is wider or longer than its place can be scrolled, by keys too.
enum class Height { kLimited, kWhole };
std::string scroll_html(const std::string& label, const std::string& html,
                        Height height = Height::kLimited);

// A name and what it is; the second is HTML.
struct Fact {
  std::string name, html;
};
std::string facts_html(const std::vector<Fact>& facts);

std::string paragraph(const std::string& text);

// Around the sections: head, look and behaviour. `html_head` stands below the title.
struct Section {
  std::string id, title, html;
};
std::string page_html(const std::string& title, const std::string& html_head,
                      const std::vector<Section>& sections);

}  // namespace fastcpp::report_detail
