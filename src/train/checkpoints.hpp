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
//
// A fit that begins anew takes the next number (`begun`) of its name, and all its files hold it. With its first file, in one
// step, all that was there of this fit and of later ones is an older training's: it counts no more, and is removed then.
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
  // Writes one, and removes those that no longer stay. `best`: it is the best epoch's. Where memory is short one is left out
  // with a warning, unless it is the finished fit's.
  void write(Value state, std::int64_t iteration, bool finished, bool best);
  // After the training was loaded from this one: those that follow have higher numbers, also where batches are counted
  // otherwise because the number of processes is another.
  void go_on(const Value& saved, std::int64_t iteration);
  // The best one is written behind the checkpoint of its epoch: a training that was killed between the two catches up.
  void restore_best(const Value& saved) const;
  // Until all is on the disk; throws what the writer in the background met.
  void wait();

  // Of the files' content; another one is not read.
  static constexpr std::int64_t kVersion = 1;
  // The newest whole one of a fit; nothing where there is no file, or only those of an older training. Damaged ones are passed
  // over with a warning. Throws TrainError `train.checkpoint` when all are damaged.
  static std::optional<Value> last(const Path& folder, const std::string& name, std::uint64_t fit);
  // The number of the newest training's last fit that has one.
  static std::optional<std::uint64_t> last_fit(const Path& folder, const std::string& name);

 private:
  void begin_anew();
  bool write_behind(const Value& state, const Path& file, bool best);
  void write_now(const Value& state, const Path& file, bool best);
  void write_files(const Value& state, const Path& file, bool best);
  void missed(const std::exception_ptr& cause) const;
  Path best_file() const;
  void remove_older(const Path& newest) const;
  void prune(const Path& newest) const;

  Path folder_;
  CheckpointOptions options_;
  std::uint64_t fit_;
  std::int64_t ahead_ = 0;  // of a file's number, before the batches
  std::optional<std::int64_t> begun_;
  bool anew_ = true;       // it goes on from no file
  bool first_ = true;      // files of an older training with the same names may be there
  bool finished_ = false;  // what is written, or was last
  bool told_ = false;      // that the background is of no use
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::exception_ptr failed_;
  std::thread writer_;
};

}  // namespace fastcpp
