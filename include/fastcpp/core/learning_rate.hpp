/// \file
/// Learning rates of layer groups.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A learning rate: one number for every layer group, a range over the groups (`slice`), or one number per group.
///
/// Numbers and vectors convert to it: `fit(1, 1e-3)`, `fit(1, 1)`, `{.max_lr = slice(1e-6, 1e-4)}`,
/// `{.max_lr = std::vector{1e-4, 1e-3}}`. Ranges are checked where the rate is used. A value: copies share nothing.
/// Threads: const calls by any number at once.
class FASTCPP_API LearningRate {
 public:
  /// The same rate for every group: `1e-3`, `1`.
  template <typename Number>
  requires(std::is_arithmetic_v<Number> && !std::same_as<Number, bool>) LearningRate(Number rate)
      : rate_(static_cast<double>(rate)) {}  // NOLINT: a number is a rate
  /// One rate per group, the first group first.
  LearningRate(std::vector<double> rates) : rate_(std::move(rates)) {}  // NOLINT: a list is a rate

  /// One rate per layer group (fastai: `Learner.lr_range`).
  /// \param groups number of layer groups, >= 1
  /// \return the rates, the first group first
  /// \throws ValueError `value.learning_rate` on a list of another length, on a negative or non-finite rate, without
  /// groups
  std::vector<double> per_group(std::size_t groups) const;

 private:
  struct Range {
    std::optional<double> start;
    double stop;
  };
  explicit LearningRate(Range range) : rate_(range) {}
  friend FASTCPP_API LearningRate slice(double stop);
  friend FASTCPP_API LearningRate slice(double start, double stop);

  std::variant<double, Range, std::vector<double>> rate_;
};

/// The last group gets `stop`, all others `stop / 10` (fastai: Python's `slice(stop)`).
FASTCPP_API LearningRate slice(double stop);
/// Rates from `start` for the first group to `stop` for the last, evenly spaced on a logarithmic scale (fastai:
/// Python's `slice(start, stop)`). Both > 0.
FASTCPP_API LearningRate slice(double start, double stop);

/// `rate.per_group(groups)` (fastai: `Learner.lr_range`).
FASTCPP_API std::vector<double> lr_range(const LearningRate& rate, std::size_t groups);

}  // namespace fastcpp
