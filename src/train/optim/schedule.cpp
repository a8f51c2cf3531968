#include "fastcpp/train/optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fastcpp {

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
      anneal_(std::move(anneal)) {}

const std::vector<double>& Scheduler::step() {
  ++n_;
  const double pct = static_cast<double>(n_) / static_cast<double>(n_iter_);
  for (std::size_t i = 0; i < value_.size(); ++i) value_[i] = anneal_(start_[i], end_[i], pct);
  return value_;
}

}  // namespace fastcpp
