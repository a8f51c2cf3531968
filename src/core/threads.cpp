#include "fastcpp/core/threads.hpp"

#include <algorithm>
#include <thread>

#include <sched.h>

namespace fastcpp {

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int default_workers() {
  return std::min(16, available_cpus());
}

}  // namespace fastcpp
