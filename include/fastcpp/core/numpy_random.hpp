/// \file
/// Uniform numbers of NumPy's and Python's seeded generators: fastai's splits and filters come from them.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// The numbers that `numpy.random.seed(seed); numpy.random.random_sample(n)` gives, each in [0, 1).
/// \param seed the 32-bit seed
/// \param n    >= 0
/// \throws ValueError `value.items`
FASTCPP_API std::vector<double> numpy_random_sample(std::uint32_t seed, std::int64_t n);

/// The numbers that n calls of `random.random()` give after `random.seed(seed)`, each in [0, 1).
/// \param seed a seed of 32 bits
/// \param n    >= 0
/// \throws ValueError `value.items`
FASTCPP_API std::vector<double> python_random(std::uint32_t seed, std::int64_t n);

}  // namespace fastcpp
