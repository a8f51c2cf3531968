/// \file
/// PyTorch checkpoints (`.pth`): reads zip and legacy files without executing anything, writes what
/// `torch.load` reads.
#pragma once

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp {

/// Reads any file that Python's `torch.save` wrote from tensors and plain Python values (PyTorch: `torch.load`).
///
/// Zip and legacy container are told apart by content. The pickle inside is interpreted, never executed: a short list
/// of names is known (OrderedDict, tensor and parameter rebuilding, storages, numpy scalars, slice), every other one is
/// an error. Lengths are checked before memory is taken. Tensors come to the CPU, also those saved from a GPU; tensors
/// that shared a storage share it again.
/// \throws FormatError `pickle.…` or `zip.…` with the byte offset; IoError `io.cannot_read`
FASTCPP_API Value load_checkpoint(const Path& file);

/// Reads weights from whatever holds them: a state dict, fastai's `learn.save` layout {model, opt} (takes `model` and
/// skips reading the rest), or a safetensors file, told apart by content. The tensors do not require gradients.
/// \throws FormatError `pickle.…`, `zip.…` or `safetensors.…` with the byte offset, `pickle.not_a_state_dict` when the
/// file holds something else; IoError `io.cannot_read`
FASTCPP_API StateDict load_weights(const Path& file);

/// Writes PyTorch's zip format so that Python's `torch.load` gives the same values. A storage
/// shared by several tensors is written once; tensors of other devices are written as CPU tensors.
/// \param file written to a temporary sibling, then renamed
/// \throws ValueError `value.dtype` on tensors that are sparse, quantised or of an unsupported
/// type; IoError
///         `io.cannot_write`
FASTCPP_API void save_checkpoint(const Path& file, const Value& root);

/// Weights as an `OrderedDict`, ready for `save_checkpoint`.
FASTCPP_API Value to_value(const StateDict& weights);

/// A dictionary of name -> tensor as weights; detached, sharing memory.
/// \throws FormatError `pickle.not_a_state_dict` on anything else
FASTCPP_API StateDict to_state_dict(const Value& value);

}  // namespace fastcpp
