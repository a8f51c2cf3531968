// A data set of your own: items that lie in no file. Here a thermometer is drawn, and the network reads it.
//
//   01_dataset
//
// Prints the table of the training and some readings.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

// Item i is drawn when it is asked for. Loading threads ask at once, so nothing here changes.
class Thermometers : public Dataset {
 public:
  Thermometers(std::int64_t size, std::uint64_t seed) : size_(size), seed_(seed) {}

  std::int64_t size() const override { return size_; }

  // `rng` is for augmentation: other numbers in every epoch. What the item is comes from its own number.
  Sample get(std::int64_t index, Rng& rng) const override {
    Rng own({seed_, static_cast<std::uint64_t>(index)});
    const double level = own.uniform();
    cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 60)));
    const int x = static_cast<int>(own.integer(8, 24));
    cv::rectangle(pixels, {x - 3, 2}, {x + 3, 29}, cv::Scalar::all(120), cv::FILLED);
    cv::rectangle(pixels, {x - 3, 29 - static_cast<int>(27 * level)}, {x + 3, 29}, {255, 60, 60},
                  cv::FILLED);
    return {.x = to_tensor(pixels), .y = torch::tensor({static_cast<float>(level)})};
  }

 private:
  std::int64_t size_;
  std::uint64_t seed_;
};

int main() {
  try {
    DataBunch::Datasets sets;
    sets.train = std::make_shared<Thermometers>(800, 1);
    sets.valid = std::make_shared<Thermometers>(100, 2);
    const auto data = DataBunch::create(sets, "short-out", {.bs = 32, .kind = LabelKind::kFloat});
    torch::nn::Sequential network(
        torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 16, 3).stride(2).padding(1)),
        torch::nn::ReLU(),
        torch::nn::Conv2d(torch::nn::Conv2dOptions(16, 32, 3).stride(2).padding(1)),
        torch::nn::ReLU(), torch::nn::Flatten(), torch::nn::Linear(32 * 8 * 8, 1));
    Learner learn(data, network, {.metrics = {mae}});
    learn.fit_one_cycle(6, 3e-3);

    Rng rng(0);
    for (std::int64_t i = 0; i < 5; ++i) {
      const auto [x, y] = sets.valid->get(i, rng);
      std::cout << "shows " << y.item<float>() << ", read as "
                << learn.predict(torch::Tensor(x)).category << '\n';
    }
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
