/// \file
/// One file that holds weights and what describes them.
#pragma once

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

/// What a model file holds.
struct ModelFile {
  Value description;  ///< a dict
  StateDict weights;  ///< of the network
};

/// Writes a zip archive with the entries `learner.json` and `model.safetensors`, both stored plainly, whole or not at all.
/// Equal content makes equal files. Nothing in it is code.
/// \throws ValueError as `to_json` and `save_safetensors`; IoError `io.cannot_write`, `io.cannot_create`
FASTCPP_API void save_model_file(const Path& file, const ModelFile& content);

/// The description alone, which tells what the weights are before they are read.
/// \throws as `load_model_file`
FASTCPP_API Value load_model_description(const Path& file);

/// Reads such a file. Every length and checksum is checked; other entries are ignored.
/// \throws FormatError `zip.…`, `json.…`, `safetensors.…` on a damaged file, `model.no_entry` on an archive without these
/// entries; IoError `io.cannot_read`, `io.out_of_memory`
FASTCPP_API ModelFile load_model_file(const Path& file);

}  // namespace fastcpp
