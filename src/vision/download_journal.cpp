#include "vision/download_journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::detail {
namespace {

constexpr std::size_t kDigest = 64;

bool is_digest(std::string_view text) {
  return text.size() == kDigest && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string line_of(const std::string& name, const DownloadJournal::Entry& entry) {
  return entry.url + ' ' + entry.content + ' ' + name + '\n';
}

}  // namespace

DownloadJournal::DownloadJournal(const Path& folder) : file_(folder / ".download_images") {
  std::string text;
  try {
    text = read_file(file_);
  } catch (const IoError&) {
    // The first run, or nothing that could help.
  }
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
    const auto line = std::string_view(text).substr(at, end - at);
    constexpr std::size_t kName = 2 * kDigest + 2;
    if (line.size() <= kName) continue;
    const auto url = line.substr(0, kDigest), content = line.substr(kDigest + 1, kDigest);
    if (!is_digest(url) || !is_digest(content)) continue;
    entries_[std::string(line.substr(kName))] = {std::string(url), std::string(content)};
  }
  // Anew, so that it neither grows for ever nor ends in half a line.
  text.clear();
  for (const auto& [name, entry] : entries_) text += line_of(name, entry);
  write_file(file_, text);
  fd_ = open_file(file_, O_WRONLY | O_APPEND);
  if (fd_ < 0) {
    throw IoError("io.cannot_write", fmt::format("cannot write '{}': {}", file_.string(),
                                                 std::generic_category().message(errno)));
  }
}

DownloadJournal::~DownloadJournal() {
  ::close(fd_);
}

const DownloadJournal::Entry* DownloadJournal::find(const std::string& name) const {
  const auto at = entries_.find(name);
  return at == entries_.end() ? nullptr : &at->second;
}

void DownloadJournal::add(const std::string& name, const Entry& entry) {
  entries_[name] = entry;
  const std::string line = line_of(name, entry);
  for (std::size_t done = 0; done < line.size();) {
    const auto count = ::write(fd_, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      throw IoError(
          "io.cannot_write",
          fmt::format("cannot write '{}': {}; make room on the disk and run it again",
                      file_.string(), std::generic_category().message(count < 0 ? errno : ENOSPC)));
    }
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace fastcpp::detail
