#include "fastcpp/train/optim/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

double annealing_no(double start, double, double) {
  return start;
}

double annealing_linear(double start, double end, double pct) {
  return start + pct * (end - start);
}

double annealing_exp(double start, double end, double pct) {
  return start * std::pow(end / start, pct);
}

double annealing_cos(double start, double end, double pct) {
  return end + (start - end) / 2 * (std::cos(std::numbers::pi * pct) + 1);
}

Anneal annealing_poly(double degree) {
  if (!std::isfinite(degree) || degree <= 0) {
    throw ValueError("value.anneal",
                     fmt::format("degree: expected a finite number > 0, found {}", degree));
  }
  return [degree](double start, double end, double pct) {
    return end + (start - end) * std::pow(1 - pct, degree);
  };
}

Scheduler::Scheduler(std::vector<double> start, std::vector<double> end, std::int64_t n_iter,
                     Anneal anneal)
    : start_(std::move(start)),
      end_(std::move(end)),
      value_(start_),
      n_iter_(std::max<std::int64_t>(1, n_iter)),
      anneal_(std::move(anneal)) {
  if (start_.size() != end_.size()) {
    throw ValueError("value.hyper_length",
                     fmt::format("end: expected as many values as start ({}), found {}",
                                 start_.size(), end_.size()));
  }
  if (n_iter < 0) {
    throw ValueError("value.anneal",
                     fmt::format("n_iter: expected a number of steps >= 0, found {}", n_iter));
  }
  if (!anneal_) {
    throw ValueError("value.anneal",
                     "anneal: expected a function such as annealing_cos, found an empty one");
  }
}

const std::vector<double>& Scheduler::step() {
  ++n_;
  const double pct = static_cast<double>(n_) / static_cast<double>(n_iter_);
  for (std::size_t i = 0; i < value_.size(); ++i) value_[i] = anneal_(start_[i], end_[i], pct);
  return value_;
}

}  // namespace fastcpp
