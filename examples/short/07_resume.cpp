// A training that is interrupted, and goes on when the program is started again. Here both happen in one run: the first
// learner is stopped in the middle of the third epoch, a new one, as a new process would make it, does the rest.
//
//   07_resume
//
// Prints the table of each: the second one shows the finished epochs again, and goes on.
#include <filesystem>
#include <iostream>
#include <opencv2/imgproc.hpp>
#include <stop_token>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

// All that a process does: the same call whether it is the first or the tenth.
FitOutcome train(const DataBunch& data, const std::shared_ptr<Callback>& interruption,
                 std::stop_token stop) {
  auto learn = cnn_learner(data, models::resnet18, {.pretrained = false, .metrics = {accuracy}});
  const auto outcome = learn.fit_one_cycle(5, {.max_lr = 3e-3,
                                               .callbacks = {interruption},
                                               .stop = std::move(stop),
                                               .checkpoint = CheckpointOptions{.resume = true}});
  std::cout << (outcome == FitOutcome::kStopped ? "interrupted" : "finished") << '\n';
  return outcome;
}

int main() {
  try {
    const Path path = "short-out/resume";
    std::filesystem::remove_all(path);  // begin anew at each start of this example
    Rng rng(1);
    for (int i = 0; i < 160; ++i) {
      cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const cv::Point middle(static_cast<int>(rng.integer(11, 20)),
                             static_cast<int>(rng.integer(11, 20)));
      cv::circle(pixels, middle, 9, cv::Scalar::all(200), i % 2 == 0 ? cv::FILLED : 2, cv::LINE_AA);
      Image::from_rgb(pixels).save(path / (i % 2 == 0 ? "disc" : "ring") /
                                   (std::to_string(i) + ".png"));
    }
    const auto data =
        ImageDataBunch::from_folder(path, {.valid_pct = 0.2, .size = 32, .bs = 16, .seed = 1})
            .normalize(imagenet_stats);

    std::stop_source stop;
    const auto in_the_third = make_callback({.on_batch_end = [&](Learner&, TrainState& state) {
      if (state.epoch == 2 && state.num_batch == 3) stop.request_stop();
    }});
    const auto first = train(data, in_the_third, stop.get_token());
    const auto second = train(data, make_callback({}), {});
    return first == FitOutcome::kStopped && second == FitOutcome::kFinished ? 0 : 1;
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
