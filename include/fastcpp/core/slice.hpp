/// \file
/// Learning rates for layer groups.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp {

/// A range of learning rates over the layer groups (fastai: Python's `slice`).
///
/// `slice(stop)` gives the last group `stop` and all others `stop / 10`; `slice(start, stop)`
/// spaces them geometrically.
struct slice {
  explicit slice(double stop_) : stop(stop_) {}
  slice(double start_, double stop_) : start(start_), stop(stop_) {}

  std::optional<double> start;  ///< rate of the first group, if given
  double stop;                  ///< rate of the last group
};

/// A learning rate: one number for every group, a slice, or one number per group.
using LearningRate = std::variant<double, slice, std::vector<double>>;

/// One rate per layer group (fastai: `Learner.lr_range`).
/// \param rate   as given by the user; rates are >= 0
/// \param groups number of layer groups, >= 1
/// \throws ValueError `value.learning_rate` on a list of another length, or on a negative or
/// non-finite rate
FASTCPP_API std::vector<double> lr_range(const LearningRate& rate, std::size_t groups);

}  // namespace fastcpp
