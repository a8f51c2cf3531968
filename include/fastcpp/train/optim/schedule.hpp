/// \file
/// How hyper-parameters move during a training.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A way from `start` to `end`: (start, end, pct in 0..1) -> value.
using Anneal = std::function<double(double start, double end, double pct)>;

/// Stays at start (fastai: `annealing_no`).
FASTCPP_API double annealing_no(double start, double end, double pct);
/// A straight line (fastai: `annealing_linear`).
FASTCPP_API double annealing_linear(double start, double end, double pct);
/// start * (end/start)^pct (fastai: `annealing_exp`).
FASTCPP_API double annealing_exp(double start, double end, double pct);
/// Half a cosine (fastai: `annealing_cos`).
FASTCPP_API double annealing_cos(double start, double end, double pct);
/// end + (start-end) * (1-pct)^degree (fastai: `annealing_poly`).
/// \throws ValueError `value.anneal` on a degree that is not a finite number > 0
FASTCPP_API Anneal annealing_poly(double degree);

/// Steps along an annealing, all values in step (fastai: `Scheduler`). A value; used from one thread at a time.
class FASTCPP_API Scheduler {
 public:
  /// \param start  values at the first step, one or one per layer group
  /// \param end    values after n_iter steps, as many
  /// \param n_iter number of steps; 0 counts as 1
  /// \param anneal not empty
  /// \throws ValueError `value.hyper_length` when end has another number of values; `value.anneal` on an empty anneal
  /// or a negative n_iter
  Scheduler(std::vector<double> start, std::vector<double> end, std::int64_t n_iter, Anneal anneal);

  /// The values in force.
  const std::vector<double>& value() const { return value_; }
  /// Advances by one and returns the new values.
  const std::vector<double>& step();
  /// True when n_iter steps were made.
  bool is_done() const { return n_ >= n_iter_; }

 private:
  std::vector<double> start_, end_, value_;
  std::int64_t n_iter_, n_ = 0;
  Anneal anneal_;
};

}  // namespace fastcpp
