#include "fastcpp/train/threads.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"

namespace fastcpp::inline v0 {
namespace {

// OpenBLAS built on pthreads keeps a pool of its own, as large as the machine, of which LibTorch
// knows nothing. Which BLAS LibTorch was linked with shows only when the program runs.
void limit_openblas(int compute) {
  if (void* set = ::dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
    reinterpret_cast<void (*)(int)>(set)(compute);
  }
}

}  // namespace

void set_threads(int compute) {
  boundary([&] {
    // GNU's OpenMP ends the process when the system refuses it a thread.
    const int most = std::max(1024, available_cpus());
    if (compute < 1 || compute > most) {
      throw ValueError("value.threads",
                       fmt::format("threads must be between 1 and {}, found {}", most, compute));
    }
    at::set_num_threads(compute);
    limit_openblas(compute);
  });
}

int get_threads() {
  return boundary([] { return at::get_num_threads(); });
}

}  // namespace fastcpp
