// Augmentation of whole batches on their device, here the CPU, beside that of the workers.
#include <torch/types.h>

#include <cmath>
#include <limits>

#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"
#include "vision/transform/device.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Waves of colour: smooth, so that a wrong place shows as a wrong value, and different everywhere.
cv::Mat picture(int rows, int cols) {
  cv::Mat rgb(rows, cols, CV_8UC3);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < cols; ++c) {
      rgb.at<cv::Vec3b>(r, c) = {
          static_cast<std::uint8_t>(127 + 120 * std::sin(r / 9.0 + c / 31.0)),
          static_cast<std::uint8_t>(127 + 120 * std::cos(c / 7.0)),
          static_cast<std::uint8_t>(127 + 120 * std::sin((r - c) / 13.0))};
    }
  }
  return rgb;
}

struct Result {
  double mean, most;
};

// Largest and mean difference of both ways over some draws.
Result differences(const cv::Mat& rgb, const TfmList& tfms, const ApplyTfmsOptions& options) {
  const Resolution out = *output_size(tfms, options);
  constexpr int kDraws = 12;
  auto want = torch::empty({kDraws, 3, out.rows, out.cols});
  // Nothing may depend on what the memory held.
  auto packed = torch::full({kDraws, fastcpp::detail::packed_size(out)},
                            std::numeric_limits<float>::quiet_NaN());
  for (int i = 0; i < kDraws; ++i) {
    Rng one(static_cast<std::uint64_t>(i)), two(static_cast<std::uint64_t>(i));
    apply_tfms_into(rgb, tfms, options, one, want[i].data_ptr<float>());
    fastcpp::detail::pack_for_device(fastcpp::detail::draw_plan(tfms, options, two),
                                     {&rgb, nullptr, 3, {rgb.rows, rgb.cols}}, out,
                                     packed[i].data_ptr<float>());
  }
  const auto got = fastcpp::detail::finish_on_device(packed, out, options.padding_mode);
  REQUIRE(got.sizes() == want.sizes());
  REQUIRE(got.isfinite().all().item<bool>());
  const auto gap = (got - want).abs();
  return {gap.mean().item<double>(), gap.max().item<double>()};
}

}  // namespace

TEST_CASE("a batch finished on the device has the pixels that workers paint") {
  const auto standard = get_transforms().train;
  const auto vertical =
      get_transforms({.flip_vert = true, .max_rotate = 45, .max_zoom = 1.6}).train;
  for (const auto& tfms : {standard, vertical, get_transforms().valid,
                           TfmList{zoom({.scale = {0.5, 0.7}}), rand_crop()}}) {
    for (const Resolution size : {Resolution{96, 96}, Resolution{80, 120}}) {
      // Enlarged, about as large, long and thin, taller than wide.
      for (const Resolution from :
           {Resolution{60, 50}, Resolution{130, 150}, Resolution{100, 190}, Resolution{170, 90}}) {
        for (const auto padding :
             {PaddingMode::kReflection, PaddingMode::kBorder, PaddingMode::kZeros}) {
          for (const auto method : {ResizeMethod::kCrop, ResizeMethod::kSquish}) {
            INFO(from.rows << " x " << from.cols << " to " << size.rows << " x " << size.cols
                           << ", padding " << static_cast<int>(padding) << ", method "
                           << static_cast<int>(method));
            const auto gap = differences(
                picture(from.rows, from.cols), tfms,
                {.size = {size.rows, size.cols}, .resize_method = method, .padding_mode = padding});
            // Coordinates in single precision: a ten-thousandth of a pixel.
            CHECK(gap.most < 2e-4);
            CHECK(gap.mean < 1e-5);
          }
        }
      }
    }
  }
}

TEST_CASE("a picture that is shrunk on the way is rounded once") {
  const auto gap = differences(picture(700, 900), get_transforms().train, {.size = 64});
  CHECK(gap.most < 1.6 / 255);  // half a level, raised by contrast
  CHECK(gap.mean < 0.4 / 255);
}

TEST_CASE("what the device cannot do is done by the workers") {
  // Not one resampling, and a region larger than a finished picture.
  auto tfms = get_transforms().train;
  tfms.push_back(jitter({-0.02, 0.02}));
  tfms.push_back(cutout({.n_holes = {1, 2}, .length = {5, 20}}));
  CHECK(differences(picture(90, 80), tfms, {.size = 48}).most == 0);
  CHECK(differences(picture(40, 3000), get_transforms().valid,
                    {.size = {48, 48}, .resize_method = ResizeMethod::kSquish})
            .most < 2e-4);
}

TEST_CASE("a bunch that augments on the device gives the same batches") {
  TempDir dir;
  for (int i = 0; i < 12; ++i) {
    Image::from_rgb(picture(70 + 5 * i, 90)).save(dir.path() / ("a_" + std::to_string(i) + ".png"));
  }
  const auto bunch = [&](AugmentOn where, int workers, const ImageTransforms& tfms) {
    return ImageDataBunch::from_name_re(dir.path(), get_image_files(dir.path()),
                                        R"(/([^/]+)_\d+.png$)",
                                        {.ds_tfms = tfms,
                                         .size = 64,
                                         .bs = 4,
                                         .num_workers = workers,
                                         .device = torch::kCPU,
                                         .seed = 3,
                                         .augment_on = where})
        .normalize(imagenet_stats);
  };
  const auto usual = bunch(AugmentOn::kWorkers, 0, get_transforms());
  const auto device = bunch(AugmentOn::kDevice, 2, get_transforms());
  for (const auto type : {DatasetType::Train, DatasetType::Valid, DatasetType::Fix}) {
    auto want = usual.dl(type).pass(), got = device.dl(type).pass();
    while (const auto a = want.next()) {
      const auto b = got.next();
      REQUIRE(b);
      CHECK(b->indices == a->indices);
      CHECK(torch::equal(b->y, a->y));
      REQUIRE(b->x.sizes() == a->x.sizes());
      CHECK((b->x - a->x).abs().max().item<double>() < 1e-3);  // in units of the deviation
    }
    CHECK_FALSE(got.next());
  }
  CHECK(device.one_batch().x.sizes() == usual.one_batch().x.sizes());
  CHECK(device.ds(DatasetType::Train).open(0).size() ==
        usual.ds(DatasetType::Train).open(0).size());

  // Sets whose pictures come out in different sizes are left to the workers.
  auto odd = get_transforms();
  odd.train = {crop(32)};
  CHECK(bunch(AugmentOn::kDevice, 0, odd).train_dl().first_batch().x.sizes() ==
        bunch(AugmentOn::kWorkers, 0, odd).train_dl().first_batch().x.sizes());
}
