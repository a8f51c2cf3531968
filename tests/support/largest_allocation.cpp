#include "support/largest_allocation.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FASTCPP_COUNTS_ALLOCATIONS 1
#else
#define FASTCPP_COUNTS_ALLOCATIONS 0
#endif

namespace {

std::atomic<bool> watching{false};
std::atomic<std::size_t> largest{0};

}  // namespace

#if FASTCPP_COUNTS_ALLOCATIONS
namespace {

void note(std::size_t bytes) {
  if (!watching.load(std::memory_order_relaxed)) return;
  auto known = largest.load();
  while (known < bytes && !largest.compare_exchange_weak(known, bytes)) {
  }
}

}  // namespace

// This program's own take the place of the C library's, for its libraries too; `new` comes here as well.
#pragma GCC visibility push(default)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) noexcept {
  note(bytes);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  note(count * bytes);
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) noexcept {
  note(bytes);
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  note(bytes);
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t bytes) noexcept {
  note(bytes);
  *to = __libc_memalign(alignment, bytes);
  return *to ? 0 : ENOMEM;
}
}
#pragma GCC visibility pop
#endif

namespace fastcpp::test {

bool counts_allocations() {
  return FASTCPP_COUNTS_ALLOCATIONS != 0;
}

LargestAllocation::LargestAllocation() {
  largest = 0;
  watching = true;
}

LargestAllocation::~LargestAllocation() {
  watching = false;
}

std::size_t LargestAllocation::bytes() const {
  return largest;
}

}  // namespace fastcpp::test
