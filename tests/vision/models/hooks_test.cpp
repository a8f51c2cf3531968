// Hooks in networks of the library: at any depth, and where its own kernels compute.
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <map>
#include <string>
#include <vector>

#include "fastcpp/hooks/hook.hpp"
#include "fastcpp/vision/models/models.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
namespace nn = torch::nn;

namespace {

std::shared_ptr<nn::Module> part(const nn::Module& network, const std::string& name) {
  return network.named_modules("", false)[name];
}

}  // namespace

TEST_CASE("hooks on the parts of a residual network") {
  const auto net = models::resnet18({.num_classes = 5, .seed = 3});
  net->eval();
  const torch::NoGradGuard no_grad;
  const auto x = torch::rand({2, 3, 64, 64});
  const auto alone = net->forward(x);
  std::map<std::string, int> calls;
  std::vector<Hook> hooks;
  const auto add = [&](const std::string& name) -> const Hook& {
    return hooks.emplace_back(part(*net, name),
                              [&calls, name](const nn::Module&, const torch::Tensor& output) {
                                ++calls[name];
                                return output.clone();
                              });
  };
  hooks.reserve(8);
  const auto &pool = add("maxpool"), &conv = add("layer1.0.conv1"), &norm = add("layer1.0.bn1"),
             &block = add("layer1.0"), &shortcut = add("layer2.0.downsample"),
             &inside = add("layer2.0.downsample.0"), &layer = add("layer4"), &last = add("fc");
  CHECK(torch::equal(net->forward(x), alone));
  CHECK(calls.size() == 8);
  for (const auto& [name, count] : calls) {
    INFO(name);
    CHECK(count == 1);
  }
  const auto size_of = [](const Hook& hook) { return hook.stored().sizes().vec(); };
  using Size = std::vector<std::int64_t>;
  CHECK(size_of(pool) == Size{2, 64, 16, 16});
  CHECK(size_of(block) == Size{2, 64, 16, 16});
  CHECK(size_of(shortcut) == Size{2, 128, 8, 8});
  CHECK(size_of(inside) == Size{2, 128, 8, 8});
  CHECK(size_of(layer) == Size{2, 512, 2, 2});
  CHECK(torch::equal(last.stored(), alone));
  const auto want =
      torch::conv2d(pool.stored(), part(*net, "layer1.0.conv1")->parameters()[0], {}, 1, 1);
  CHECK(torch::allclose(conv.stored(), want, 1e-4, 1e-4));
  // In front of the ReLU in place.
  CHECK(norm.stored().min().item<float>() < 0);
}

TEST_CASE("hooks on convolutions of a frozen body in training") {
  const auto net = models::resnet18({.num_classes = 5, .seed = 3});
  for (auto& parameter : net->parameters()) parameter.requires_grad_(false);
  net->train();
  const auto x = torch::rand({2, 3, 64, 64});
  int calls = 0;
  const auto pool = hook_output(part(*net, "maxpool"));
  const Hook conv(part(*net, "layer1.0.conv1"),
                  [&](const nn::Module&, const torch::Tensor& output) {
                    ++calls;
                    return output.clone();
                  });
  net->forward(x);
  CHECK(calls == 1);
  const auto want =
      torch::conv2d(pool.stored(), part(*net, "layer1.0.conv1")->parameters()[0], {}, 1, 1);
  // Winograd's way adds in another order.
  CHECK(torch::allclose(conv.stored(), want, 1e-3, 1e-3));
}
