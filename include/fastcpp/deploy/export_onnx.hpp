/// \file
/// A trained network as an ONNX file, for runtimes that know neither fastcpp nor LibTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class Learner;
class Predictor;

/// Options of `export_onnx`.
struct ExportOnnxOptions {
  int opset = 17;       ///< version of the operators, 10..20
  bool softmax = true;  ///< the activation of the loss inside: softmax, sigmoid, none for numbers
  /// Pixels as they are: N x rows x columns x 3, uint8, RGB, of the network's size; they are normalised inside. false: N x 3 x
  /// rows x columns, float32, normalised by the caller. Samples of several tensors go in as the network takes them, in any case.
  bool preprocessing = true;
  bool fold = true;  ///< multiply batch norms into the convolutions before them
  /// Of one sample, without the batch: 3 x rows x columns for pictures. Absent: the size that the data's transforms fix. Not of
  /// samples of several tensors, whose shapes are known.
  std::vector<std::int64_t> shape = {};
};

/// Writes the network as it predicts to an ONNX file. Its input is called `input`, its output `output`; the number of items in
/// a batch is free. Metadata of the file, as JSON: `classes` (in the order of the outputs), `size` (rows and columns of the
/// input), `mean` and `std` (per channel, of pixels from 0 to 1), `labels` (the kind: `CategoryList`) and `loss`. The learner
/// stays as it is. Use it as the learner itself, from one thread at a time.
///
/// A table has the inputs `cats` (N x categories, int64) and `conts` (N x numbers, float32), or the one of both that holds
/// anything; ratings have `users` and `items` (N, int64). The metadata `items` says what codes mean and how numbers were filled
/// and normalised: the state of the TabularProcessor. Other samples of several tensors are `input_0`, `input_1`, ... of the
/// shapes that a learner's data lay out.
///
/// The network may be an architecture of the library or any other of the supported layers (docs/deploy.md), such as a
/// `torch::nn::Sequential`. It is followed through one batch: what depends on the values in it is not seen.
/// \param file written whole or not at all
/// \throws ValueError `value.export_options` when the options do not fit the model; `value.onnx_operation` naming operation
/// and layer when something has no counterpart; `value.export_batch` when the network computes something else for another
/// number of items; DataError `data.tensors` when it gives several tensors
/// \throws TrainError `train.failed` when such a sample does not fit the network; IoError `io.cannot_create`,
/// `io.cannot_write`
FASTCPP_API void export_onnx(const Learner& learn, const Path& file,
                             const ExportOnnxOptions& options = {});
/// The same for a predictor, also one out of a file. Thread-safe.
/// \throws likewise; ValueError `value.export_options` also without `fold` when its batch norms are folded already
FASTCPP_API void export_onnx(const Predictor& predictor, const Path& file,
                             const ExportOnnxOptions& options = {});

}  // namespace fastcpp
