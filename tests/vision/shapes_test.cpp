// Samples of any shape, by public types only: several inputs, lengths that differ, a mask that follows its picture, items
// that are drawn by weight.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>
#include <torch/utils.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

DataBunchOptions small(LabelKind kind = LabelKind::kCategory) {
  return {.bs = 16, .num_workers = 2, .device = torch::kCPU, .seed = 3, .kind = kind};
}

double last_loss(const Learner& learn) {
  return learn.recorder().val_losses.back();
}

// Categories (int64) and numbers (float), as a table has them.
struct TwoInputsImpl : nn::Cloneable<TwoInputsImpl> {
  TwoInputsImpl() { reset(); }
  void reset() override {
    embedding = register_module("embedding", nn::Embedding(4, 3));
    linear = register_module("linear", nn::Linear(3 + 2, 2));
  }
  torch::Tensor forward(const torch::Tensor& cats, const torch::Tensor& conts) {
    return linear(torch::cat({embedding(cats).flatten(1), conts}, 1));
  }
  nn::Embedding embedding{nullptr};
  nn::Linear linear{nullptr};
};
TORCH_MODULE(TwoInputs);

// Sequences of token ids; the target is whether token 1 occurs.
class Sequences : public Dataset {
 public:
  std::int64_t size() const override { return 96; }
  Sample get(std::int64_t index, Rng&) const override {
    auto x = torch::full({2 + index % 5}, 2 + index % 3, torch::kLong);
    if (index % 2 == 1) x[index % x.size(0)] = 1;
    return {x, torch::tensor(index % 2)};
  }
};

Batch pad_collate(const std::vector<Sample>& samples) {
  std::int64_t longest = 0;
  for (const auto& sample : samples) longest = std::max(longest, sample.x.size(0));
  auto x = torch::zeros({static_cast<std::int64_t>(samples.size()), longest}, torch::kLong);
  std::vector<torch::Tensor> y;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    x[static_cast<std::int64_t>(i)].narrow(0, 0, samples[i].x.size(0)).copy_(samples[i].x);
    y.push_back(samples[i].y);
  }
  return {x, torch::stack(y), {}};
}

struct MeanOfTokensImpl : nn::Module {
  MeanOfTokensImpl() {
    embedding = register_module("embedding", nn::Embedding(8, 8));
    linear = register_module("linear", nn::Linear(8, 2));
  }
  torch::Tensor forward(const torch::Tensor& tokens) {
    const auto real = tokens.gt(0).unsqueeze(2);
    return linear((embedding(tokens) * real).sum(1));
  }
  nn::Embedding embedding{nullptr};
  nn::Linear linear{nullptr};
};

// A bright disc on a dark ground, and where it is.
class Discs : public Dataset {
 public:
  std::int64_t size() const override { return 24; }
  std::optional<SampleLayout> layout() const override {
    return SampleLayout{{{{3, 48, 48}}}, {{{48, 48}, torch::kUInt8}}};
  }
  Sample get(std::int64_t index, Rng& rng) const override {
    const auto rows = torch::arange(48).view({48, 1}), cols = torch::arange(48).view({1, 48});
    const auto inside = ((rows - (14 + index % 20)).square() + (cols - (33 - index % 18)).square())
                            .lt(100)
                            .to(torch::kFloat32);
    // The same draws for both: a mask is a picture that is sampled without blending.
    Rng same = rng;
    static const auto tfms = get_transforms({.max_lighting = 0}).train;
    const auto picture = apply_tfms(Image::from_tensor(inside.expand({3, 48, 48})), tfms,
                                    {.size = 48, .mode = SampleMode::kBilinear}, rng);
    const auto mask = apply_tfms(Image::from_tensor(inside.expand({3, 48, 48})), tfms,
                                 {.size = 48, .mode = SampleMode::kNearest}, same);
    return {picture.tensor(), mask.tensor()[0].to(torch::kUInt8)};
  }
};

}  // namespace

TEST_CASE("two inputs of different types train a model of two arguments") {
  TempDir dir;
  torch::manual_seed(1);
  const auto cats = torch::randint(4, {128, 1}, torch::kLong);
  const auto conts = torch::randn({128, 2});
  const auto y = (cats.squeeze(1).gt(1)).logical_xor(conts.select(1, 0).gt(0)).to(torch::kLong);
  const auto set = std::make_shared<TensorDataset>(Tensors{cats, conts}, y);
  const auto data = DataBunch::create({set, set, nullptr, nullptr}, dir.path(), small());
  CHECK(data.c() == 2);

  const auto batch = data.one_batch();
  REQUIRE(batch.x.count() == 2);
  CHECK(batch.x.at(0).scalar_type() == torch::kLong);
  CHECK(batch.x.at(0).sizes() == std::vector<std::int64_t>{16, 1});
  CHECK(batch.x.at(1).scalar_type() == torch::kFloat32);
  for (std::size_t i = 0; i < batch.indices.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i), item = batch.indices[i];
    CHECK(torch::equal(batch.x.at(1)[at], conts[item]));
    CHECK(batch.y[at].item<std::int64_t>() == y[item].item<std::int64_t>());
  }

  Learner learn(data, TwoInputs(), {.metrics = {accuracy}, .silent = true});
  learn.fit(1, 1e-2);
  const auto first = last_loss(learn);
  learn.fit(3, 1e-2);
  CHECK(last_loss(learn) < first);
  CHECK(learn.get_preds().preds.sizes() == std::vector<std::int64_t>{128, 2});
  CHECK(learn.validate().size() == 2);
  // A copy of the model, its summary and a single item take both.
  const auto copy = learn.model().clone();
  Rng rng(0);
  const auto first_item = data_collate({set->get(0, rng)}).x;
  CHECK(torch::equal(copy(first_item),
                     learn.model()(Tensors{cats.narrow(0, 0, 1), conts.narrow(0, 0, 1)})));
  CHECK(learn.summary().find("Embedding") != std::string::npos);
  CHECK(data.one_item(Tensors{cats[0], conts[0]}).count() == 2);

  // What takes one tensor says so.
  CHECK(caught([&] { DataBunch(data).normalize_with({}); }).code == "data.tensors");
  const auto one = caught([&] { Learner(data, nn::Linear(2, 2), {.silent = true}).fit(1); });
  CHECK(one.code == "value.model");
  CHECK(one.message.find("2 tensors") != std::string::npos);
}

TEST_CASE("sequences of different length are padded by a collate function") {
  TempDir dir;
  const auto set = std::make_shared<Sequences>();
  auto options = small();
  options.classes = {"without", "with"};
  const auto plain = DataBunch::create({set, set, nullptr, nullptr}, dir.path(), options);
  CHECK(caught([&] { plain.one_batch(); }).code == "data.cannot_collate");

  options.collate_fn = pad_collate;
  const auto data = DataBunch::create({set, set, nullptr, nullptr}, dir.path(), options);
  std::vector<torch::Tensor> by_none, by_three;
  for (auto& batch : data.valid_dl().with({.num_workers = 0})) by_none.push_back(batch.x);
  for (auto& batch : data.valid_dl().with({.num_workers = 3})) by_three.push_back(batch.x);
  REQUIRE(by_none.size() == by_three.size());
  for (std::size_t i = 0; i < by_none.size(); ++i) {
    CHECK(torch::equal(by_none[i], by_three[i]));
    CHECK(by_none[i].scalar_type() == torch::kLong);
  }
  CHECK(by_none[0].sizes() == std::vector<std::int64_t>{16, 6});

  torch::manual_seed(1);
  Learner learn(data, Model(std::make_shared<MeanOfTokensImpl>()),
                {.metrics = {accuracy}, .silent = true});
  learn.fit(12, 3e-2);
  CHECK(learn.validate()[1] > 0.95);
  CHECK(learn.get_preds().preds.size(0) == 96);
}

TEST_CASE("a picture and its mask go through the same random transforms") {
  const auto set = std::make_shared<Discs>();
  const DataLoader loader(set, {.bs = 8, .shuffle = true, .num_workers = 2, .seed = 5});
  std::int64_t moved = 0;
  for (auto& batch : loader) {
    REQUIRE(batch.x.sizes() == std::vector<std::int64_t>{8, 3, 48, 48});
    REQUIRE(batch.y.sizes() == std::vector<std::int64_t>{8, 48, 48});
    REQUIRE(batch.y.scalar_type() == torch::kUInt8);
    const auto seen = batch.x.select(1, 0).gt(0.5), mask = batch.y.to(torch::kBool);
    // Apart from the seam, where one blends and the other does not.
    CHECK(seen.logical_xor(mask).to(torch::kFloat32).mean().item<double>() < 0.02);
    for (std::int64_t i = 0; i < 8; ++i) {
      CHECK(mask[i].any().item<bool>());
      Rng still(0);
      const auto index = batch.indices[static_cast<std::size_t>(i)];
      const auto other = set->get(index, still).y;
      if (!torch::equal(other, batch.y[i])) ++moved;
    }
  }
  CHECK(moved > 12);
}

TEST_CASE("a sampler with weights shows rare items as often as common ones") {
  // 90 items of class 0, 10 of class 1.
  const auto y = torch::arange(100).ge(90).to(torch::kLong);
  const auto set = std::make_shared<TensorDataset>(torch::arange(100.0F).unsqueeze(1), y);
  std::vector<double> weights;
  for (int i = 0; i < 100; ++i) weights.push_back(i < 90 ? 1.0 / 90 : 1.0 / 10);
  weights[3] = 0;
  const auto sampler = std::make_shared<WeightedRandomSampler>(weights, 1000);
  const DataLoader loader(set, {.bs = 64, .num_workers = 0, .seed = 1, .sampler = sampler});
  CHECK(loader.size() == 16);
  std::int64_t items = 0, rare = 0;
  std::vector<std::int64_t> order;
  for (auto& batch : loader) {
    items += batch.y.size(0);
    rare += batch.y.sum().item<std::int64_t>();
    order.insert(order.end(), batch.indices.begin(), batch.indices.end());
  }
  CHECK(items == 1000);
  CHECK(rare > 430);
  CHECK(rare < 570);
  CHECK(std::count(order.begin(), order.end(), 3) == 0);
  // The same with other workers; another order in the next pass.
  const auto orders = [&](int workers) {
    const DataLoader again(set, {.bs = 64, .num_workers = workers, .seed = 1, .sampler = sampler});
    std::vector<std::int64_t> all;
    for (auto& batch : again) {
      all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    }
    return all;
  };
  CHECK(orders(3) == order);
  std::vector<std::int64_t> next;
  for (auto& batch : loader) {
    next.insert(next.end(), batch.indices.begin(), batch.indices.end());
  }
  CHECK_FALSE(next == order);

  CHECK(caught([&] { DataLoader(set, {.shuffle = true, .sampler = sampler}); }).code ==
        "value.sampler");
  CHECK(caught([] { WeightedRandomSampler({1, -1}); }).code == "value.weights");
  CHECK(caught([] { WeightedRandomSampler({0, 0}); }).code == "value.weights");
  CHECK(caught([] { WeightedRandomSampler({1}, 0); }).code == "value.num_samples");
  const auto few = std::make_shared<WeightedRandomSampler>(std::vector<double>{1, 2});
  CHECK(caught([&] { DataLoader(set, {.sampler = few}).pass(); }).code == "value.weights");
  struct Beyond : Sampler {
    std::vector<std::int64_t> order(std::int64_t n, Rng&) const override {
      return std::vector<std::int64_t>(static_cast<std::size_t>(n), n);
    }
  };
  CHECK(caught([&] { DataLoader(set, {.sampler = std::make_shared<Beyond>()}).pass(); }).code ==
        "value.sampler");
}
