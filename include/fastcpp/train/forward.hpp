/// \file
/// Running a model on a batch, and telling a user what went wrong meanwhile.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

/// What convolutions and linear layers compute in; absent: the type of their parameters.
using ComputeType = std::optional<torch::ScalarType>;

/// How `forward` runs a model.
struct ForwardOptions {
  ComputeType precision = {};  ///< half precision or bfloat16 for convolutions and linear layers
  bool keep_precision =
      false;  ///< leave the output in `precision`; false: the output is single precision
};

/// Runs the model on a batch in the memory layout that is fastest for it. Safe in several threads as far as the model is.
/// \param x a batch on the model's device
/// \throws whatever the model throws; see `guarded`
FASTCPP_API Tensors forward(const Model& model, const Tensors& x,
                            const ForwardOptions& options = {});

/// Rethrows the exception being handled as `rethrow_as_error` does; a shortage of memory becomes advice on the batch
/// size. Call it in a `catch` block only.
/// \param batch_size items of the batch that was worked on, >= 1
[[noreturn]] FASTCPP_API void rethrow_with_advice(std::int64_t batch_size);

/// Runs `f` and returns what it returns; nothing but an Error leaves it.
/// \param batch_size items of the batch that is worked on, for the advice when memory runs short
template <typename F>
auto guarded(std::int64_t batch_size, F&& f) -> decltype(auto) {
  try {
    return std::forward<F>(f)();
  } catch (...) {
    rethrow_with_advice(batch_size);
  }
}

// For whoever walks over batches and looks at a stop token.
// \throws TrainError `train.stopped`
/// Throws TrainError `train.stopped`: how many of how many steps were done.
[[noreturn]] void throw_stopped(const char* what, std::int64_t done, std::int64_t total);

/// While it lives, all modules of a model are in evaluation mode; then each is in the mode it had before, layer by layer.
/// Keeps the model alive. Used from one thread.
class FASTCPP_API EvaluationMode {
 public:
  /// Modules are in evaluation mode until it is destroyed.
  explicit EvaluationMode(const Model& model);
  ~EvaluationMode();
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
};

}  // namespace fastcpp
