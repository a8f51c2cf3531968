// What a page of a report must be.
#pragma once

#include <algorithm>
#include <cctype>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "fastcpp/core/text.hpp"
#include "fastcpp/interpret/report.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

namespace fastcpp::test {

inline std::string page_of(Learner& learn, const ReportOptions& options = {}) {
  return read_file(learn.report("page.html", options));
}

// Without what stands between two marks, which stay.
inline std::string without(std::string html, const std::string& from, const std::string& to) {
  for (auto at = html.find(from); at != std::string::npos; at = html.find(from, at + 1)) {
    const auto start = at + from.size(), end = html.find(to, start);
    REQUIRE(end != std::string::npos);
    html.erase(start, end - start);
  }
  return html;
}

// What a reader may see, and attributes: without style, script, and the bytes of pictures.
inline std::string shown_part(std::string html) {
  html = without(std::move(html), "<style>", "</style>");
  html = without(std::move(html), "<script>", "</script>");
  return without(std::move(html), ";base64,", "\"");
}

// Every element is closed, in order, and no other `<` is there.
inline void check_elements(const std::string& text) {
  static const std::set<std::string> kVoid{"meta", "link", "img", "br"};
  std::vector<std::string> open;
  for (auto at = text.find('<', 1); at != std::string::npos; at = text.find('<', at)) {
    const bool closing = text.at(++at) == '/';
    if (closing) ++at;
    std::string name;
    while (std::isalnum(static_cast<unsigned char>(text.at(at)))) name += text.at(at++);
    INFO(text.substr(at - std::min<std::size_t>(at, 60), 120));
    REQUIRE_FALSE(name.empty());
    for (bool quoted = false; quoted || text.at(at) != '>'; ++at) {
      REQUIRE(text.at(at) != '<');
      quoted ^= text.at(at) == '"';
    }
    if (text[at - 1] == '/' || kVoid.contains(name)) continue;
    if (closing) {
      REQUIRE_FALSE(open.empty());
      REQUIRE(open.back() == name);
      open.pop_back();
    } else {
      open.push_back(name);
    }
  }
  CHECK(open.empty());
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

inline bool has_part(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline bool has_section(const std::string& html, const std::string& id) {
  const bool there = has_part(html, "<section id=\"" + id + "\"");
  CHECK(there == has_part(html, "<a href=\"#" + id + "\">"));
  return there;
}

// What every page must be: whole, closed, of its own, without numbers that are none.
inline void check_page(const std::string& html) {
  CHECK(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  CHECK(html.ends_with("</html>\n"));
  CHECK(clean_text(html) == html);
  const auto text = shown_part(html);
  check_elements(text);
  // No id twice, and no link that leads nowhere or outside.
  std::set<std::string> ids;
  const std::regex id(R"re( id="([^"]*)")re"), link(R"re((?:href|src)="([^"]*)")re");
  for (std::sregex_iterator at(text.begin(), text.end(), id), end; at != end; ++at) {
    INFO((*at)[1].str());
    CHECK(ids.insert((*at)[1].str()).second);
  }
  for (std::sregex_iterator at(text.begin(), text.end(), link), end; at != end; ++at) {
    const auto to = (*at)[1].str();
    INFO(to);
    CHECK((to.starts_with("data:") || (to.starts_with("#") && ids.contains(to.substr(1)))));
  }
  CHECK_FALSE(has_part(text, "url(http"));
  // Pictures and figures have words.
  CHECK_FALSE(has_part(text, "alt=\"\""));
  CHECK(count(text, "<img ") == count(text, " alt=\""));
  CHECK(count(text, "<svg") == count(text, "<svg role=\"img\" aria-label=\""));
  const std::regex no_number(R"([^a-z](nan|inf)[^a-z])", std::regex::icase);
  std::smatch found;
  const bool none = std::regex_search(text, found, no_number);
  INFO((none ? std::string(found.prefix())
                   .substr(found.prefix().length() > 60 ? found.prefix().length() - 60 : 0)
             : ""));
  CHECK_FALSE(none);
}

}  // namespace fastcpp::test
