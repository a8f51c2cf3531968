// Dense layers and batch norm, forward and backward, on the CPU in single precision, over the kernels of this processor. For
// batches that are small beside what a call of LibTorch's takes. Matrices have a line for each row of the batch, padded: a
// multiple of 16 floats, zero beyond the columns.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0::models {

struct DenseKernels;
// The best for this processor; null where LibTorch's own are the better choice.
const DenseKernels* dense_kernels();

// `columns` up to whole lines.
std::int64_t padded(std::int64_t columns);

// Memory taken piece after piece; sizes are multiples of a line. What was taken lives as long as this. Used by one thread.
class Floats {
 public:
  Floats() = default;
  explicit Floats(std::int64_t count);
  float* take(std::int64_t count);

 private:
  torch::Tensor block_;
  float* next_ = nullptr;
};

// rows x cols of dense memory to lines with zeros behind.
void copy_padded(const float* from, std::int64_t rows, std::int64_t cols, float* to,
                 std::int64_t line);
// Each row of x by that of the mask, rows x columns.
void times(float* x, std::int64_t line, const torch::Tensor& mask);

// A linear layer, and ReLU behind it.
struct LinearLayer {
  std::int64_t rows, in, out;  // of the batch; columns of x and y
  const float* weight;         // out x in
  bool relu;
};
// Floats that `linear` and `linear_back` take from `memory`.
std::int64_t linear_memory(const LinearLayer& layer);
std::int64_t linear_back_memory(const LinearLayer& layer);
// \param y       in lines of `y_line` floats, `out` or padded(out)
// \param bias    `out` values
void linear(const DenseKernels& kernels, const LinearLayer& layer, const float* x,
            const float* bias, float* y, std::int64_t y_line, Floats& memory);
// The gradients of ReLU and of the bias: `dy` becomes that of what ReLU was given.
// \param y       what `linear` made, padded; null without ReLU
void relu_back(const DenseKernels& kernels, const LinearLayer& layer, const float* y, float* dy,
               float* dbias, Floats& memory);
// \param dy      the gradient behind `relu_back`
// \param dweight out x in
// \return the gradient of x
float* linear_back(const DenseKernels& kernels, const LinearLayer& layer, const float* x,
                   const float* dy, float* dweight, Floats& memory);

// Batch norm's parameters and running statistics, `cols` values each.
struct NormLayer {
  std::int64_t rows, cols;
  const float *weight, *bias;
  float *running_mean, *running_var;
  double eps, momentum;
  bool training;
};
// What its gradient needs.
struct NormStatistics {
  const double *mean = nullptr, *inv = nullptr;
  const float* weight = nullptr;
};
// Floats that `normalise` and `normalise_back` take from `memory`.
std::int64_t normalise_memory(std::int64_t cols);
std::int64_t normalise_back_memory(std::int64_t cols);
// In training, by the batch's own statistics, which the running ones follow.
NormStatistics normalise(const DenseKernels& kernels, const NormLayer& layer, const float* x,
                         float* y, Floats& memory);
// `dy` becomes the gradient of x, which `before` made; then what `relu_back` does for that layer is done too.
// \param dweight,dbias `cols` values
// \param before        null when x has no layer before
// \param dbefore       gradient of the bias of `before`
void normalise_back(const DenseKernels& kernels, std::int64_t rows, std::int64_t cols,
                    const NormStatistics& norm, const float* x, const LinearLayer* before,
                    float* dy, float* dweight, float* dbias, float* dbefore, Floats& memory);

}  // namespace fastcpp::models
