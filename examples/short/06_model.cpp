// A network of your own that begins with trained weights: it learns three shapes from many pictures, then two others from
// few, with what it knows and without.
//
//   06_model
//
// Prints the accuracy on the new shapes, both ways.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <iostream>
#include <numbers>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

// Any module of LibTorch whose forward takes a tensor is a model.
struct NetImpl : torch::nn::Module {
  explicit NetImpl(std::int64_t classes) {
    std::int64_t in = 3;
    for (const std::int64_t out : {16, 32, 64}) {
      body->push_back(
          torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)));
      body->push_back(torch::nn::BatchNorm2d(out));
      body->push_back(torch::nn::ReLU());
      in = out;
    }
    register_module("body", body);
    head = register_module("head", torch::nn::Linear(64, classes));
  }
  torch::Tensor forward(const torch::Tensor& x) { return head(body->forward(x).mean({2, 3})); }

  torch::nn::Sequential body;
  torch::nn::Linear head{nullptr};
};
TORCH_MODULE(Net);

// Stars with `corners` points, or for 0 a disc.
ImageDataBunch shapes(const Path& path, const std::vector<int>& kinds, int count) {
  Rng rng(7);
  for (const int corners : kinds) {
    for (int i = 0; i < count; ++i) {
      cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const double turn = rng.uniform(0, 6), x = rng.uniform(13, 18), y = rng.uniform(13, 18);
      std::vector<cv::Point> outline;
      const int n = corners == 0 ? 40 : corners * 2;
      for (int k = 0; k < n; ++k) {
        const double r = corners != 0 && k % 2 == 1 ? 5 : 11,
                     angle = turn + 2 * std::numbers::pi * k / n;
        outline.emplace_back(static_cast<int>(x + r * std::cos(angle)),
                             static_cast<int>(y + r * std::sin(angle)));
      }
      cv::fillPoly(pixels, std::vector<std::vector<cv::Point>>{outline},
                   cv::Scalar::all(rng.uniform(150, 255)), cv::LINE_AA);
      Image::from_rgb(pixels).save(path / (std::to_string(corners) + " points") /
                                   (std::to_string(i) + ".png"));
    }
  }
  return ImageDataBunch::from_folder(path, {.valid_pct = 0.5, .size = 32, .bs = 16, .seed = 1})
      .normalize(imagenet_stats);
}

int main() {
  try {
    Net teacher(3);
    Learner(shapes("short-out/many", {0, 3, 4}, 300), teacher, {.metrics = {accuracy}})
        .fit_one_cycle(6, 1e-2);
    save_safetensors("short-out/body.safetensors", state_dict(*teacher->body));

    const auto few = shapes("short-out/few", {5, 8}, 40);
    for (const bool trained : {true, false}) {
      Net net(2);
      if (trained) load_state_dict(*net->body, load_safetensors("short-out/body.safetensors"));
      Learner learn(few, net, {.metrics = {accuracy}, .silent = true});
      learn.split({net->head.ptr()});  // two layer groups: body and head
      if (trained) {
        learn.freeze();
        learn.fit_one_cycle(4, 1e-2);
        learn.unfreeze();
      }
      learn.fit_one_cycle(6, {.max_lr = trained ? slice(1e-3, 1e-2) : LearningRate(1e-2)});
      std::cout << (trained ? "with" : "without") << " the trained body: accuracy "
                << learn.validate().at(1) << '\n';
    }
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
