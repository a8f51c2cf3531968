#include "fastcpp/kernels/dense_layers.hpp"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/dense_kernels.hpp"

namespace fastcpp::inline v0::models {
namespace {

using Index = std::int64_t;
constexpr Index kLine = DenseKernels::kLine;

// Least work for a further thread: multiplications, and values.
constexpr Index kLeastProducts = 1 << 18, kLeastValues = 1 << 15;

void multiply(const DenseKernels& kernels, const MatrixProduct& p) {
  constexpr Index kRows = 8;
  const Index groups = (p.rows + kRows - 1) / kRows;
  const Index grain = kLeastProducts / std::max<Index>(1, kRows * p.cols * p.depth) + 1;
  at::parallel_for(0, groups, grain, [&](Index first, Index last) {
    auto part = p;
    part.rows = std::min(last * kRows, p.rows) - first * kRows;
    part.a += first * kRows * p.a_row;
    part.c += first * kRows * p.c_line;
    kernels.multiply(part);
  });
}

// Calls run(first column, how many), in whole lines.
template <typename Run>
void by_columns(Index rows, Index line, const Run& run) {
  at::parallel_for(0, line / kLine, kLeastValues / (rows * kLine) + 1,
                   [&](Index first, Index last) { run(first * kLine, (last - first) * kLine); });
}

// to[k][r] = from[r][k]; zeros behind, up to whole lines. Four by four: value by value it would take as long as a product.
void transpose(const float* from, Index rows, Index cols, float* to, Index line) {
  typedef float Four __attribute__((vector_size(16)));
  for (Index k = 0; k < cols; ++k) std::fill(to + k * line + rows, to + (k + 1) * line, 0.0f);
  const Index whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
  for (Index k = 0; k < whole_cols; k += 4) {
    for (Index r = 0; r < whole_rows; r += 4) {
      Four v[4];
      for (Index i = 0; i < 4; ++i) std::memcpy(&v[i], from + (r + i) * cols + k, sizeof v[i]);
      const Four low_01 = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
      const Four low_23 = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
      const Four high_01 = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
      const Four high_23 = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
      v[0] = __builtin_shufflevector(low_01, low_23, 0, 1, 4, 5);
      v[1] = __builtin_shufflevector(low_01, low_23, 2, 3, 6, 7);
      v[2] = __builtin_shufflevector(high_01, high_23, 0, 1, 4, 5);
      v[3] = __builtin_shufflevector(high_01, high_23, 2, 3, 6, 7);
      for (Index i = 0; i < 4; ++i) std::memcpy(to + (k + i) * line + r, &v[i], sizeof v[i]);
    }
  }
  for (Index k = 0; k < cols; ++k) {
    for (Index r = k < whole_cols ? whole_rows : 0; r < rows; ++r)
      to[k * line + r] = from[r * cols + k];
  }
}

void follow(const NormLayer& layer, const double* mean, const double* var) {
  const double unbiased = static_cast<double>(layer.rows) / static_cast<double>(layer.rows - 1);
  const auto move = [&](float& running, double value) {
    running = static_cast<float>((1 - layer.momentum) * static_cast<double>(running) +
                                 layer.momentum * value);
  };
  for (Index c = 0; c < layer.cols; ++c) {
    move(layer.running_mean[c], mean[c]);
    move(layer.running_var[c], var[c] * unbiased);
  }
}

}  // namespace

Index padded(Index columns) {
  return (columns + kLine - 1) / kLine * kLine;
}

Floats::Floats(Index count)
    : block_(at::detail::empty_cpu({count}, torch::kFloat32)), next_(block_.data_ptr<float>()) {}

float* Floats::take(Index count) {
  return std::exchange(next_, next_ + count);
}

void copy_padded(const float* from, Index rows, Index cols, float* to, Index line) {
  for (Index r = 0; r < rows; ++r, from += cols, to += line) {
    std::fill(std::copy_n(from, cols, to), to + line, 0.0f);
  }
}

void times(float* x, Index line, const torch::Tensor& mask) {
  const float* by = mask.data_ptr<float>();
  for (Index r = 0; r < mask.size(0); ++r, x += line) {
    for (Index c = 0; c < mask.size(1); ++c) x[c] *= *by++;
  }
}

Index linear_memory(const LinearLayer& layer) {
  return (layer.in + 1) * padded(layer.out);
}

Index linear_back_memory(const LinearLayer& layer) {
  return padded(layer.out) + (layer.out + layer.rows) * padded(layer.in);
}

void linear(const DenseKernels& kernels, const LinearLayer& layer, const float* x,
            const float* bias, float* y, Index y_line, Floats& memory) {
  const Index line = padded(layer.out);
  float *const weights = memory.take(layer.in * line), *const biases = memory.take(line);
  transpose(layer.weight, layer.out, layer.in, weights, line);
  copy_padded(bias, 1, layer.out, biases, line);
  multiply(kernels, {.rows = layer.rows,
                     .cols = y_line,
                     .depth = layer.in,
                     .a = x,
                     .a_row = padded(layer.in),
                     .a_step = 1,
                     .b = weights,
                     .b_line = line,
                     .c = y,
                     .c_line = y_line,
                     .bias = biases,
                     .relu = layer.relu});
}

void relu_back(const DenseKernels& kernels, const LinearLayer& layer, const float* y, float* dy,
               float* dbias, Floats& memory) {
  const Index line = padded(layer.out);
  float* const sums = memory.take(line);
  by_columns(layer.rows, line, [&](Index first, Index count) {
    kernels.relu_back({.rows = layer.rows,
                       .cols = count,
                       .line = line,
                       .y = layer.relu ? y + first : nullptr,
                       .dy = dy + first,
                       .sums = sums + first});
  });
  std::copy_n(sums, layer.out, dbias);
}

float* linear_back(const DenseKernels& kernels, const LinearLayer& layer, const float* x,
                   const float* dy, float* dweight, Floats& memory) {
  const auto& [rows, in, out, weight, relu] = layer;
  const Index line = padded(in), out_line = padded(out);
  multiply(kernels, {.rows = out,
                     .cols = in,
                     .depth = rows,
                     .a = dy,
                     .a_row = 1,
                     .a_step = out_line,
                     .b = x,
                     .b_line = line,
                     .c = dweight,
                     .c_line = in});
  float *const weights = memory.take(out * line), *const dx = memory.take(rows * line);
  copy_padded(weight, out, in, weights, line);
  multiply(kernels, {.rows = rows,
                     .cols = line,
                     .depth = out,
                     .a = dy,
                     .a_row = out_line,
                     .a_step = 1,
                     .b = weights,
                     .b_line = line,
                     .c = dx,
                     .c_line = line});
  return dx;
}

Index normalise_memory(Index cols) {
  return 8 * padded(cols);
}

Index normalise_back_memory(Index cols) {
  return 3 * padded(cols);
}

NormStatistics normalise(const DenseKernels& kernels, const NormLayer& layer, const float* x,
                         float* y, Floats& memory) {
  const Index line = padded(layer.cols);
  const auto doubles = [&] { return reinterpret_cast<double*>(memory.take(2 * line)); };
  double *const mean = doubles(), *const var = doubles(), *const inv = doubles();
  float *const weight = memory.take(line), *const bias = memory.take(line);
  copy_padded(layer.weight, 1, layer.cols, weight, line);
  copy_padded(layer.bias, 1, layer.cols, bias, line);
  if (!layer.training) {
    std::fill(std::copy_n(layer.running_mean, layer.cols, mean), mean + line, 0.0);
    std::fill_n(inv, line, 0.0);
    for (Index c = 0; c < layer.cols; ++c) {
      inv[c] = 1 / std::sqrt(static_cast<double>(layer.running_var[c]) + layer.eps);
    }
  }
  by_columns(layer.rows, line, [&](Index first, Index count) {
    const BatchNorm part{.rows = layer.rows,
                         .cols = count,
                         .line = line,
                         .x = x + first,
                         .mean = mean + first,
                         .var = var + first,
                         .inv = inv + first,
                         .weight = weight + first,
                         .bias = bias + first,
                         .eps = layer.eps,
                         .y = y + first};
    if (layer.training) kernels.moments(part);
    kernels.normalise(part);
  });
  if (layer.training) follow(layer, mean, var);
  return {mean, inv, weight};
}

void normalise_back(const DenseKernels& kernels, Index rows, Index cols, const NormStatistics& norm,
                    const float* x, const LinearLayer* before, float* dy, float* dweight,
                    float* dbias, float* dbefore, Floats& memory) {
  const Index line = padded(cols);
  float *const weight = memory.take(line), *const bias = memory.take(line),
               *const sums = memory.take(line);
  by_columns(rows, line, [&](Index first, Index count) {
    kernels.normalise_back({.rows = rows,
                            .cols = count,
                            .line = line,
                            .x = x + first,
                            .mean = norm.mean + first,
                            .inv = norm.inv + first,
                            .weight = norm.weight + first,
                            .relu = before && before->relu,
                            .dy = dy + first,
                            .dweight = weight + first,
                            .dbias = bias + first,
                            .sums = before ? sums + first : nullptr});
  });
  std::copy_n(weight, cols, dweight);
  std::copy_n(bias, cols, dbias);
  if (before) std::copy_n(sums, cols, dbefore);
}

}  // namespace fastcpp::models
