#include <torch/utils.h>

#include <cstdint>
#include <string>

#include "fastcpp/kernels/packed_conv.hpp"
#include "fastcpp/kernels/processor.hpp"
#include "support/catch.hpp"
#include "support/conv_shape.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using models::PackedConv;
using torch::Tensor;

namespace {

struct BlockShape {
  std::int64_t n, in, wide, out, height, width, kernel, stride, padding;
};

// Pictures of one step and of many, rows of a step left over, filters larger than the picture, shares of threads that begin
// within a picture; channels that fill no vector, more and fewer than a block has.
constexpr BlockShape kBlocks[] = {
    {1, 16, 96, 24, 60, 60, 3, 2, 1}, {2, 24, 144, 24, 45, 33, 3, 1, 1},
    {3, 5, 70, 9, 41, 17, 3, 1, 1},   {1, 160, 960, 160, 7, 7, 3, 1, 1},
    {2, 9, 33, 9, 13, 8, 5, 1, 2},    {1, 4, 20, 70, 40, 9, 5, 2, 0},
    {2, 8, 24, 8, 1, 2, 3, 1, 1},     {1, 8, 16, 8, 30, 30, 3, 3, 1},
    {1, 65, 65, 65, 3, 3, 1, 1, 0},   {2, 3, 17, 3, 2, 50, 3, 1, 3},
};

Tensor f64(const Tensor& t) {
  return t.to(torch::kFloat64);
}

class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace

TEST_CASE("a block that widens, filters and narrows gives what LibTorch's convolutions give") {
  if (processor_level() == ProcessorLevel::kPlain) return;
  const torch::NoGradGuard no_grad;
  torch::manual_seed(8);
  const auto single = torch::TensorOptions(torch::kFloat32);
  for (const auto& s : kBlocks) {
    for (const bool widens : {true, false}) {
      const auto in = widens ? s.in : s.wide;
      const auto x = torch::randn({s.n, in, s.height, s.width}, single);
      const auto w1 = torch::randn({s.wide, in, 1, 1}, single), b1 = torch::randn({s.wide}, single);
      const auto w2 = torch::randn({s.wide, 1, s.kernel, s.kernel}, single),
                 b2 = torch::randn({s.wide}, single);
      const auto w3 = torch::randn({s.out, s.wide, 1, 1}, single),
                 b3 = torch::randn({s.out}, single);
      const auto wide = widens ? torch::conv2d(f64(x), f64(w1), f64(b1)).clamp(0, 6) : f64(x);
      const auto filtered =
          torch::conv2d(wide, f64(w2), f64(b2), s.stride, s.padding, 1, s.wide).clamp(0, 6);
      const auto plain = torch::conv2d(filtered, f64(w3), f64(b3));
      const auto add = torch::randn(plain.sizes(), single);
      const auto widen = widens ? PackedConv::make(w1, b1, 1, 0) : nullptr;
      const auto filter = PackedConv::make(w2, b2, s.stride, s.padding, s.wide);
      const auto narrow = PackedConv::make(w3, b3, 1, 0);
      for (const int threads : {1, 3}) {
        INFO(s.wide << " channels at " << s.height << " x " << s.width << ", stride " << s.stride
                    << ", widens: " << widens << ", threads: " << threads);
        const Threads set(threads);
        const auto got = PackedConv::inverted_residual(widen.get(), *filter, *narrow, x);
        REQUIRE(got.sizes() == plain.sizes());
        CHECK(gap(got, plain) < 2e-5);
        CHECK(gap(PackedConv::inverted_residual(widen.get(), *filter, *narrow, x, add),
                  plain + f64(add)) < 2e-5);
      }
    }
  }
}

TEST_CASE("a block of convolutions refuses what does not fit") {
  if (processor_level() == ProcessorLevel::kPlain) return;
  const auto single = torch::TensorOptions(torch::kFloat32);
  const auto conv = [&](std::int64_t out, std::int64_t in, std::int64_t kernel,
                        std::int64_t groups = 1) {
    return PackedConv::make(torch::ones({out, in, kernel, kernel}, single), {}, 1, kernel / 2,
                            groups);
  };
  const auto widen = conv(20, 4, 1), filter = conv(20, 1, 3, 20), narrow = conv(6, 20, 1);
  const auto x = torch::ones({1, 4, 5, 5}, single);
  CHECK(PackedConv::inverted_residual(widen.get(), *filter, *narrow, x).size(1) == 6);
  CHECK_THROWS_AS(PackedConv::inverted_residual(nullptr, *filter, *narrow, x), c10::Error);
  CHECK_THROWS_AS(PackedConv::inverted_residual(narrow.get(), *filter, *narrow, x), c10::Error);
  CHECK_THROWS_AS(PackedConv::inverted_residual(widen.get(), *conv(20, 20, 3), *narrow, x),
                  c10::Error);
  CHECK_THROWS_AS(PackedConv::inverted_residual(widen.get(), *filter, *conv(6, 20, 3), x),
                  c10::Error);
  CHECK_THROWS_AS(PackedConv::inverted_residual(widen.get(), *filter, *narrow, x, x), c10::Error);
  CHECK_THROWS_AS(
      PackedConv::inverted_residual(widen.get(), *filter, *narrow, x.to(torch::kFloat64)),
      c10::Error);
}
