/// \file
/// How something is made again from a file.
#pragma once

#include <string>

#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

/// A name known to a registry (`register_model`, `register_loss`, `register_labels`) and what its maker is told. A value.
struct Recipe {
  std::string name;               ///< UTF-8, not empty
  Value options = Value::dict();  ///< of what JSON holds: None, bools, numbers, texts, lists, dicts
};

}  // namespace fastcpp
