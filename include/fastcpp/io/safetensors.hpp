/// \file
/// The safetensors file format: a JSON header and raw tensors, readable by every framework.
#pragma once

#include <map>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/state_dict.hpp"

namespace fastcpp::inline v0 {

/// Reads a safetensors file; the order is that of the header.
///
/// The file is checked before memory is taken: the tensors must cover the data exactly, without overlap or hole.
/// Thread-safe; the tensors are the caller's own.
/// \throws FormatError `safetensors.…` with the byte offset on a damaged file
/// \throws IoError `io.cannot_read`, `io.out_of_memory`
FASTCPP_API StateDict load_safetensors(const Path& file);

/// The free text entries of the header (`__metadata__`), empty when there are none.
/// \throws FormatError `safetensors.…`
/// \throws IoError `io.cannot_read`, `io.out_of_memory`
FASTCPP_API std::map<std::string, std::string> safetensors_metadata(const Path& file);

/// Writes a safetensors file that Python's `safetensors.torch.load_file` reads. Views and other devices are copied.
/// \param file written to a temporary sibling, then renamed
/// \param weights tensors of type float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8 or bool
/// \param metadata free text entries, for example {"format", "pt"}
/// \throws ValueError `value.dtype` on another element type, `value.name` on a name that is not UTF-8 or is
///   `__metadata__`, `value.tensor` on a tensor without content, such as one of the device meta
/// \throws IoError `io.cannot_write`, `io.cannot_create`
/// \throws MemoryError `train.out_of_memory` when a tensor cannot be copied from its device
FASTCPP_API void save_safetensors(const Path& file, const StateDict& weights,
                                  const std::map<std::string, std::string>& metadata = {});

}  // namespace fastcpp
