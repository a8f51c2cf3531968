#include "fastcpp/core/threads.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>

#include <sched.h>

#include "core/cpu_quota.hpp"
#include "fastcpp/core/boundary.hpp"

namespace fastcpp::inline v0 {
namespace {

// Those the process is bound to, or all.
int affine_cpus() {
  // The set grows until the system takes it: a fixed one ends at 1024 processors.
  for (int size = 1024; size <= 1 << 20; size *= 4) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
        CPU_ALLOC(size), [](cpu_set_t* old) { CPU_FREE(old); });
    if (!set) break;
    const auto bytes = CPU_ALLOC_SIZE(size);
    CPU_ZERO_S(bytes, set.get());
    if (::sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
    if (errno != EINVAL) break;
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int available_cpus() {
  return boundary([] {
    const int cpus = std::max(1, affine_cpus());
    return std::min(cpus, cpu_quota().value_or(cpus));
  });
}

int default_workers() {
  return std::min(16, available_cpus());
}

}  // namespace fastcpp
