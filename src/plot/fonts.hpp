// Which font draws which letters of a text.
#pragma once

#include <cairo.h>

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace fastcpp::inline v0::plot_detail {

// The usual font, and others of the system for the letters that it lacks. One object a drawing: not thread-safe.
class Fonts {
 public:
  Fonts();

  // A part of a text, and what draws it.
  struct Run {
    std::string text;
    cairo_font_face_t* face;
  };
  // The parts of a line of valid UTF-8, from the left. The faces live as long as this object.
  std::vector<Run> runs(const std::string& text, bool bold);

  // Chooses size, in user units, and smoothing of what is drawn next.
  static void prepare(cairo_t* cr, double size, bool hinted);

  // The usual font.
  cairo_font_face_t* usual(bool bold) const { return usual_[bold ? 1 : 0].get(); }

  // The letters met so far that no font has.
  const std::set<char32_t>& missing() const { return missing_; }

 private:
  struct Close {
    void operator()(cairo_font_face_t* face) const { cairo_font_face_destroy(face); }
  };
  using Face = std::unique_ptr<cairo_font_face_t, Close>;

  bool usual_has(char32_t letter, bool bold) const;
  void find(std::set<char32_t> letters, bool bold);

  Face usual_[2];  // normal and bold
  std::vector<Face> others_;
  std::unordered_map<char32_t, cairo_font_face_t*> face_of_[2];
  std::set<char32_t> missing_;
};

// A letter as UTF-8.
std::string utf8(char32_t letter);

}  // namespace fastcpp::plot_detail
