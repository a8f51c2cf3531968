// verify_images and resize_to: the golden cases, and what must never happen to a picture.
#include "fastcpp/vision/verify_images.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <opencv2/imgcodecs.hpp>
#include <stop_token>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/vision/image/image_file.hpp"
#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace fs = std::filesystem;

namespace {

const Json& datablock() {
  return golden("datablock.json");
}

void make(const Path& folder, const Json& file, const Json& all) {
  const Path path = folder / file["name"].get<std::string>();
  if (file.contains("text")) return write_file(path, file["text"].get<std::string>());
  const auto size = file.contains("size") ? file["size"] : Json{all["height"], all["width"]};
  std::string extension = path.extension() == ".jpg" ? ".jpg" : ".png";
  if (file.value("format", "") == "JPEG") extension = ".jpg";
  std::string bytes = encoded(picture_of(size[0], size[1], 1), file["mode"], extension);
  if (file.contains("keep")) {
    bytes.resize(
        static_cast<std::size_t>(static_cast<double>(bytes.size()) * file["keep"].get<double>()));
  }
  write_file(path, bytes);
}

VerifyImagesOptions options_of(const Json& args) {
  VerifyImagesOptions options;
  for (const auto& [name, value] : args.items()) {
    if (name == "delete") {
      options.delete_bad = value;
    } else if (name == "max_size") {
      options.max_size = value.get<int>();
    } else if (name == "recurse") {
      options.recurse = value;
    } else if (name == "dest") {
      options.dest = value.get<std::string>();
    } else if (name == "n_channels") {
      options.n_channels = value;
    } else if (name == "ext") {
      options.ext = value.get<std::string>();
    } else if (name == "img_format") {
      CHECK(value == "JPEG");
      options.img_format = ImageFormat::kJpeg;
    } else if (name == "resume") {
      options.resume = value;
    } else {
      FAIL("an argument the test does not know: " << name);
    }
  }
  return options;
}

std::vector<std::string> relative(const std::vector<Path>& files, const Path& folder) {
  std::vector<std::string> names;
  for (const Path& file : files) names.push_back(file.lexically_relative(folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> files_below(const Path& folder) {
  std::vector<Path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return relative(files, folder);
}

void check_after(const Path& folder, const Json& after) {
  std::vector<std::string> names;
  for (const auto& file : after) names.push_back(file["file"]);
  std::sort(names.begin(), names.end());
  CHECK(files_below(folder) == names);
  for (const auto& file : after) {
    const Path path = folder / file["file"].get<std::string>();
    INFO(file["file"]);
    if (file["format"].is_null()) {
      CHECK(format_of(path).empty());
      continue;
    }
    CHECK(format_of(path) == file["format"].get<std::string>());
    CHECK(mode_of(path) == file["mode"].get<std::string>());
    const cv::Mat picture = decode_image(path);
    CHECK(picture.rows == file["height"].get<int>());
    CHECK(picture.cols == file["width"].get<int>());
  }
}

}  // namespace

TEST_CASE("resize_to keeps the shape") {
  int cases = 0;
  for (const auto& c : datablock()["resize_to"]) {
    const Resolution size = resize_to({.rows = c["height"], .cols = c["width"]}, c["targ_sz"],
                                      {.use_min = c["use_min"]});
    CHECK(size == Resolution{.rows = c["expect"][1], .cols = c["expect"][0]});
    ++cases;
  }
  CHECK(cases == 12);
  CHECK(caught([] { resize_to({0, 5}, 10); }).code == "value.size");
  CHECK(caught([] { resize_to({5, 5}, 0); }).code == "value.size");
  CHECK(caught([] { resize_to({1, 1 << 30}, 1 << 30, {.use_min = true}); }).code == "value.size");
}

TEST_CASE("verify_images as fastai does it") {
  const auto& all = datablock()["verify_images"];
  const int workers = GENERATE(1, 4);
  int runs = 0;
  for (const auto& run : all["runs"]) {
    INFO("run " << run["name"] << ", workers " << workers);
    const CapturedLog log;
    const TempDir dir;
    for (const auto& file : run.contains("files") ? run["files"] : all["files"]) {
      make(dir.path(), file, all);
    }
    if (run.contains("before")) {
      for (const auto& [name, text] : run["before"].items()) {
        write_file(dir / name, text.get<std::string>());
      }
    }
    auto options = options_of(run["args"]);
    options.max_workers = workers;
    const auto report = verify_images(dir.path(), options);
    const auto& expect = run["expect"];
    CHECK(relative(report.written, dir.path()) ==
          expect["written"].get<std::vector<std::string>>());
    CHECK(relative(report.deleted, dir.path()) ==
          expect["deleted"].get<std::vector<std::string>>());
    std::vector<std::string> said;
    for (const auto& s : expect["said"]) said.push_back(s["file"]);
    std::vector<Path> found;
    for (const auto& s : report.said) {
      found.push_back(s.file);
      CHECK(s.message.find(s.file.string()) != std::string::npos);
    }
    CHECK(relative(found, dir.path()) == said);
    CHECK(log.warnings.size() == said.size());
    check_after(dir.path(), expect["after"]);
    ++runs;
  }
  CHECK(runs == static_cast<int>(all["runs"].size()));
  CHECK(runs >= 11);
}

TEST_CASE("a picture that cannot be worked on is not deleted") {
  const CapturedLog log;
  const TempDir dir;
  const std::string grey = encoded(picture_of(60, 80, 1), "L", ".png");

  SECTION("its copy cannot be encoded") {
    write_file(dir / "a.png", grey);
    const auto report = verify_images(dir.path(), {.ext = ".nonsense"});
    CHECK(report.said.at(0).code == "image.cannot_encode");
    CHECK(report.written.empty());
  }
  SECTION("a JPEG cannot hold its transparency") {
    write_file(dir / "a.png", encoded(picture_of(60, 80, 1), "RGBA", ".png"));
    const auto report = verify_images(dir.path(), {.max_size = 20, .n_channels = 4, .ext = ".jpg"});
    CHECK(report.said.at(0).code == "image.cannot_encode");
    CHECK_FALSE(fs::exists(dir / "a.jpg"));
  }
  SECTION("its copy's name belongs to another picture") {
    write_file(dir / "a.jpg", encoded(picture_of(60, 80, 2), "RGB", ".jpg"));
    write_file(dir / "a.png", grey);
    const std::string jpeg = read_file(dir / "a.jpg");
    const auto report = verify_images(dir.path(), {.ext = ".jpg"});
    CHECK(report.said.at(0).code == "image.name_taken");
    CHECK(report.said.at(0).file == dir / "a.png");
    CHECK(read_file(dir / "a.jpg") == jpeg);
  }
  SECTION("two copies would have one name") {
    write_file(dir / "a.bmp", encoded(picture_of(60, 80, 2), "L", ".bmp"));
    write_file(dir / "a.png", grey);
    const auto report = verify_images(dir.path(), {.dest = "out", .ext = ".jpg"});
    CHECK(report.written == std::vector<Path>{dir / "out/a.jpg"});
    CHECK(report.said.at(0).code == "image.name_taken");
    CHECK(report.said.at(0).file == dir / "a.png");
  }
  SECTION("a folder stands where its copy should") {
    write_file(dir / "a.png", grey);
    make_folder(dir / "out/a.png");
    const auto report = verify_images(dir.path(), {.dest = "out"});
    CHECK(report.said.at(0).code == "io.cannot_write");
  }
  CHECK(fs::exists(dir / "a.png"));
  CHECK_FALSE(format_of(dir / "a.png").empty());
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("copies of an earlier run are no originals") {
  const CapturedLog log;
  const TempDir dir;
  write_file(dir / "sub/a.png", encoded(picture_of(60, 80, 1), "L", ".png"));
  const VerifyImagesOptions options{.max_size = 50, .recurse = true, .dest = "out"};
  for (int i = 0; i < 2; ++i) {
    const auto report = verify_images(dir.path(), options);
    CHECK(report.checked == 1);
    CHECK(report.written == std::vector<Path>{dir / "out/sub/a.png"});
  }
  CHECK(files_below(dir.path()) == std::vector<std::string>{"out/sub/a.png", "sub/a.png"});
  // A folder above holds them all; nothing in it is a copy.
  const auto above = verify_images(dir / "sub", {.max_size = 50, .recurse = true, .dest = ".."});
  CHECK(above.written == std::vector<Path>{dir / "a.png"});
  CHECK(log.warnings.empty());
}

TEST_CASE("a 16-bit picture is converted as open_image does") {
  const TempDir dir;
  cv::Mat wide(40, 50, CV_16U);
  for (int y = 0; y < wide.rows; ++y) {
    for (int x = 0; x < wide.cols; ++x)
      wide.at<std::uint16_t>(y, x) = static_cast<std::uint16_t>(1300 * x);
  }
  cv::imwrite((dir / "a.png").string(), wide);
  const cv::Mat before = decode_image(dir / "a.png");
  const auto report = verify_images(dir.path());
  CHECK(report.written.size() == 1);
  CHECK(mode_of(dir / "a.png") == "RGB");
  CHECK(cv::norm(before, decode_image(dir / "a.png"), cv::NORM_INF) == 0);
}

TEST_CASE("scaled pictures look like the originals") {
  const TempDir dir;
  write_file(dir / "a.png", encoded(picture_of(240, 320, 1), "RGB", ".png"));
  const cv::Mat original = decode_image(dir / "a.png");
  for (const auto filter :
       {ResampleFilter::kNearest, ResampleFilter::kBox, ResampleFilter::kBilinear,
        ResampleFilter::kBicubic, ResampleFilter::kLanczos}) {
    const auto report =
        verify_images(dir.path(), {.max_size = 80, .dest = "out", .interp = filter});
    const cv::Mat copy = decode_image(report.written.at(0));
    CHECK(copy.rows == 60);
    CHECK(copy.cols == 80);
    const cv::Scalar difference = cv::mean(copy) - cv::mean(original);
    for (int c = 0; c < 3; ++c) CHECK(std::abs(difference[c]) < 2.0);
    CHECK(std::abs(copy.at<cv::Vec3b>(30, 40)[0] - original.at<cv::Vec3b>(122, 162)[0]) < 6);
  }
  // A pattern finer than the copy becomes even grey; nearest takes single pixels.
  cv::Mat fine(200, 200, CV_8UC3, cv::Scalar::all(0));
  for (int y = 0; y < 200; ++y) {
    for (int x = y % 2; x < 200; x += 2) fine.at<cv::Vec3b>(y, x) = cv::Vec3b::all(255);
  }
  write_file(dir / "a.png", encoded(fine, "RGB", ".png"));
  const auto report = verify_images(dir.path(), {.max_size = 50, .dest = "out"});
  const cv::Mat even = decode_image(report.written.at(0));
  double low = 0, high = 0;
  cv::minMaxLoc(even.reshape(1), &low, &high);
  CHECK(low >= 126);
  CHECK(high <= 129);
}

TEST_CASE("quality of copies") {
  const TempDir dir;
  write_file(dir / "a.jpg", encoded(picture_of(240, 320, 3), "RGB", ".jpg", 98));
  verify_images(dir.path(), {.max_size = 200, .dest = "low", .quality = 10});
  verify_images(dir.path(), {.max_size = 200, .dest = "high", .quality = 95});
  CHECK(fs::file_size(dir / "low/a.jpg") < fs::file_size(dir / "high/a.jpg"));
}

TEST_CASE("verify_images refuses what makes no sense, and can be stopped") {
  const TempDir dir;
  write_file(dir / "words.png", "no picture");
  const auto code = [&](const VerifyImagesOptions& options) {
    return caught([&] { verify_images(dir.path(), options); }).code;
  };
  CHECK(code({.max_size = 0}) == "value.size");
  CHECK(code({.max_workers = -1}) == "value.num_workers");
  CHECK(code({.n_channels = 0}) == "value.verify_images");
  CHECK(code({.ext = "jpg"}) == "value.verify_images");
  CHECK(code({.ext = ".a/b"}) == "value.verify_images");
  CHECK(code({.quality = 0}) == "value.verify_images");
  std::stop_source source;
  source.request_stop();
  const auto stopped = verify_images(dir.path(), {.stop = source.get_token()});
  CHECK(stopped.stopped);
  CHECK(stopped.checked == 0);
  CHECK(stopped.str().ends_with("stopped before the rest"));
  CHECK(fs::exists(dir / "words.png"));
  CHECK(caught([&] { verify_images(dir / "nowhere"); }).code == "data.not_a_folder");
  make_folder(dir / "empty");
  CHECK(verify_images(dir / "empty").checked == 0);
}

TEST_CASE("one file is verified, whatever its name") {
  const CapturedLog log;
  const TempDir dir;
  write_file(dir / "picture.dat", encoded(picture_of(60, 80, 1), "L", ".png"));
  write_file(dir / "words.dat", "no picture");
  const auto good = verify_image(dir / "picture.dat", {.ext = ".png"});
  CHECK(good.written == std::vector<Path>{dir / "picture.png"});
  CHECK(verify_image(dir / "words.dat", {.delete_bad = false}).said.size() == 1);
  CHECK(verify_image(dir / "words.dat").deleted == std::vector<Path>{dir / "words.dat"});
  CHECK_FALSE(fs::exists(dir / "words.dat"));
  CHECK(verify_image(dir / "gone.png").said.at(0).code == "io.cannot_read");
  CHECK(good.str() == "1 pictures: 1 written, 0 deleted, 0 with faults");
}

TEST_CASE("a run that was stopped tells what it has done") {
  struct Stopping : ProgressSink {
    void update(std::int64_t, std::string_view) override { source.request_stop(); }
    std::stop_source source;
  };
  const TempDir dir;
  const std::size_t pictures = 200;
  write_file(dir / "000.png", encoded(picture_of(400, 600, 1), "L", ".png"));
  for (std::size_t i = 1; i < pictures; ++i) {
    fs::copy_file(dir / "000.png", dir / (std::to_string(1000 + i) + ".png"));
  }
  const auto sink = std::make_shared<Stopping>();
  const auto former = set_progress_sink(sink);
  const auto report =
      verify_images(dir.path(), {.max_workers = 0, .stop = sink->source.get_token()});
  set_progress_sink(former);
  CHECK(report.stopped);
  CHECK(report.checked > 0);
  CHECK(report.checked < pictures);
  CHECK(report.written.size() == report.checked);
}

TEST_CASE("damaged Exif data are taken out, and no pixel changes") {
  const CapturedLog log;
  const TempDir dir;
  const std::string plain = encoded(picture_of(60, 80, 1), "RGB", ".jpg");
  // One entry of 8 bytes that stands `at` in 34 bytes of Exif data.
  const auto with_exif = [&](char at) {
    std::string tiff("II*\0\x08\0\0\0\x01\0\x1A\x01\x05\0\x01\0\0\0", 18);
    tiff += std::string{at, 0, 0, 0} + std::string(12, '\0');
    const std::string head("Exif\0\0", 6);
    const auto length = static_cast<char>(2 + head.size() + tiff.size());
    return plain.substr(0, 2) + "\xFF\xE1" + std::string{0, length} + head + tiff + plain.substr(2);
  };
  write_file(dir / "good.jpg", with_exif(26));
  write_file(dir / "damaged.jpg", with_exif(27));
  CHECK(image_file_info(with_exif(27)).damaged_exif);
  CHECK_FALSE(image_file_info(with_exif(26)).damaged_exif);
  CHECK_FALSE(image_file_info(plain).damaged_exif);

  const auto told = verify_images(dir.path(), {.delete_bad = false});
  REQUIRE(told.said.size() == 1);
  CHECK(told.said[0].code == "image.damaged_exif");
  CHECK(told.said[0].message ==
        (dir / "damaged.jpg").string() +
            ": Not removing corrupt EXIF data, pass `delete_bad = true` to do that");
  CHECK(read_file(dir / "damaged.jpg") == with_exif(27));

  const auto report = verify_images(dir.path(), {.dest = "out"});
  REQUIRE(report.said.size() == 1);
  CHECK(report.said[0].message == (dir / "damaged.jpg").string() + ": Removing corrupt EXIF data");
  CHECK(report.written == std::vector<Path>{dir / "damaged.jpg"});
  CHECK(report.deleted.empty());
  CHECK(read_file(dir / "damaged.jpg") == plain);
  CHECK(read_file(dir / "good.jpg") == with_exif(26));
  CHECK(verify_images(dir.path()).said.empty());

  // The copy that is written anyway has none.
  write_file(dir / "damaged.jpg", with_exif(27));
  const auto smaller = verify_images(dir.path(), {.max_size = 40});
  CHECK(smaller.written == std::vector<Path>{dir / "damaged.jpg", dir / "good.jpg"});
  CHECK(smaller.said.size() == 1);
  CHECK(read_file(dir / "damaged.jpg").find("Exif") == std::string::npos);
}
