#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <limits>

#include "fastcpp/train/callbacks/mixed_precision.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

Learner learner(const TempDir& dir, const std::vector<std::shared_ptr<Callback>>& callbacks = {}) {
  torch::manual_seed(1);
  const auto x = torch::randn({96, 12});
  const auto y = x.select(1, 0).gt(0).to(torch::kLong);
  const auto train = std::make_shared<TensorDataset>(x.slice(0, 0, 64), y.slice(0, 0, 64));
  const auto valid = std::make_shared<TensorDataset>(x.slice(0, 64), y.slice(0, 64));
  torch::manual_seed(2);
  nn::Sequential network(nn::Linear(12, 16), nn::ReLU(), nn::Linear(16, 2));
  return Learner(
      DataBunch::create(
          {train, valid, nullptr, nullptr}, dir.path(),
          {.bs = 16, .num_workers = 0, .device = torch::kCPU, .seed = 3, .classes = {"a", "b"}}),
      Model(network), {.metrics = {accuracy}, .callbacks = callbacks, .silent = true});
}

bool same_weights(const Learner& a, const Learner& b) {
  const auto pa = a.model()->parameters(), pb = b.model()->parameters();
  for (std::size_t i = 0; i < pa.size(); ++i) {
    if (!torch::equal(pa[i], pb[i])) return false;
  }
  return pa.size() == pb.size();
}

// Writes down the type of what the model gave before the loss.
class OutputType : public Callback {
 public:
  std::vector<torch::Dtype> seen;
  void on_loss_begin(TrainState& state) override {
    seen.push_back(state.last_output.scalar_type());
  }
};

// Puts a value that is not finite into the first gradient of chosen batches.
class Overflow : public Callback {
 public:
  std::vector<std::int64_t> at;
  int order() const override { return -40; }
  void on_backward_end(TrainState& state) override {
    if (std::find(at.begin(), at.end(), state.iteration) == at.end()) return;
    auto gradient = learn().model()->parameters()[0].grad();
    gradient[0][0] = std::numeric_limits<float>::infinity();
  }
};

}  // namespace

TEST_CASE("a scaled loss trains as an unscaled one does") {
  TempDir dir;
  auto plain = learner(dir);
  plain.fit(2, 1e-2);
  // A power of two changes exponents only: the result is the same to the last bit.
  auto mixed = std::make_shared<MixedPrecision>();
  auto scaled = learner(dir, {mixed});
  scaled.fit(2, 1e-2);
  CHECK(same_weights(plain, scaled));
  CHECK(mixed->loss_scale() == 65536);
  CHECK(mixed->skipped() == 0);
  CHECK(plain.recorder().losses == scaled.recorder().losses);
}

TEST_CASE("an overflow halves the scale and skips the step") {
  TempDir dir;
  auto overflow = std::make_shared<Overflow>();
  overflow->at = {0, 1};
  auto mixed = std::make_shared<MixedPrecision>();
  auto learn = learner(dir, {mixed, overflow});
  const auto before = learn.model()->parameters()[0].clone();
  learn.fit(1, 1e-2);  // four batches
  CHECK(mixed->skipped() == 2);
  CHECK(mixed->loss_scale() == 16384);
  CHECK_FALSE(torch::equal(before, learn.model()->parameters()[0]));
  for (const auto& parameter : learn.model()->parameters()) {
    CHECK(torch::isfinite(parameter).all().item<bool>());
  }
  overflow->at = {0, 1, 2, 3};
  auto none = learner(dir, {std::make_shared<MixedPrecision>(), overflow});
  const auto start = none.model()->parameters()[0].clone();
  none.fit(1, 1e-2);
  CHECK(torch::equal(start, none.model()->parameters()[0]));
}

TEST_CASE("an overflow that the device looks at is a skipped step for who asks") {
  TrainState state;
  CHECK_FALSE(state.skips_step());
  state.overflow = torch::zeros({});
  CHECK_FALSE(state.skips_step());
  CHECK_FALSE(state.overflow.defined());
  state.overflow = torch::ones({});
  CHECK(state.skips_step());
  CHECK(state.skip_step);
  // What another callback has decided stays.
  state.overflow = torch::zeros({});
  CHECK(state.skips_step());
}

TEST_CASE("the scale of a checkpoint is taken back, with its limit") {
  TempDir dir;
  MixedPrecision from({.loss_scale = 4, .max_noskip = 3});
  CHECK(from.loss_scale() == 4);
  from.load_state(Value::dict({{"scale", 8.0}, {"noskip", 2}, {"skipped", 5}}));
  const auto state = from.state();
  CHECK(state.at("scale").as_double() == 8);
  CHECK(state.at("noskip").as_int() == 2);
  CHECK(state.at("skipped").as_int() == 5);
}

TEST_CASE("the scale doubles after so many good steps, up to its limit") {
  TempDir dir;
  auto grows = std::make_shared<MixedPrecision>(
      MixedPrecisionOptions{.loss_scale = 4, .max_noskip = 1, .max_scale = 16});
  auto learn = learner(dir, {grows});
  learn.fit(1, 1e-2);
  CHECK(grows->loss_scale() == 16);
  auto fixed =
      std::make_shared<MixedPrecision>(MixedPrecisionOptions{.max_noskip = 1, .dynamic = false});
  auto other = learner(dir, {fixed});
  other.fit(1, 1e-2);
  CHECK(fixed->loss_scale() == 512);
}

TEST_CASE("gradients are clipped after they are unscaled") {
  TempDir dir;
  class Norm : public Callback {
   public:
    double largest = 0;
    int order() const override { return 50; }
    void on_backward_end(TrainState&) override {
      double sum = 0;
      for (const auto& p : learn().model()->parameters())
        sum += p.grad().square().sum().item<double>();
      largest = std::max(largest, std::sqrt(sum));
    }
  };
  auto norm = std::make_shared<Norm>();
  auto learn =
      learner(dir, {std::make_shared<MixedPrecision>(MixedPrecisionOptions{.clip = 0.01}), norm});
  learn.fit(1, 1e-2);
  CHECK(norm->largest > 0.009);
  CHECK(norm->largest < 0.0101);
}

TEST_CASE("bfloat16 computes in half the bits and keeps single precision around it") {
  TempDir dir;
  auto plain = learner(dir);
  auto types = std::make_shared<OutputType>();
  auto learn = learner(dir, {types});
  CHECK(&learn.to_bf16().model() == &learn.model());
  plain.fit(10, 1e-2);
  learn.fit(10, 1e-2);
  CHECK_FALSE(same_weights(plain, learn));  // it did compute in another precision
  for (const auto& parameter : learn.model()->parameters()) {
    CHECK(parameter.scalar_type() == torch::kFloat32);
  }
  CHECK(std::all_of(types->seen.begin(), types->seen.end(),
                    [](auto type) { return type == torch::kFloat32; }));
  const auto preds = learn.get_preds().preds;
  CHECK(preds.scalar_type() == torch::kFloat32);
  // Eight bits of mantissa: the losses agree to a few per cent.
  CHECK(std::abs(learn.validate()[0] - plain.validate()[0]) < 0.05);

  // Back in single precision it predicts as its weights in a plain learner do.
  learn.to_fp32();
  learn.save("weights", {.with_opt = false});
  plain.load("weights");
  CHECK(torch::equal(learn.get_preds().preds, plain.get_preds().preds));
  CHECK_FALSE(torch::equal(learn.get_preds().preds, preds));
}

TEST_CASE("half precision needs a CUDA device") {
  TempDir dir;
  auto learn = learner(dir);
  CHECK(caught([&] { learn.to_fp16(); }).code == "value.precision");
  CHECK(caught([] { MixedPrecision({.max_noskip = 0}); }).code == "value.precision");
  CHECK(caught([] { MixedPrecision({.loss_scale = -1}); }).code == "value.precision");
}
