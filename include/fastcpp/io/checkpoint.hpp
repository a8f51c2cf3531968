/// \file
/// PyTorch checkpoints (`.pth`): reads zip and legacy files without executing anything, writes what
/// `torch.load` reads.
#pragma once

#include <optional>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

/// Keyword arguments of `load_checkpoint`.
struct LoadCheckpointOptions {
  /// Only what stands under this name in the file's dictionary; the rest may hold anything. Absent: everything.
  std::optional<std::string> entry = {};
};

/// Reads any file that Python's `torch.save` wrote from tensors and plain Python values (PyTorch: `torch.load`), with
/// any pickle protocol.
///
/// Zip and legacy container are told apart by content. The pickle inside is interpreted, never executed: a short list
/// of names is known (OrderedDict, tensor and parameter rebuilding, storages, numpy scalars, slice). A value that any
/// other name takes part in is never built, and an error where it is asked for. Lengths are checked before memory is
/// taken. Tensors come to the CPU, also those saved from a GPU; tensors that shared a storage share it again.
/// \throws FormatError `pickle.…` or `zip.…` with the byte offset; ValueError `value.missing_key` when there is no such
/// entry; IoError `io.cannot_read`, `io.out_of_memory`
FASTCPP_API Value load_checkpoint(const Path& file, const LoadCheckpointOptions& options = {});

/// Reads weights from whatever holds them, told apart by content: a state dict; a dictionary that holds one as `model`
/// (fastai's `learn.save`, of version 1 and 2), `state_dict`, `model_state_dict` or `net`, beside whatever else, which
/// is skipped; a safetensors file. The tensors do not require gradients.
/// \throws FormatError `pickle.…`, `zip.…` or `safetensors.…` with the byte offset, `pickle.not_a_state_dict` when the
/// file holds something else; IoError `io.cannot_read`, `io.out_of_memory`
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
