#include <torch/types.h>

#include <stdexcept>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/stats.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::shared_ptr<TensorDataset> tensors(std::int64_t n) {
  return std::make_shared<TensorDataset>(torch::rand({n, 3, 4, 5}), torch::arange(n) % 3);
}

DataBunch bunch(std::int64_t train = 18, std::int64_t valid = 9, std::int64_t bs = 5) {
  return DataBunch::create({tensors(train), tensors(valid), nullptr, nullptr}, "folder",
                           {.bs = bs, .num_workers = 0, .device = torch::kCPU});
}

}  // namespace

TEST_CASE("training drops the last batch, validation keeps it") {
  auto data = bunch();
  CHECK(data.train_dl().size() == 3);
  CHECK(data.valid_dl().size() == 2);
  CHECK(data.fix_dl().size() == 4);
  CHECK(data.dl(DatasetType::Single).size() == 9);
  CHECK(data.c() == 3);
  CHECK(caught([&] { data.test_dl(); }).code == "data.no_test");
  CHECK(caught([] { DataBunch::create({}, "x"); }).code == "data.empty");
}

TEST_CASE("normalising moves mean and deviation, once") {
  auto data = bunch();
  const auto before = data.valid_dl().first_batch().x.clone();
  data.normalize_with(imagenet_stats);
  const auto after = data.valid_dl().first_batch().x;
  for (int c = 0; c < 3; ++c) {
    const auto expected = (before.select(1, c) - imagenet_stats.mean[c]) / imagenet_stats.std[c];
    CHECK(torch::allclose(after.select(1, c), expected, 1e-5, 1e-6));
  }
  CHECK(torch::allclose(data.denorm(after), before, 1e-5, 1e-6));
  CHECK(torch::allclose(data.one_batch(DatasetType::Valid).x, before, 1e-5, 1e-6));
  CHECK(torch::allclose(data.one_item(std::any(before[0])), after.slice(0, 0, 1), 1e-5, 1e-6));
  const auto error = caught([&] { data.normalize_with(imagenet_stats); });
  CHECK(error.code == "value.normalize_twice");
  CHECK(error.message == "Can not call normalize twice");
}

TEST_CASE("measured statistics make a batch standard") {
  auto data = bunch(50, 9, 50);
  data.normalize_with(std::nullopt);
  const auto x = data.train_dl().first_batch().x.transpose(0, 1).flatten(1);
  CHECK(x.mean().item<double>() == Approx(0).margin(1e-4));
  CHECK(x.std(1).mean().item<double>() == Approx(1).margin(1e-4));
  CHECK(caught([] { bunch().normalize_with(Stats{{0.f}, {0.f}}); }).code == "value.stats");
}

TEST_CASE("whole numbers are normalised as real ones, and packed samples as pictures") {
  const auto bytes = std::make_shared<TensorDataset>(
      torch::arange(384).remainder(255).to(torch::kUInt8).view({8, 3, 4, 4}), torch::arange(8));
  auto data = DataBunch::create({bytes, bytes, nullptr, nullptr}, "folder",
                                {.bs = 4, .num_workers = 0, .device = torch::kCPU});
  data.normalize_with(Stats{{1.f, 2.f, 3.f}, {2.f, 4.f, 8.f}});
  Rng rng;
  const torch::Tensor first = bytes->get(0, rng).x;
  const auto x = data.valid_dl().first_batch().x[0];
  REQUIRE(x.scalar_type() == torch::kFloat32);
  CHECK(torch::allclose(x[2], (first[2].to(torch::kFloat32) - 3) / 8));
  CHECK(torch::allclose(data.norm(first), x));
  CHECK(torch::allclose(data.denorm(x), first.to(torch::kFloat32), 1e-4, 1e-4));

  // A transform of batches makes pictures of rows: what it makes is normalised by channel.
  const auto rows = std::make_shared<TensorDataset>(torch::rand({8, 48}), torch::arange(8));
  auto packed = DataBunch::create({rows, rows, nullptr, nullptr}, "folder",
                                  {.bs = 4,
                                   .num_workers = 0,
                                   .dl_tfms = {[](Batch& batch) {
                                     if (batch.x.dim() == 2) batch.x = batch.x.view({-1, 3, 4, 4});
                                   }},
                                   .device = torch::kCPU});
  packed.normalize_with(Stats{{1.f, 2.f, 3.f}, {2.f, 4.f, 8.f}});
  const auto picture = rows->get(0, rng).x.view({3, 4, 4});
  CHECK(torch::allclose(packed.norm(picture), packed.valid_dl().first_batch().x[0]));
}

TEST_CASE("what a data set throws is a warning of the first look") {
  class Throwing : public TensorDataset {
   public:
    using TensorDataset::TensorDataset;
    Sample get(std::int64_t, Rng&) const override { throw std::runtime_error("own"); }
    std::string describe(const Path&) const override { throw std::runtime_error("own"); }
  };
  const auto set = std::make_shared<Throwing>(torch::zeros({4, 2}), torch::arange(4));
  for (const int workers : {0, 2}) {
    const auto data = DataBunch::create({set, set, nullptr, nullptr}, "folder",
                                        {.bs = 2, .num_workers = workers, .device = torch::kCPU});
    CapturedLog log;
    data.sanity_check();
    REQUIRE(log.warnings.size() == 1);
    CHECK(log.warnings[0].find("any element of the training set") != std::string::npos);
    CHECK(caught([&] { static_cast<void>(data.str()); }).code == "core.unexpected");
  }
}

TEST_CASE("an item of an unknown kind is refused") {
  CHECK(caught([] { bunch().one_item(std::any(std::string("cat.jpg"))); }).code == "value.item");
}

TEST_CASE("fastai's advice when there is no full batch") {
  CapturedLog log;
  bunch(3, 3, 64).sanity_check();
  CHECK(log.warnings ==
        std::vector<std::string>{"Your training dataloader is empty, you have only 3 items in your "
                                 "training set and your batch size is 64: you should lower it "
                                 "(`.bs`)."});
}

TEST_CASE("batches are normalised in single precision whatever the default is") {
  struct Default {
    explicit Default(torch::Dtype type) {
      torch::set_default_dtype(torch::scalarTypeToTypeMeta(type));
    }
    ~Default() { torch::set_default_dtype(torch::scalarTypeToTypeMeta(torch::kFloat32)); }
  } const doubles(torch::kFloat64);
  const Normalize norm({{0.5f, 1}, {2, 4}}, torch::kCPU);
  const auto y = norm(torch::ones({1, 2, 1, 1}, torch::kFloat32));
  CHECK(y.scalar_type() == torch::kFloat32);
  CHECK(y.flatten()[0].item<double>() == 0.25);
  CHECK(y.flatten()[1].item<double>() == 0);
}
