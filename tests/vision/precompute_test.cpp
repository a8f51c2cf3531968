#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

ImageDataBunch few_colours(const TempDir& dir) {
  torch::manual_seed(1);
  for (int i = 0; i < 20; ++i) {
    for (int c : {0, 2}) {
      auto pixels = torch::rand({3, 40, 40}) * 0.4;
      pixels[c] += 0.5;
      Image::from_tensor(pixels).save(dir.path() /
                                      ((c ? "blue_" : "red_") + std::to_string(i) + ".png"));
    }
  }
  // No augmentation: what precomputed features are for.
  return ImageDataBunch::from_name_re(dir.path(), get_image_files(dir.path()),
                                      R"(/([^/]+)_\d+.png$)",
                                      {.ds_tfms = ImageTransforms{},
                                       .size = 32,
                                       .bs = 8,
                                       .num_workers = 1,
                                       .device = torch::kCPU,
                                       .seed = 1})
      .normalize(imagenet_stats);
}

Learner frozen(const ImageDataBunch& data, const std::vector<CallbackFn>& more = {}) {
  auto learn = cnn_learner(data, models::resnet18,
                           {.pretrained = false,
                            .metrics = {error_rate},
                            .train_bn = false,
                            .callback_fns = more,
                            .silent = true});
  learn.freeze();
  return learn;
}

}  // namespace

TEST_CASE("a head trains on precomputed features as it does on pictures") {
  TempDir dir;
  const auto data = few_colours(dir);
  // The same fixed function: body frozen, its batch norms standing still.
  auto slow = frozen(data, {[](Learner&) { return std::make_shared<BnFreeze>(); }});
  slow.fit(3, 1e-3);

  auto fast = frozen(few_colours(dir));
  const auto body = fast.model()->children()[0];
  std::vector<torch::Tensor> before;
  for (const auto& buffer : body->buffers()) before.push_back(buffer.clone());
  fast.precompute();
  fast.fit(3, 1e-3);
  REQUIRE(fast.recorder().losses.size() == slow.recorder().losses.size());
  for (std::size_t i = 0; i < fast.recorder().losses.size(); ++i) {
    CHECK(fast.recorder().losses[i] == Approx(slow.recorder().losses[i]).epsilon(1e-3));
  }
  CHECK(fast.recorder().val_losses.back() ==
        Approx(slow.recorder().val_losses.back()).epsilon(1e-3));
  const auto buffers = body->buffers();
  for (std::size_t i = 0; i < buffers.size(); ++i) CHECK(torch::equal(buffers[i], before[i]));

  // Features and pictures lead to the same predictions, and predicting goes over pictures.
  const auto by_features = fast.validate();
  fast.precompute({.on = false});
  const auto by_pictures = fast.validate();
  CHECK(by_features[0] == Approx(by_pictures[0]).epsilon(1e-4));
  CHECK(by_features[1] == by_pictures[1]);
  const auto file = data.ds(DatasetType::Valid).list().items[0];
  CHECK(torch::allclose(fast.predict(file).probabilities, fast.get_preds().preds[0], 1e-4, 1e-5));
}

TEST_CASE("precomputed features need a frozen body and a head") {
  TempDir dir;
  auto learn = frozen(few_colours(dir));
  learn.precompute();
  learn.fit(1, 1e-3);
  learn.unfreeze();
  const auto error = caught([&] { learn.fit(1, 1e-3); });
  CHECK(error.code == "train.precomputed");
  CHECK(error.message.find("precompute({.on = false})") != std::string::npos);
  learn.precompute({.on = false});
  learn.fit(1, 1e-3);

  torch::nn::Sequential flat{torch::nn::Flatten()};
  Learner other(few_colours(dir), Model(flat), {.silent = true});
  CHECK(caught([&] { other.precompute(); }).code == "value.precompute");
}
