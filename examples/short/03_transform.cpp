// A transform of your own among the library's: fog.
//
//   03_transform
//
// Leaves short-out/fog.png: one picture as eight epochs would see it.
#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main() {
  try {
    // `amount` is drawn anew for every picture. Order 10 lies behind geometry and lighting.
    register_transform({.name = "fog",
                        .order = 10,
                        .params = {{"amount", ParamRange(0.0, 0.8)}},
                        .apply = [](const Image& img, const std::vector<double>& args, Rng&) {
                          return Image::from_tensor(img.tensor() * (1 - args[0]) + args[0] * 0.8);
                        }});
    const auto tfms =
        get_transforms({.max_rotate = 20, .xtra_tfms = {Transform("fog", {}, {.p = 0.7})}});
    for (const auto& tfm : tfms.train) std::cout << tfm << '\n';

    cv::Mat pixels(96, 96, CV_8UC3, cv::Scalar(40, 120, 60));
    cv::circle(pixels, {48, 48}, 30, {230, 180, 40}, cv::FILLED, cv::LINE_AA);
    cv::rectangle(pixels, {36, 60}, {60, 90}, {120, 40, 30}, cv::FILLED);
    const auto picture = Image::from_rgb(pixels);

    // A data bunch does this by itself, given `.ds_tfms = tfms`.
    std::vector<cv::Mat> seen;
    for (std::uint64_t epoch = 0; epoch < 8; ++epoch) {
      Rng rng({1, epoch});
      seen.push_back(to_mat(picture.apply_tfms(tfms.train, {.size = 96}, rng).tensor()));
    }
    cv::Mat row;
    cv::hconcat(seen, row);
    Image::from_tensor(to_tensor(row)).save("short-out/fog.png");
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
