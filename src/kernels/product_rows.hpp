// Many rows of a product with one block of packed weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/conv_kernels.hpp"

namespace fastcpp::inline v0::models {

struct ProductRows {
  std::int64_t count;
  std::int64_t most_rows, padded,
      width;  // of the block: rows of one call, channels up to whole vectors, channels
  std::int64_t runs, run_step, depth;  // from here on as those of Product
  const float* weights;
  const float* bias;
  float low, high;
};

// The weights of one call: they stay in the first cache beside the inputs of a few rows.
constexpr std::int64_t kPartBytes = 32 << 10;

// Unless few rows are multiplied, the depth goes by parts, whose sums wait in the outputs: all weights in turn would come from the
// second cache for every few rows. And from memory for the first of them, were they not fetched beside the part before.
// \param in,out,add what belongs to a row, as pointers; add(0) is null when nothing is added
template <typename In, typename Out, typename Add>
void multiply_rows(const ConvKernels& kernels, const ProductRows& all, const In& in, const Out& out,
                   const Add& add) {
  using Index = std::int64_t;
  constexpr float kAny = std::numeric_limits<float>::infinity();
  const Index most = kPartBytes / (all.padded * Index{sizeof(float)});
  const Index groups = (all.count + all.most_rows - 1) / all.most_rows;
  const bool in_parts = groups > 1 && all.runs * all.depth > most + most / 2;
  const Index parts = in_parts ? (all.depth + most - 1) / most : 1;  // of each run
  const Index steps = in_parts ? all.runs * parts : 1;
  for (Index step = 0; step < steps; ++step) {
    const Index run = step / parts, from = step % parts * all.depth / parts;
    Product p{};
    p.runs = static_cast<int>(in_parts ? 1 : all.runs);
    p.run_step = all.run_step;
    p.depth = (step % parts + 1) * all.depth / parts - from;
    p.weights = all.weights + (run * all.depth + from) * all.padded;
    p.bias = step == 0 ? all.bias : nullptr;
    p.width = static_cast<int>(all.width);
    p.low = step + 1 == steps ? all.low : -kAny;
    p.high = step + 1 == steps ? all.high : kAny;
    for (Index g = 0; g < groups; ++g) {
      const Index start = g * all.count / groups;
      // The first groups fetch the weights behind these, a part of the same size.
      const Index fetched = g * Product::kCacheLine;
      p.next = p.weights + (fetched < all.padded ? (all.padded + fetched) * p.depth * p.runs : 0);
      p.rows = static_cast<int>((g + 1) * all.count / groups - start);
      for (int r = 0; r < p.rows; ++r) {
        p.in[r] = in(start + r) + run * all.run_step + from;
        p.out[r] = out(start + r);
        p.add[r] = step == 0 ? add(start + r) : p.out[r];
      }
      kernels.multiply(p);
    }
  }
}

}  // namespace fastcpp::models
