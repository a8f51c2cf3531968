#include "fastcpp/kernels/adam.hpp"

#include <cmath>

#include "fastcpp/kernels/processor.hpp"

namespace fastcpp::inline v0 {
namespace {

// The widest vectors of the processor at hand; the square root becomes an instruction because this
// file is compiled without errno for mathematics.
template <typename T>
[[gnu::always_inline]] inline void body(T* __restrict p, T* __restrict m, T* __restrict v,
                                        const T* __restrict g, std::int64_t n,
                                        const AdamStep<T>& by) {
  const AdamStep<T> s = by;
  for (std::int64_t i = 0; i < n; ++i) {
    const T w = p[i] * s.decay;
    const T grad = g[i] + s.l2 * w;
    const T mean = m[i] * s.b1 + grad * s.b1_rest;
    const T square = v[i] * s.b2 + grad * grad * s.b2_rest;
    m[i] = mean;
    v[i] = square;
    p[i] = w - s.step * mean / (std::sqrt(square) * s.inv_root + s.eps);
  }
}

template <typename T>
void plain(T* p, T* m, T* v, const T* g, std::int64_t n, const AdamStep<T>& s) {
  body(p, m, v, g, n, s);
}

template <typename T>
using Span = void (*)(T*, T*, T*, const T*, std::int64_t, const AdamStep<T>&);

#if defined(__x86_64__) && defined(__GNUC__)
template <typename T>
[[gnu::target("avx2,fma")]] void avx2(T* p, T* m, T* v, const T* g, std::int64_t n,
                                      const AdamStep<T>& s) {
  body(p, m, v, g, n, s);
}
template <typename T>
[[gnu::target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")]] void avx512(
    T* p, T* m, T* v, const T* g, std::int64_t n, const AdamStep<T>& s) {
  body(p, m, v, g, n, s);
}
#endif

template <typename T>
Span<T> choose() {
#if defined(__x86_64__) && defined(__GNUC__)
  const auto level = processor_level();
  if (level == ProcessorLevel::kAvx512) return avx512<T>;
  if (level == ProcessorLevel::kAvx2) return avx2<T>;
#endif
  return plain<T>;
}

}  // namespace

void adam_span(float* p, float* m, float* v, const float* g, std::int64_t n,
               const AdamStep<float>& step) {
  static const auto best = choose<float>();
  best(p, m, v, g, n, step);
}

void adam_span(double* p, double* m, double* v, const double* g, std::int64_t n,
               const AdamStep<double>& step) {
  static const auto best = choose<double>();
  best(p, m, v, g, n, step);
}

}  // namespace fastcpp
