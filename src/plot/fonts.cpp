#include "plot/fonts.hpp"

#include <cairo-ft.h>
#include <fontconfig/fontconfig.h>

#include <cstddef>
#include <string_view>
#include <utility>

namespace fastcpp::inline v0::plot_detail {
namespace {

struct FontconfigCloser {
  void operator()(FcPattern* pattern) const { FcPatternDestroy(pattern); }
  void operator()(FcCharSet* letters) const { FcCharSetDestroy(letters); }
};
using Pattern = std::unique_ptr<FcPattern, FontconfigCloser>;
using CharSet = std::unique_ptr<FcCharSet, FontconfigCloser>;

struct Letter {
  char32_t code;
  std::size_t length;  // bytes
};

// The first letter of valid UTF-8.
Letter first_letter(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length && i < text.size(); ++i) {
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  }
  return {code, std::min(length, text.size())};
}

// Joiners, directions and selectors of variants have no shape of their own.
bool invisible(char32_t c) {
  return (c >= 0x200B && c <= 0x200F) || (c >= 0x2060 && c <= 0x2064) ||
         (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF;
}

// The font of the system that has the most of some letters; null when it is no outline font.
Pattern best_font(const std::set<char32_t>& letters, bool bold) {
  const CharSet wanted(FcCharSetCreate());
  for (const char32_t letter : letters) FcCharSetAddChar(wanted.get(), letter);
  const Pattern pattern(FcPatternCreate());
  FcPatternAddString(pattern.get(), FC_FAMILY, reinterpret_cast<const FcChar8*>("sans-serif"));
  FcPatternAddInteger(pattern.get(), FC_WEIGHT, bold ? FC_WEIGHT_BOLD : FC_WEIGHT_REGULAR);
  FcPatternAddBool(pattern.get(), FC_OUTLINE, FcTrue);
  FcPatternAddCharSet(pattern.get(), FC_CHARSET, wanted.get());
  // Else the user's locale would choose among the fonts.
  FcPatternAddString(pattern.get(), FC_LANG, reinterpret_cast<const FcChar8*>("en"));
  FcConfigSubstitute(nullptr, pattern.get(), FcMatchPattern);
  FcDefaultSubstitute(pattern.get());
  FcResult result;
  Pattern found(FcFontMatch(nullptr, pattern.get(), &result));
  FcBool outline = FcFalse;
  if (!found || FcPatternGetBool(found.get(), FC_OUTLINE, 0, &outline) != FcResultMatch || !outline)
    return nullptr;
  return found;
}

}  // namespace

std::string utf8(char32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

Fonts::Fonts() {
  for (const bool bold : {false, true}) {
    usual_[bold ? 1 : 0].reset(
        cairo_toy_font_face_create("DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                                   bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL));
  }
}

void Fonts::prepare(cairo_t* cr, double size, bool hinted) {
  cairo_set_font_size(cr, size);
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  // Rounded metrics would make a text's width depend on the resolution.
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_hint_style(options,
                                    hinted ? CAIRO_HINT_STYLE_SLIGHT : CAIRO_HINT_STYLE_NONE);
  cairo_set_font_options(cr, options);
  cairo_font_options_destroy(options);
}

bool Fonts::usual_has(char32_t letter, bool bold) const {
  cairo_matrix_t size, identity;
  cairo_matrix_init_scale(&size, 10, 10);
  cairo_matrix_init_identity(&identity);
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_scaled_font_t* font = cairo_scaled_font_create(usual(bold), &size, &identity, options);
  cairo_font_options_destroy(options);
  cairo_glyph_t* glyphs = nullptr;
  int count = 0;
  bool has = false;
  // Where there is no font at all, Cairo has a few strokes of its own for ASCII.
  if (cairo_scaled_font_get_type(font) != CAIRO_FONT_TYPE_USER) {
    const std::string text = utf8(letter);
    const auto status =
        cairo_scaled_font_text_to_glyphs(font, 0, 0, text.data(), static_cast<int>(text.size()),
                                         &glyphs, &count, nullptr, nullptr, nullptr);
    has = status == CAIRO_STATUS_SUCCESS && count == 1 && glyphs[0].index != 0;
    cairo_glyph_free(glyphs);
  }
  cairo_scaled_font_destroy(font);
  return has;
}

void Fonts::find(std::set<char32_t> letters, bool bold) {
  auto& face_of = face_of_[bold ? 1 : 0];
  while (!letters.empty()) {
    const Pattern found = best_font(letters, bold);
    FcCharSet* has = nullptr;
    if (!found || FcPatternGetCharSet(found.get(), FC_CHARSET, 0, &has) != FcResultMatch) break;
    Face face(cairo_ft_font_face_create_for_pattern(found.get()));
    if (cairo_font_face_status(face.get()) != CAIRO_STATUS_SUCCESS) break;
    const auto former = letters.size();
    std::erase_if(letters, [&](char32_t letter) {
      if (!FcCharSetHasChar(has, letter)) return false;
      face_of[letter] = face.get();
      return true;
    });
    if (letters.size() == former) break;
    others_.push_back(std::move(face));
  }
  for (const char32_t letter : letters) {
    face_of[letter] = invisible(letter) ? nullptr : usual(bold);
    if (!invisible(letter)) missing_.insert(letter);
  }
}

std::vector<Fonts::Run> Fonts::runs(const std::string& text, bool bold) {
  auto& face_of = face_of_[bold ? 1 : 0];
  std::set<char32_t> unknown;
  for (std::size_t at = 0; at < text.size();) {
    const auto [letter, length] = first_letter(std::string_view(text).substr(at));
    at += length;
    if (letter < 0x80 || face_of.count(letter)) continue;
    if (usual_has(letter, bold)) {
      face_of[letter] = usual(bold);
    } else {
      unknown.insert(letter);
    }
  }
  find(std::move(unknown), bold);
  std::vector<Run> parts;
  for (std::size_t at = 0; at < text.size();) {
    const auto [letter, length] = first_letter(std::string_view(text).substr(at));
    cairo_font_face_t* face = letter < 0x80 ? usual(bold) : face_of.at(letter);
    if (face && (parts.empty() || parts.back().face != face)) parts.push_back({{}, face});
    if (face) parts.back().text.append(text, at, length);
    at += length;
  }
  return parts;
}

}  // namespace fastcpp::plot_detail
