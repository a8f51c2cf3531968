// A system that refuses threads. A program that is linked with limited_threads.cpp has a pthread_create of its own, which its
// libraries call as well.
#pragma once

namespace fastcpp::test {

// How many threads may still be started, by whomever, for the life of the object; one at a time.
class LimitedThreads {
 public:
  explicit LimitedThreads(int threads);
  ~LimitedThreads();
  LimitedThreads(const LimitedThreads&) = delete;
  LimitedThreads& operator=(const LimitedThreads&) = delete;
};

}  // namespace fastcpp::test
