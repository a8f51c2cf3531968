// The same work on many files, by several threads.
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>

namespace fastcpp::inline v0::detail {

struct WorkOptions {
  int workers = 1;  // threads; 0 counts as 1; the caller's own waits
  bool show_progress = true;
  std::string what = {};  // in front of the bar
  std::stop_token stop = {};
};

// Calls work(i) once for each i in 0..count-1, in any order. What it throws ends the work and leaves this function.
// False when the stop token came before the last of them.
bool work_through(std::size_t count, const WorkOptions& options,
                  const std::function<void(std::size_t)>& work);

// The same for work that is worth nothing in part. Throws IoError io.cancelled.
void work_through_all(std::size_t count, const WorkOptions& options,
                      const std::function<void(std::size_t)>& work);

// Throws ValueError value.num_workers.
void check_workers(int workers);

}  // namespace fastcpp::detail
