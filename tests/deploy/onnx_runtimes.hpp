// Other programs' runtimes, to compare what they compute from an exported file.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "support/support.hpp"

namespace fastcpp::test {

// How far the probabilities of another program may be from the learner's.
constexpr double kProbability = 1e-4;

// The largest difference of two tensors of one shape.
double gap(const torch::Tensor& a, const torch::Tensor& b);
// A batch of random pictures.
torch::Tensor pixels(std::int64_t n, std::int64_t rows = 64, std::int64_t cols = 64);

// A file, and a batch for it: uint8, float32 or int64.
struct OnnxCase {
  Path model;
  torch::Tensor input;                          // called so
  std::map<std::string, torch::Tensor> more{};  // of a network of several inputs, instead
};

bool has_opencv_dnn();
torch::Tensor run_in_opencv(const OnnxCase& one);

// The npm package onnxruntime-node, where NODE_PATH leads to it.
bool has_onnx_runtime();
std::vector<torch::Tensor> run_in_onnx_runtime(const TempDir& dir,
                                               const std::vector<OnnxCase>& cases);

// Python's package onnx, `check_model` with all it has; what it says against a file, or nothing.
bool has_onnx_checker();
std::string check_onnx(const TempDir& dir, const std::vector<Path>& files);

// What stands in a file.
struct OnnxContent {
  std::map<std::string, std::string> metadata;
  std::map<std::string, int> operators;  // how often
  std::vector<std::string> constants;
  std::vector<std::string> inputs;  // `cats int64 N 3`
};
OnnxContent onnx_content(const Path& file);

}  // namespace fastcpp::test
