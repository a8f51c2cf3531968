// A number from a picture: how far has the bar been turned? Draws its own pictures, so it needs no data.
//
//   05_regression [EPOCHS]
//
// Leaves figures in angle-out.
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <numbers>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

namespace {

// A white bar on black, turned by `angle` degrees, 0 <= angle < 90.
Image bar(double angle, Rng& rng) {
  constexpr int kSide = 64;
  cv::Mat pixels = cv::Mat::zeros(kSide, kSide, CV_8UC3);
  const double turn = angle * std::numbers::pi / 180, half = rng.uniform(14, 24);
  const cv::Point2d middle(rng.uniform(26, 38), rng.uniform(26, 38)),
      along(half * std::cos(turn), -half * std::sin(turn));
  const double light = rng.uniform(150, 255);
  cv::line(pixels, middle - along, middle + along, {light, light, light}, 5, cv::LINE_AA);
  return Image::from_rgb(pixels);
}

}  // namespace

int main(int argc, char** argv) {
  const int epochs = argc > 1 ? std::atoi(argv[1]) : 8;
  const Path out = "angle-out";
  try {
    make_folder(out / "bars");
    std::vector<Cell> names, angles;
    Rng rng(1);
    for (int i = 0; i < 600; ++i) {
      const double angle = rng.uniform(0, 90);
      const auto name = "bars/bar_" + std::to_string(i) + ".png";
      bar(angle, rng).save(out / name);
      names.emplace_back(name);
      angles.emplace_back(angle / 90);
    }
    const Table table({Column("name", names), Column("angle", angles)});

    // Numbers with a point are numbers to predict: nothing more is said.
    const auto data = ImageList::from_df(table, out)
                          .split_by_rand_pct(0.2, 42)
                          .label_from_df()
                          .transform({}, {.size = 64})
                          .databunch({.bs = 32})
                          .normalize(imagenet_stats);
    data.show_batch({.rows = 3}).save(out / "batch.png");

    auto learn = cnn_learner(
        data, models::resnet18,
        {.pretrained = false, .ps = {0}, .metrics = {root_mean_squared_error}, .path = out});
    learn.fit_one_cycle(epochs, {.max_lr = 3e-3});
    learn.show_results(DatasetType::Valid, {.rows = 3}).save(out / "results.png");
  } catch (const Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
