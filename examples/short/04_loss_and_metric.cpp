// A loss and a metric of your own: the focal loss, and how often the worst class is found.
//
//   04_loss_and_metric
//
// Trains on discs and a few squares, once with cross-entropy and once with the focal loss.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;
namespace nn = torch::nn;

// A loss says what each item costs; `predict` passes the outputs through its activation.
Loss focal(double gamma) {
  return {"focal",
          [gamma](const Tensors& outputs, const Tensors& targets) -> torch::Tensor {
            const auto log_p =
                torch::log_softmax(outputs, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
            return -(1 - log_p.exp()).pow(gamma) * log_p;
          },
          [](const torch::Tensor& outputs) { return torch::softmax(outputs, 1); }};
}

// What needs all of the validation set keeps a state; a figure of a batch alone would be a function.
struct WorstClass : MetricState {
  std::vector<double> right = {0, 0}, all = {0, 0};
  void update(const torch::Tensor& output, const torch::Tensor& target) override {
    const auto found = output.argmax(1).cpu(), truth = target.cpu();
    for (std::int64_t i = 0; i < truth.size(0); ++i) {
      const auto cls = static_cast<std::size_t>(truth[i].item<std::int64_t>());
      all[cls] += 1;
      right[cls] += found[i].item<std::int64_t>() == static_cast<std::int64_t>(cls) ? 1 : 0;
    }
  }
  double value() const override { return std::min(right[0] / all[0], right[1] / all[1]); }
};

int main() {
  try {
    const Path path = "short-out/few_squares";
    Rng rng(1);
    for (int i = 0; i < 240; ++i) {
      cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const cv::Point middle(static_cast<int>(rng.integer(11, 20)),
                             static_cast<int>(rng.integer(11, 20))),
          half(8, 8);
      const bool disc = i % 6 != 0;
      if (disc) {
        cv::circle(pixels, middle, 9, cv::Scalar::all(200), cv::FILLED, cv::LINE_AA);
      } else {
        cv::rectangle(pixels, middle - half, middle + half, cv::Scalar::all(200), cv::FILLED);
      }
      Image::from_rgb(pixels).save(path / (disc ? "disc" : "square") /
                                   (std::to_string(i) + ".png"));
    }
    const auto data =
        ImageDataBunch::from_folder(path, {.valid_pct = 0.3, .size = 32, .bs = 16, .seed = 1})
            .normalize(imagenet_stats);
    const Metric worst("worst_class", [] { return std::make_unique<WorstClass>(); });
    for (const auto& loss : {cross_entropy(), focal(2)}) {
      std::cout << loss.name() << '\n';
      nn::Sequential network(nn::Conv2d(nn::Conv2dOptions(3, 16, 3).stride(2)), nn::ReLU(),
                             nn::Conv2d(nn::Conv2dOptions(16, 32, 3).stride(2)), nn::ReLU(),
                             nn::Flatten(), nn::Linear(32 * 7 * 7, 2));
      Learner learn(data, network, {.loss_func = loss, .metrics = {accuracy, worst}});
      learn.fit_one_cycle(5, 3e-3);
    }
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
