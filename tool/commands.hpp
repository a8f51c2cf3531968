// The commands of the program `fastcpp`. Each adds its options to the command line and gives what runs it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fastcpp/core/error.hpp"

namespace CLI {
class App;
}

namespace tool {

// What the program ends with.
enum ExitCode {
  kDone = 0,
  kFailed = 1,  // an error, told on stderr
  kUsage = 2,   // a command line that cannot be
  kFound = 3,   // `check` and `doctor` found something wrong
  kStopped =
      130  // by SIGINT or SIGTERM, after what was under way was saved; `serve` ends with kDone
};

// What all commands share.
struct Common {
  bool quiet = false;
  int threads = 0;  // 0: as many as there are processors
};

// Returns an ExitCode.
using Run = std::function<int(const Common&)>;

Run add_train(CLI::App& app);
Run add_predict(CLI::App& app);
Run add_export(CLI::App& app);
Run add_check(CLI::App& app);
Run add_prepare(CLI::App& app);
Run add_serve(CLI::App& app);  // with cpp-httplib only
Run add_doctor(CLI::App& app);

// A mistake of the user's that the parser cannot see: told with a hint at --help, ends with kUsage.
class UsageError : public fastcpp::Error {
 public:
  explicit UsageError(const std::string& message) : Error("tool.usage", message) {}
};

}  // namespace tool
