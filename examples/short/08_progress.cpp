// Progress in an application: a training in a thread of its own, whose bar and table the application shows itself, and which
// the user may cancel.
//
//   08_progress
//
// The "application" is a line on the terminal; its user cancels in the third epoch.
#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

// What the window shows. The training writes, the window reads.
struct Status {
  std::mutex mutex;
  int epoch = 0, percent = 0;
  double valid_loss = 0;
};

// Called by the thread that trains.
class ToStatus : public ProgressSink {
 public:
  explicit ToStatus(Status& status) : status_(status) {}
  void begin(const ProgressTask& task) override {
    total_ = task.total;
    const std::scoped_lock lock(status_.mutex);
    status_.epoch = task.epoch;
  }
  void update(std::int64_t done, std::string_view) override {
    const std::scoped_lock lock(status_.mutex);
    status_.percent = total_ > 0 ? static_cast<int>(100 * done / total_) : 0;
  }
  void table_row(const TableRow& row) override {
    const std::scoped_lock lock(status_.mutex);
    status_.valid_loss = row.values.at(2);  // epoch, train_loss, valid_loss
  }

 private:
  Status& status_;
  std::int64_t total_ = 0;
};

int main() {
  try {
    const Path path = "short-out/progress";
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

    Status status;
    std::atomic<bool> over = false;
    std::string result;
    std::jthread worker([&](std::stop_token stop) {
      try {
        auto learn =
            cnn_learner(data, models::resnet18,
                        {.pretrained = false, .progress = std::make_shared<ToStatus>(status)});
        const auto outcome = learn.fit_one_cycle(1000, {.max_lr = 1e-3, .stop = stop});
        result = outcome == FitOutcome::kStopped ? "cancelled" : "finished";
      } catch (const fastcpp::Error& e) {
        result = e.what();
      }
      over = true;
    });
    while (!over) {  // the application's own loop
      {
        const std::scoped_lock lock(status.mutex);
        std::cout << "epoch " << status.epoch << ", " << status.percent << " %, validation loss "
                  << status.valid_loss << '\n';
        if (status.epoch >= 2) worker.request_stop();  // the user cancels
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    worker.join();
    std::cout << result << '\n';
    return result == "cancelled" ? 0 : 1;
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
