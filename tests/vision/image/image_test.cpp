#include "fastcpp/vision/image/image.hpp"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include <thread>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/vision/image/image_file.hpp"
#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"
#include "vision/image/image_header.hpp"
#include "vision/image/image_support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// A GIF without compression: a clear code before every index keeps the code width at `bits` + 1.
struct Gif {
  int screen_rows = 4, screen_cols = 5, top = 0, left = 0, rows = 4, cols = 5;
  bool interlaced = false;
  int transparent = -1;
  std::vector<int> indices;

  std::string bytes() const {
    constexpr int kBits = 3;
    std::string out = "GIF89a" + le(static_cast<std::size_t>(screen_cols), 2) +
                      le(static_cast<std::size_t>(screen_rows), 2) + '\xF2' + std::string(2, '\0');
    for (int i = 0; i < 8; ++i)
      out += {static_cast<char>(30 * i), static_cast<char>(10 * i), static_cast<char>(255 - i)};
    if (transparent >= 0) {
      out += std::string("\x21\xF9\x04\x01\x00\x00", 6) + static_cast<char>(transparent) + '\0';
    }
    out += ',' + le(static_cast<std::size_t>(left), 2) + le(static_cast<std::size_t>(top), 2) +
           le(static_cast<std::size_t>(cols), 2) + le(static_cast<std::size_t>(rows), 2) +
           static_cast<char>(interlaced ? 0x40 : 0);
    out += static_cast<char>(kBits);
    std::string data;
    std::uint32_t pending = 0;
    int count = 0;
    const auto put = [&](int code) {
      pending |= static_cast<std::uint32_t>(code) << count;
      for (count += kBits + 1; count >= 8; count -= 8, pending >>= 8)
        data += static_cast<char>(pending & 255);
    };
    for (const int index : indices) {
      put(1 << kBits);
      put(index);
    }
    put((1 << kBits) + 1);
    if (count > 0) data += static_cast<char>(pending & 255);
    for (std::size_t at = 0; at < data.size(); at += 255) {
      const auto run = data.substr(at, 255);
      out += static_cast<char>(run.size());
      out += run;
    }
    return out + '\0' + ';';
  }
};

cv::Vec3b gif_colour(int index) {
  return {static_cast<uchar>(30 * index), static_cast<uchar>(10 * index),
          static_cast<uchar>(255 - index)};
}

}  // namespace

TEST_CASE("decode: formats are recognised by content", "[images]") {
  const cv::Mat rgb = drawing(40, 60);
  const test::TempDir dir;
  for (const std::string extension : {".png", ".bmp", ".tiff", ".ppm"}) {
    INFO(extension);
    write_file(dir / "misnamed.txt", encoded(rgb, extension));
    CHECK(largest_gap(decode_image(dir / "misnamed.txt"), rgb) == 0);
  }
  // Lossy: a smooth picture at high quality stays within a few levels.
  CHECK(largest_gap(decode_image_bytes(encoded(rgb, ".jpg", {cv::IMWRITE_JPEG_QUALITY, 98})), rgb) <
        12);
  CHECK(largest_gap(decode_image_bytes(encoded(rgb, ".webp", {cv::IMWRITE_WEBP_QUALITY, 98})),
                    rgb) < 20);
}

TEST_CASE("decode: every kind of pixel becomes 8-bit RGB", "[images]") {
  const cv::Mat rgb = drawing(20, 30);
  cv::Mat grey, rgba, deep, grey16;
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  cv::cvtColor(rgb, rgba, cv::COLOR_RGB2RGBA);
  for (int y = 0; y < rgba.rows; ++y) {
    for (int x = 0; x < rgba.cols; ++x) rgba.at<cv::Vec4b>(y, x)[3] = static_cast<uchar>(x * 8);
  }
  rgb.convertTo(deep, CV_16U, 257);
  grey.convertTo(grey16, CV_16U, 256, 200);
  cv::Mat grey3;
  cv::cvtColor(grey, grey3, cv::COLOR_GRAY2RGB);
  CHECK(largest_gap(decode_image_bytes(encoded(grey, ".png")), grey3) == 0);
  CHECK(largest_gap(decode_image_bytes(encoded(rgba, ".png")), rgb) == 0);
  CHECK(largest_gap(decode_image_bytes(encoded(deep, ".png")), rgb) == 0);
  CHECK(largest_gap(decode_image_bytes(encoded(grey16, ".png")), grey3) == 0);
}

TEST_CASE("decode: a file that was cut off is refused, wherever the cut is", "[images]") {
  const cv::Mat rgb = drawing(64, 64);
  for (const std::string extension : {".jpg", ".png", ".bmp", ".webp"}) {
    const auto whole = encoded(rgb, extension);
    for (int part = 1; part < 40; ++part) {
      INFO(extension << " " << part << "/40");
      CHECK(code_of(whole.substr(0, whole.size() * static_cast<std::size_t>(part) / 40)) ==
            "image.cannot_decode");
    }
    // A PNG is whole without its end chunk, as for Pillow.
    CHECK(code_of(whole.substr(0, whole.size() - 2)) ==
          (extension == ".png" ? "" : "image.cannot_decode"));
    INFO("bytes after the end are ignored");
    CHECK(largest_gap(decode_image_bytes(whole + std::string(100, 'x')),
                      decode_image_bytes(whole)) == 0);
  }
  const auto progressive = encoded(rgb, ".jpg", {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
  CHECK(code_of(progressive).empty());
  CHECK(code_of(progressive.substr(0, progressive.size() * 3 / 4)) == "image.cannot_decode");
}

TEST_CASE("decode: JPEG with junk between segments and Exif orientation", "[images]") {
  const auto whole = encoded(drawing(32, 48), ".jpg");
  const cv::Mat want = decode_image_bytes(whole);
  const auto first = whole.substr(0, 2), rest = whole.substr(2);
  // Between the first segment, JFIF's, and the next.
  constexpr std::size_t kJfif = 20;
  CHECK(
      largest_gap(decode_image_bytes(whole.substr(0, kJfif) + "\x01\x02junk" + whole.substr(kJfif)),
                  want) == 0);
  // Orientation 6, a quarter turn, in big-endian Exif.
  const std::string exif =
      std::string("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", 32);
  std::string segment("\xFF\xE1\0", 3);
  segment += static_cast<char>(exif.size() + 2);
  segment += exif;
  CHECK(largest_gap(decode_image_bytes(first + segment + rest), want) == 0);
}

TEST_CASE("decode: what is not a picture", "[images]") {
  const test::TempDir dir;
  write_file(dir / "page.jpg", "<html>not found</html>");
  const auto error = test::caught([&] { decode_image(dir / "page.jpg"); });
  CHECK(error.code == "image.cannot_decode");
  CHECK(error.message.find("page.jpg") != std::string::npos);
  CHECK(code_of("") == "image.cannot_decode");
  CHECK(code_of("\xFF\xD8\xFF") == "image.cannot_decode");
  CHECK(code_of("\xFF\xD8\xFF\xD9") == "image.cannot_decode");
  CHECK(code_of("GIF89a") == "image.cannot_decode");
  CHECK(code_of("BM") == "image.cannot_decode");
  CHECK(test::caught([&] { decode_image(dir / "absent.jpg"); }).code == "io.cannot_read");
}

TEST_CASE("decode: a claim of too many pixels is refused before memory is taken", "[images]") {
  CHECK(code_of("P6\n100000 100000\n255\n") == "image.too_large");
  CHECK(code_of("P6\n99999999999999 1\n255\n") == "image.too_large");
  Gif gif;
  gif.screen_rows = gif.screen_cols = 65535;
  gif.indices.assign(20, 1);
  CHECK(code_of(gif.bytes()) == "image.too_large");
  gif = {};
  gif.rows = gif.cols = 65535;
  CHECK(code_of(gif.bytes()) == "image.too_large");
  auto png = encoded(drawing(8, 8), ".png");
  png.replace(16, 8, be32(0x7fffffff) + be32(0x7fffffff));
  // The checksum no longer fits, which may be found first.
  CHECK_FALSE(code_of(png).empty());
}

TEST_CASE("decode: a JPEG's size is read from its frame header only", "[images]") {
  const auto whole = encoded(drawing(32, 48), ".jpg");
  const auto frame = whole.find("\xFF\xC0");
  REQUIRE(frame != std::string::npos);
  REQUIRE(image_file_info(whole).rows == 32);
  REQUIRE(image_file_info(whole).channels == 3);
  for (char length = 2; length < 8; ++length) {
    INFO(static_cast<int>(length));
    auto bytes = whole;
    bytes[frame + 3] = length;  // the lower of its two bytes
    const auto info = image_file_info(bytes);
    CHECK(info.rows == 0);
    CHECK(info.cols == 0);
    CHECK(fastcpp::detail::inspect(bytes).fault.find("frame header") != std::string::npos);
    CHECK(code_of(bytes) == "image.cannot_decode");
  }
}

TEST_CASE("decode: rows of a BMP that no 64 bits can count are refused", "[images]") {
  auto bmp = encoded(drawing(8, 8), ".bmp");
  CHECK(fastcpp::detail::inspect(bmp).fault.empty());
  CHECK(fastcpp::detail::inspect(bmp.substr(0, bmp.size() - 1)).fault == "it is cut off");
  // 2^30 rows of 2^30 pixels of 2^15 bits: 2^72 bytes, of which 64 bits keep nothing.
  bmp.replace(18, 8, le(1 << 30, 4) + le(1 << 30, 4));
  bmp.replace(28, 2, le(1 << 15, 2));
  CHECK(fastcpp::detail::inspect(bmp).fault == "it is cut off");
  CHECK(code_of(bmp) == "image.too_large");
}

TEST_CASE("gif: first frame, interlacing, frame beside the corner", "[images]") {
  Gif gif;
  for (int i = 0; i < 20; ++i) gif.indices.push_back(i * 3 % 8);
  auto image = decode_image_bytes(gif.bytes());
  REQUIRE(image.size() == cv::Size(5, 4));
  for (int i = 0; i < 20; ++i) CHECK(image.at<cv::Vec3b>(i / 5, i % 5) == gif_colour(i * 3 % 8));

  gif.interlaced = true;
  image = decode_image_bytes(gif.bytes());
  constexpr int kLines[] = {0, 2, 1, 3};
  for (int i = 0; i < 20; ++i)
    CHECK(image.at<cv::Vec3b>(kLines[i / 5], i % 5) == gif_colour(i * 3 % 8));

  gif = {};
  gif.rows = gif.cols = 2;
  gif.top = 1;
  gif.left = 3;
  gif.transparent = 6;
  gif.indices = {1, 2, 3, 4};
  image = decode_image_bytes(gif.bytes());
  REQUIRE(image.size() == cv::Size(5, 4));
  CHECK(image.at<cv::Vec3b>(0, 0) == gif_colour(6));
  CHECK(image.at<cv::Vec3b>(1, 3) == gif_colour(1));
  CHECK(image.at<cv::Vec3b>(2, 4) == gif_colour(4));
}

TEST_CASE("gif: damage of any byte is survived", "[images]") {
  Gif gif;
  for (int i = 0; i < 20; ++i) gif.indices.push_back(i % 8);
  const auto whole = gif.bytes();
  for (std::size_t cut = 0; cut + 3 < whole.size(); ++cut)
    CHECK(code_of(whole.substr(0, cut)) == "image.cannot_decode");
  Rng rng(3);
  for (int i = 0; i < 2000; ++i) {
    auto bytes = whole;
    for (int k = 0; k < 3; ++k) {
      bytes[static_cast<std::size_t>(rng.integer(6, static_cast<std::int64_t>(bytes.size()) - 1))] =
          static_cast<char>(rng.integer(0, 255));
    }
    // Screens of millions of pixels are allowed, but would only make this slow.
    bytes[7] = bytes[9] = '\0';
    const auto code = code_of(bytes);
    CHECK((code.empty() || code == "image.cannot_decode" || code == "image.too_large"));
  }
}

TEST_CASE("decode: many threads at once", "[images]") {
  const auto bytes = encoded(drawing(50, 50), ".jpg");
  const cv::Mat want = decode_image_bytes(bytes);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i)
        wrong += cv::norm(decode_image_bytes(bytes), want, cv::NORM_INF) != 0;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("to_tensor and to_mat own their memory", "[images]") {
  cv::Mat rgb = drawing(10, 12);
  const cv::Mat part = rgb(cv::Rect(3, 2, 5, 6));  // not contiguous
  const auto tensor = to_tensor(part);
  REQUIRE(tensor.sizes().vec() == std::vector<std::int64_t>{3, 6, 5});
  CHECK(tensor[1][4][2].item<float>() == static_cast<float>(rgb.at<cv::Vec3b>(6, 5)[1]) / 255.0f);
  const float before = tensor[0][0][0].item<float>();
  rgb.setTo(0);
  CHECK(tensor[0][0][0].item<float>() == before);

  CHECK(to_tensor(cv::Mat(4, 5, CV_8UC1, cv::Scalar(51)))[0][0][0].item<float>() == Approx(0.2));
  CHECK(to_tensor(cv::Mat(4, 5, CV_16UC4, cv::Scalar::all(65535))).sum().item<float>() == 80.0f);
  CHECK(to_tensor(cv::Mat(4, 5, CV_64FC2, cv::Scalar(0.5, 2))).sum().item<float>() == 50.0f);
  CHECK(test::caught([] { to_tensor(cv::Mat()); }).code == "value.mat");
  CHECK(test::caught([] { to_tensor(cv::Mat(2, 2, CV_32SC1)); }).code == "value.mat");

  auto source = torch::rand({3, 7, 9}).transpose(1, 2);
  const cv::Mat mat = to_mat(source);
  REQUIRE(mat.type() == CV_32FC3);
  REQUIRE(mat.size() == cv::Size(7, 9));
  CHECK(torch::equal(to_tensor(mat), source));
  CHECK(to_mat(torch::ones({4, 4}, torch::kUInt8)).type() == CV_8UC1);
  CHECK(test::caught([] { to_mat(torch::ones({5, 4, 4})); }).code == "value.image_tensor");
  CHECK(test::caught([] {
          to_mat(torch::ones({3, 4, 4}, torch::kLong));
        }).code == "value.image_tensor");
  CHECK(test::caught([] { to_mat(torch::Tensor()); }).code == "value.image_tensor");
}

TEST_CASE("Image is a value", "[images]") {
  const Image none;
  CHECK(none.empty());
  CHECK(none.size() == Resolution{0, 0});
  auto px = torch::rand({3, 224, 200});
  const auto image = Image::from_tensor(px);
  CHECK(image.str() == "Image (3, 224, 200)");
  CHECK(image.size() == Resolution{224, 200});
  const auto copy = px.clone();
  px.zero_();
  CHECK(torch::equal(image.tensor(), copy));
  image.tensor().zero_();
  CHECK(torch::equal(image.tensor(), copy));
  CHECK(Image::from_tensor(torch::full({1, 2, 2}, 51, torch::kUInt8))
            .tensor()[0][0][0]
            .item<float>() == Approx(0.2));
  CHECK(test::caught([] { Image::from_rgb(cv::Mat(2, 2, CV_8UC1)); }).code == "value.mat");
}

TEST_CASE("save truncates 255 x and open_image reads it back", "[images]") {
  const test::TempDir dir;
  // 0.999 * 255 = 254.7, 0.5 * 255 = 127.5
  const auto px =
      torch::tensor({0.0, 0.5, 0.999, 1.0, -3.0, 7.0}).reshape({1, 2, 3}).expand({3, 2, 3});
  Image::from_tensor(px).save(dir / "sub/saved.png");
  const auto rgb = open_image(dir / "sub/saved.png").rgb8();
  const int want[] = {0, 127, 254, 255, 0, 255};
  for (int i = 0; i < 6; ++i)
    CHECK(rgb.at<cv::Vec3b>(i / 3, i % 3) == cv::Vec3b::all(static_cast<uchar>(want[i])));
  CHECK(test::caught([&] { Image::from_tensor(px).save(dir / "saved.nonsense"); }).code ==
        "image.cannot_encode");
  CHECK(test::caught([&] { Image().save(dir / "saved.png"); }).code == "image.cannot_encode");
}

TEST_CASE("open_image options", "[images]") {
  const test::TempDir dir;
  const cv::Mat rgb = drawing(9, 11);
  write_file(dir / "a.png", encoded(rgb, ".png"));
  const auto plain = open_image(dir / "a.png").tensor();
  CHECK(torch::equal(plain, to_tensor(rgb)));
  const auto raw = open_image(dir / "a.png", {.div = false}).tensor();
  CHECK(torch::equal(raw, to_tensor(rgb).mul(255).round()));
  const auto grey = open_image(dir / "a.png", {.convert_mode = ConvertMode::kL});
  CHECK(grey.shape() == std::vector<std::int64_t>{1, 9, 11});
  const auto white = open_image(dir / "a.png", {.after_open = [](cv::Mat m) {
                                  return cv::Mat(m.size(), m.type(), cv::Scalar::all(255));
                                }});
  CHECK(white.tensor().min().item<float>() == 1.0f);
}
