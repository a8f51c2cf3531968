// Packs: entries lie within the file, one behind the other, are found by their names, and give the same file when written again.
#include "fastcpp/io/pack.hpp"

#include <utility>
#include <vector>

#include "fuzz.hpp"
#include "io/file_access.hpp"

using namespace fastcpp;

namespace {

constexpr std::size_t kPackTail = 64;

// With the checksums of head, index and tail as they should be: without it nothing behind them would ever be reached.
std::string with_checksums(std::string bytes) {
  if (bytes.size() < 16 + kPackTail) return bytes;
  const auto put = [&](std::size_t to, std::uint32_t crc) {
    for (std::size_t i = 0; i < 4; ++i) bytes[to + i] = static_cast<char>(crc >> (8 * i) & 0xFF);
  };
  const auto tail = bytes.size() - kPackTail;
  std::uint64_t index = 0;
  for (std::size_t i = 8; i-- > 0;) {
    index = index << 8 | static_cast<unsigned char>(bytes[tail + 8 + i]);
  }
  put(12, io::crc32(bytes.data(), 12));
  if (index <= tail) put(tail + 40, io::crc32(bytes.data() + index, tail - index));
  put(tail + 52, io::crc32(bytes.data() + tail, 52));
  return bytes;
}

void read_pack(const std::string& bytes) {
  const fuzz::InputFile file(bytes);
  std::vector<std::pair<std::string, std::string>> entries;
  std::string notes;
  const bool whole = fuzz::accepted([&] {
    const PackReader pack(file.path());
    notes = pack.notes();
    std::uint64_t all = notes.size();
    for (std::int64_t i = 0; i < pack.size(); ++i) {
      fuzz::require(pack.find(pack.name(i)) == i, "an entry is not found by its name");
      all += pack.bytes(i) + pack.name(i).size();
    }
    fuzz::require(all <= bytes.size(), "the entries together are larger than the file");
    for (std::int64_t i = 0; i < pack.size(); ++i) {
      entries.emplace_back(pack.name(i), pack.read(i));
      fuzz::require(entries.back().second.size() == pack.bytes(i), "not as long as was told");
    }
  });
  if (!whole) return;
  const fuzz::Folder folder;
  PackWriter copy(folder.path() / "copy.pack");
  for (const auto& [name, content] : entries) copy.add(name, content);
  copy.commit(notes);
  fuzz::require(read_file(folder.path() / "copy.pack") == bytes, "other bytes when written again");
}

}  // namespace

FASTCPP_FUZZ_TARGET(pack)(std::string_view input) {
  read_pack(std::string(input));
  read_pack(with_checksums(std::string(input)));
}
