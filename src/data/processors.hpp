// Keeps loading threads off the processor on which the training computes.
#pragma once

#ifdef __linux__
#include <sched.h>
#endif

namespace fastcpp::detail {

// The calling thread's number in the system; 0 where nobody can say.
int this_thread();

// The processor on which that thread of this process runs, or ran last; -1 where nobody can say.
int processor_of(int thread);

// Where the thread that made it may run. When another process keeps one processor busy, the
// scheduler sees no difference between that one and the one of the training; we do.
class Processors {
 public:
#ifdef __linux__
  Processors() : known_(::sched_getaffinity(0, sizeof allowed_, &allowed_) == 0) {}

  // From now on the thread runs on any other processor; on all it may use with -1.
  void avoid(int processor) {
    if (!known_ || processor == avoided_) return;
    avoided_ = processor;
    cpu_set_t others = allowed_;
    if (processor >= 0) CPU_CLR(static_cast<unsigned>(processor), &others);
    if (CPU_COUNT(&others) > 0) ::sched_setaffinity(0, sizeof others, &others);
  }

 private:
  cpu_set_t allowed_;
  bool known_;
  int avoided_ = -1;
#else
  void avoid(int) {}
#endif
};

}  // namespace fastcpp::detail
