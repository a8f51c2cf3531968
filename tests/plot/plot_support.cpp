#include "plot/plot_support.hpp"

#include <cairo.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace fastcpp::test {
namespace {

struct Reader {
  const std::string* bytes;
  std::size_t at = 0;
};

cairo_status_t read(void* from, unsigned char* to, unsigned int count) {
  auto* reader = static_cast<Reader*>(from);
  if (reader->at + count > reader->bytes->size()) return CAIRO_STATUS_READ_ERROR;
  std::memcpy(to, reader->bytes->data() + reader->at, count);
  reader->at += count;
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

Pixels::Pixels(const std::string& png) {
  Reader reader{&png};
  cairo_surface_t* surface = cairo_image_surface_create_from_png_stream(read, &reader);
  if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS) {
    width_ = cairo_image_surface_get_width(surface);
    height_ = cairo_image_surface_get_height(surface);
    const unsigned char* data = cairo_image_surface_get_data(surface);
    const int stride = cairo_image_surface_get_stride(surface);
    argb_.resize(static_cast<std::size_t>(width_) * height_);
    for (int y = 0; y < height_; ++y) {
      std::memcpy(&argb_[static_cast<std::size_t>(y) * width_],
                  data + static_cast<std::ptrdiff_t>(y) * stride, width_ * std::size_t{4});
    }
  }
  cairo_surface_destroy(surface);
}

Color Pixels::at(int x, int y) const {
  const std::uint32_t value = argb_.at(static_cast<std::size_t>(y) * width_ + x);
  return {static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value)};
}

int distance(Color a, Color b) {
  return std::max({std::abs(a.r - b.r), std::abs(a.g - b.g), std::abs(a.b - b.b)});
}

std::vector<std::string> pet_names() {
  std::istringstream all(
      "Abyssinian Bengal Birman Bombay British_Shorthair Egyptian_Mau Maine_Coon Persian Ragdoll "
      "Russian_Blue Siamese Sphynx american_bulldog american_pit_bull_terrier basset_hound beagle "
      "boxer chihuahua english_cocker_spaniel english_setter german_shorthaired great_pyrenees "
      "havanese japanese_chin keeshond leonberger miniature_pinscher newfoundland pomeranian pug "
      "saint_bernard samoyed scottish_terrier shiba_inu staffordshire_bull_terrier wheaten_terrier "
      "yorkshire_terrier");
  std::vector<std::string> names;
  for (std::string name; all >> name;) names.push_back(name);
  return names;
}

Picture gradient(int width, int height) {
  Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<std::uint8_t>(255 * x / width));
      picture.rgb.push_back(static_cast<std::uint8_t>(255 * y / height));
      picture.rgb.push_back(128);
    }
  }
  return picture;
}

std::string text_faults(const plot_detail::FigureLayout& layout) {
  // Lines of one text touch each other; rounding must not count as overlap.
  constexpr double slack = 1e-6;
  std::string faults;
  const auto& texts = layout.texts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& a = texts[i].box;
    if (a.x < 0 || a.y < 0 || a.right() > layout.width || a.bottom() > layout.height) {
      faults += fmt::format("'{}' leaves the figure: {} {} {} {}\n", texts[i].text, a.x, a.y,
                            a.right(), a.bottom());
    }
    for (std::size_t j = 0; j < i; ++j) {
      const auto& b = texts[j].box;
      if (a.x < b.right() - slack && b.x < a.right() - slack && a.y < b.bottom() - slack &&
          b.y < a.bottom() - slack) {
        faults += fmt::format("'{}' lies over '{}'\n", texts[i].text, texts[j].text);
      }
    }
  }
  return faults;
}

int count_texts(const plot_detail::FigureLayout& layout, const std::string& text) {
  return static_cast<int>(std::count_if(layout.texts.begin(), layout.texts.end(),
                                        [&](const auto& box) { return box.text == text; }));
}

Figure losses() {
  Figure figure({.width = 6, .height = 4, .dpi = 72});
  figure.axes()
      .plot({0, 1, 2}, {3, 2, 1}, {.label = "Train"})
      .xlabel("Batches processed")
      .ylabel("Loss")
      .legend();
  return figure;
}

}  // namespace fastcpp::test
