/// \file
/// A trained network as a TorchScript file, for LibTorch and for Python's PyTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class Learner;
class Predictor;

/// Options of `export_torchscript`; as those of `export_onnx`.
struct ExportTorchscriptOptions {
  bool softmax = true;  ///< the activation of the loss inside
  /// N x rows x columns x 3, uint8, RGB, normalised inside; false: N x 3 x rows x columns, float32, normalised by the caller.
  bool preprocessing = true;
  std::vector<std::int64_t> shape = {};  ///< of one sample; absent: what the transforms fix
};

/// Writes the network as it predicts to a file that `torch::jit::load` and Python's `torch.jit.load` read. Pictures of another
/// size fit where they fit the network. Parameters keep their names. The extra file `fastcpp.json` holds classes, size and the
/// rest of what `export_onnx` calls metadata. It computes on the device that the model is on now: give a predictor on the CPU
/// for a file that runs everywhere. Samples of several tensors are several arguments, as `export_onnx` orders them. TorchScript is
/// deprecated upstream; prefer ONNX, or `Learner::export_model`.
/// \param file written whole or not at all
/// \throws ValueError `value.export_options`, `value.export_batch`; DataError `data.tensors`; TrainError `train.failed`;
/// IoError `io.cannot_create`, `io.cannot_write`
FASTCPP_API void export_torchscript(const Learner& learn, const Path& file,
                                    const ExportTorchscriptOptions& options = {});
/// The same for a predictor, also one out of a file. Thread-safe.
/// \throws likewise
FASTCPP_API void export_torchscript(const Predictor& predictor, const Path& file,
                                    const ExportTorchscriptOptions& options = {});

}  // namespace fastcpp
