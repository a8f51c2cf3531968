// find_duplicates: equal bytes, the same picture in another size or format, and what is none.
#include "fastcpp/vision/find_duplicates.hpp"

#include <opencv2/imgproc.hpp>
#include <stop_token>

#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::vector<std::vector<std::string>> names(const std::vector<DuplicateGroup>& groups,
                                            const Path& folder) {
  std::vector<std::vector<std::string>> all;
  for (const auto& group : groups) {
    all.emplace_back();
    for (const Path& file : group.files)
      all.back().push_back(file.lexically_relative(folder).string());
  }
  return all;
}

using Names = std::vector<std::vector<std::string>>;

}  // namespace

TEST_CASE("equal and similar pictures are found") {
  const int workers = GENERATE(1, 4);
  const TempDir dir;
  const auto one = picture_of(240, 320, 1), two = picture_of(240, 320, 2);
  cv::Mat small;
  cv::resize(one, small, cv::Size(100, 75), 0, 0, cv::INTER_AREA);
  const std::string png = encoded(one, "RGB", ".png");
  write_file(dir / "a/one.png", png);
  write_file(dir / "b/copy.png", png);
  write_file(dir / "b/one.jpg", encoded(one, "RGB", ".jpg", 60));
  write_file(dir / "c/grey.png", encoded(one, "L", ".png"));
  write_file(dir / "c/small.png", encoded(small, "RGB", ".png"));
  write_file(dir / "two.png", encoded(two, "RGB", ".png"));
  for (int seed = 3; seed < 23; ++seed) {
    write_file(dir / ("other" + std::to_string(seed) + ".png"),
               encoded(picture_of(100, 120, seed), "RGB", ".png"));
  }
  write_file(dir / "bad.png", "no picture");
  write_file(dir / "bad_too.png", "no picture");
  write_file(dir / "notes.txt", "no picture");

  const auto report = find_duplicates(dir.path(), {.max_workers = workers});
  CHECK(report.checked == 28);
  CHECK(names(report.exact, dir.path()) ==
        Names{{"a/one.png", "b/copy.png"}, {"bad.png", "bad_too.png"}});
  CHECK(names(report.near, dir.path()) ==
        Names{{"a/one.png", "b/copy.png", "b/one.jpg", "c/grey.png", "c/small.png"}});
  CHECK(report.near.at(0).distance <= 4);
  REQUIRE(report.unreadable.size() == 2);
  CHECK(report.unreadable[0].file == dir / "bad.png");
  CHECK(report.unreadable[0].code == "image.cannot_decode");
  CHECK(report.str().starts_with(
      "28 files: 2 groups of equal bytes, 1 groups that look alike, 2 unreadable\n"));

  const auto exact =
      find_duplicates(dir.path(), {.max_workers = workers, .max_distance = std::nullopt});
  CHECK(names(exact.exact, dir.path()) == names(report.exact, dir.path()));
  CHECK(exact.near.empty());
  CHECK(exact.unreadable.empty());
  CHECK(find_duplicates(dir.path(), {.recurse = false}).checked == 23);
}

TEST_CASE("pictures without structure are not taken for each other") {
  const TempDir dir;
  for (const int level : {0, 100, 255}) {
    const cv::Mat flat(50, 60, CV_8UC3, cv::Scalar::all(level));
    write_file(dir / ("flat" + std::to_string(level) + ".png"), encoded(flat, "RGB", ".png"));
  }
  const auto report = find_duplicates(dir.path());
  CHECK(report.exact.empty());
  CHECK(report.near.empty());
  CHECK(report.unreadable.empty());
}

TEST_CASE("duplicates among given files") {
  const TempDir dir;
  write_file(dir / "a.dat", encoded(picture_of(50, 60, 1), "RGB", ".png"));
  const std::vector<Path> files{dir / "gone.png", dir / "a.dat", dir / "a.dat", dir.path()};
  const auto report = find_duplicates(files);
  CHECK(report.checked == 3);
  CHECK(report.exact.empty());
  REQUIRE(report.unreadable.size() == 2);
  CHECK(report.unreadable[1].code == "io.cannot_read");
  CHECK(find_duplicates(std::vector<Path>{}).checked == 0);
  CHECK(caught([&] { find_duplicates(files, {.max_distance = 33}); }).code == "value.distance");
  CHECK(caught([&] { find_duplicates(files, {.max_distance = -1}); }).code == "value.distance");
  CHECK(caught([&] { find_duplicates(files, {.max_workers = 5000}); }).code == "value.num_workers");
  CHECK(caught([&] { find_duplicates(dir / "nowhere"); }).code == "data.not_a_folder");
  std::stop_source source;
  source.request_stop();
  CHECK(caught([&] { find_duplicates(files, {.stop = source.get_token()}); }).code ==
        "io.cancelled");
}

TEST_CASE("one picture made smaller, recompressed or brighter, and others") {
  const TempDir dir;
  const int pictures = 12;
  for (int seed = 0; seed < pictures; ++seed) {
    const auto picture = drawing_of(180, 240, seed);
    const auto write = [&](const std::string& what, const cv::Mat& rgb,
                           const std::string& extension, int quality) {
      write_file(dir / (std::to_string(100 + seed) + "_" + what + extension),
                 encoded(rgb, "RGB", extension, quality));
    };
    cv::Mat small, bright, both;
    cv::resize(picture, small, cv::Size(100, 75), 0, 0, cv::INTER_AREA);
    picture.convertTo(bright, -1, 1.0, 12);
    small.convertTo(both, -1, 1.05, 8);
    write("a", picture, ".png", 0);
    write("both", both, ".jpg", 60);
    write("bright", bright, ".png", 0);
    write("low", picture, ".jpg", 40);
    write("small", small, ".png", 0);
  }
  const auto report = find_duplicates(dir.path());
  CHECK(report.exact.empty());
  REQUIRE(report.near.size() == pictures);
  for (int seed = 0; seed < pictures; ++seed) {
    const auto& group = report.near[static_cast<std::size_t>(seed)];
    REQUIRE(group.files.size() == 5);
    for (const Path& file : group.files) {
      CHECK(file.filename().string().starts_with(std::to_string(100 + seed)));
    }
    CHECK(group.distance <= 8);
  }
}

TEST_CASE("a number of bits decides what looks alike") {
  const TempDir dir;
  // Much brighter downwards, a little from left to right; one of the hash's eight rows the other way round.
  cv::Mat one(160, 180, CV_8UC3), two;
  for (int y = 0; y < one.rows; ++y) {
    for (int x = 0; x < one.cols; ++x) {
      one.at<cv::Vec3b>(y, x) = cv::Vec3b::all(static_cast<unsigned char>(y + x / 5));
    }
  }
  one.copyTo(two);
  cv::Mat row = two.rowRange(0, 20);
  cv::flip(row.clone(), row, 1);
  write_file(dir / "a.png", encoded(one, "RGB", ".png"));
  write_file(dir / "b.png", encoded(two, "RGB", ".png"));
  const auto near = find_duplicates(dir.path(), {.max_distance = 8}).near;
  REQUIRE(near.size() == 1);
  CHECK(near[0].distance == 8);
  CHECK(find_duplicates(dir.path()).near.size() == 1);
  CHECK(find_duplicates(dir.path(), {.max_distance = 7}).near.empty());
  CHECK(find_duplicates(dir.path(), {.max_distance = 0}).near.empty());
  // Where bits are not asked for, levels still are.
  cv::flip(one, two, 0);
  write_file(dir / "b.png", encoded(two, "RGB", ".png"));
  CHECK(find_duplicates(dir.path(), {.max_distance = 32}).near.empty());
}
