// The network in one piece beside LibTorch's layers in double precision, which it does not take over.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <vector>

#include "fastcpp/hooks/hook.hpp"
#include "fastcpp/tabular/model.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using torch::Tensor;

namespace {

struct NetworkInput {
  Tensor cat, cont;
};

NetworkInput network_input(const TabularModelOptions& o, std::int64_t rows) {
  std::vector<Tensor> codes;
  for (const auto& [count, width] : o.emb_szs) {
    codes.push_back(torch::randint(0, count, {rows}, torch::kInt64));
  }
  return {codes.empty() ? torch::zeros({rows, 0}, torch::kInt64) : torch::stack(codes, 1),
          o.n_cont > 0 ? torch::randn({rows, o.n_cont}) * 3 + 1 : Tensor()};
}

// Values that are not those of the start, where a weight of one and a mean of zero would hide faults.
void shake(TabularModel& model) {
  const torch::NoGradGuard no_grad;
  for (auto& p : model->parameters()) p.add_(torch::rand_like(p) - 0.5);
  for (auto& b : model->buffers()) {
    if (b.is_floating_point()) b.add_(torch::rand_like(b));
  }
}

TabularModel in_double(const TabularModel& model) {
  TabularModel copy(std::dynamic_pointer_cast<TabularModelImpl>(model->clone()));
  copy->to(torch::kFloat64);
  return copy;
}

double distance(const Tensor& a, const Tensor& b) {
  if (b.numel() == 0) return 0;  // batch norm of no columns
  const auto wide = b.to(torch::kFloat64);
  return (a.to(torch::kFloat64) - wide).abs().max().item<double>() /
         std::max(1.0, wide.abs().max().item<double>());
}

std::string backward_of(const Tensor& y) {
  return y.grad_fn() ? y.grad_fn()->name() : "";
}

// Single precision over up to a few hundred terms, some of which cancel behind a batch norm of few rows.
constexpr double kNear = 1e-4;

void same_training(const TabularModelOptions& options, std::int64_t rows) {
  CAPTURE(rows, options.n_cont, options.out_sz, options.layers.size(), options.emb_szs.size());
  torch::manual_seed(3);
  TabularModel model(options);
  shake(model);
  auto wide = in_double(model);
  const auto x = network_input(options, rows);
  const auto by = torch::randn({rows, options.out_sz});
  const auto pass = [&](TabularModel& m, const Tensor& cont, const Tensor& weights) {
    torch::manual_seed(5);  // of dropout, whose masks do not depend on the precision
    auto y = m->forward(x.cat, cont);
    (y * weights).sum().backward();
    return y;
  };
  const auto y = pass(model, x.cont, by);
  const auto want =
      pass(wide, x.cont.defined() ? x.cont.to(torch::kFloat64) : x.cont, by.to(torch::kFloat64));
  CHECK(distance(y, want) < kNear);
  const auto params = model->named_parameters(), wanted = wide->named_parameters();
  for (const auto& p : params) {
    CAPTURE(p.key());
    if (p.value().numel() == 0) continue;  // batch norm of no columns
    REQUIRE(p.value().grad().defined());
    CHECK(distance(p.value().grad(), wanted[p.key()].grad()) < kNear);
  }
  const auto buffers = model->named_buffers(), wanted_buffers = wide->named_buffers();
  for (const auto& b : buffers) {
    CAPTURE(b.key());
    CHECK(distance(b.value(), wanted_buffers[b.key()]) < kNear);
  }

  model->eval();
  wide->eval();
  const torch::NoGradGuard no_grad;
  CHECK(distance(model->forward(x.cat, x.cont),
                 wide->forward(x.cat, x.cont.defined() ? x.cont.to(torch::kFloat64) : x.cont)) <
        kNear);
}

const TabularModelOptions kAdult{
    .emb_szs = {{10, 6}, {17, 8}, {3, 3}}, .n_cont = 3, .out_sz = 2, .layers = {200, 100}};

}  // namespace

TEST_CASE("fused pass: outputs, gradients and statistics are those of the layers", "[tabular]") {
  for (const std::int64_t rows : {3, 5, 64, 131}) same_training(kAdult, rows);
  auto o = kAdult;
  o.layers = {33};
  o.out_sz = 1;
  o.y_range = {{0, 5}};
  same_training(o, 64);
  o.use_bn = false;
  o.layers = {16, 32, 48};
  same_training(o, 64);
  o.n_cont = 0;
  o.layers = {};
  same_training(o, 7);
  o = kAdult;
  o.emb_szs = {};
  o.n_cont = 20;
  o.layers = {15, 17};
  same_training(o, 64);
  o.bn_final = true;
  same_training(o, 64);
}

TEST_CASE("fused pass: dropout draws what LibTorch draws", "[tabular]") {
  auto o = kAdult;
  o.ps = {0.3, 0.5};
  o.emb_drop = 0.2;
  same_training(o, 64);
  o.use_bn = false;
  same_training(o, 64);
}

TEST_CASE("fused pass: sizes that several threads share", "[tabular]") {
  const int before = torch::get_num_threads();
  torch::set_num_threads(3);
  auto o = kAdult;
  o.layers = {300, 200};
  same_training(o, 700);
  torch::set_num_threads(before);
}

TEST_CASE("fused pass: LibTorch runs what it does not know", "[tabular]") {
  torch::manual_seed(1);
  TabularModel model(kAdult);
  auto x = network_input(kAdult, 8);
  const auto fused = backward_of(model->forward(x.cat, x.cont)) == "TabularBackward";
  const auto by_layers = [&] {
    return backward_of(model->forward(x.cat, x.cont)).find("Addmm") != std::string::npos;
  };
  CHECK(by_layers() != fused);  // none on a processor without kernels

  x.cont.requires_grad_();
  CHECK(by_layers());
  x.cont.requires_grad_(false);
  model->layers->ptr(2)->eval();  // a batch norm that does not train
  CHECK(by_layers());
  model->eval();
  CHECK(by_layers());
  model->train();
  CHECK(by_layers() != fused);
  x.cat[3][1] = 17;
  CHECK_THROWS_AS(model->forward(x.cat, x.cont), c10::Error);
  x.cat[3][1] = -1;
  CHECK_THROWS_AS(model->forward(x.cat, x.cont), c10::Error);
  x = network_input(kAdult, 1);
  CHECK_THROWS_AS(model->forward(x.cat, x.cont), c10::Error);
  x = network_input(kAdult, 8);
  const auto hook = hook_output(model->layers->ptr(0));
  CHECK(by_layers());
}

TEST_CASE("fused pass: frozen parameters, graphs kept and graphs released", "[tabular]") {
  torch::manual_seed(1);
  TabularModel model(kAdult);
  const auto x = network_input(kAdult, 8);
  const auto weight = model->named_parameters()["layers.0.weight"];
  const auto bias = model->named_parameters()["layers.0.bias"];
  weight.requires_grad_(false);
  auto y = model->forward(x.cat, x.cont).sum();
  y.backward({}, /*retain_graph=*/true);
  CHECK_FALSE(weight.grad().defined());
  const auto once = bias.grad().clone();
  y.backward();
  CHECK(distance(bias.grad(), 2 * once) < kNear);
  CHECK_THROWS_AS(y.backward(), c10::Error);

  const bool fused = backward_of(model->forward(x.cat, x.cont)) == "TabularBackward";
  y = model->forward(x.cat, x.cont).sum();
  {
    const torch::NoGradGuard no_grad;
    model->named_parameters()["layers.3.weight"].add_(1);
  }
  CHECK_THROWS_AS(y.backward(), c10::Error);
  if (!fused) return;  // LibTorch keeps less
  const auto gradients = [&](const auto& between) {
    for (auto& p : model->parameters()) p.mutable_grad() = Tensor();
    auto loss = model->forward(x.cat, x.cont).sum();
    between();
    loss.backward();
    std::vector<Tensor> all;
    for (auto& p : model->parameters())
      all.push_back(p.grad().defined() ? p.grad().clone() : Tensor());
    return all;
  };
  const auto want = gradients([] {});
  const auto same = [&](const std::vector<Tensor>& got) {
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (want[i].defined()) CHECK(torch::equal(want[i], got[i]));
    }
  };
  const auto codes = x.cat.clone();
  same(gradients([&] { x.cat.fill_(1'000'000); }));
  x.cat.copy_(codes);
  same(gradients([&] {
    auto replaced = model->named_parameters()["layers.3.weight"];
    replaced.set_data(replaced.detach().clone());
  }));
}

TEST_CASE("fused pass: more columns than embeddings, lines apart", "[tabular]") {
  torch::manual_seed(1);
  TabularModel model(kAdult);
  const auto x = network_input(kAdult, 9);
  const auto want = model->forward(x.cat, x.cont);
  const auto wide = torch::cat({x.cat, torch::full({9, 2}, 99, torch::kInt64)}, 1);
  CHECK(torch::equal(model->forward(wide, x.cont), want));
  const auto apart = torch::stack({x.cat, x.cat}, 2).select(2, 0);
  CHECK_FALSE(apart.is_contiguous());
  CHECK(torch::equal(model->forward(apart, x.cont), want));
}

namespace {
struct DoubledImpl : torch::nn::LinearImpl {
  using torch::nn::LinearImpl::LinearImpl;
  Tensor forward(const Tensor& x) { return 2 * torch::nn::LinearImpl::forward(x); }
};
TORCH_MODULE(Doubled);
}  // namespace

TEST_CASE("fused pass: a layer of one's own runs, and what is no number stays so", "[tabular]") {
  torch::manual_seed(1);
  auto o = kAdult;
  o.layers = {};
  TabularModel model(o);
  const auto x = network_input(o, 4);
  const auto want = model->forward(x.cat, x.cont);
  Doubled own(model->layers[0]->as<torch::nn::LinearImpl>()->options);
  {
    const torch::NoGradGuard no_grad;
    own->weight.copy_(model->parameters()[model->parameters().size() - 2]);
    own->bias.copy_(model->parameters().back());
  }
  model->layers = torch::nn::Sequential(own);
  CHECK(distance(model->forward(x.cat, x.cont), 2 * want) < kNear);

  o.layers = {20};
  o.use_bn = false;
  TabularModel plain(o);
  {
    const torch::NoGradGuard no_grad;
    plain->embeds[0]->as<torch::nn::EmbeddingImpl>()->weight.fill_(NAN);
  }
  auto wide = in_double(plain);
  plain->forward(x.cat, x.cont).sum().backward();
  wide->forward(x.cat, x.cont.to(torch::kFloat64)).sum().backward();
  const auto bias = [](TabularModel& m) { return m->named_parameters()["layers.0.bias"].grad(); };
  CHECK(bias(wide).abs().sum().item<double>() > 0);
  CHECK(distance(bias(plain), bias(wide)) < kNear);
}
