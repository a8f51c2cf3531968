// Vectors of a compiler with GCC's extensions, for functions compiled for several instruction sets.
#pragma once

#include <cstdint>

#define FASTCPP_BODY static inline __attribute__((always_inline))

namespace fastcpp::inline v0::models {
namespace {

// What a register of kBytes holds. Vectors of doubles are no wider: those that fill two registers would go through memory.
template <int kBytes>
struct Lanes {
  typedef float Vec __attribute__((vector_size(kBytes)));
  typedef double Wide __attribute__((vector_size(kBytes)));                // half as many values
  typedef float Half __attribute__((vector_size(kBytes / 2)));             // as many values as Wide
  typedef std::int32_t HalfBits __attribute__((vector_size(kBytes / 2)));  // masks of both
  typedef std::int64_t WideBits __attribute__((vector_size(kBytes)));
  static constexpr int kLanes = kBytes / static_cast<int>(sizeof(float));
};
typedef float One __attribute__((
    vector_size(sizeof(float))));  // what is left where channels do not fill a vector

// Through memory: vectors as values of functions are another calling convention without the target.
template <typename Value, typename Vec>
FASTCPP_BODY void load(const Value* from, Vec& v) {
  __builtin_memcpy(&v, from, sizeof v);
}
template <typename Value, typename Vec>
FASTCPP_BODY void store(Value* to, const Vec& v) {
  __builtin_memcpy(to, &v, sizeof v);
}

// Not-a-number stays what it is. As instructions: GCC takes comparisons of vectors apart where it first reads a function, before
// it knows for which processor it is compiled.
template <typename Vec>
FASTCPP_BODY void clamp(Vec& value, float low, float high) {
#if defined(__x86_64__)
  if constexpr (sizeof(Vec) > sizeof(float)) {
    const Vec lows = Vec{} + low, highs = Vec{} + high;
    asm("vmaxps %0, %1, %0" : "+v"(value) : "v"(lows));
    asm("vminps %0, %1, %0" : "+v"(value) : "v"(highs));
    return;
  }
#endif
  value = value < low ? Vec{} + low : value;
  value = value > high ? Vec{} + high : value;
}

}  // namespace
}  // namespace fastcpp::models
