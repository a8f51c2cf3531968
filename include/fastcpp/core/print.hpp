/// \file
/// `std::cout << x` for everything of this library that has a printed form.
#pragma once

#include <concepts>
#include <ostream>
#include <string>

namespace fastcpp {

/// Has `str()`: pictures, transforms, data bunches, learners. Not the string streams of the
/// standard library.
template <typename T>
concept Printable = requires(const T& x) {
  { x.str() } -> std::same_as<std::string>;
}
&&!std::derived_from<T, std::ios_base>;

/// Writes `x.str()`.
template <Printable T>
std::ostream& operator<<(std::ostream& stream, const T& x) {
  return stream << x.str();
}

}  // namespace fastcpp
