#include "fastcpp/core/rng.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;

std::uint64_t mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

std::atomic<std::uint64_t> g_seed{0};

std::vector<std::int64_t> ascending(std::int64_t n) {
  if (n < 0) {
    throw ValueError("value.permutation",
                     fmt::format("a permutation needs a length of at least 0, found {}", n));
  }
  return boundary([&] {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    return order;
  });
}

}  // namespace

Rng::Rng(std::initializer_list<std::uint64_t> address) noexcept : state_(0) {
  for (std::uint64_t part : address) state_ = mix(state_ + kGolden + mix(part + kGolden));
}

std::uint64_t Rng::next() noexcept {
  return mix(state_ += kGolden);
}

double Rng::uniform() noexcept {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

void Rng::fill_uniform(double* to, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = static_cast<double>(mix(state_ + (i + 1) * kGolden) >> 11) * 0x1.0p-53;
  }
  discard(count);
}

void Rng::discard(std::uint64_t count) noexcept {
  state_ += count * kGolden;
}

double Rng::uniform(double low, double high) noexcept {
  return low + (high - low) * uniform();
}

double Rng::log_uniform(double low, double high) noexcept {
  return std::exp(uniform(std::log(low), std::log(high)));
}

std::int64_t Rng::integer(std::int64_t low, std::int64_t high) noexcept {
  // Without signs, so that no distance is too long.
  const auto first = static_cast<std::uint64_t>(low);
  const auto span = static_cast<double>(static_cast<std::uint64_t>(high) - first) + 1.0;
  return static_cast<std::int64_t>(first + static_cast<std::uint64_t>(uniform() * span));
}

bool Rng::chance(double p) noexcept {
  return uniform() < p;
}

double Rng::normal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> Rng::permutation(std::int64_t n) {
  auto order = ascending(n);
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(integer(0, i))]);
  }
  return order;
}

std::vector<std::int64_t> numpy_permutation(std::uint32_t seed, std::int64_t n) {
  std::mt19937 twister(seed);
  auto order = ascending(n);
  for (std::int64_t i = n - 1; i > 0; --i) {
    auto mask = static_cast<std::uint64_t>(i);
    for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    std::uint64_t j;
    do {
      // NumPy joins two outputs, high word first, where 32 bits do not reach.
      j = twister();
      if (mask > 0xffffffffull) j = (j << 32) | twister();
      j &= mask;
    } while (j > static_cast<std::uint64_t>(i));
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  return order;
}

void set_seed(std::uint64_t seed) {
  g_seed = seed;
}
std::uint64_t default_seed() {
  return g_seed;
}

}  // namespace fastcpp
