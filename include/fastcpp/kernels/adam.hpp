// Adam's step on contiguous memory, in one pass.
#pragma once

#include <cstdint>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

template <typename T>
struct AdamStep {
  T b1, b2;  // how much of the averages stays
  T b1_rest, b2_rest;
  T decay, l2;  // on the parameter before the step; added to the gradient
  T step;       // rate over the bias correction of the first average
  T inv_root;   // 1 / root of the bias correction of the second
  T eps;
};

// One step for n elements: p, m and v change. Nothing may overlap. Safe in several threads for different memory.
void adam_span(float* p, float* m, float* v, const float* g, std::int64_t n,
               const AdamStep<float>& step);
void adam_span(double* p, double* m, double* v, const double* g, std::int64_t n,
               const AdamStep<double>& step);

}  // namespace fastcpp
