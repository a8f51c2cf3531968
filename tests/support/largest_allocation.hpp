// The largest piece of memory that a program asks for.
#pragma once

#include <cstddef>

namespace fastcpp::test {

// Whether allocations can be counted here: with glibc, and without a sanitizer that takes them over.
bool counts_allocations();

// Watches from its construction on; one at a time, all threads.
class LargestAllocation {
 public:
  LargestAllocation();
  ~LargestAllocation();
  LargestAllocation(const LargestAllocation&) = delete;
  LargestAllocation& operator=(const LargestAllocation&) = delete;
  std::size_t bytes() const;
};

}  // namespace fastcpp::test
