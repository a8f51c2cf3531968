/// \file
/// One page about a training.
#pragma once

#include <string>

#include "fastcpp/export.hpp"

namespace fastcpp {

/// Options of `Learner::report`.
struct ReportOptions {
  std::string title = {};  ///< absent: the name of the data's folder
};

}  // namespace fastcpp
