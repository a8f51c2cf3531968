// A forward pass that takes 1.7 GB of memory.
#include "forward_passes.hpp"
#include "support/catch.hpp"

using namespace fastcpp::test;

TEST_CASE("forward: whole vgg16_bn") {
  CHECK(check_forward("full", "vgg16_bn") > 0);
}
