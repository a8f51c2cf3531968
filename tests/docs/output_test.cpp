// What the pages print is what their code prints.
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

// Blanks at the ends of lines do not count.
std::string plain(const std::string& text) {
  std::string result;
  for (const char c : text) {
    while (c == '\n' && !result.empty() && result.back() == ' ') result.pop_back();
    result += c;
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
    CHECK(plain(printed.str()) == plain(block.expected));
  }
  std::filesystem::current_path(former);
  CHECK(docs::printed().size() >= 3);
}
