// find_duplicates: equal bytes, the same picture in another size or format, and what is none.
#include "fastcpp/vision/image/find_duplicates.hpp"

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

TEST_CASE("a number of bits decides what looks alike") {
  const TempDir dir;
  // Half of one picture, half of another.
  auto one = picture_of(240, 320, 1);
  const auto two = picture_of(240, 320, 4);
  write_file(dir / "a.png", encoded(one, "RGB", ".png"));
  two(cv::Rect(0, 0, 320, 40)).copyTo(one(cv::Rect(0, 0, 320, 40)));
  write_file(dir / "b.png", encoded(one, "RGB", ".png"));
  const auto near = find_duplicates(dir.path(), {.max_distance = 32}).near;
  CHECK(find_duplicates(dir.path(), {.max_distance = 0}).near.empty());
  if (!near.empty()) {
    CHECK(near[0].distance > 0);
    CHECK(find_duplicates(dir.path(), {.max_distance = near[0].distance}).near.size() == 1);
    CHECK(find_duplicates(dir.path(), {.max_distance = near[0].distance - 1}).near.empty());
  }
}
