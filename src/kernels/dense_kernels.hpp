// The inner loops of dense layers and batch norm in training, compiled for several instruction sets, single precision.
// Matrices are row after row. Padded ones have lines of a multiple of kLine floats; what is beyond their columns is zero and
// is computed along.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastcpp::inline v0::models {

// c[i][j] = act(c[i][j] where wanted + bias[j] + sum over k of a[i * a_row + k * a_step] * b[k * b_line + j])
struct MatrixProduct {
  std::int64_t rows, cols, depth;
  const float* a;
  std::ptrdiff_t a_row, a_step;
  const float* b;  // padded
  std::ptrdiff_t b_line;
  float* c;  // `cols` are written
  std::ptrdiff_t c_line;
  const float* bias = nullptr;  // padded; null: none
  bool relu = false;
  bool add = false;  // to what c holds
};

// A column's values over the rows of a batch, normalised: y = (x - mean) * inv * weight + bias.
struct BatchNorm {
  std::int64_t rows;
  std::ptrdiff_t cols, line;  // both multiples of kLine
  const float* x;
  double *mean, *var, *inv;  // variance of the population; 1 / root(variance + eps)
  const float *weight, *bias;
  double eps;
  float* y;
};

// Its gradients: `dy` becomes that of x, and with `relu`, where x is what ReLU made, that of what ReLU was given. `sums` are
// those of its columns, the gradient of a bias before; null: none. They are made before rounding: where ReLU holds nothing
// back the gradient of that bias is zero, and an optimizer such as Adam makes a step of what rounding leaves of it.
struct BatchNormBack {
  std::int64_t rows;
  std::ptrdiff_t cols, line;
  const float* x;
  const double *mean, *inv;
  const float* weight;
  bool relu;
  float* dy;
  float *dweight, *dbias, *sums;
};

// dy becomes zero where y is zero, and stays elsewhere, where y is no number too; `sums` are those of its columns. Without y they are all.
struct ReluBack {
  std::int64_t rows;
  std::ptrdiff_t cols, line;
  const float* y;
  float *dy, *sums;
};

struct DenseKernels {
  static constexpr std::ptrdiff_t kLine = 16;
  void (*multiply)(const MatrixProduct&);
  void (*moments)(const BatchNorm&);    // mean, var and inv from x
  void (*normalise)(const BatchNorm&);  // y
  void (*normalise_back)(const BatchNormBack&);
  void (*relu_back)(const ReluBack&);
};

}  // namespace fastcpp::models
