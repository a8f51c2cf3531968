// A program that uses LibTorch, OpenCV and fmt itself, beside fastcpp. Prints "mixed: ok" and returns 0.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdio>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include <fastcpp/core/error.hpp>
#include <fastcpp/vision/image/image.hpp>

int main() {
  cv::Mat picture(8, 16, CV_8UC3, cv::Scalar(255, 0, 0));
  cv::resize(picture, picture, cv::Size(4, 2));
  const auto tensor = at::add(fastcpp::to_tensor(picture), 1);
  bool thrown = false;
  try {
    fastcpp::to_tensor(cv::Mat());
  } catch (const fastcpp::Error& error) {
    thrown = error.code() == "value.mat";
  }
  const auto text = fmt::format("{}x{} {:.3f} {}", tensor.size(1), tensor.size(2),
                                tensor.mean().item<double>(), thrown);
  const bool good = text == "2x4 1.333 true";
  std::puts(good ? "mixed: ok" : ("mixed: " + text).c_str());
  return good ? 0 : 1;
}
