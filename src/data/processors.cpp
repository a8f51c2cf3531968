#include "data/processors.hpp"

#ifdef __linux__
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#endif

namespace fastcpp::detail {

#ifdef __linux__

int this_thread() {
  return ::gettid();
}

int processor_of(int thread) {
  // Asked once a picture, hence without streams.
  char path[64], text[512];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const auto length = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (length <= 0) return -1;
  text[length] = '\0';
  // The second of the fields, a name in brackets, may hold anything; the processor is the 39th.
  const char* at = std::strrchr(text, ')');
  for (int field = 2; at && field < 39; ++field) at = std::strchr(at + 1, ' ');
  return at ? std::atoi(at + 1) : -1;
}

#else

int this_thread() {
  return 0;
}

int processor_of(int) {
  return -1;
}

#endif

}  // namespace fastcpp::detail
