// What `download_images` has fetched into a folder, kept there for the next run.
#pragma once

#include <map>
#include <string>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0::detail {

// Lines that are appended: a crash costs the last one at most. One thread.
class DownloadJournal {
 public:
  struct Entry {
    std::string url;      // SHA-256 of the address: addresses may hold passwords
    std::string content;  // SHA-256 of the bytes that came
  };

  // Reads what is there. Throws IoError io.cannot_write.
  explicit DownloadJournal(const Path& folder);
  ~DownloadJournal();
  DownloadJournal(const DownloadJournal&) = delete;
  DownloadJournal& operator=(const DownloadJournal&) = delete;

  // Null when nothing is known of a file of this name.
  const Entry* find(const std::string& name) const;
  // Throws IoError io.cannot_write.
  void add(const std::string& name, const Entry& entry);

 private:
  Path file_;
  std::map<std::string, Entry> entries_;
  int fd_ = -1;
};

}  // namespace fastcpp::detail
