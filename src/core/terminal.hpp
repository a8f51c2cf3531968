// What a live view asks of the terminal: its size, and keys as they are pressed.
#pragma once

#include <string>

namespace fastcpp::inline v0 {

struct TerminalSize {
  int rows = 24, columns = 80;
};

// The size in force; 24 x 80 where the descriptor does not know.
TerminalSize terminal_size(int descriptor);

// Whether the terminal takes codes that move the cursor, and letters beyond ASCII; as the environment says.
bool terminal_moves();
bool terminal_is_utf8();

// Whether another program has the terminal. What reads or changes it now would be stopped.
bool in_background(int descriptor);

// Keys of standard input without Enter and unseen, from `begin` to `end`. One at a time in a process: a second one gets
// no keys. Ctrl+C and Ctrl+Z keep their meaning.
class KeyReader {
 public:
  KeyReader() = default;
  ~KeyReader() { end(); }
  KeyReader(const KeyReader&) = delete;
  KeyReader& operator=(const KeyReader&) = delete;

  // Does nothing where standard input is no terminal, or another program's.
  void begin();
  void end();
  bool active() const { return active_; }
  // What was pressed since the last call; does not wait. Nothing for arrows and the like.
  std::string read();

 private:
  bool change();
  bool active_ = false;
};

}  // namespace fastcpp
