// Small pictures first: most of a training at 64 pixels, which is quick, the rest at 128, where details show. The learner
// stays; only its data change, because the network takes pictures of any size.
//
//   11_sizes
//
// Prints what each size cost and gave.
#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

// The same pictures at another size. The same seed: what validated at one size must not be trained on at the next.
ImageDataBunch at_size(const Path& path, int size, int bs) {
  return ImageDataBunch::from_folder(path, {.valid_pct = 0.2,
                                            .ds_tfms = get_transforms({.flip_vert = true}),
                                            .size = size,
                                            .bs = bs,
                                            .seed = 1})
      .normalize(imagenet_stats);
}

int main() {
  try {
    const Path path = "short-out/sizes";
    Rng rng(1);
    for (int i = 0; i < 160; ++i) {
      cv::Mat pixels(128, 128, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const cv::Point middle(static_cast<int>(rng.integer(44, 83)),
                             static_cast<int>(rng.integer(44, 83)));
      const double start = rng.uniform(0, 360), gap = i % 2 == 0 ? 0 : 60;
      cv::ellipse(pixels, middle, {36, 36}, start, gap, 360, cv::Scalar::all(220), 8, cv::LINE_AA);
      Image::from_rgb(pixels).save(path / (i % 2 == 0 ? "closed" : "open") /
                                   (std::to_string(i) + ".png"));
    }

    auto learn = cnn_learner(at_size(path, 64, 32), models::resnet18,
                             {.pretrained = false, .metrics = {accuracy}, .silent = true});
    struct Stage {
      int size, bs, epochs;
      double max_lr;
    };
    // Four times the pixels: half the batch, and a lower rate, for the weights are good already.
    for (const auto& [size, bs, epochs, max_lr] :
         {Stage{64, 32, 4, 3e-3}, Stage{128, 16, 2, 1e-3}}) {
      learn.set_data(at_size(path, size, bs));
      std::cout << "before " << size << ": accuracy " << learn.validate().at(1) << '\n';
      learn.fit_one_cycle(epochs, {.max_lr = max_lr});
      const auto& last = learn.recorder().history.back();
      std::cout << "after " << epochs << " epochs at " << size << ": accuracy "
                << last.metrics.at(0) << ", " << last.seconds << " s an epoch\n";
    }
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
