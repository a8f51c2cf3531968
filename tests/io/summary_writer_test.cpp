// Event files for TensorBoard, read back by a reader that knows nothing of the library.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "fastcpp/io/summary_writer.hpp"
#include "io/record_writer.hpp"
#include "support/catch.hpp"
#include "support/event_file.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// What PNG of the only picture in an event holds: rows of pixels, after all checksums are checked.
std::string pixels_of_png(const std::string& png, std::size_t size) {
  REQUIRE(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  const auto big_endian = [&](std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i)
      number = (number << 8) | static_cast<unsigned char>(png[at + i]);
    return number;
  };
  std::string packed;
  for (std::size_t at = 8; at < png.size();) {
    const std::size_t length = big_endian(at);
    REQUIRE(at + 12 + length <= png.size());
    const auto content = png.substr(at + 4, 4 + length);
    CHECK(crc_bit_by_bit(content, 0xEDB88320u) == big_endian(at + 8 + length));
    if (content.starts_with("IDAT")) packed += content.substr(4);
    at += 12 + length;
  }
  std::string rows(size, '\0');
  auto got = static_cast<uLongf>(size);
  REQUIRE(::uncompress(reinterpret_cast<Bytef*>(rows.data()), &got,
                       reinterpret_cast<const Bytef*>(packed.data()),
                       static_cast<uLong>(packed.size())) == Z_OK);
  REQUIRE(got == size);
  return rows;
}

struct TwoPartsImpl : torch::nn::Module {
  TwoPartsImpl() {
    body = register_module("body", torch::nn::Conv2d(3, 4, 3));
    head =
        register_module("head", torch::nn::Sequential(torch::nn::ReLU(), torch::nn::Linear(4, 2)));
  }
  torch::nn::Conv2d body{nullptr};
  torch::nn::Sequential head{nullptr};
};

}  // namespace

TEST_CASE("CRC-32C is Castagnoli's") {
  CHECK(io::crc32c("123456789") == 0xE3069283u);
  CHECK(io::crc32c("") == 0);
  CHECK(io::crc32c(std::string(32, '\0')) == 0x8A9136AAu);  // RFC 3720, B.4
  CHECK(io::crc32c("6789", io::crc32c("12345")) == 0xE3069283u);
  CHECK(crc_bit_by_bit("123456789", 0x82F63B78u) == 0xE3069283u);
}

TEST_CASE("an event file says what it is, and keeps scalars in their order") {
  TempDir dir;
  SummaryWriter writer(dir / "run", {.filename_suffix = ".mine"});
  CHECK(writer.file().parent_path() == dir / "run");
  const auto name = writer.file().filename().string();
  CHECK(name.starts_with("events.out.tfevents."));
  CHECK(name.ends_with(".mine"));
  writer.add_scalar("metrics/loss", 0.5, 1);
  // A reader sees each record at once.
  CHECK(events_of(read_file(writer.file())).size() == 2);
  writer.add_scalar("metrics/loss", std::numeric_limits<double>::quiet_NaN(),
                    std::int64_t{1} << 40);
  writer.add_scalar("caf\xff", -3, 3);
  writer.flush();

  const auto events = events_of(read_file(writer.file()));
  REQUIRE(events.size() == 4);
  CHECK(events[0].version == "brain.Event:2");
  CHECK(events[0].wall_time > 1.6e9);
  const auto loss = events_of(events, "metrics/loss");
  REQUIRE(loss.size() == 2);
  CHECK(loss[0].step == 1);
  CHECK(loss[0].scalar() == 0.5F);
  CHECK(loss[1].step == std::int64_t{1} << 40);
  CHECK(std::isnan(loss[1].scalar()));
  CHECK(events[3].tag == "caf\uFFFD");
  CHECK(events[3].scalar() == -3.0F);
  CHECK(caught([&] { writer.add_scalar("", 1, 1); }).code == "value.summary");
  CHECK(caught([&] { writer.add_text("", "a", 1); }).code == "value.summary");
  CHECK(events_of(read_file(writer.file())).size() == 4);
}

TEST_CASE("writers share a folder, and a run that goes on takes back what came after") {
  TempDir dir;
  SummaryWriter first(dir.path()), second(dir.path(), {.purge_step = 7});
  CHECK(first.file() != second.file());
  const auto events = events_of(read_file(second.file()));
  REQUIRE(events.size() == 2);
  CHECK(events[1].step == 7);
  CHECK(field_of(events[1].session, 1).bits == 1);
  CHECK(caught([&] { SummaryWriter(dir.path(), {.purge_step = -1}); }).code == "value.summary");
  write_file(dir / "file", "");
  CHECK(caught([&] { SummaryWriter(dir / "file"); }).code == "io.cannot_create");
}

TEST_CASE("a histogram counts every number once") {
  TempDir dir;
  SummaryWriter writer(dir.path());
  const auto infinite = std::numeric_limits<float>::infinity();
  const std::vector<double> values{-1, 0, 0, 0.5, 2, 2, 1e-13, 3e30};
  auto given = torch::tensor(values, torch::kFloat64);
  given = torch::cat({given, torch::tensor({infinite, -infinite, NAN})});
  writer.add_histogram("weights", given.reshape({11, 1}), 5);
  writer.add_histogram("nothing", torch::full({3}, NAN), 5);
  writer.add_histogram("half", torch::ones({2, 2}, torch::kHalf), 5);

  const auto events = events_of(read_file(writer.file()));
  REQUIRE(events.size() == 4);
  const auto histogram = field_of(events[1].value, 5).bytes;
  CHECK(field_of(histogram, 1).as_double() == -1);
  CHECK(field_of(histogram, 2).as_double() == 3e30);
  CHECK(field_of(histogram, 3).as_double() == 8);
  CHECK(field_of(histogram, 4).as_double() == Approx(3e30 + 3.5));
  CHECK(field_of(histogram, 5).as_double() == Approx(9e60));
  const auto limits = doubles_of(field_of(histogram, 6).bytes);
  const auto counts = doubles_of(field_of(histogram, 7).bytes);
  REQUIRE(limits.size() == counts.size());
  REQUIRE(limits.size() > 2);
  CHECK(counts.front() == 0);  // only its limit counts
  CHECK(counts.back() == 1);
  CHECK(limits.back() == std::numeric_limits<double>::max());
  double all = 0;
  for (std::size_t i = 1; i < limits.size(); ++i) {
    REQUIRE(limits[i - 1] < limits[i]);
    double expected = 0;
    for (const double value : values) expected += limits[i - 1] < value && value <= limits[i];
    REQUIRE(counts[i] == expected);
    all += counts[i];
  }
  CHECK(all == 8);

  CHECK(field_of(field_of(events[2].value, 5).bytes, 3).as_double() == 0);
  const auto half = field_of(events[3].value, 5).bytes;
  CHECK(field_of(half, 3).as_double() == 4);
  CHECK(doubles_of(field_of(half, 7).bytes) == std::vector<double>{0, 4});
}

TEST_CASE("pictures are PNG of the same pixels") {
  TempDir dir;
  SummaryWriter writer(dir.path());
  const auto bytes = torch::arange(18).reshape({3, 2, 3}).to(torch::kUInt8);
  writer.add_image("bytes", bytes, 1);
  writer.add_image("grey", torch::tensor({{0.0F, 1.0F}, {2.0F, -1.0F}}), 2);
  writer.add_images("many", torch::full({9, 3, 4, 5}, 0.5F), 3);

  const auto events = events_of(read_file(writer.file()));
  REQUIRE(events.size() == 4);
  const auto image = [&](std::size_t i) { return field_of(events[i].value, 4).bytes; };
  CHECK(field_of(image(1), 1).bits == 2);
  CHECK(field_of(image(1), 2).bits == 3);
  CHECK(field_of(image(1), 3).bits == 3);
  // Each row begins with the number of its filter.
  const std::string expected{0, 0, 6, 12, 1, 7, 13, 2, 8, 14, 0, 3, 9, 15, 4, 10, 16, 5, 11, 17};
  CHECK(pixels_of_png(field_of(image(1), 4).bytes, 20) == expected);
  CHECK(field_of(image(2), 3).bits == 1);
  CHECK(pixels_of_png(field_of(image(2), 4).bytes, 6) == std::string{0, 0, '\xff', 0, '\xff', 0});
  CHECK(field_of(image(3), 1).bits == 10);
  CHECK(field_of(image(3), 2).bits == 54);
  const auto grid = pixels_of_png(field_of(image(3), 4).bytes, 10 * (54 * 3 + 1));
  CHECK(std::count(grid.begin(), grid.end(), '\x7f') == 9 * 3 * 4 * 5);
  CHECK(grid[1] == '\x7f');
  CHECK(grid[1 + 5 * 3] == '\0');

  CHECK(caught([&] {
          writer.add_image("bad", torch::zeros({2, 4, 4}), 1);
        }).code == "value.tensor");
  CHECK(caught([&] { writer.add_image("bad", torch::Tensor(), 1); }).code == "value.tensor");
  CHECK(caught([&] {
          writer.add_images("bad", torch::zeros({3, 4, 4}), 1);
        }).code == "value.tensor");
}

TEST_CASE("a text goes to TensorBoard's page of texts") {
  TempDir dir;
  SummaryWriter writer(dir.path());
  writer.add_text("notes", "**bold**", 4);
  const auto events = events_of(read_file(writer.file()));
  REQUIRE(events.size() == 2);
  CHECK(events[1].tag == "notes/text_summary");
  CHECK(field_of(field_of(field_of(events[1].value, 9).bytes, 1).bytes, 1).bytes == "text");
  const auto tensor = field_of(events[1].value, 8).bytes;
  CHECK(field_of(tensor, 1).bits == 7);
  CHECK(field_of(tensor, 8).bytes == "**bold**");
}

TEST_CASE("the graph is the tree of layers") {
  TempDir dir;
  SummaryWriter writer(dir.path());
  const TwoPartsImpl net;
  writer.add_graph(net);
  const auto events = events_of(read_file(writer.file()));
  REQUIRE(events.size() == 2);
  const auto nodes = fields_of(events[1].graph, 1);
  const std::vector<std::vector<std::string>> expected{
      {"input", "Placeholder", ""},
      {"TwoParts/body", "Conv2d", "input"},
      {"TwoParts/head/0", "ReLU", "TwoParts/body"},
      {"TwoParts/head/1", "Linear", "TwoParts/head/0"},
      {"output", "Identity", "TwoParts/head/1"}};
  REQUIRE(nodes.size() == expected.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    INFO(i);
    for (std::uint64_t field = 1; field <= 3; ++field)
      CHECK(field_of(nodes[i].bytes, field).bytes == expected[i][field - 1]);
  }
  const auto attributes = fields_of(nodes[1].bytes, 5);
  REQUIRE(attributes.size() == 2);
  CHECK(field_of(attributes[0].bytes, 1).bytes == "layer");
  CHECK(field_of(field_of(attributes[0].bytes, 2).bytes, 2).bytes.find("Conv2d(3, 4") !=
        std::string::npos);
  CHECK(field_of(attributes[1].bytes, 1).bytes == "parameters");
  CHECK(field_of(field_of(attributes[1].bytes, 2).bytes, 3).bits == 3 * 4 * 9 + 4);
}
