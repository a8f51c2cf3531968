#include "fastcpp/train/threads.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"

namespace fastcpp {
namespace {

// GNU's OpenMP lets threads that wait spin for milliseconds, unless the process has more OpenMP
// threads than processors. Spinning wins nothing here, and as soon as anything else wants a
// processor (a loader's worker, another process) an epoch takes three times as long. The
// environment could forbid it, but only before the program starts; so idle threads make the number.
void let_waiting_threads_sleep(int compute) {
#ifdef _OPENMP
  if (compute < 2 || std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  static std::mutex mutex;
  static int idle = 0;
  const std::scoped_lock lock(mutex);
  const int wanted = available_cpus() + 1 - compute;
  if (wanted <= idle) return;
  std::promise<void> ready;
  std::thread([&ready, count = wanted - idle + 1] {
    std::atomic<int> team = 0;  // an empty team would be left out
#pragma omp parallel num_threads(count)
    ++team;
    ready.set_value();
    while (true) ::pause();  // its team sleeps as long as it lives
  }).detach();
  ready.get_future().wait();
  idle = wanted;
#else
  static_cast<void>(compute);
#endif
}

// OpenBLAS built on pthreads keeps a pool of its own, as large as the machine, of which LibTorch
// knows nothing. Which BLAS LibTorch was linked with shows only when the program runs.
void limit_openblas(int compute) {
  if (void* set = ::dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
    reinterpret_cast<void (*)(int)>(set)(compute);
  }
}

}  // namespace

void set_threads(int compute) {
  if (compute < 1) {
    throw ValueError("value.threads", fmt::format("threads must be at least 1, found {}", compute));
  }
  at::set_num_threads(compute);
  limit_openblas(compute);
  let_waiting_threads_sleep(compute);
}

int get_threads() {
  return at::get_num_threads();
}

}  // namespace fastcpp
