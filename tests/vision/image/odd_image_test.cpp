// Pictures that are odd but readable, and machines that are not well: little memory, pipes, other locales.
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clocale>
#include <cmath>
#include <fstream>
#include <functional>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image/picture_cache.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"
#include "vision/image/image_header.hpp"
#include "vision/image/image_support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::string chunk(const std::string& name, const std::string& data) {
  std::string bytes = name;
  bytes += le(data.size(), 4);
  bytes += data;
  if (data.size() & 1) bytes += '\0';
  return bytes;
}

// The chunks of a still WebP that make its pixels, in the order of the file.
std::string frame_chunks(const std::string& still) {
  std::string kept;
  for (std::size_t at = 12; at + 8 <= still.size();) {
    const auto name = still.substr(at, 4);
    std::size_t length = 0;
    for (std::size_t i = 4; i-- > 0;) length = length << 8 | static_cast<uchar>(still[at + 4 + i]);
    if (name == "VP8 " || name == "VP8L" || name == "ALPH") {
      kept += chunk(name, still.substr(at + 8, length));
    }
    at += 8 + length + (length & 1);
  }
  return kept;
}

struct Frame {
  cv::Mat picture;
  std::size_t top = 0, left = 0;
  int quality = 101;  // above 100: without loss
};

std::string animation(std::size_t rows, std::size_t cols, const std::vector<Frame>& frames) {
  std::string body = "WEBP";
  body += chunk("VP8X", le(0x12, 4) + le(cols - 1, 3) + le(rows - 1, 3));
  body += chunk("ANIM", le(0xFFFFFFFF, 4) + le(0, 2));
  for (const auto& frame : frames) {
    auto data = le(frame.left / 2, 3) + le(frame.top / 2, 3);
    data += le(static_cast<std::size_t>(frame.picture.cols) - 1, 3);
    data += le(static_cast<std::size_t>(frame.picture.rows) - 1, 3) + le(100, 3) + le(0, 1);
    data +=
        frame_chunks(encoded(frame.picture, ".webp", {cv::IMWRITE_WEBP_QUALITY, frame.quality}));
    body += chunk("ANMF", data);
  }
  std::string file = "RIFF";
  file += le(body.size(), 4);
  return file + body;
}

// Where each chunk of a PNG starts.
std::vector<std::pair<std::string, std::size_t>> png_chunks(const std::string& png) {
  std::vector<std::pair<std::string, std::size_t>> found;
  for (std::size_t at = 8; at + 12 <= png.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uchar>(png[at + i]);
    found.emplace_back(png.substr(at + 4, 4), at);
    at += 12 + length;
  }
  return found;
}

std::size_t start_of(const std::string& png, const std::string& name) {
  for (const auto& [found, at] : png_chunks(png)) {
    if (found == name) return at;
  }
  FAIL("no chunk " << name);
  return 0;
}

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t c = 0xFFFFFFFFu;
  for (const unsigned char byte : bytes) {
    c ^= byte;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
  }
  return ~c;
}

std::string png_chunk(const std::string& name, const std::string& data) {
  std::string bytes = be32(static_cast<std::uint32_t>(data.size()));
  bytes += name;
  bytes += data;
  return bytes + be32(crc32(name + data));
}

// What was freed goes back to the system, so that a limit is one.
[[maybe_unused]] const int kLargeBlocksApart =
    ::mallopt(M_MMAP_THRESHOLD, 1 << 18) + ::mallopt(M_ARENA_MAX, 1);

std::size_t memory_in_use() {
  std::ifstream in("/proc/self/statm");
  std::size_t pages = 0;
  in >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// What `f` says in a process that may take only so many bytes more.
test::Caught with_little_memory(std::size_t more, const std::function<void()>& f) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::malloc_trim(0);
    void* const room =
        ::mmap(nullptr, more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = memory_in_use();
    ::setrlimit(RLIMIT_AS, &limit);
    // What malloc keeps for later, which differs between its versions, is taken first.
    for (std::size_t size = 64u << 20; size >= 1u << 16; size /= 2) {
      while (void* volatile taken = std::malloc(size)) static_cast<void>(taken);
    }
    ::munmap(room, more);
    std::string text;
    try {
      const auto told = test::caught(f);
      text = told.code + "\n" + told.message;
    } catch (...) {
      text = "foreign\n";
    }
    const auto written = ::write(ends[1], text.data(), text.size());
    ::_exit(written < 0);
  }
  ::close(ends[1]);
  std::string text;
  char part[512];
  for (ssize_t n; (n = ::read(ends[0], part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  const auto line = text.find('\n');
  return {text.substr(0, line), line == std::string::npos ? "" : text.substr(line + 1)};
}

constexpr bool kMemoryCanBeLimited = !kSanitized;  // a sanitizer needs memory for its own tables

}  // namespace

TEST_CASE("an animated WebP gives its first frame", "[images]") {
  const auto first = drawing(24, 30), second = cv::Mat(24, 30, CV_8UC3, cv::Scalar::all(9)).clone();
  CHECK(largest_gap(decode_image_bytes(animation(24, 30, {{first}, {second}})), first) == 0);

  // With loss: what the same frame gives as a still picture.
  const auto still = decode_image_bytes(encoded(first, ".webp", {cv::IMWRITE_WEBP_QUALITY, 80}));
  CHECK(largest_gap(decode_image_bytes(animation(24, 30, {{first, 0, 0, 80}, {second, 0, 0, 80}})),
                    still) == 0);
}

TEST_CASE("a first frame smaller than its animation stands on black", "[images]") {
  const auto part = drawing(10, 12);
  const auto image = decode_image_bytes(animation(24, 30, {{part, 4, 6}}));
  REQUIRE(image.size() == cv::Size(30, 24));
  CHECK(largest_gap(image(cv::Rect(6, 4, 12, 10)).clone(), part) == 0);
  CHECK(cv::sum(image) == cv::sum(part));
  CHECK(code_of(animation(12, 14, {{part, 4, 6}})) == "image.cannot_decode");
}

TEST_CASE("transparency of an animated WebP is left out", "[images]") {
  cv::Mat rgba;
  cv::cvtColor(drawing(24, 30), rgba, cv::COLOR_RGB2RGBA);
  for (int y = 0; y < rgba.rows; ++y) {
    for (int x = 0; x < rgba.cols; ++x) rgba.at<cv::Vec4b>(y, x)[3] = static_cast<uchar>(50 + x);
  }
  for (const int quality : {80, 101}) {
    const auto file = animation(24, 30, {{rgba, 0, 0, quality}});
    const auto still =
        decode_image_bytes(encoded(rgba, ".webp", {cv::IMWRITE_WEBP_QUALITY, quality}));
    CHECK(largest_gap(decode_image_bytes(file), still) == 0);
  }
}

TEST_CASE("damage of an animated WebP is survived", "[images]") {
  const auto whole = animation(24, 30, {{drawing(24, 30)}, {drawing(24, 30)}});
  CHECK(code_of(whole.substr(0, whole.size() / 4)) == "image.cannot_decode");
  CHECK(code_of(animation(24, 30, {})) == "image.cannot_decode");
  for (std::size_t at = 12; at < std::min<std::size_t>(whole.size(), 120); ++at) {
    auto bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xFF);
    const auto code = code_of(bytes);
    CHECK((code.empty() || code == "image.cannot_decode" || code == "image.too_large"));
  }
}

TEST_CASE("PNG: checksums of pixels and the end chunk do not matter, as for Pillow", "[images]") {
  const auto rgb = drawing(40, 30);
  const auto whole = encoded(rgb, ".png");
  const auto idat = start_of(whole, "IDAT"), iend = start_of(whole, "IEND");
  auto wrong = whole;
  wrong[iend - 1] = static_cast<char>(wrong[iend - 1] ^ 1);  // the checksum before the end chunk
  CHECK(largest_gap(decode_image_bytes(wrong), rgb) == 0);
  CHECK(largest_gap(decode_image_bytes(whole.substr(0, iend)), rgb) == 0);
  CHECK(largest_gap(decode_image_bytes(whole.substr(0, iend - 4)), rgb) == 0);
  CHECK(largest_gap(decode_image_bytes(whole.substr(0, iend + 5)), rgb) == 0);
  wrong = whole;
  wrong.back() = static_cast<char>(wrong.back() ^ 1);
  CHECK(largest_gap(decode_image_bytes(wrong), rgb) == 0);
  CHECK(largest_gap(decode_image_bytes(whole.substr(0, iend) + "some rest of a page"), rgb) == 0);

  wrong = whole;
  wrong[8 + 8 + 13] = static_cast<char>(wrong[8 + 8 + 13] ^ 1);  // the header's
  CHECK(code_of(wrong) == "image.cannot_decode");
  CHECK(code_of(whole.substr(0, idat)) == "image.cannot_decode");
  CHECK(code_of(whole.substr(0, idat) + whole.substr(iend)) == "image.cannot_decode");
  CHECK(code_of(whole.substr(0, (idat + iend) / 2)) == "image.cannot_decode");
  // A chunk that was promised behind the pixels and is cut.
  CHECK(code_of(whole.substr(0, iend) + std::string("\0\0\1\0IDAT", 8)) == "image.cannot_decode");
  CHECK(code_of(whole.substr(0, iend) + std::string("\0\0\1\0tEXtabc", 11)) ==
        "image.cannot_decode");
}

TEST_CASE("PNG: damaged pixels are refused, other chunks are passed over", "[images]") {
  const auto rgb = drawing(40, 30);
  const auto whole = encoded(rgb, ".png");
  const auto idat = start_of(whole, "IDAT");
  auto wrong = whole;
  for (std::size_t i = 0; i < 40; ++i) wrong[idat + 40 + i] = static_cast<char>(0x5A);
  CHECK(code_of(wrong) == "image.cannot_decode");
  auto with_text = whole;
  with_text.insert(idat, png_chunk("tEXt", "a") + png_chunk("iCCP", "nonsense"));
  CHECK(largest_gap(decode_image_bytes(with_text), rgb) == 0);
  with_text.insert(idat, png_chunk("ABCD", ""));
  CHECK(code_of(with_text) == "image.cannot_decode");
  // A small header behind the pixels does not hide that they are too many.
  auto two = whole;
  two.replace(8, 25, png_chunk("IHDR", be32(60000) + be32(60000) + std::string("\x08\2\0\0\0", 5)));
  two.insert(start_of(two, "IEND"), whole.substr(8, 25));
  CHECK(code_of(two) == "image.too_large");
}

TEST_CASE("PNG: every kind of pixel, as OpenCV reads it", "[images]") {
  const auto rgb = drawing(21, 19);
  cv::Mat grey, bits, deep, rgba16;
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  cv::threshold(grey, bits, 127, 255, cv::THRESH_BINARY);
  cv::cvtColor(rgb, rgba16, cv::COLOR_RGB2RGBA);
  rgba16.convertTo(deep, CV_16U, 257, 3);
  for (const auto& mat : {rgb, grey, bits, rgba16, deep}) {
    for (const int binary : {0, 1}) {
      if (binary && mat.data != bits.data) continue;
      const auto bytes = encoded(mat, ".png", {cv::IMWRITE_PNG_BILEVEL, binary});
      const std::vector<uchar> raw(bytes.begin(), bytes.end());
      cv::Mat want = cv::imdecode(raw, cv::IMREAD_COLOR);
      cv::cvtColor(want, want, cv::COLOR_BGR2RGB);
      CHECK(largest_gap(decode_image_bytes(bytes), want) == 0);
    }
  }
}

TEST_CASE("the first of two widths of a TIFF counts, as in libtiff", "[images]") {
  auto file = encoded(cv::Mat(2, 3, CV_8UC3, cv::Scalar::all(7)), ".tiff",
                      {cv::IMWRITE_TIFF_COMPRESSION, 1});
  const auto entry = [](std::uint32_t width) {
    std::string bytes("\x00\x01\x04\x00\x01\x00\x00\x00", 8);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(width >> shift & 255);
    return bytes;
  };
  // In the place of one that OpenCV does not need (planar configuration).
  const auto other = file.find(std::string("\x1C\x01\x03\x00", 4));
  const auto first = file.find(std::string("\x00\x01", 2), 8);
  REQUIRE(other != std::string::npos);
  REQUIRE(first < other);
  file.replace(other, 12, entry(2000000000));
  CHECK(fastcpp::detail::inspect(file).cols == 3);
  CHECK(decode_image_bytes(file).size() == cv::Size(3, 2));
  // A width behind the first one does not hide how large the picture is.
  file.replace(first, 12, entry(2000000000)).replace(other, 12, entry(3));
  CHECK(fastcpp::detail::inspect(file).cols == 2000000000);
  CHECK_THROWS_AS(decode_image_bytes(file), ImageError);
}

TEST_CASE("a picture that OpenCV finds of another size than its header says is refused",
          "[images]") {
  // A comment right behind the width: OpenCV takes its 6 for the height.
  const auto pnm = "P6\n2#6\n1#5" + std::string(60, '\0');
  try {
    decode_image_bytes(pnm, "odd.ppm");
  } catch (const ImageError& e) {
    CHECK(std::string(e.what()).find("odd.ppm") != std::string::npos);
    return;
  }
  CHECK(decode_image_bytes(pnm).size() == cv::Size(2, 1));
}

TEST_CASE("TIFF of numbers is cut to 0..255, as by Pillow", "[images]") {
  cv::Mat numbers(2, 3, CV_32FC1);
  const float values[] = {-3, 0.9f, 17.6f, 254.99f, 300, NAN};
  const int want[] = {0, 0, 17, 254, 255, 0};
  std::copy(std::begin(values), std::end(values), numbers.ptr<float>());
  auto file = encoded(numbers, ".tiff", {cv::IMWRITE_TIFF_COMPRESSION, 1});
  auto image = decode_image_bytes(file);
  REQUIRE(image.size() == cv::Size(3, 2));
  for (int i = 0; i < 6; ++i) {
    CHECK(image.at<cv::Vec3b>(i / 3, i % 3) == cv::Vec3b::all(static_cast<uchar>(want[i])));
  }

  // The same file as one of whole numbers: another word in its directory, other bits.
  const std::int32_t whole[] = {-3, 0, 17, 255, 256, 1 << 30};
  const int want_whole[] = {0, 0, 17, 255, 255, 255};
  const auto sample_format = file.find(std::string("\x53\x01\x03\x00", 4));
  REQUIRE(sample_format != std::string::npos);
  file[sample_format + 8] = 2;
  const std::string pixels(reinterpret_cast<const char*>(values), sizeof values);
  const auto at = file.find(pixels);
  REQUIRE(at != std::string::npos);
  file.replace(at, pixels.size(), reinterpret_cast<const char*>(whole), sizeof whole);
  image = decode_image_bytes(file);
  for (int i = 0; i < 6; ++i) {
    CHECK(image.at<cv::Vec3b>(i / 3, i % 3) == cv::Vec3b::all(static_cast<uchar>(want_whole[i])));
  }
}

TEST_CASE("a pipe or a device in the place of a picture is refused at once", "[images]") {
  const test::TempDir dir;
  REQUIRE(::mkfifo((dir / "pipe.jpg").c_str(), 0600) == 0);
  const auto error = test::caught([&] { decode_image(dir / "pipe.jpg"); });
  CHECK(error.code == "io.cannot_read");
  CHECK(error.message.find("pipe.jpg") != std::string::npos);
  CHECK(test::caught([&] { open_image(dir / "pipe.jpg"); }).code == "io.cannot_read");
  std::filesystem::create_symlink("/dev/zero", dir / "endless.png");
  CHECK(test::caught([&] { decode_image(dir / "endless.png"); }).code == "io.cannot_read");
  CHECK(test::caught([&] { decode_image(dir.path()); }).code == "io.cannot_read");
}

TEST_CASE("little memory is not called damage", "[images]") {
  if (!kMemoryCanBeLimited) return;
  const test::TempDir dir;
  const auto rgb = drawing(3000, 3000);
  for (const std::string extension : {".png", ".jpg", ".bmp", ".webp", ".tiff"}) {
    const auto file = dir / ("large" + extension);
    write_file(file, encoded(rgb, extension,
                             extension == ".webp" ? std::vector<int>{cv::IMWRITE_WEBP_QUALITY, 50}
                                                  : std::vector<int>{}));
    const auto bytes = std::filesystem::file_size(file);
    // Not enough for the file, for the pixels, for the decoder.
    for (const std::size_t more : {bytes / 2, bytes + (20u << 20)}) {
      INFO(extension << ", " << more << " bytes");
      const auto error = with_little_memory(more, [&] { decode_image(file); });
      CHECK(error.code == "train.out_of_memory");
      CHECK(error.message.find("large" + extension) != std::string::npos);
    }
    CHECK(decode_image(file).size() == rgb.size());
  }
}

TEST_CASE("names that are not UTF-8, of blanks and brackets", "[images]") {
  const test::TempDir dir;
  const auto rgb = drawing(8, 9);
  for (const std::string& name : {std::string("\xFF\xFE\x80.png"),
                                  std::string("a b [c] {0} %s.png"), std::string(240, 'n')}) {
    INFO(name);
    write_file(dir / name, encoded(rgb, ".png"));
    CHECK(largest_gap(open_image(dir / name).rgb8(), rgb) == 0);
    write_file(dir / name, "no picture");
    const auto error = test::caught([&] { open_image(dir / name); });
    CHECK(error.code == "image.cannot_decode");
    CHECK(error.message.find(name) != std::string::npos);
  }
}

TEST_CASE("settings of OpenCV stay as they are", "[images]") {
  const auto former = cv::utils::logging::getLogLevel();
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_ERROR);
  code_of(encoded(drawing(8, 8), ".bmp").substr(0, 40));
  decode_image_bytes(encoded(drawing(8, 8), ".bmp"));
  CHECK(cv::utils::logging::getLogLevel() == cv::utils::logging::LOG_LEVEL_ERROR);
  cv::utils::logging::setLogLevel(former);
}

TEST_CASE("extensions are known in every locale", "[images]") {
  const std::string former = std::setlocale(LC_ALL, nullptr);
  const test::TempDir dir;
  for (const char* locale : {"tr_TR.UTF-8", "tr_TR", "de_DE.UTF-8", "C"}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    INFO(locale);
    Image::from_rgb(drawing(8, 9)).save(dir / "A.TIFF");
    CHECK(largest_gap(open_image(dir / "A.TIFF").rgb8(), drawing(8, 9)) == 0);
  }
  std::setlocale(LC_ALL, former.c_str());
}

TEST_CASE("pictures are of single precision whatever the default is", "[images]") {
  struct Default {
    explicit Default(torch::Dtype type) {
      torch::set_default_dtype(torch::scalarTypeToTypeMeta(type));
    }
    ~Default() { torch::set_default_dtype(torch::scalarTypeToTypeMeta(torch::kFloat32)); }
  } const doubles(torch::kFloat64);
  CHECK(Image().tensor().scalar_type() == torch::kFloat32);
  CHECK(Image::from_rgb(drawing(4, 5)).tensor().scalar_type() == torch::kFloat32);
  CHECK(Image::from_tensor(torch::ones({3, 4, 5}, torch::kUInt8)).tensor().scalar_type() ==
        torch::kFloat32);
  CHECK(Image::from_tensor(torch::rand({3, 4, 5})).tensor().scalar_type() == torch::kFloat32);
  CHECK(to_tensor(drawing(4, 5)).scalar_type() == torch::kFloat32);
  const test::TempDir dir;
  Image::from_rgb(drawing(4, 5)).save(dir / "a.png");
  CHECK(open_image(dir / "a.png", {.div = false}).tensor().scalar_type() == torch::kFloat32);
}

TEST_CASE("exceptions of what the user hands in become ours", "[images]") {
  const test::TempDir dir;
  Image::from_rgb(drawing(4, 5)).save(dir / "a.png");
  CHECK(test::caught([&] {
          open_image(dir / "a.png", {.after_open = [](cv::Mat) { return cv::Mat(); }});
        }).code == "value.mat");
  CHECK(test::caught([&] {
          open_image(dir / "a.png", {.after_open = [](cv::Mat mat) {
                       return cv::Mat(mat, cv::Rect(0, 0, 50, 50));
                     }});
        }).code == "image.failed");
  CHECK(test::caught([&] {
          open_image(dir / "a.png",
                     {.after_open = [](cv::Mat) -> cv::Mat { throw std::runtime_error("no"); }});
        }).code == "core.unexpected");
}

TEST_CASE("a picture decoded small for one set is not served to another", "[images]") {
  PictureCache cache(1 << 20);
  cache.add("a.jpg", drawing(10, 10), 8);
  CHECK(cache.find("a.jpg").empty());
  CHECK(cache.find("a.jpg", 20).empty());
  cache.add("a.jpg", drawing(20, 20), 20);
  CHECK(cache.find("a.jpg", 8).rows == 10);
  CHECK(cache.find("a.jpg", 20).rows == 20);
  CHECK(cache.size() == 2);
}
