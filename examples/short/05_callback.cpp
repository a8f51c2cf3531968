// A callback of your own: after every epoch it draws what the network takes the pictures for, and it ends the training once
// that is good enough.
//
//   05_callback
//
// Leaves short-out/stripes/epoch_0.png, epoch_1.png, …
#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

class Diary : public Callback {
 public:
  explicit Diary(double enough) : enough_(enough) {}

  void on_epoch_end(TrainState& state) override {
    auto learner = learn();  // only during a fit; a handle, so nothing is copied
    learner.show_results(DatasetType::Valid, {.rows = 3})
        .save(learner.path() / ("epoch_" + std::to_string(state.epoch) + ".png"));
    const double accuracy = state.last_metrics.at(1);  // behind the validation loss
    if (accuracy < enough_) return;
    std::cout << "good enough after " << state.epoch + 1 << " of " << state.n_epochs << " epochs\n";
    state.stop_training = true;
  }

 private:
  double enough_;
};

int main() {
  try {
    const Path path = "short-out/stripes";
    Rng rng(1);
    for (int i = 0; i < 200; ++i) {
      cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const bool level = i % 2 == 0;
      for (int at = static_cast<int>(rng.integer(0, 7)); at < 32; at += 8) {
        cv::line(pixels, level ? cv::Point(0, at) : cv::Point(at, 0),
                 level ? cv::Point(31, at) : cv::Point(at, 31),
                 cv::Scalar::all(rng.uniform(150, 255)), 3);
      }
      Image::from_rgb(pixels).save(path / (level ? "level" : "upright") /
                                   (std::to_string(i) + ".png"));
    }
    const auto data =
        ImageDataBunch::from_folder(path, {.valid_pct = 0.2, .size = 32, .bs = 16, .seed = 1})
            .normalize(imagenet_stats);
    auto learn = cnn_learner(data, models::resnet18, {.pretrained = false, .metrics = {accuracy}});
    learn.fit_one_cycle(10, {.max_lr = 3e-3, .callbacks = {std::make_shared<Diary>(0.95)}});
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
