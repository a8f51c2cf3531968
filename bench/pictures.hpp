// The pictures a benchmark reads: FASTCPP_BENCH_PICTURES, or drawn ones.
#pragma once

#include <vector>

#include "fastcpp/core/path.hpp"

namespace bench {

// At most `count` files, repeated when the folder has fewer.
std::vector<fastcpp::Path> pictures(std::size_t count);

}  // namespace bench
