// Archives of data sets: nothing may appear beside the folder they go to, and no link may lead out of it.
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/untar.hpp"
#include "fuzz.hpp"

using namespace fastcpp;
namespace fs = std::filesystem;

namespace {

// Small, so that small files come to the limits.
constexpr std::int64_t kMostBytes = 1000, kMostEntries = 8;

}  // namespace

FASTCPP_FUZZ_TARGET(archive)(std::string_view input) {
  [[maybe_unused]] static const auto quiet = set_log_sink([](LogLevel, std::string_view) {});
  const fuzz::InputFile file(input);
  const fuzz::Folder folder;
  const auto dest = folder.path() / "in" / "out";
  const bool good = fuzz::accepted([&] {
    extract_archive(file.path(), dest,
                    {.max_bytes = kMostBytes, .max_entries = kMostEntries, .show_progress = false});
  });
  fuzz::require(fs::is_directory(dest) == good,
                "a folder of a refused archive, or none of a good one");
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    fuzz::require(entry.path().filename() == "in", "written outside: " + entry.path().string());
  }
  if (!good) return;
  std::int64_t bytes = 0, entries = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dest)) {
    entries += !entry.is_directory() || entry.is_symlink();
    if (entry.is_symlink()) {
      std::error_code ec;
      const auto leads = fs::weakly_canonical(entry.path(), ec);
      fuzz::require(ec || leads.string().starts_with(dest.string()), "a link leads outside");
    } else if (entry.is_regular_file()) {
      // A file of several names is there once.
      bytes += static_cast<std::int64_t>(entry.file_size() / entry.hard_link_count());
    } else {
      fuzz::require(entry.is_directory(), "neither file nor folder");
    }
  }
  fuzz::require(bytes <= kMostBytes, "more bytes than allowed");
  fuzz::require(entries <= kMostEntries, "more files and links than allowed");
}
