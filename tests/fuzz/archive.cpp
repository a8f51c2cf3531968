// Archives of data sets: nothing may appear beside the folder they go to, and no link may lead out of it.
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/untar.hpp"
#include "fuzz.hpp"

using namespace fastcpp;
namespace fs = std::filesystem;

FASTCPP_FUZZ_TARGET(archive)(std::string_view input) {
  [[maybe_unused]] static const auto quiet = set_log_sink([](LogLevel, std::string_view) {});
  const fuzz::InputFile file(input);
  const fuzz::Folder folder;
  const auto dest = folder.path() / "in" / "out";
  const bool good = fuzz::accepted([&] {
    extract_archive(file.path(), dest,
                    {.max_bytes = 1 << 20, .max_entries = 100, .show_progress = false});
  });
  fuzz::require(fs::is_directory(dest) == good,
                "a folder of a refused archive, or none of a good one");
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    fuzz::require(entry.path().filename() == "in", "written outside: " + entry.path().string());
  }
  if (!good) return;
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dest)) {
    if (entry.is_symlink()) {
      std::error_code ec;
      const auto leads = fs::weakly_canonical(entry.path(), ec);
      fuzz::require(ec || leads.string().starts_with(dest.string()), "a link leads outside");
    } else if (entry.is_regular_file()) {
      bytes += entry.file_size();
    } else {
      fuzz::require(entry.is_directory(), "neither file nor folder");
    }
  }
  fuzz::require(bytes <= 1 << 20, "more bytes than allowed");
}
