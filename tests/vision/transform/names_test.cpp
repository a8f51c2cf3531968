// Names that stay unambiguous beside those of the libraries that users open.
#include <torch/types.h>

#include <algorithm>
#include <opencv2/opencv.hpp>

#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image/picture_cache.hpp"
#include "fastcpp/vision/transform/augment.hpp"
#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"

using namespace std;
using namespace torch;
using namespace cv;
using namespace fastcpp;

TEST_CASE("pictures and transforms beside std, torch and cv", "[transforms]") {
  const Image image = Image::from_rgb(Mat(40, 50, CV_8UC3, cv::Scalar::all(100)));
  const Resolution size = image.size();
  const ParamRange degrees(-10, 10);
  const TfmList tfms = {rotate(degrees),
                        zoom({.scale = {1, 1.2}}),
                        squish(),
                        flip_affine(),
                        dihedral_affine(),
                        rand_zoom(1.1),
                        symmetric_warp(),
                        perspective_warp(),
                        tilt(1, 0.1),
                        skew(1, 0.1),
                        jitter(0.01),
                        zoom_squish(),
                        brightness(0.5),
                        contrast(1),
                        flip_lr(),
                        dihedral(0),
                        crop_pad(),
                        rand_crop(),
                        cutout(),
                        rgb_randomize(),
                        pad(3),
                        crop(32),
                        rotate(3, {.p = 0.5}),
                        pad(3, PaddingMode::kZeros),
                        Transform("flip_lr"),
                        tilt({0, 3}, {-0.1, 0.1}),
                        rand_augment(),
                        trivial_augment_wide(),
                        random_erasing()};
  const TransformOptions sometimes{.p = 0.5};
  const ApplyTfmsOptions options{.size = 32,
                                 .resize_method = ResizeMethod::kCrop,
                                 .padding_mode = PaddingMode::kBorder,
                                 .mode = SampleMode::kBilinear};
  Rng rng(1);
  const Image done = apply_tfms(image, get_transforms().train, options, rng);
  CHECK(done.size() == Resolution{32, 32});
  CHECK(output_size(get_transforms().valid, options) == Resolution{32, 32});
  CHECK(size.rows == 40);
  CHECK(tfms.size() == 29);
  CHECK(sometimes.p == 0.5);
  const Tensor px = to_tensor(Mat(4, 5, CV_8UC3, cv::Scalar::all(255)));
  CHECK(to_mat(px).rows == 4);
  CHECK(to_string(PaddingMode::kZeros) == "zeros");
  CHECK(padding_mode_from("zeros") == PaddingMode::kZeros);
  PictureCache cache(100);
  const OpenImageOptions grey{.convert_mode = ConvertMode::kL};
  CHECK(grey.convert_mode != ConvertMode::kRgb);
  CHECK(cache.size() == 0);
  CHECK(kMaxImagePixels > 0);
  CHECK(rand_pad(4, 32).size() == 2);
  CHECK(zoom_crop(1.2).size() == 2);
  CHECK(rand_resize_crop(32).size() == 2);
}
