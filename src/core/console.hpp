// Standard output and error, for the sinks that come with the library.
#pragma once

#include <atomic>
#include <string_view>

#include <unistd.h>

namespace fastcpp::inline v0 {

// Writes at once, after what the program itself has printed. A stream that is closed, full or no longer read ends
// nothing: it is given up, with one warning (none for standard error: where should it go?).
class ConsoleStream {
 public:
  explicit ConsoleStream(int descriptor) : descriptor_(descriptor) {}
  bool is_terminal() const { return ::isatty(descriptor_) == 1; }
  void write(std::string_view text);

 private:
  const int descriptor_;
  std::atomic<bool> given_up_ = false;
};

}  // namespace fastcpp
