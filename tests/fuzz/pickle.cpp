// The pickles of a legacy checkpoint: the input is what follows its head. What is read is written and read again.
#include <vector>

#include "fastcpp/io/checkpoint.hpp"
#include "fuzz.hpp"
#include "io/unpickler.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(pickle)(std::string_view input) {
  // By itself, on exactly so many bytes on the heap, so that a byte beyond them is found.
  const std::vector<char> exact(input.begin(), input.end());
  fuzz::accepted([&] { io::Unpickler("pickle", {exact.data(), exact.size()}, 0).run(); });
  // Magic number, version and system record.
  static constexpr std::string_view kHead(
      "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.", 25);
  const fuzz::InputFile file(std::string(kHead) + std::string(input));
  Value value;
  if (!fuzz::accepted([&] { value = load_checkpoint(file.path()); })) return;
  const auto text = value.to_string();
  static const fuzz::Folder folder;
  const auto again = folder.path() / "again.pth";
  if (!fuzz::accepted([&] { save_checkpoint(again, value); })) return;
  fuzz::require(load_checkpoint(again).to_string() == text,
                "reads otherwise when written: " + text);
}
