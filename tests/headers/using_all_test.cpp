// The public names beside those of the standard library, LibTorch and OpenCV, all without qualification: this file
// tests that it compiles. `Error` alone is ambiguous, LibTorch has a class and OpenCV a namespace of that name.
#include <fastcpp/vision.hpp>

#include <torch/types.h>

#include <algorithm>
#include <complex>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/support.hpp"

using namespace std;
using namespace torch;
using namespace cv;
using namespace fastcpp;

namespace {

// Has a printed form of its own; fastcpp must not print it.
struct Theirs {
  string str() const { return "theirs"; }
};
ostream& operator<<(ostream& to, const Theirs&) {
  return to << "by them";
}
struct Silent {
  string str() const { return "silent"; }
};

template <typename T>
constexpr bool kPrints = requires(ostream& to, const T& x) {
  to << x;
};

// Compiles; run, it would need pictures and minutes.
[[maybe_unused]] void lesson(const Path& path) {
  ImageDataBunch data =
      ImageDataBunch::from_name_re(path, get_image_files(path), R"(/([^/]+)_\d+.jpg$)",
                                   {.ds_tfms = get_transforms(), .size = 224})
          .normalize(imagenet_stats);
  Learner learn = cnn_learner(data, models::resnet34, {.metrics = {error_rate, accuracy}});
  learn.fit(1, 1);
  learn.fit(1, 1e-3f);
  learn.fit(1, slice(1e-3));
  learn.fit(1, vector{1e-5, 1e-4, 1e-3});
  learn.fit_one_cycle(1);
  learn.fit_one_cycle(1, {.max_lr = 1});
  learn.fit_one_cycle(1, {.max_lr = 1e-3});
  learn.fit_one_cycle(1, {.max_lr = slice(1e-6, 1e-4)});
  auto interpretation = ClassificationInterpretation::from_learner(learn);
  cout << learn << interpretation.most_confused(2).size();
  const Predictor predictor(learn);
}

}  // namespace

TEST_CASE("numbers, ranges and lists are learning rates") {
  const LearningRate one = 1, small = 1e-3, single = 0.5f, list = vector{1.0, 2.0};
  CHECK(lr_range(one, 2) == vector<double>{1, 1});
  CHECK(lr_range(small, 1) == vector<double>{1e-3});
  CHECK(lr_range(single, 1) == vector<double>{0.5});
  CHECK(lr_range(list, 2) == vector<double>{1, 2});
  CHECK(lr_range(slice(1e-3), 2) == vector<double>{1e-3 / 10, 1e-3});
  CHECK(lr_range(slice(1e-6, 1e-4), 2).front() == 1e-6);
  static_assert(!is_convertible_v<bool, LearningRate>);
  static_assert(!is_convertible_v<string, LearningRate>);
}

TEST_CASE("public names without qualification") {
  const ImageTransforms both = get_transforms({.do_flip = false});
  CHECK(!both.train.empty());
  const Image image = Image::from_tensor(torch::zeros({3, 4, 5}));
  Rng rng{1, 2};
  CHECK(rng.uniform() < 1);
  CHECK(numpy_permutation(2, 3).size() == 3);
  CHECK(available_cpus() >= default_workers());
  const DataBunch none =
      DataBunch::create({make_shared<TensorDataset>(torch::zeros({4, 2}), torch::zeros({4}, kLong)),
                         nullptr, nullptr, nullptr},
                        ".", {.bs = 2, .num_workers = 0, .classes = {"a", "b"}});
  CHECK(none.c() == 2);
  const LogLevel level = LogLevel::kInfo;
  CHECK(level == LogLevel::kInfo);
  const shared_ptr<ProgressSink> sink = progress_sink();
  CHECK(sink);
  CHECK_THROWS_AS(read_file("no such file"), fastcpp::Error);
  CHECK_THROWS_AS(read_file("no such file"), IoError);
}

TEST_CASE("printing is for those who asked for it") {
  static_assert(kPrints<Image> && kPrints<Transform> && kPrints<DataBunch> && kPrints<Learner>);
  static_assert(kPrints<UpdateRule>);
  static_assert(!kPrints<Silent>);
  stringstream text;
  text << Theirs() << ", " << Image::from_tensor(torch::zeros({3, 4, 5})) << ", " << *adam()();
  CHECK(text.str().starts_with("by them, Image (3, 4, 5), "));
}
