#include "fastcpp/kernels/adam.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace fastcpp;

namespace {

// Numbers between -1 and 1 that differ from place to place.
template <typename T>
std::vector<T> numbers(std::int64_t n, double seed) {
  std::vector<T> result;
  for (std::int64_t i = 0; i < n; ++i) {
    result.push_back(static_cast<T>(std::sin(seed + 1.7 * static_cast<double>(i))));
  }
  return result;
}

// The step as it is written in the paper, in double precision.
template <typename T>
void check(std::int64_t n, double tolerance) {
  const AdamStep<T> s{.b1 = T(0.9),
                      .b2 = T(0.99),
                      .b1_rest = T(0.1),
                      .b2_rest = T(0.01),
                      .decay = T(0.998),
                      .l2 = T(0.02),
                      .step = T(0.003),
                      .inv_root = T(1.4),
                      .eps = T(1e-5)};
  auto p = numbers<T>(n, 1), m = numbers<T>(n, 2), v = numbers<T>(n, 3);
  for (auto& x : v) x = std::abs(x);
  const auto g = numbers<T>(n, 4);
  const auto p0 = p, m0 = m, v0 = v;
  adam_span(p.data(), m.data(), v.data(), g.data(), n, s);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double w = double(p0[i]) * s.decay, grad = g[i] + s.l2 * w;
    const double mean = m0[i] * double(s.b1) + grad * s.b1_rest;
    const double square = v0[i] * double(s.b2) + grad * grad * s.b2_rest;
    const double want = w - s.step * mean / (std::sqrt(square) * s.inv_root + s.eps);
    CHECK(std::abs(m[i] - mean) < tolerance);
    CHECK(std::abs(v[i] - square) < tolerance);
    CHECK(std::abs(p[i] - want) < tolerance);
  }
}

}  // namespace

TEST_CASE("a step of Adam is what the paper says, whatever the number of values") {
  for (const std::int64_t n : {0, 1, 3, 8, 15, 16, 17, 64, 1001}) {
    INFO(n);
    check<float>(n, 1e-6);
    check<double>(n, 1e-14);
  }
}
