/// \file
/// Random numbers that depend on a seed and on nothing else: not on threads, workers or the standard library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A small counter-based generator (SplitMix64). Cheap to make, so every sample of every epoch gets its own. A value:
/// copies go on from the same place and share nothing. One thread at a time.
class FASTCPP_API Rng {
 public:
  /// The same seed gives the same numbers.
  explicit Rng(std::uint64_t seed = 0) noexcept : state_(seed) {}

  /// A generator addressed by several numbers, for example {seed, epoch, index}; different
  /// addresses give independent streams.
  Rng(std::initializer_list<std::uint64_t> address) noexcept;

  /// 64 uniform bits.
  std::uint64_t next() noexcept;
  /// Uniform in [0, 1).
  double uniform() noexcept;
  /// The next `count` numbers of `uniform()`, into an array.
  void fill_uniform(double* to, std::size_t count) noexcept;
  /// Passes over the next `count` numbers of `next()`, in no time.
  void discard(std::uint64_t count) noexcept;
  /// Uniform in [low, high).
  double uniform(double low, double high) noexcept;
  /// exp of a uniform between the logarithms: log-uniform in [low, high), both > 0.
  double log_uniform(double low, double high) noexcept;
  /// Uniform integer in [low, high], both ends included; low <= high.
  std::int64_t integer(std::int64_t low, std::int64_t high) noexcept;
  /// True with probability p.
  bool chance(double p) noexcept;
  /// Standard normal.
  double normal() noexcept;
  /// A permutation of 0 .. n-1 (Fisher-Yates).
  /// \param n >= 0
  /// \throws ValueError `value.permutation`
  std::vector<std::int64_t> permutation(std::int64_t n);

 private:
  std::uint64_t state_;
};

/// The permutation that `numpy.random.seed(seed); numpy.random.permutation(n)` gives: fastai's splits come from it.
/// \param seed the 32-bit seed
/// \param n    >= 0
/// \throws ValueError `value.permutation`
FASTCPP_API std::vector<std::int64_t> numpy_permutation(std::uint32_t seed, std::int64_t n);

/// The seed used where no seed is given in the options (fastai: `set_seed`). Default 0. Thread-safe.
FASTCPP_API void set_seed(std::uint64_t seed);
/// What `set_seed` set.
FASTCPP_API std::uint64_t default_seed();

}  // namespace fastcpp
