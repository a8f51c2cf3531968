#include "fastcpp/train/threads.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp {

void set_threads(int compute) {
  if (compute < 1) {
    throw ValueError("value.threads", fmt::format("threads must be at least 1, found {}", compute));
  }
  at::set_num_threads(compute);
}

int get_threads() {
  return at::get_num_threads();
}

}  // namespace fastcpp
