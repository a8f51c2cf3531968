#include <torch/utils.h>

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

TEST_CASE("weights that are no convolution's are not packed") {
  CHECK(PackedConv::make(torch::ones({4, 4}), {}, 1, 1) == nullptr);
  CHECK(PackedConv::make(torch::ones({4, 4, 3, 3}), torch::ones({3}), 1, 1) == nullptr);
  CHECK(PackedConv::make(torch::ones({4, 4, 3, 3}).to(torch::kFloat64), {}, 1, 1) == nullptr);
}
