// Clang with LibTorch 1.13: ATen/core/List.h holds a std::vector of c10::IValue before that type is known. Where
// std::vector is constexpr, as in C++20, clang makes its members at once and finds the type incomplete; GCC waits. This
// file comes before every other one (-include) and takes constexpr away from std::vector of libstdc++, nothing else.
#pragma once

#if defined(__clang__) && __cplusplus > 201703L
#include <string>
#if defined(__GLIBCXX__) && !defined(_GLIBCXX_VECTOR)
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
// Declared as constexpr before, with std::fill, and defined in <vector>: under another name, then under its own.
#define __fill_a1 __fill_bits
#include <vector>
#undef __fill_a1
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr
inline void fastcpp_fill_bits(std::_Bit_iterator first, std::_Bit_iterator last,
                              const bool& x) __asm__("_ZSt9__fill_a1St13_Bit_iteratorS_RKb");
__attribute__((used)) inline void fastcpp_fill_bits(std::_Bit_iterator first,
                                                    std::_Bit_iterator last, const bool& x) {
  std::__fill_bits(first, last, x);
}
#endif
#endif
