#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

DataBunch data(const Path& path) {
  torch::manual_seed(1);
  auto set = std::make_shared<TensorDataset>(torch::randn({64, 4}), torch::arange(64) % 2);
  return DataBunch::create({set, set, nullptr, nullptr}, path,
                           {.bs = 16, .num_workers = 0, .device = torch::kCPU});
}

Learner make(const TempDir& dir, std::uint64_t seed, std::int64_t hidden = 6) {
  torch::manual_seed(seed);
  nn::Sequential net(nn::Linear(4, hidden), nn::BatchNorm1d(hidden), nn::ReLU(),
                     nn::Linear(hidden, 2));
  Learner learn(data(dir.path()), Model(net), {.silent = true});
  learn.split({net->ptr(3)});
  return learn;
}

bool equal(const Learner& a, const Learner& b) {
  const auto x = state_dict(*a.model()), y = state_dict(*b.model());
  for (const auto& [name, tensor] : x) {
    if (!torch::equal(tensor, y.at(name))) return false;
  }
  return x.size() == y.size();
}

}  // namespace

TEST_CASE("saving and loading keeps weights and optimizer") {
  TempDir dir;
  auto first = make(dir, 1);
  first.fit_one_cycle(1);
  const auto file = first.save("stage-1");
  CHECK(file == dir / "models/stage-1.pth");
  const auto saved = load_checkpoint(file);
  CHECK(saved.contains("model"));
  CHECK(saved.at("opt").at("param_groups").size() == 4);

  auto second = make(dir, 2);
  CHECK_FALSE(equal(first, second));
  second.load("stage-1");
  CHECK(equal(first, second));
  // With the optimizer's state the two go on in step.
  first.fit(1, 1e-2);
  second.fit(1, 1e-2);
  // The passes of the two loaders differ in number, so compare the state that was loaded instead of
  // the result.
  auto third = make(dir, 3);
  third.load("stage-1");
  CHECK(third.opt().groups()[0].states[0].step == 4);
  CHECK(torch::equal(third.opt().groups()[0].states[0].buffers.at("exp_avg"),
                     saved.at("opt").at("state").at(0).at("exp_avg").as_tensor()));
}

TEST_CASE("weights alone, other layouts and mismatches") {
  TempDir dir;
  auto learn = make(dir, 1);
  learn.fit(1);
  const auto file = learn.save("plain", {.with_opt = false});
  CHECK_FALSE(load_checkpoint(file).contains("opt"));
  auto other = make(dir, 2);
  other.load("plain");
  CHECK(equal(learn, other));
  {
    CapturedLog log;
    other.load("plain", {.with_opt = true});
    CHECK(log.warnings.size() == 1);
  }
  auto wide = make(dir, 1, 7);
  const auto error = caught([&] { wide.load("plain"); });
  CHECK(error.code == "weights.mismatch");
  CHECK(error.message.find("plain.pth") != std::string::npos);
  CHECK(error.message.find("0.weight") != std::string::npos);
  CHECK(caught([&] { wide.load("none"); }).code == "io.cannot_read");

  // fastai saves a frozen learner and loads it unfrozen: weights come, the other optimizer state is
  // left aside.
  auto frozen = make(dir, 4);
  frozen.freeze();
  frozen.fit(1);
  frozen.save("frozen");
  frozen.unfreeze();
  frozen.load("frozen");
  CHECK(frozen.opt().groups()[0].states[0].buffers.empty());

  StateDict prefixed;
  for (const auto& [name, tensor] : state_dict(*learn.model()))
    prefixed.insert("module." + name, tensor);
  save_checkpoint(dir / "models/parallel.pth", to_value(prefixed));
  auto parallel = make(dir, 5);
  parallel.load("parallel", {.remove_module = true});
  CHECK(equal(learn, parallel));
}

TEST_CASE("weights come without an optimizer state that cannot be read") {
  using namespace std::string_literals;
  TempDir dir;
  // PyTorch's legacy container: magic number, version, system record, object, storage keys, storages. The optimizer's
  // part holds an object of fastai 2.
  write_file(dir / "models/second.pth",
             "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.}."
             "(dVmodel\n(dV0.weight\nctorch._utils\n_rebuild_tensor_v2\n"
             "(P('storage', <class 'torch.FloatStorage'>, '7', 'cpu', 1, None)\n"
             "I0\n(I1\nI1\nt(I1\nI1\ntI00\nccollections\nOrderedDict\n(tRtRss"
             "Vopt\n(dVhypers\ncfastcore.foundation\nL\n)\x81ss.(lV7\na."
             "\x01\0\0\0\0\0\0\0\0\0\x80?"s);
  nn::Sequential net(nn::Linear(nn::LinearOptions(1, 1).bias(false)));
  Learner learn(data(dir.path()), Model(net), {.silent = true});
  CapturedLog log;
  learn.load("second");
  CHECK(net->parameters()[0].item<float>() == 1);
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("left aside") != std::string::npos);
  CHECK(log.warnings[0].find("fastcore.foundation.L") != std::string::npos);
  learn.load("second", {.with_opt = false});
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("a training script's file loads, and a wrapped one says how") {
  TempDir dir;
  auto learn = make(dir, 1);
  StateDict wrapped;
  for (const auto& [name, tensor] : state_dict(*learn.model()))
    wrapped.insert("module." + name, tensor);
  save_checkpoint(dir / "models/script.pth",
                  Value::dict({{"epoch", 3}, {"state_dict", to_value(wrapped)}}));
  auto second = make(dir, 2);
  const auto error = caught([&] { second.load("script"); });
  CHECK(error.code == "weights.mismatch");
  CHECK(error.message.find("remove_module") != std::string::npos);
  second.load("script", {.remove_module = true});
  CHECK(equal(learn, second));
}

TEST_CASE("a model folder that cannot be made is named") {
  TempDir dir;
  write_file(dir / "models", "a file, no folder");
  const auto error = caught([&] { make(dir, 1).save("x"); });
  CHECK(error.code.starts_with("io."));
  CHECK(error.message.find("models") != std::string::npos);
}
