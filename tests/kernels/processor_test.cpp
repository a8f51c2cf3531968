#include "fastcpp/kernels/processor.hpp"

#include <cstdlib>
#include <string>

#include "kernels/conv_kernels.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

TEST_CASE("the level is what was asked for, where the processor has it", "[skips]") {
  const char* const value = std::getenv("FASTCPP_PROCESSOR");
  const std::string wanted = value ? value : "";
  const auto level = processor_level();
  CHECK(processor_level() == level);
  if (wanted == "plain") CHECK(level == ProcessorLevel::kPlain);
  if (wanted == "avx2") CHECK(level <= ProcessorLevel::kAvx2);
  if ((wanted == "avx2" && level < ProcessorLevel::kAvx2) ||
      (wanted == "avx512" && level < ProcessorLevel::kAvx512)) {
    test::skip("this processor does not have " + wanted);
  }
}

TEST_CASE("the convolutions ask the same place") {
  const auto* kernels = models::conv_kernels();
  switch (processor_level()) {
    case ProcessorLevel::kPlain:
      CHECK(kernels == nullptr);
      break;
    case ProcessorLevel::kAvx2:
      REQUIRE(kernels);
      CHECK(kernels->block == 16);
      break;
    case ProcessorLevel::kAvx512:
      REQUIRE(kernels);
      CHECK(kernels->block == 64);
      break;
  }
}
