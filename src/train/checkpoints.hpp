// The files of a fit's checkpoints: names, when one is due, which stay.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/train/resume.hpp"

namespace fastcpp::inline v0 {

// The checkpoints of one fit in one folder. Used from the thread that trains; a writer in the background works on a copy,
// and is waited for before the next one and by the destructor.
class Checkpoints {
 public:
  // Throws ValueError `value.checkpoint`.
  Checkpoints(Path folder, const CheckpointOptions& options, std::uint64_t fit);
  ~Checkpoints();
  Checkpoints(const Checkpoints&) = delete;
  Checkpoints& operator=(const Checkpoints&) = delete;

  const CheckpointOptions& options() const { return options_; }
  // Whether the time between two has passed.
  bool due() const;
  // Writes one, and removes those that no longer stay. `best`: it is the best epoch's.
  void write(Value state, std::int64_t iteration, bool finished, bool best);
  // After the training was loaded from the file of this number: those that follow have higher ones, also where batches are
  // counted otherwise because the number of processes is another.
  void go_on(std::int64_t number, std::int64_t iteration) { ahead_ = number - iteration; }
  // Until all is on the disk; throws what the writer in the background met.
  void wait();

  // Of the files' content; another one is not read.
  static constexpr std::int64_t kVersion = 1;
  // The newest whole one of a fit; nothing where there is no file. Damaged ones are passed over with a warning.
  // Throws TrainError `train.checkpoint` when all are damaged.
  static std::optional<Value> last(const Path& folder, const std::string& name, std::uint64_t fit);
  // The number of the last fit that has one.
  static std::optional<std::uint64_t> last_fit(const Path& folder, const std::string& name);

 private:
  void write_files(const Value& state, const Path& file, bool best);
  void prune(const Path& newest) const;

  Path folder_;
  CheckpointOptions options_;
  std::uint64_t fit_;
  std::int64_t ahead_ = 0;  // of a file's number, before the batches
  bool first_ = true;       // files of an earlier training with the same names may be there
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::exception_ptr failed_;
  std::thread writer_;
};

}  // namespace fastcpp
