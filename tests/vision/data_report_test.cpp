// The data report: every fault that is planted is found under its heading, and nothing else.
#include "fastcpp/vision/data_report.hpp"

#include <opencv2/imgproc.hpp>
#include <set>
#include <stop_token>
#include <utility>

#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace fs = std::filesystem;

namespace {

// `count` different pictures in a folder; `seed` is that of the first.
void plant(const Path& folder, int seed, int count) {
  for (int i = 0; i < count; ++i) {
    write_file(folder / (std::to_string(i) + ".png"),
               encoded(drawing_of(120, 160, seed + i), "RGB", ".png"));
  }
}

// Good pictures of two classes in both sets.
void plant_good(const Path& top) {
  plant(top / "train/cat", 0, 5);
  plant(top / "train/dog", 10, 5);
  plant(top / "valid/cat", 20, 3);
  plant(top / "valid/dog", 30, 3);
}

cv::Mat smaller(const cv::Mat& picture) {
  cv::Mat small;
  cv::resize(picture, small, cv::Size(), 0.7, 0.7, cv::INTER_AREA);
  return small;
}

using Rows = std::multiset<std::pair<std::string, std::string>>;  // finding, file

Rows rows_of(const DataReport& report) {
  const Table table = report.table();
  Rows rows;
  for (std::int64_t i = 0; i < table.rows(); ++i) {
    rows.emplace(table["finding"].raw(i), table["file"].raw(i));
  }
  return rows;
}

}  // namespace

TEST_CASE("a good folder has nothing to report") {
  const TempDir dir;
  plant_good(dir.path());
  const auto report = check_pictures(dir.path());
  INFO(report);
  CHECK(report.ok());
  CHECK(rows_of(report).empty());
  CHECK(report.train == 10);
  CHECK(report.valid == 6);
  CHECK(report.sizes.median == Resolution{120, 160});
  CHECK(report.sizes.different == 1);
  CHECK(report.str() ==
        "10 training and 6 validation pictures in 2 classes\n"
        "1 sizes, rows x columns: smallest 120 x 160, median 120 x 160, largest 120 x 160\n"
        "Nothing has to be mended.\n"
        "Classes\n"
        "         training  validation\n"
        "  cat           5           3\n"
        "  dog           5           3");
}

TEST_CASE("all planted faults are found, and nothing else") {
  const int workers = GENERATE(1, 4);
  const TempDir dir;
  plant_good(dir.path());
  Rows planted;
  const auto fault = [&](const std::string& finding, const std::string& file,
                         const std::string& bytes) {
    if (!bytes.empty() || finding == "empty_files") write_file(dir / file, bytes);
    planted.emplace(finding, file);
  };
  const auto other = [](int seed) { return drawing_of(120, 160, 100 + seed); };
  const auto png = [](const cv::Mat& picture) { return encoded(picture, "RGB", ".png"); };
  const auto jpeg = [](const cv::Mat& picture) { return encoded(picture, "RGB", ".jpg", 60); };

  std::string damaged = png(other(0));
  damaged[20] ^= 1;  // its height no longer fits to its checksum
  fault("unreadable", "train/cat/damaged.png", damaged);
  const std::string whole = jpeg(other(1));
  fault("unreadable", "train/dog/cut_off.jpg", whole.substr(0, whole.size() * 6 / 10));
  fault("empty_files", "valid/cat/empty.jpg", "");
  fault("not_pictures", "train/dog/page.jpg", "<html>404</html>");
  fault("leaks", "valid/dog/leaked.png", read_file(dir / "train/dog/1.png"));
  fault("leaks", "valid/cat/leaked.jpg", jpeg(smaller(drawing_of(120, 160, 1))));
  write_file(dir / "train/dog/2_of_cat.png", read_file(dir / "train/cat/2.png"));
  fault("conflicts", "train/cat/2.png", {});
  plant(dir / "train/fox", 200, 2);
  fault("missing_in_valid", "fox", {});
  plant(dir / "valid/owl", 210, 2);
  fault("missing_in_train", "owl", {});
  plant(dir / "train/bee", 220, 1);
  plant(dir / "valid/bee", 221, 1);
  fault("single_picture", "bee", {});
  make_folder(dir / "train/void");
  fault("empty_folders", "train/void", {});
  plant(dir / "train/Dog", 230, 2);
  plant(dir / "valid/Dog", 240, 2);
  fault("similar_names", "Dog", {});
  write_file(dir / "train/cat/zero_again.png", read_file(dir / "train/cat/0.png"));
  fault("exact_duplicates", "train/cat/0.png", {});
  write_file(dir / "train/dog/zero_again.jpg", jpeg(smaller(drawing_of(120, 160, 10))));
  fault("near_duplicates", "train/dog/0.png", {});
  fault("wrong_suffix", "train/cat/png_inside.jpg", png(other(2)));
  fault("wrong_suffix", "train/dog/left_out.dat", jpeg(other(3)));
  fault("huge", "train/dog/huge.png", png(cv::Mat(7100, 7100, CV_8UC3, cv::Scalar::all(9))));
  fault("one_pixel", "train/cat/pixel.png", png(cv::Mat(1, 1, CV_8UC3, cv::Scalar::all(9))));
  fault("odd_sizes", "train/dog/strip.png", png(drawing_of(30, 200, 300)));
  fault("odd_sizes", "train/dog/tiny.png", png(drawing_of(28, 30, 301)));
  fault("other_files", "train/cat/notes.txt", "no picture");
  // None of these is a fault.
  write_file(dir / "train/cat/.hidden.jpg", "no picture");
  write_file(dir / "labels.csv", "name,label\n");
  write_file(dir / "models/best.pth", "x");

  const auto report = check_pictures(dir.path(), {.max_workers = workers});
  INFO(report);
  CHECK_FALSE(report.ok());
  CHECK(rows_of(report) == planted);
  CHECK(planted.size() == 21);

  REQUIRE(report.leaks.size() == 2);
  CHECK(report.leaks[0].train == dir / "train/cat/1.png");
  CHECK_FALSE(report.leaks[0].exact);
  CHECK(report.leaks[1].train == dir / "train/dog/1.png");
  CHECK(report.leaks[1].exact);
  CHECK(report.conflicts.at(0).labels == std::vector<std::string>{"cat", "dog"});
  CHECK(report.conflicts.at(0).files.at(1) == dir / "train/dog/2_of_cat.png");
  CHECK(report.exact_duplicates.at(0).files.size() == 2);
  CHECK(report.near_duplicates.at(0).files.size() == 2);
  CHECK(report.similar_names.at(0) == std::vector<std::string>{"Dog", "dog"});
  CHECK(report.sizes.smallest == Resolution{1, 1});
  CHECK(report.sizes.median == Resolution{120, 160});
  CHECK(report.sizes.largest == Resolution{7100, 7100});
  for (const ClassCount& c : report.classes) {
    if (c.name == "owl")
      CHECK(std::pair(c.train, c.valid) == std::pair<std::size_t, std::size_t>(0, 2));
    if (c.name == "fox")
      CHECK(std::pair(c.train, c.valid) == std::pair<std::size_t, std::size_t>(2, 0));
  }
  // The page names every file, and neither the folder nor more than five lines a finding.
  const std::string page = report.str();
  for (const auto& [finding, file] : planted) CHECK(page.find(file) != std::string::npos);
  CHECK(page.find(dir.path().string()) == std::string::npos);
  CHECK(page.find("To be mended") < page.find("train/dog/cut_off.jpg"));
  CHECK(page.find("Worth a look") < page.find("train/dog/huge.png"));
  // The table of equal findings does not depend on the number of threads.
  CHECK(page == check_pictures(dir.path(), {.max_workers = 3}).str());
}

TEST_CASE("a folder without sets, and one without classes") {
  const TempDir dir;
  plant(dir / "all/cat", 0, 3);
  plant(dir / "all/dog", 10, 1);
  write_file(dir / "all/dog/copy.png", read_file(dir / "all/cat/1.png"));
  write_file(dir / "all/models/best.pth", "x");
  const auto all = check_pictures(dir / "all/");
  CHECK(all.train == 5);
  CHECK(all.valid == 0);
  CHECK(rows_of(all) == Rows{{"conflicts", "cat/1.png"}});

  const auto flat = check_pictures(dir / "all/cat");
  CHECK(flat.classes.empty());
  CHECK(flat.ok());
  CHECK(flat.train == 3);
}

TEST_CASE("many faults of one kind are not all printed") {
  const TempDir dir;
  plant(dir / "cat", 0, 2);
  for (int i = 0; i < 9; ++i)
    write_file(dir / "cat" / ("bad" + std::to_string(i) + ".png"), "no picture");
  const auto report = check_pictures(dir.path());
  CHECK(report.not_pictures.size() == 9);
  CHECK(report.exact_duplicates.empty());  // what is no picture is told once
  const std::string page = report.str();
  CHECK(page.find("cat/bad4.png") != std::string::npos);
  CHECK(page.find("cat/bad5.png") == std::string::npos);
  CHECK(page.find("and 4 more (`not_pictures`)") != std::string::npos);
}

TEST_CASE("the report of lists of files") {
  const TempDir dir;
  plant(dir / "p", 0, 6);
  const auto file = [&](int i) { return dir / ("p/" + std::to_string(i) + ".png"); };
  const LabelledPictures train{{file(0), file(1), file(2), file(2)},
                               {"clear;haze", "clear", "haze", "haze"}};
  const LabelledPictures valid{{file(2), file(3)}, {"haze", "clear;rain"}};
  const auto report = check_pictures(train, valid, {.label_delim = ";"});
  INFO(report);
  CHECK(rows_of(report) == Rows{{"leaks", file(2).string()}, {"missing_in_train", "rain"}});
  REQUIRE(report.classes.size() == 3);
  CHECK(report.classes[1].name == "haze");
  CHECK(report.classes[1].train == 3);
  CHECK(report.train == 4);
  // Numbers are no classes: without labels none are missed.
  CHECK(check_pictures(LabelledPictures{{file(0)}, {}}, LabelledPictures{{file(1)}, {}}).ok());
  const auto gone = check_pictures(LabelledPictures{{dir / "gone.png"}, {}}, LabelledPictures{});
  CHECK(gone.unreadable.at(0).code == "io.cannot_read");

  const auto code = [&](const CheckPicturesOptions& options) {
    return caught([&] { check_pictures(train, valid, options); }).code;
  };
  std::stop_source source;
  source.request_stop();
  CHECK(code({.stop = source.get_token()}) == "io.cancelled");
  CHECK(code({.max_distance = 40}) == "value.distance");
  CHECK(code({.huge_pixels = 0}) == "value.check_pictures");
  CHECK(code({.max_workers = -1}) == "value.num_workers");
  CHECK(caught([&] {
          check_pictures(LabelledPictures{{file(0)}, {"a", "b"}}, valid);
        }).code == "data.length");
  CHECK(caught([&] { check_pictures(dir / "nowhere"); }).code == "data.not_a_folder");
  make_folder(dir / "empty");
  CHECK(caught([&] { check_pictures(dir / "empty"); }).code == "data.empty");
}
