#include <torch/utils.h>

#include <limits>

#include "fastcpp/kernels/channels.hpp"
#include "fastcpp/kernels/packed_conv.hpp"
#include "fastcpp/kernels/processor.hpp"
#include "support/catch.hpp"
#include "support/conv_shape.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using models::PackedConv;

namespace {

// Tiles inside a picture, across its edges and wholly outside of it; more and fewer channels than a block or a vector has.
const ConvShape kShapes[] = {
    {1, 3, 64, 33, 31, 7, 2, 3},  {1, 7, 5, 6, 11, 3, 2, 1},    {2, 16, 17, 1, 30, 3, 1, 1},
    {2, 32, 48, 28, 30, 3, 1, 1}, {3, 24, 70, 13, 17, 3, 1, 2}, {2, 16, 16, 12, 12, 3, 1, 0},
    {2, 16, 16, 5, 6, 3, 1, 9},   {1, 65, 130, 20, 3, 3, 1, 1}, {2, 8, 8, 9, 9, 1, 1, 0},
};

class DefaultType {
 public:
  explicit DefaultType(torch::ScalarType type) : before_(c10::get_default_dtype()) {
    c10::set_default_dtype(c10::scalarTypeToTypeMeta(type));
  }
  ~DefaultType() { c10::set_default_dtype(before_); }

 private:
  caffe2::TypeMeta before_;
};

}  // namespace

TEST_CASE("the kernels of this level give what LibTorch gives, whatever the default type") {
  const auto type = GENERATE(torch::kFloat32, torch::kFloat64);
  const DefaultType by_default(type);
  torch::manual_seed(3);
  const auto single = torch::TensorOptions(torch::kFloat32);
  if (processor_level() == ProcessorLevel::kPlain) {
    CHECK(PackedConv::make(torch::ones({4, 4, 3, 3}, single), {}, 1, 1) == nullptr);
    return;
  }
  for (const auto& s : kShapes) {
    INFO(name_of(s));
    const auto x = torch::randn({s.n, s.in, s.height, s.width}, single);
    const auto w = torch::randn({s.out, s.in, s.kernel, s.kernel}, single);
    const auto b = torch::randn({s.out}, single);
    const auto want = torch::conv2d(x.to(torch::kFloat64), w.to(torch::kFloat64),
                                    b.to(torch::kFloat64), s.stride, s.padding);
    const auto got = PackedConv::make(w, b, s.stride, s.padding)->run(x);
    CHECK(got.scalar_type() == torch::kFloat32);
    REQUIRE(got.sizes() == want.sizes());
    CHECK(gap(got, want) < 2e-5);
  }
}

TEST_CASE("gradients of filters are LibTorch's, whatever the number of threads") {
  if (processor_level() == ProcessorLevel::kPlain) return;
  const DefaultType by_default(torch::kFloat32);
  torch::manual_seed(8);
  // Several ranges and chunks of tiles and groups of channels; channels that fill no vector; a layer that is made in two parts;
  // one tile.
  const ConvShape shapes[] = {{9, 17, 33, 57, 61, 3, 1, 1}, {3, 16, 16, 57, 41, 3, 1, 1},
                              {2, 24, 40, 13, 10, 3, 1, 2}, {2, 17, 70, 9, 12, 3, 1, 0},
                              {1, 5, 3, 3, 3, 3, 1, 0},     {2, 512, 400, 7, 7, 3, 1, 1},
                              {1, 16, 33, 1, 6, 3, 1, 1}};
  const int before = at::get_num_threads();
  for (const auto& s : shapes) {
    INFO(name_of(s));
    const auto x = torch::randn({s.n, s.in, s.height, s.width}),
               dy = torch::randn(
                   {s.n, s.out, s.height + 2 * s.padding - 2, s.width + 2 * s.padding - 2});
    const auto weight = torch::zeros({s.out, s.in, 3, 3}, torch::kFloat64).set_requires_grad(true);
    torch::conv2d(x.to(torch::kFloat64), weight, {}, 1, s.padding).backward(dy.to(torch::kFloat64));
    torch::Tensor of_one;
    for (const int threads : {1, 3}) {
      at::set_num_threads(threads);
      const auto got = PackedConv::weight_gradient(x, dy, s.padding);
      REQUIRE(got.sizes() == weight.sizes());
      CHECK(got.is_contiguous());
      CHECK(gap(got, weight.grad()) < 2e-5);
      if (!of_one.defined()) of_one = got;
      CHECK(torch::equal(got, of_one));
    }
    at::set_num_threads(before);
  }
  CHECK(torch::equal(
      PackedConv::weight_gradient(torch::ones({0, 16, 8, 8}), torch::ones({0, 5, 8, 8}), 1),
      torch::zeros({5, 16, 3, 3})));
  const auto x = torch::ones({1, 16, 8, 8});
  CHECK_THROWS_AS(PackedConv::weight_gradient(x, torch::ones({1, 16, 7, 8}), 1), c10::Error);
  CHECK_THROWS_AS(PackedConv::weight_gradient(x, torch::ones({2, 16, 8, 8}), 1), c10::Error);
  CHECK_THROWS_AS(PackedConv::weight_gradient(x.to(torch::kFloat64), x, 1), c10::Error);
}

TEST_CASE("weights that are no convolution's are not packed") {
  CHECK(PackedConv::make(torch::ones({4, 4}), {}, 1, 1) == nullptr);
  CHECK(PackedConv::make(torch::ones({4, 4, 3, 3}), torch::ones({3}), 1, 1) == nullptr);
  CHECK(PackedConv::make(torch::ones({4, 4, 3, 3}).to(torch::kFloat64), {}, 1, 1) == nullptr);
}

TEST_CASE(
    "channels filtered one by one, outputs in a part of a tensor, activations before and after") {
  if (processor_level() == ProcessorLevel::kPlain) return;
  const DefaultType by_default(torch::kFloat32);
  torch::manual_seed(4);
  using models::Activation;
  for (const std::int64_t c : {1, 5, 16, 33, 96}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t kernel : {1, 3, 5}) {
        const auto x = torch::randn({2, c, 9, 14}), w = torch::randn({c, 1, kernel, kernel}),
                   b = torch::randn({c});
        const auto conv = PackedConv::make(w, b, stride, kernel / 2, c);
        REQUIRE(conv);
        const auto want = torch::conv2d(x.to(torch::kFloat64), w.to(torch::kFloat64),
                                        b.to(torch::kFloat64), stride, kernel / 2, 1, c);
        CHECK(gap(conv->run(x), want) < 2e-5);
        CHECK(gap(conv->run(x * 9, {.activation = Activation::kRelu6}),
                  torch::conv2d(9 * x.to(torch::kFloat64), w.to(torch::kFloat64),
                                b.to(torch::kFloat64), stride, kernel / 2, 1, c)
                      .clamp(0, 6)) < 2e-5);
      }
    }
  }
  for (const auto& s : kShapes) {
    INFO(name_of(s));
    const auto x = torch::randn({s.n, s.in, s.height, s.width}),
               w = torch::randn({s.out, s.in, s.kernel, s.kernel}), b = torch::randn({s.out});
    const auto want = torch::conv2d(x.to(torch::kFloat64), w.to(torch::kFloat64),
                                    b.to(torch::kFloat64), s.stride, s.padding);
    auto into = torch::full({s.n, s.out + 7, want.size(2), want.size(3)}, -3.0f)
                    .contiguous(torch::MemoryFormat::ChannelsLast);
    PackedConv::make(w, b, s.stride, s.padding)
        ->run(x, {.activation = Activation::kRelu, .into = into, .first = 4});
    CHECK(gap(into.narrow(1, 4, s.out), want.relu()) < 2e-5);
    CHECK((into.narrow(1, 0, 4) == -3).all().item<bool>());
    CHECK((into.narrow(1, 4 + s.out, 3) == -3).all().item<bool>());
  }
  const auto x = torch::randn({2, 40, 7, 9}), w = torch::randn({19, 33, 1, 1}),
             scale = torch::randn({33}), shift = torch::randn({33});
  const auto before = (x.narrow(1, 0, 33).to(torch::kFloat64) * scale.view({1, -1, 1, 1}) +
                       shift.view({1, -1, 1, 1}))
                          .relu();
  CHECK(gap(PackedConv::make(w, {}, 1, 0)->run(x, {.scale = scale, .shift = shift}),
            torch::conv2d(before, w.to(torch::kFloat64))) < 2e-5);
  CHECK(gap(models::activate_and_pool(x.narrow(1, 0, 33), scale, shift),
            torch::avg_pool2d(before, 2)) < 2e-5);
}

TEST_CASE("outputs that are pooled give what LibTorch gives") {
  if (processor_level() == ProcessorLevel::kPlain) return;
  const DefaultType by_default(torch::kFloat32);
  torch::manual_seed(6);
  // Row by row; as a whole: Winograd's, weights too large to be read for each row.
  const ConvShape shapes[] = {{2, 3, 64, 67, 45, 7, 2, 3},
                              {3, 3, 21, 30, 41, 3, 2, 0},
                              {2, 20, 24, 13, 17, 3, 1, 2},
                              {1, 130, 70, 12, 12, 3, 2, 1},
                              {1, 3, 21, 5, 5, 3, 2, 0}};
  const models::PoolWindow windows[] = {{.size = 3, .stride = 2, .padding = 1},
                                        {.size = 3, .stride = 2, .ceil_mode = true},
                                        {},
                                        {.size = 2, .stride = 3},
                                        {.size = 4, .stride = 1, .padding = 2}};
  const int before = at::get_num_threads();
  for (const auto& s : shapes) {
    const auto x = torch::randn({s.n, s.in, s.height, s.width}),
               w = torch::randn({s.out, s.in, s.kernel, s.kernel}), b = torch::randn({s.out});
    const auto whole = torch::conv2d(x.to(torch::kFloat64), w.to(torch::kFloat64),
                                     b.to(torch::kFloat64), s.stride, s.padding);
    const auto conv = PackedConv::make(w, b, s.stride, s.padding);
    for (const auto& p : windows) {
      for (const bool activates : {false, true}) {
        const auto want = torch::max_pool2d(activates ? whole.relu() : whole, p.size, p.stride,
                                            p.padding, 1, p.ceil_mode);
        for (const int threads : {1, 3}) {
          INFO(name_of(s) << ", pool of " << p.size << ", stride " << p.stride << ", threads "
                          << threads);
          at::set_num_threads(threads);
          const auto got = conv->run(
              x, {.activation = activates ? models::Activation::kRelu : models::Activation::kNone,
                  .pool = p});
          REQUIRE(got.sizes() == want.sizes());
          CHECK(gap(got, want) < 2e-5);
        }
      }
    }
    CHECK_THROWS_AS(conv->run(x, {.pool = models::PoolWindow{.size = 99}}), c10::Error);
  }
  at::set_num_threads(before);
}

TEST_CASE("pools and linear layers of few items give what LibTorch gives") {
  if (processor_level() == ProcessorLevel::kPlain) return;
  const DefaultType by_default(torch::kFloat32);
  torch::manual_seed(5);
  for (const std::int64_t c : {1, 17, 64}) {
    for (const bool ceil_mode : {false, true}) {
      for (const std::int64_t padding : {0, 1}) {
        for (const std::int64_t size : {2, 3}) {
          auto x = torch::randn({2, c, 9, 12});
          x[0][0][4][4] = std::numeric_limits<float>::quiet_NaN();
          const auto got = models::max_pool(
              x, {.size = size, .stride = 2, .padding = padding, .ceil_mode = ceil_mode});
          const auto want = torch::max_pool2d(x, size, 2, padding, 1, ceil_mode);
          CHECK(torch::allclose(got, want, 0, 0, /*equal_nan=*/true));
        }
      }
    }
  }
  for (const std::int64_t items : {1, 3, 4, 9}) {
    for (const std::int64_t in : {1, 31, 200}) {
      for (const std::int64_t out : {1, 4, 13}) {
        const auto x = torch::randn({items, in}), w = torch::randn({out, in}),
                   b = torch::randn({out});
        CHECK(gap(models::linear_of_few(x, w, b),
                  torch::linear(x.to(torch::kFloat64), w.to(torch::kFloat64),
                                b.to(torch::kFloat64))) < 2e-5);
      }
    }
  }
}
