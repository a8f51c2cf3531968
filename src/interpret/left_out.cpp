#include "interpret/left_out.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

void refuse_left_out(const DataLoader& loader) {
  const auto left_out = loader.skipped();
  if (left_out.empty()) return;
  throw DataError("data.left_out",
                  fmt::format("{} items could not be loaded, the first of them '{}': what comes "
                              "out could not be told apart by item; remove these files, or label "
                              "the data without them",
                              left_out.size(), left_out.front().name));
}

}  // namespace fastcpp
