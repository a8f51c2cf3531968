// What the pages print is what their code prints.
#include <cctype>
#include <filesystem>
#include <iostream>
#include <opencv2/imgproc.hpp>
#include <sstream>

#include "preludes.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

namespace {

const test::TempDir& folder() {
  static const test::TempDir dir;
  return dir;
}

Path draw() {
  Rng rng(1);
  for (int i = 0; i < 40; ++i) {
    cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 80)));
    const cv::Point middle(static_cast<int>(rng.integer(12, 19)),
                           static_cast<int>(rng.integer(12, 19)));
    const auto side = static_cast<int>(rng.integer(6, 9));
    const auto colour = cv::Scalar::all(rng.uniform(160, 255));
    const bool disc = i % 2 == 0;
    if (disc) {
      cv::circle(pixels, middle, side, colour, cv::FILLED, cv::LINE_AA);
    } else {
      cv::rectangle(pixels, middle - cv::Point(side, side), middle + cv::Point(side, side), colour,
                    cv::FILLED);
    }
    Image::from_rgb(pixels).save(folder().path() / (disc ? "disc" : "square") /
                                 (std::to_string(i / 2) + ".png"));
  }
  return folder().path();
}

// Blanks at the ends of lines do not count; with `vary` one number is like another.
std::string plain(const std::string& text, bool vary) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (vary && std::isdigit(c)) {
      while (i + 1 < text.size() && (std::isdigit(static_cast<unsigned char>(text[i + 1])) ||
                                     text[i + 1] == '.' || text[i + 1] == ':')) {
        ++i;
      }
      result += '#';
    } else if (c == '\n') {
      while (!result.empty() && result.back() == ' ') result.pop_back();
      result += '\n';
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

const Path docs::drawn::path = draw();

TEST_CASE("the printed output of the pages") {
  const auto former = std::filesystem::current_path();
  std::filesystem::current_path(folder().path());
  for (const auto& block : docs::printed()) {
    std::ostringstream printed;
    auto* const old = std::cout.rdbuf(printed.rdbuf());
    const auto log =
        set_log_sink([&](LogLevel, std::string_view message) { printed << message << '\n'; });
    std::string failure;
    try {
      block.block();
    } catch (const std::exception& e) {
      failure = e.what();
    }
    set_log_sink(log);
    std::cout.rdbuf(old);
    INFO(block.page << ":" << block.line);
    CHECK(failure == "");
    // A raw string begins behind its line's end only by chance: both end with one line's end.
    CHECK(plain(printed.str(), block.vary) == plain(block.expected, block.vary));
  }
  std::filesystem::current_path(former);
  CHECK(docs::printed().size() >= 3);
}
