#include "fastcpp/core/numpy_random.hpp"

#include <fmt/format.h>

#include <random>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// The starting state that Python makes of a whole number: Matsumoto and Nishimura's initialisation by an array, here of
// one word (mt19937ar, 2002).
class ArraySeed {
 public:
  using result_type = std::uint_least32_t;
  explicit ArraySeed(std::uint32_t word) : word_(word) {}

  template <typename Iterator>
  void generate(Iterator first, Iterator last) const {
    const auto n = last - first;
    const auto at = [&](std::ptrdiff_t i) -> decltype(auto) { return *(first + i); };
    const auto mixed = [](std::uint32_t x) { return x ^ (x >> 30); };
    std::uint32_t before = 19650218;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      at(i) = before;
      before = 1812433253u * mixed(before) + static_cast<std::uint32_t>(i + 1);
    }
    // Each round changes a word by the one before it; word 0 is the last one again.
    std::ptrdiff_t i = 1;
    const auto round = [&](std::uint32_t factor, std::uint32_t plus) {
      at(i) = static_cast<std::uint32_t>((static_cast<std::uint32_t>(at(i)) ^
                                          (mixed(static_cast<std::uint32_t>(at(i - 1))) * factor)) +
                                         plus);
      if (++i < n) return;
      at(0) = at(n - 1);
      i = 1;
    };
    for (std::ptrdiff_t k = 0; k < n; ++k) round(1664525, word_);
    for (std::ptrdiff_t k = 1; k < n; ++k) round(1566083941, 0u - static_cast<std::uint32_t>(i));
    at(0) = 0x80000000u;
  }

 private:
  std::uint32_t word_;
};

std::vector<double> uniform(std::mt19937 twister, std::int64_t n) {
  if (n < 0) {
    throw ValueError("value.items", fmt::format("a number of items must be >= 0, found {}", n));
  }
  return boundary([&] {
    std::vector<double> numbers(static_cast<std::size_t>(n));
    for (auto& number : numbers) {
      // 53 bits of two outputs.
      const auto high = twister() >> 5, low = twister() >> 6;
      number = (static_cast<double>(high) * 67108864 + static_cast<double>(low)) * 0x1.0p-53;
    }
    return numbers;
  });
}

}  // namespace

std::vector<double> numpy_random_sample(std::uint32_t seed, std::int64_t n) {
  return uniform(std::mt19937(seed), n);
}

std::vector<double> python_random(std::uint32_t seed, std::int64_t n) {
  ArraySeed state(seed);
  return uniform(std::mt19937(state), n);
}

}  // namespace fastcpp
