#include "fastcpp/core/learning_rate.hpp"

#include <fmt/format.h>

#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

double checked(double rate) {
  if (!std::isfinite(rate) || rate < 0) {
    throw ValueError("value.learning_rate",
                     fmt::format("a learning rate must be a finite number >= 0, found {}", rate));
  }
  return rate;
}

std::vector<double> spread(std::optional<double> first, double last, std::size_t groups) {
  const double stop = checked(last);
  if (!first) {
    std::vector<double> rates(groups, stop / 10);
    rates.back() = stop;
    return rates;
  }
  const double start = checked(*first);
  if (groups == 1) return {stop};
  if (start == 0 || stop == 0) {
    throw ValueError(
        "value.learning_rate",
        fmt::format("slice(start, stop) spaces rates geometrically: both must be > 0, found {} "
                    "and {}",
                    start, stop));
  }
  // Powers of one step, not pow per group: the same rounding as the reference's even multiples.
  const double step = std::pow(stop / start, 1.0 / static_cast<double>(groups - 1));
  std::vector<double> rates(groups);
  for (std::size_t i = 0; i < groups; ++i) {
    rates[i] = start * std::pow(step, static_cast<double>(i));
  }
  return rates;
}

}  // namespace

LearningRate slice(double stop) {
  return LearningRate(LearningRate::Range{{}, stop});
}

LearningRate slice(double start, double stop) {
  return LearningRate(LearningRate::Range{start, stop});
}

std::vector<double> LearningRate::per_group(std::size_t groups) const {
  if (groups == 0) {
    throw ValueError("value.learning_rate", "learning rates were asked for no layer group at all");
  }
  if (const auto* number = std::get_if<double>(&rate_))
    return boundary([&] { return std::vector<double>(groups, checked(*number)); });
  if (const auto* range = std::get_if<Range>(&rate_))
    return boundary([&] { return spread(range->start, range->stop, groups); });
  const auto& list = std::get<std::vector<double>>(rate_);
  if (list.size() != groups) {
    throw ValueError("value.learning_rate",
                     fmt::format("expected one learning rate per layer group ({}), found {}; give "
                                 "one number, a slice or {} numbers",
                                 groups, list.size(), groups));
  }
  for (double value : list) checked(value);
  return list;
}

std::vector<double> lr_range(const LearningRate& rate, std::size_t groups) {
  return rate.per_group(groups);
}

}  // namespace fastcpp
