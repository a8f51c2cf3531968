// Convolutions by LibTorch's options, packed and frozen.
#include "vision/models/layers.hpp"

#include <ATen/record_function.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/utils.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "compat/autocast.hpp"
#include "fastcpp/vision/models/fold.hpp"
#include "kernels/conv_kernels.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
namespace nn = torch::nn;

namespace {

thread_local int casts_seen = 0;

using Change = std::function<void(nn::detail::ConvNdOptions<2>&)>;

// What a user may do to a network of ours. The weights are 24 x 24 x 3 x 3.
const std::pair<const char*, Change> kChanges[] = {
    {"as it is", [](auto&) {}},
    {"dilation", [](auto& o) { o.dilation(2).padding(2); }},
    {"stride", [](auto& o) { o.stride(2); }},
    {"stride of two numbers",
     [](auto& o) {
       o.stride(torch::ExpandingArray<2>({2, 1}));
     }},
    {"padding", [](auto& o) { o.padding(0); }},
    {"padding of two numbers",
     [](auto& o) {
       o.padding(torch::ExpandingArray<2>({0, 2}));
     }},
    {"padding same", [](auto& o) { o.padding(torch::kSame); }},
    {"padding valid", [](auto& o) { o.padding(torch::kValid); }},
};

models::Conv2d conv(bool bias) {
  auto result = models::conv2d(24, 24, 3, {.padding = 1, .bias = bias});
  models::init_weights(*result, {}, 1);
  return result;
}

torch::Tensor plain(models::Conv2d& layer, const torch::Tensor& x) {
  return static_cast<nn::Conv2dImpl&>(*layer).forward(x);
}

void check_same(const torch::Tensor& got, const torch::Tensor& want) {
  REQUIRE(got.sizes() == want.sizes());
  CHECK(torch::allclose(got, want, 1e-4, 1e-4));
}

void freeze(models::Conv2d& layer) {
  for (auto& p : layer->parameters()) p.set_requires_grad(false);
  layer->train();
}

}  // namespace

TEST_CASE("packed and frozen convolutions obey LibTorch's options") {
  torch::manual_seed(5);
  const bool bias = GENERATE(false, true);
  const auto x = torch::randn({3, 24, 14, 11});
  for (const auto& [name, change] : kChanges) {
    INFO(name);
    auto frozen = conv(bias);
    freeze(frozen);
    frozen(x);  // packed before its options change
    change(frozen->options);
    const auto want = plain(frozen, x);
    check_same(frozen(x), want);
    // The options come along to a copy, packed before or after.
    const torch::NoGradGuard no_grad;
    auto copy = std::dynamic_pointer_cast<models::Conv2dImpl>(frozen->clone());
    REQUIRE(copy);
    check_same(copy->forward(x), want);
    copy->pack();
    check_same(copy->forward(x), want);
    auto late = conv(bias);
    late->pack();
    change(late->options);
    check_same(late(x), want);
  }
}

TEST_CASE("other paddings than zeros, and groups, are LibTorch's") {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  auto layer = conv(false);
  layer->options.padding_mode(torch::kCircular);
  const auto x = torch::randn({2, 24, 12, 12});
  auto copy = std::dynamic_pointer_cast<models::Conv2dImpl>(layer->clone());
  copy->pack();
  CHECK(torch::equal(copy->forward(x), plain(layer, x)));

  auto grouped = models::conv2d(24, 24, 3, {.padding = 1, .groups = 4});
  models::init_weights(*grouped, {}, 1);
  const auto want = plain(grouped, x);
  grouped->pack();
  CHECK(torch::equal(grouped(x), want));
}

TEST_CASE("what the kernels do not know goes to LibTorch") {
  torch::manual_seed(5);
  auto layer = conv(true);
  freeze(layer);
  layer->pack();
  const auto batch = torch::randn({2, 24, 12, 12});
  check_same(layer(batch[0]), plain(layer, batch[0]));  // one picture without a batch
  auto leaf = batch.clone().set_requires_grad(true);
  layer(leaf).sum().backward();
  CHECK(leaf.grad().defined());
  CHECK_THROWS_AS(layer(batch.to(torch::kFloat64)), c10::Error);
  CHECK_THROWS_AS(layer(torch::randn({2, 3, 12, 12})), c10::Error);
}

TEST_CASE("a trace holds the convolution") {
  const torch::NoGradGuard no_grad;
  auto layer = conv(true);
  freeze(layer);  // a trace takes no weights that are to be trained
  layer->pack();
  const auto traced = torch::jit::tracer::trace(
      {torch::randn({1, 24, 12, 12})},
      [&](torch::jit::Stack in) { return torch::jit::Stack{layer(in.at(0).toTensor())}; },
      [](const torch::autograd::Variable&) { return std::string(); });
  CHECK(traced.first->graph->toString().find("conv") != std::string::npos);
}

TEST_CASE("one frozen convolution may train in several threads") {
  if (!models::conv_kernels()) return;
  auto layer = conv(true);
  freeze(layer);
  const auto x = torch::randn({3, 24, 14, 11});
  const auto want = plain(layer, x);
  std::vector<torch::Tensor> got(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : got) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) mine = layer(x);
      });
    }
  }
  for (const auto& mine : got) check_same(mine, want);
}

TEST_CASE("frozen convolutions can be left to LibTorch") {
  auto layer = conv(true);
  freeze(layer);
  nn::Sequential model(layer);
  const auto x = torch::randn({3, 24, 14, 11});
  models::set_training_conv(*model, models::TrainingConv::kLibTorch);
  CHECK(torch::equal(layer(x), plain(layer, x)));
  const auto copy = std::dynamic_pointer_cast<models::Conv2dImpl>(layer->clone());
  for (auto& p : copy->parameters()) p.set_requires_grad(false);
  CHECK(torch::equal(copy->forward(x), plain(layer, x)));
  models::set_training_conv(*model, models::TrainingConv::kPacked);
  check_same(layer(x), plain(layer, x));
}

TEST_CASE("a frozen weight is cast once, and again when it changes") {
  auto layer = conv(true);
  freeze(layer);
  const auto x = torch::randn({3, 24, 14, 11}).requires_grad_();
  // The layer's output, and how often the weight was cast for it.
  const auto run = [&](torch::ScalarType type, int& casts) {
    casts = 0;
    const auto counter = at::addThreadLocalCallback(
        at::RecordFunctionCallback(
            [](const at::RecordFunction& f) -> std::unique_ptr<at::ObserverContext> {
              if (f.name() == std::string("aten::_to_copy") && f.inputs().size() > 0 &&
                  f.inputs()[0].isTensor() &&
                  f.inputs()[0].toTensor().sizes() == torch::IntArrayRef({24, 24, 3, 3})) {
                ++casts_seen;
              }
              return nullptr;
            })
            .needsInputs(true)
            .scopes({at::RecordScope::FUNCTION}));
    casts_seen = 0;
    const compat::Autocast autocast(torch::kCPU, type);
    const auto y = layer(x);
    at::removeCallback(counter);
    casts = casts_seen;
    return y;
  };
  const auto want = [&](torch::ScalarType type) {
    const compat::Autocast autocast(torch::kCPU, type);
    return plain(layer, x);
  };
  int first = 0, second = 0, changed = 0;
  const auto y = run(torch::kBFloat16, first);
  CHECK(y.scalar_type() == torch::kBFloat16);
  CHECK(torch::equal(y, want(torch::kBFloat16)));
  CHECK(torch::equal(run(torch::kBFloat16, second), y));
  CHECK(first > 0);
  CHECK(second == 0);
  {
    const torch::NoGradGuard no_grad;
    layer->weight.mul_(2);
  }
  CHECK(torch::equal(run(torch::kBFloat16, changed), want(torch::kBFloat16)));
  CHECK(changed == first);
  // The gradient of what comes before goes through the cast weight; a trained weight gets its own.
  y.sum().backward();
  CHECK(x.grad().defined());
  layer->weight.set_requires_grad(true);
  run(torch::kBFloat16, first).sum().backward();
  CHECK(layer->weight.grad().scalar_type() == torch::kFloat32);
}

TEST_CASE("networks are of single precision whatever the default type") {
  const auto before = c10::get_default_dtype();
  c10::set_default_dtype(c10::scalarTypeToTypeMeta(torch::kFloat64));
  std::vector<torch::ScalarType> others;
  try {
    const auto network = models::resnet18.build({.num_classes = 3});
    for (const auto& p : network->parameters()) {
      if (p.scalar_type() != torch::kFloat32) others.push_back(p.scalar_type());
    }
    for (const auto& b : network->buffers()) {
      if (b.scalar_type() != torch::kFloat32 && b.scalar_type() != torch::kInt64) {
        others.push_back(b.scalar_type());
      }
    }
    const torch::NoGradGuard no_grad;
    const auto copy = std::dynamic_pointer_cast<models::Network>(network->clone());
    const auto y = copy->forward(torch::zeros({2, 3, 64, 64}, torch::kFloat32));
    if (y.scalar_type() != torch::kFloat32) others.push_back(y.scalar_type());
  } catch (...) {
    c10::set_default_dtype(before);
    throw;
  }
  c10::set_default_dtype(before);
  CHECK(others.empty());
}
