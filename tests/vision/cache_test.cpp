#include <torch/utils.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

void draw_noise(const Path& folder, int count) {
  torch::manual_seed(1);
  for (int i = 0; i < count; ++i) {
    const auto pixels = torch::rand({3, 1, 1}) * torch::linspace(0, 1, 30 * 40).view({1, 30, 40});
    Image::from_tensor(pixels).save(folder / ((i % 2 ? "a_" : "b_") + std::to_string(i) + ".png"));
  }
}

ImageDataBunch bunch(const TempDir& dir, std::size_t cache_bytes, int workers = 2) {
  return ImageDataBunch::from_name_re(dir.path(), get_image_files(dir.path()),
                                      R"(/([^/]+)_\d+.png$)",
                                      {.ds_tfms = get_transforms(),
                                       .size = 24,
                                       .bs = 8,
                                       .num_workers = workers,
                                       .device = torch::kCPU,
                                       .seed = 5,
                                       .cache_bytes = cache_bytes});
}

std::vector<torch::Tensor> epochs(const ImageDataBunch& data, int n) {
  std::vector<torch::Tensor> all;
  for (int i = 0; i < n; ++i) {
    for (auto& batch : data.train_dl()) all.push_back(batch.x.clone());
  }
  return all;
}

constexpr std::size_t kPicture = 30 * 40 * 3;

}  // namespace

TEST_CASE("a cache changes no batch, and later epochs need no file") {
  TempDir dir;
  draw_noise(dir.path(), 40);
  const auto plain = epochs(bunch(dir, 0), 3);
  const auto data = bunch(dir, 100 * kPicture);
  auto cached = epochs(data, 1);
  const auto& cache = *data.ds(DatasetType::Train).loading().cache;
  CHECK(cache.size() >= 32);
  CHECK(cache.bytes() == cache.size() * kPicture);
  for (const auto& file : data.ds(DatasetType::Train).list().items) {
    std::filesystem::remove(file);
  }
  for (auto& batch : epochs(data, 2)) cached.push_back(batch);
  REQUIRE(cached.size() == plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) CHECK(torch::equal(plain[i], cached[i]));
}

TEST_CASE("a cache keeps to its budget and is one for all sets") {
  TempDir dir;
  draw_noise(dir.path(), 40);
  const auto data = bunch(dir, 10 * kPicture + 1);
  const auto plain = epochs(bunch(dir, 0), 2);
  const auto cached = epochs(data, 2);
  for (std::size_t i = 0; i < plain.size(); ++i) CHECK(torch::equal(plain[i], cached[i]));
  const auto& cache = data.ds(DatasetType::Train).loading().cache;
  CHECK(cache->size() == 10);
  CHECK(cache->bytes() == 10 * kPicture);
  CHECK(data.ds(DatasetType::Fix).loading().cache == cache);
  CHECK(data.ds(DatasetType::Valid).loading().cache == cache);
}

TEST_CASE("a cache may be used from several threads") {
  PictureCache cache(1000 * 300);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache] {
      for (int i = 0; i < 500; ++i) {
        const Path file = "picture" + std::to_string(i % 100);
        if (cache.find(file).empty())
          cache.add(file, cv::Mat(10, 10, CV_8UC3, cv::Scalar(i % 100)));
      }
    });
  }
  threads.clear();
  CHECK(cache.size() == 100);
  CHECK(cache.bytes() == 100 * 300);
  CHECK(cache.find("picture7").at<cv::Vec3b>(0, 0)[0] == 7);
  CHECK(cache.find("nowhere").empty());
}

TEST_CASE("one cache serves sets of several sizes") {
  TempDir dir;
  cv::Mat pixels(512, 640, CV_8UC3);
  cv::randu(pixels, 0, 255);
  const auto file = dir.path() / "large_1.jpg";
  Image::from_rgb(pixels).save(file);
  const LabelList list{{file}, {0}, {"large"}};
  const auto cache = std::make_shared<PictureCache>(std::size_t{1} << 24);
  const auto sample = [&](int side, const std::shared_ptr<PictureCache>& held) {
    Rng rng(0);
    return ImageDataset(list, {}, {.size = side}, {.cache = held, .scaled_decode = true})
        .get(0, rng)
        .x;
  };
  const auto small = sample(32, cache), large = sample(224, cache);
  CHECK(torch::equal(small, sample(32, nullptr)));
  CHECK(torch::equal(large, sample(224, nullptr)));
  CHECK(torch::equal(small, sample(32, cache)));
  CHECK(cache->size() == 2);
}

TEST_CASE("a transform of one's own that fails names the picture") {
  TempDir dir;
  draw_noise(dir.path(), 2);
  register_transform(
      {.name = "cache_test_fails", .apply = [](const Image&, const auto&, Rng&) -> Image {
         throw std::runtime_error("no luck");
       }});
  const LabelList list{get_image_files(dir.path()), {0, 1}, {"a", "b"}};
  for (const ApplyTfmsOptions& options : {ApplyTfmsOptions{.size = 16}, ApplyTfmsOptions{}}) {
    const ImageDataset set(list, {Transform("cache_test_fails")}, options);
    Rng rng(0);
    const auto error = caught([&] { set.get(0, rng); });
    CHECK(error.code == "image.cannot_transform");
    CHECK(error.message.find("no luck") != std::string::npos);
    CHECK(error.message.find(list.items[0].filename().string()) != std::string::npos);
  }
}

TEST_CASE("large JPEG files can be decoded smaller") {
  TempDir dir;
  // Smooth, so that a picture of half the size looks the same when resized.
  cv::Mat pixels(512, 640, CV_8UC3);
  for (int r = 0; r < pixels.rows; ++r) {
    for (int c = 0; c < pixels.cols; ++c) {
      pixels.at<cv::Vec3b>(r, c) = {static_cast<unsigned char>(r / 2),
                                    static_cast<unsigned char>(c / 3), 90};
    }
  }
  const auto file = dir.path() / "large_1.jpg";
  Image::from_rgb(pixels).save(file);
  CHECK(decode_image(file).size() == cv::Size(640, 512));
  CHECK(decode_image(file, 512).size() == cv::Size(640, 512));
  CHECK(decode_image(file, 257).size() == cv::Size(640, 512));
  CHECK(decode_image(file, 256).size() == cv::Size(320, 256));
  CHECK(decode_image(file, 100).size() == cv::Size(160, 128));
  CHECK(decode_image(file, 1).size() == cv::Size(80, 64));
  const LabelList list{{file}, {0}, {"large"}};
  const ApplyTfmsOptions size{.size = 64};
  Rng rng(0);
  const auto exact = ImageDataset(list, {}, size).get(0, rng).x;
  const auto scaled = ImageDataset(list, {}, size, {.scaled_decode = true}).get(0, rng).x;
  CHECK_FALSE(torch::equal(exact, scaled));
  CHECK((exact - scaled).abs().max().item<double>() < 0.03);
}
