/// \file
/// What is wrong with a picture file.
#pragma once

#include <string>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0 {

/// What is said about one file. A plain value.
struct ImageFault {
  Path file;            ///< the file, as it was found
  std::string code;     ///< of the error, such as `image.cannot_decode`
  std::string message;  ///< for a person, naming the file
};

}  // namespace fastcpp
