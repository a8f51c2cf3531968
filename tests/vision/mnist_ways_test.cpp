// The reduced MNIST sample made into data in all of fastai's ways: same classes, counts, files and first losses.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>

#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

namespace nn = torch::nn;

// The losses of the first batches of one model that is the same for all.
std::vector<double> first_losses(const ImageDataBunch& data) {
  torch::manual_seed(1);
  nn::Sequential net(nn::Conv2d(nn::Conv2dOptions(3, 4, 5).stride(4)), nn::ReLU(), nn::Flatten(),
                     nn::Linear(4 * 25, 2));
  Learner learn(data, Model(net), {.silent = true});
  learn.fit(1, 1e-2);
  const auto& losses = learn.recorder().losses;
  return {losses.begin(), losses.begin() + 5};
}

std::vector<std::string> first_files(const ImageDataBunch& data, DatasetType type, std::size_t n) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < n; ++i) {
    names.push_back(relative_below(data.ds(type).list().items.at(i), data.path()));
  }
  return names;
}

}  // namespace

TEST_CASE("threes and sevens in six ways") {
  const auto shared = shared_dir();
  if (!shared || !std::filesystem::exists(*shared / "data/mnist_sample/labels.csv")) {
    return skip("no shared/data/mnist_sample");
  }
  const auto path = *shared / "data/mnist_sample";
  const ImageDataBunchOptions options{
      .size = 24, .num_workers = 2, .device = torch::kCPU, .seed = 42};
  const auto df = Table::read_csv(path / "labels.csv");
  std::vector<Path> fn_paths;
  std::vector<std::string> labels;
  const auto label_of = [](const Path& file) -> std::string {
    return file.string().find("/3/") != std::string::npos ? "3" : "7";
  };
  for (std::int64_t i = 0; i < df.rows(); ++i) {
    fn_paths.push_back(path / df["name"].raw(i));
    labels.push_back(label_of(fn_paths.back()));
  }

  const auto folder = ImageDataBunch::from_folder(
      path, {.size = 24, .num_workers = 2, .device = torch::kCPU, .seed = 42});
  CHECK(folder.classes_str() == "['3', '7']");
  CHECK(folder.train_ds().size() == 1000);
  CHECK(folder.valid_ds().size() == 500);
  const auto by_share = ImageDataBunch::from_folder(
      path, {.valid_pct = 0.3, .size = 24, .num_workers = 2, .device = torch::kCPU, .seed = 42});
  CHECK(by_share.train_ds().size() == 1050);
  CHECK(by_share.valid_ds().size() == 450);

  const std::vector<std::pair<ImageDataBunch, std::string>> ways{
      {ImageDataBunch::from_csv(path, options), "[0, 1]"},
      {ImageDataBunch::from_df(path, df, options), "[0, 1]"},
      {ImageDataBunch::from_name_re(path, fn_paths, R"(/(\d)/\d+\.png$)", options), "['3', '7']"},
      {ImageDataBunch::from_name_func(path, fn_paths, label_of, options), "['3', '7']"},
      {ImageDataBunch::from_lists(path, fn_paths, labels, options), "['3', '7']"}};
  const auto losses = first_losses(ways.front().first);
  CHECK(std::all_of(losses.begin(), losses.end(), [](double x) { return x > 0 && x < 3; }));
  for (const auto& [data, classes] : ways) {
    CHECK(data.classes_str() == classes);
    CHECK(data.c() == 2);
    CHECK(data.batch_size() == 64);
    CHECK(data.train_ds().size() == 1200);
    CHECK(data.valid_ds().size() == 300);
    // The files that the reference validates and trains first.
    CHECK(first_files(data, DatasetType::Valid, 4) ==
          std::vector<std::string>{"valid/3/8435.png", "valid/7/8304.png", "train/3/14803.png",
                                   "train/3/32881.png"});
    CHECK(first_files(data, DatasetType::Train, 4) ==
          std::vector<std::string>{"train/3/46882.png", "train/3/26209.png", "train/3/55383.png",
                                   "train/3/23101.png"});
    // A second fit on the same data would draw other batches.
    if (&data != &ways.front().first) CHECK(first_losses(data) == losses);
  }
  // The printed form of the notebook's csv bunch.
  const auto text = ways.front().first.str();
  CHECK(text.find("y: CategoryList\n0,0,0,0,0\n") != std::string::npos);
  CHECK(text.find("y: CategoryList\n0,1,0,0,0\n") != std::string::npos);
}
