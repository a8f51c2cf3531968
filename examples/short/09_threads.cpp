// One predictor in several threads, while the learner that it was made of trains on.
//
//   09_threads
//
// Prints how many pictures a second four threads predict, and that all of them agree.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main() {
  try {
    const Path path = "short-out/threads";
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
    auto learn = cnn_learner(data, models::resnet18, {.pretrained = false, .metrics = {accuracy}});
    learn.fit_one_cycle(3, 3e-3);

    // A network of its own: what happens to the learner afterwards does not reach it.
    const Predictor predictor(learn);
    const auto files = get_image_files(path / "ring");
    std::vector<std::vector<std::string>> answers(4);
    const auto start = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> threads;
      for (auto& own : answers) {
        threads.emplace_back(
            [&own, &files, predictor] {  // a copy costs nothing and shares the network
              try {
                for (const auto& file : files) own.push_back(predictor.predict(file).category);
              } catch (const fastcpp::Error& e) {
                std::cerr << e.what() << '\n';  // an exception must not leave a thread
              }
            });
      }
      learn.fit_one_cycle(1, 1e-3);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << static_cast<int>(4 * static_cast<double>(files.size()) / seconds.count())
              << " pictures a second\n";
    for (const auto& own : answers) {
      if (own != answers.front() || own.size() != files.size()) return 1;
    }
    std::cout << "four threads, one answer: "
              << std::count(answers.front().begin(), answers.front().end(), "ring") << " of "
              << files.size() << " are rings\n";
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
