// A learner whose loaders leave items out: `on_error`.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// Points some of which cannot be loaded.
class Flawed : public Dataset {
 public:
  explicit Flawed(std::int64_t n) : points_(points(n, 1)) {}
  std::int64_t size() const override { return points_->size(); }
  std::optional<SampleLayout> layout() const override { return points_->layout(); }
  Sample get(std::int64_t index, Rng& rng) const override {
    if (index % 5 == 1) throw ImageError("image.cannot_decode", "cannot decode it");
    return points_->get(index, rng);
  }
  const TensorDataset& all() const { return *points_; }

 private:
  std::shared_ptr<TensorDataset> points_;
};

}  // namespace

TEST_CASE("items left out are missing from predictions and targets alike") {
  TempDir dir;
  const auto set = std::make_shared<Flawed>(30);
  CapturedLog log;
  const auto data = DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                                      {.bs = 8,
                                       .num_workers = 2,
                                       .device = torch::kCPU,
                                       .classes = {"left", "right"},
                                       .on_error = OnError::kSkip});
  nn::Sequential net(nn::Linear(2, 4), nn::Linear(4, 2));
  Learner learn(data, Model(net), {.metrics = {accuracy}, .silent = true});
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < 30; ++i) {
    if (i % 5 != 1) kept.push_back(i);
  }
  const auto rows = torch::tensor(kept, torch::kLong);
  Rng rng;
  std::vector<torch::Tensor> x;
  for (const auto i : kept) x.push_back(set->all().get(i, rng).x);
  const auto y = set->all().targets()->index_select(0, rows);
  const auto expect_aligned = [&] {
    const auto found = learn.get_preds(DatasetType::Valid, {.with_loss = true});
    const torch::NoGradGuard no_grad;
    const auto out = net->forward(torch::stack(x));
    CHECK(torch::equal(found.targets, y));
    CHECK(torch::allclose(found.preds, out.softmax(-1)));
    CHECK(torch::allclose(found.losses, cross_entropy().unreduced(out, y)));
    CHECK(learn.validate()[0] == Approx(cross_entropy()(out, y).item<double>()));
  };
  expect_aligned();
  CHECK(data.valid_dl().skipped().size() == 6);
  learn.fit(1, 1e-3);
  expect_aligned();

  // The features of a frozen body are those of the items that are there.
  learn.split({net->ptr(1)});
  learn.freeze();
  const auto before = learn.validate();
  learn.precompute();
  const auto after = learn.validate();
  CHECK(after[0] == Approx(before[0]));
  CHECK(after[1] == Approx(before[1]));
  learn.fit(1, 1e-3);
}
