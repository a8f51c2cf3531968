// Real files that do not belong to the project: odd pictures, photographs, all cases of the
// transforms.
#include <cmath>
#include <fstream>
#include <map>

#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "support/transform_golden.hpp"

using namespace fastcpp;

namespace {

std::optional<std::filesystem::path> shared(const std::string& folder) {
  const auto dir = test::shared_dir();
  if (dir && std::filesystem::exists(*dir / folder)) return *dir / folder;
  test::skip("no shared folder with " + folder);
  return std::nullopt;
}

// Pillow 9.4's sums of the 8-bit RGB values, and by how much a value may differ on average.
struct Expected {
  const char* file;
  int rows, cols;
  std::array<std::int64_t, 3> sums;
  double per_value;
};

const Expected kReadable[] = {
    {"Abyssinian_180.jpg", 353, 400, {19938379, 15872963, 12687123}, 0},
    {"Abyssinian_34.jpg", 202, 250, {6333003, 5781431, 5493123}, 0},
    {"Abyssinian_5.jpg", 150, 200, {3781623, 3027736, 2619204}, 0},
    {"basn2c16.png", 32, 32, {130560, 130560, 44824}, 0},
    {"basn4a16.png", 32, 32, {129328, 129328, 129328}, 0},
    {"chi.gif", 240, 320, {19180407, 19272600, 18968907}, 0},
    {"dispose_bgnd.gif", 100, 100, {724515, 1690666, 2469140}, 0},
    {"dog.47.jpg", 477, 500, {21877969, 19896557, 18924068}, 0},
    {"flower.webp", 360, 480, {20635987, 22823844, 16295631}, 0.5},
    {"gray.jpg", 224, 224, {3423696, 3423696, 3423696}, 0},
    {"hopper.bmp", 128, 128, {1469819, 1312120, 1562662}, 0},
    {"hopper.gif", 128, 128, {1468984, 1312042, 1562926}, 0},
    {"hopper.jpg", 128, 128, {1469961, 1311976, 1563127}, 0},
    {"hopper.png", 128, 128, {1469819, 1312120, 1562662}, 0},
    {"hopper.tif", 128, 128, {1469819, 1312120, 1562662}, 0},
    {"hopper.webp", 128, 128, {1470965, 1311978, 1565156}, 0.5},
    {"hopper_bw_500.png", 500, 500, {24626625, 24626625, 24626625}, 0},
    {"hopper_gray.jpg", 128, 128, {1387601, 1387601, 1387601}, 0},
    {"hopper_orientation_2.jpg", 128, 128, {1469275, 1311558, 1561500}, 0},
    {"hopper_orientation_3.jpg", 128, 128, {1469275, 1311558, 1561500}, 0},
    {"hopper_orientation_6.jpg", 128, 128, {1469234, 1311950, 1561994}, 0},
    {"hopper_orientation_8.jpg", 128, 128, {1469236, 1311970, 1561974}, 0},
    {"hopper_rle8.bmp", 128, 128, {1469338, 1312572, 1563101}, 0},
    {"ibasn3p08.png", 32, 32, {138560, 138560, 114112}, 0},
    {"invalid-exif.jpg", 200, 200, {3683707, 3683707, 3683707}, 0},
    {"junk_jpeg_header.jpg", 768, 1024, {92094195, 91088522, 91866489}, 0},
    {"l_trns.png", 64, 64, {507542, 507542, 507542}, 0},
    {"p_trns_single.png", 64, 64, {300549, 722269, 488646}, 0},
    {"pet_cmyk.jpg", 500, 333, {22391086, 20666327, 19382516}, 2},
    {"pil_sample_cmyk.jpg", 100, 100, {302320, 54440, 73861}, 2},
    {"rgb_trns.png", 64, 64, {300549, 722269, 488646}, 0},
    {"transparent.png", 150, 200, {1001338, 769721, 793263}, 0},
    // The upper byte; Pillow clips.
    {"gray_16bit.png", 224, 224, {3313280, 3313280, 3313280}, 0},
};

const char* const kRefused[] = {
    "truncated_jpeg.jpg",      "pet_cut_60pct.jpg", "truncated_image.png",
    "truncated_end_chunk.png", "broken.png",        "broken_data_stream.png",
    "decompression_bomb.gif",  "empty.jpg",         "html_error_page.jpg",
    "plain_text.png"};

}  // namespace

TEST_CASE("odd pictures: readable files give Pillow's pixels", "[shared]") {
  const auto dir = shared("data/odd_images");
  if (!dir) return;
  for (const auto& want : kReadable) {
    INFO(want.file);
    const auto image = decode_image(*dir / want.file);
    REQUIRE(image.rows == want.rows);
    REQUIRE(image.cols == want.cols);
    const auto sums = cv::sum(image);
    for (int c = 0; c < 3; ++c) {
      const auto gap =
          std::abs(sums[c] - static_cast<double>(want.sums[static_cast<std::size_t>(c)]));
      CHECK(gap <= want.per_value * want.rows * want.cols);
    }
  }
}

TEST_CASE("odd pictures: damaged files are refused by name", "[shared]") {
  const auto dir = shared("data/odd_images");
  if (!dir) return;
  for (const std::string file : kRefused) {
    INFO(file);
    const auto error = test::caught([&] { decode_image(*dir / file); });
    CHECK(error.code ==
          (file == "decompression_bomb.gif" ? "image.too_large" : "image.cannot_decode"));
    CHECK(error.message.find(file) != std::string::npos);
  }
}

TEST_CASE("odd pictures: no cut or damage crashes", "[shared]") {
  const auto dir = shared("data/odd_images");
  if (!dir) return;
  Rng rng(7);
  for (const std::string file :
       {"hopper.gif", "dispose_bgnd.gif", "hopper.jpg", "ibasn3p08.png", "hopper_rle8.bmp"}) {
    INFO(file);
    const auto whole = read_file(*dir / file);
    int refused = 0;
    for (int i = 0; i < 40; ++i) {
      auto bytes = whole.substr(
          0, static_cast<std::size_t>(rng.integer(0, static_cast<std::int64_t>(whole.size()))));
      const auto error = test::caught([&] { decode_image_bytes(bytes); });
      refused += !error.code.empty();
      if (!error.code.empty()) CHECK(error.code == "image.cannot_decode");
    }
    // An animation whose first frame is whole can be read.
    CHECK(refused >= (file == "dispose_bgnd.gif" ? 1 : 20));
  }
}

TEST_CASE("transforms: all cases of the reference", "[shared]") {
  const auto dir = shared("golden/transforms.json");
  if (!dir) return;
  CHECK(test::check_transform_cases(dir->parent_path()) > 0);
  CHECK(test::check_transform_lists(dir->parent_path()) > 0);
}

TEST_CASE("pipeline: validation transforms on photographs", "[shared]") {
  const auto file = shared("golden/pipeline.json");
  if (!file) return;
  // Normalised units; the decoder is libjpeg-turbo with its defaults.
  constexpr double kTolerance = 5e-4;
  const auto folder = file->parent_path();
  std::ifstream in(*file);
  const auto json = test::Json::parse(in);
  const auto mean = test::numbers(json["mean"]), std = test::numbers(json["std"]);
  for (const auto& photo : json["photos"]) {
    INFO(photo["file"].get<std::string>());
    const auto picture = open_image(folder / photo["file"].get<std::string>());
    for (const auto& item : photo["sizes"]) {
      INFO(item["size"].dump());
      ApplyTfmsOptions options;
      const auto& size = item["size"];
      if (size.is_array()) {
        options.size = {size[0].get<int>(), size[1].get<int>()};
      } else {
        options.size = size.get<int>();
      }
      Rng rng(0);
      const auto px = picture.apply_tfms(get_transforms().valid, options, rng).tensor();
      const auto want = test::array(item["out"], folder.string());
      REQUIRE(px.sizes().vec() == want.shape);
      const float* got = px.data_ptr<float>();
      const auto area = static_cast<std::size_t>(px.size(1) * px.size(2));
      double largest = 0;
      for (std::size_t i = 0; i < want.values.size(); ++i) {
        const double value = (static_cast<double>(got[i]) - mean[i / area]) / std[i / area];
        largest = std::max(largest, std::abs(value - want.values[i]));
      }
      CHECK(largest <= kTolerance);
    }
  }
}
