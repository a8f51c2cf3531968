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

// A linear layer; what `relu` holds back is held back in both directions.
struct Linear {
  std::int64_t rows, in, out;  // of the batch; columns of x and y
  const float* weight;         // out x in
  bool relu;
};
// Floats that `linear` and `linear_back` take from `memory`.
std::int64_t linear_memory(const Linear& layer);
std::int64_t linear_back_memory(const Linear& layer);
// \param y       in lines of `y_line` floats, `out` or padded(out)
// \param bias    `out` values
void linear(const DenseKernels& kernels, const Linear& layer, const float* x, const float* bias,
            float* y, std::int64_t y_line, Floats& memory);
// \param y       what `linear` made, padded; null without relu
// \param dy      its gradient; changed
// \param dweight out x in
// \return the gradient of x
float* linear_back(const DenseKernels& kernels, const Linear& layer, const float* x, const float* y,
                   float* dy, float* dweight, float* dbias, Floats& memory);

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
// `dy` becomes the gradient of x. dweight and dbias are `cols` values.
void normalise_back(const DenseKernels& kernels, std::int64_t rows, std::int64_t cols,
                    const NormStatistics& norm, const float* x, float* dy, float* dweight,
                    float* dbias, Floats& memory);

}  // namespace fastcpp::models
