#include "support/limited_threads.hpp"

#include <atomic>
#include <cerrno>

#include <dlfcn.h>
#include <pthread.h>

namespace {

std::atomic<int> threads_left{-1};  // -1: all

}  // namespace

// The program's own, before that of the system: refuses as a system does whose limit is reached. Visible, or the libraries would
// not find it.
extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left >= 0 && threads_left-- <= 0) {
    threads_left = 0;
    return EAGAIN;
  }
  return create(thread, attributes, start, argument);
}

namespace fastcpp::test {

LimitedThreads::LimitedThreads(int threads) {
  threads_left = threads;
}

LimitedThreads::~LimitedThreads() {
  threads_left = -1;
}

}  // namespace fastcpp::test
