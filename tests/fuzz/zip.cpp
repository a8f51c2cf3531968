// The zip container of checkpoints. What is read must be what libarchive reads, where that finds the entry too.
#include <archive.h>
#include <archive_entry.h>

#include <map>
#include <memory>

#include "fuzz.hpp"
#include "io/zip_file.hpp"

using namespace fastcpp;

namespace {

constexpr std::uint64_t kMostContent = 1 << 20;

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// The regular files that can be read without complaint.
std::map<std::string, std::string> read_by_libarchive(std::string_view input) {
  std::map<std::string, std::string> found;
  const std::unique_ptr<archive, FreeArchive> reader(archive_read_new());
  archive_read_support_format_zip_seekable(reader.get());
  if (archive_read_open_memory(reader.get(), input.data(), input.size()) != ARCHIVE_OK)
    return found;
  archive_entry* entry = nullptr;
  while (archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK) {
    const char* name = archive_entry_pathname(entry);
    std::string content(4096, '\0');
    std::size_t size = 0;
    for (la_ssize_t got = 1; got > 0 && size <= kMostContent;
         size += static_cast<std::size_t>(got)) {
      content.resize(size + 4096);
      got = archive_read_data(reader.get(), content.data() + size, 4096);
      if (got < 0) break;
    }
    content.resize(size);
    if (name && size > 0) found[name] = content;
  }
  return found;
}

}  // namespace

FASTCPP_FUZZ_TARGET(zip)(std::string_view input) {
  const fuzz::InputFile file(input);
  std::map<std::string, std::string> read;
  fuzz::accepted([&] {
    const io::FileReader reader(file.path());
    const io::ZipReader zip(reader);
    std::uint64_t stored = 0;
    for (const auto& entry : zip.entries()) {
      fuzz::require(zip.find(entry.name) == &entry, "an entry is not found by its name");
      stored += entry.packed_size;
      fuzz::accepted([&] { read[entry.name] = zip.read(entry, kMostContent); });
    }
    fuzz::require(stored <= input.size(), "the entries together are larger than the file");
  });
  if (read.empty()) return;
  for (const auto& [name, content] : read_by_libarchive(input)) {
    const auto ours = read.find(name);
    if (ours == read.end() || ours->second.size() != content.size()) continue;
    fuzz::require(ours->second == content, "libarchive reads another content of " + name);
  }
}
