// Files that were fetched, in a folder of bounded size that several processes may share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/download.hpp"
#include "io/file_access.hpp"

namespace fastcpp::inline v0 {

// Thread-safe. A file is named by the digest of its address; its time of change is that of its last use. The file `.bytes`
// holds how many bytes lie there, and whoever holds its lock may change that; it is counted anew whenever something must go.
class FileCache {
 public:
  FileCache(Path folder, std::int64_t max_bytes, DownloadUrlOptions download);

  // The file of an address, fetched if need be. Open: it can be read whoever takes it out of the cache meanwhile.
  // Throws as download_url.
  std::unique_ptr<io::FileReader> open(const std::string& url);

  // Removes the file of an address, if it is there.
  void forget(const std::string& url);

  const Path& folder() const { return folder_; }
  // Of whole files.
  std::int64_t bytes() const;

 private:
  // Null when it is not there.
  std::unique_ptr<io::FileReader> open_held(const Path& file) const;
  void count_in(const Path& file);

  const Path folder_;
  const std::int64_t max_bytes_;
  const DownloadUrlOptions download_;
  std::atomic<bool> counted_{false};  // whether this object has counted what lies there
  std::mutex mutex_;
  std::condition_variable loaded_;
  std::set<std::string> loading_;  // addresses that a thread of this process fetches
};

}  // namespace fastcpp
