#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/untar.hpp"
#include "io/file_access.hpp"
#include "io/net/part_lock.hpp"
#include "io/net/parts.hpp"

namespace fastcpp::inline v0 {
namespace {
namespace fs = std::filesystem;

// libarchive turns names into the encoding of the thread's locale; in "C" it loses all that is not
// ASCII.
class Utf8Names {
 public:
  Utf8Names() : own_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (own_) former_ = ::uselocale(own_);
  }
  ~Utf8Names() {
    if (!own_) return;
    ::uselocale(former_);
    ::freelocale(own_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t own_, former_ = nullptr;
};

class File {
 public:
  File(const Path& path, bool executable)
      : path_(path),
        fd_(open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, executable ? 0777 : 0666)) {
    if (fd_ < 0) io::cannot_write(path_, errno);
  }
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(const void* bytes, std::size_t count, std::int64_t offset) {
    io::write_all(fd_, bytes, count, offset, path_);
  }
  void resize(std::int64_t size) {
    if (::ftruncate(fd_, size) != 0) io::cannot_write(path_, errno);
  }
  void close() {
    if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) io::cannot_write(path_, errno);
  }

 private:
  const Path& path_;
  int fd_;
};

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

bool inside(const Path& path, const Path& folder) {
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

class Extraction {
 public:
  Extraction(const Path& file, const Path& root, const ExtractArchiveOptions& options)
      : file_(file), root_(root), options_(options), archive_(archive_read_new()) {
    std::error_code ec;
    length_ = static_cast<std::int64_t>(fs::file_size(file_, ec));
    if (ec || !fs::is_regular_file(file_, ec)) {
      throw IoError("io.cannot_read",
                    fmt::format("cannot read the archive '{}': {}; is the path right?",
                                file_.string(), ec ? ec.message() : "not a file"));
    }
    constexpr std::int64_t kFloor = std::int64_t{1} << 30, kGrowth = 200;
    left_ = limit_ = options_.max_bytes.value_or(kFloor + kGrowth * length_);
  }

  void run() {
    const Utf8Names names;
    open();
    bar_.emplace(
        options_.show_progress ? progress_sink() : nullptr,
        ProgressTask{
            .phase = ProgressPhase::kExtract, .total = length_, .what = file_.filename().string()});
    archive_entry* entry = nullptr;
    std::int64_t count = 0;
    for (;;) {
      const int status = archive_read_next_header(archive_.get(), &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) unreadable();
      if (++count > options_.max_entries) {
        refuse("archive.too_large", "",
               fmt::format("it has more than {} entries", options_.max_entries));
      }
      extract(entry);
      report();
    }
    if (count == 0) damaged("it holds no file");
    bar_.reset();
  }

  // Links come last, so that nothing can be written through one. `top` is the folder that they may
  // not leave.
  void make_links(const Path& top) {
    std::error_code ec;
    for (const auto& [name, target] : links_) {
      const Path path = root_ / name;
      if (fs::is_directory(fs::symlink_status(path, ec))) {
        damaged(fmt::format("'{}' is a folder and a link", name));
      }
      fs::create_symlink(target, path, ec);
      if (ec) cannot_write(path, ec);
    }
    const Path real_top = fs::canonical(top, ec);
    if (ec) cannot_write(top, ec);
    for (const auto& [name, target] : links_) {
      const Path path = root_ / name;
      // What lies beside the top folder is thrown away.
      if (!inside(path, top)) continue;
      const Path end = fs::weakly_canonical(path.parent_path() / target, ec);
      if (ec || !inside(end, real_top)) unsafe_link(name, target);
    }
  }

 private:
  void open() {
    archive* a = archive_.get();
    if (!a) throw std::bad_alloc();  // it has no other reason
    archive_read_support_format_tar(a);
    archive_read_support_format_zip(a);
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    constexpr std::size_t kBlock = std::size_t{1} << 18;
    if (archive_read_open_filename(a, file_.c_str(), kBlock) != ARCHIVE_OK) unreadable();
  }

  void extract(archive_entry* entry) {
    const char* given = archive_entry_pathname(entry);
    if (!given) given = archive_entry_pathname_utf8(entry);
    if (!given) damaged("an entry has no readable name");
    const std::string name = clean(given);
    const auto type = archive_entry_filetype(entry);
    const char* hard = archive_entry_hardlink(entry);
    // The archive's own root, "./".
    if (name.empty() && type == AE_IFDIR) return;
    if (name.empty()) refuse("archive.unsafe_path", given, "it names no file");
    make_parent(name);
    if (hard) {
      hard_link(name, hard);
    } else if (type == AE_IFDIR) {
      links_.erase(name);
      folder(root_ / name);
    } else if (type == AE_IFLNK) {
      const char* target = archive_entry_symlink(entry);
      if (!target) damaged(fmt::format("the link '{}' has no readable target", name));
      link(name, target);
    } else if (type == AE_IFREG) {
      regular(entry, name);
    } else {
      refuse("archive.unsafe_entry", name, "it is a device, pipe or socket");
    }
  }

  // The name without "." parts; refused when it does not stay below the root.
  std::string clean(std::string_view given) const {
    if (given.starts_with('/')) refuse("archive.unsafe_path", given, "it is an absolute path");
    std::string name;
    for (std::size_t at = 0; at <= given.size();) {
      const auto end = std::min(given.find('/', at), given.size());
      const std::string_view part = given.substr(at, end - at);
      at = end + 1;
      if (part.empty() || part == ".") continue;
      if (part == "..") refuse("archive.unsafe_path", given, "it leaves the folder by '..'");
      if (!name.empty()) name += '/';
      name += part;
    }
    return name;
  }

  void make_parent(const std::string& name) {
    for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      if (links_.count(name.substr(0, slash))) {
        refuse("archive.unsafe_path", name, "it leads through a link of the archive");
      }
    }
    const Path parent = (root_ / name).parent_path();
    if (parent != last_parent_) folder(parent);
    last_parent_ = parent;
  }

  void folder(const Path& path) {
    std::error_code ec;
    if (fs::is_directory(path, ec)) return;
    fs::create_directories(path, ec);
    if (ec == std::errc::not_a_directory || ec == std::errc::file_exists) {
      damaged(fmt::format("'{}' is a file and a folder", path.lexically_relative(root_).string()));
    }
    if (ec) cannot_write(path, ec);
  }

  // A later entry of the same name replaces the earlier one, as in tar.
  void clear_way(const std::string& name) {
    links_.erase(name);
    std::error_code ec;
    const Path path = root_ / name;
    if (fs::is_directory(path, ec)) damaged(fmt::format("'{}' is a file and a folder", name));
    fs::remove(path, ec);
    if (ec) cannot_write(path, ec);
  }

  void link(const std::string& name, const std::string& target) {
    const Path joined = (Path(name).parent_path() / target).lexically_normal();
    if (target.empty() || target[0] == '/' || *joined.begin() == "..") unsafe_link(name, target);
    clear_way(name);
    links_[name] = target;
  }

  void hard_link(const std::string& name, const char* given) {
    const std::string target = clean(given);
    struct stat found {};
    const Path from = root_ / target;
    const bool good = name != target && !passes_link(target) &&
                      ::lstat(from.c_str(), &found) == 0 && S_ISREG(found.st_mode);
    if (!good) unsafe_link(name, given);
    clear_way(name);
    std::error_code ec;
    fs::create_hard_link(from, root_ / name, ec);
    // Some file systems have no hard links; then its content counts again.
    if (ec) take(found.st_size, name);
    if (ec) fs::copy_file(from, root_ / name, ec);
    if (ec) cannot_write(root_ / name, ec);
  }

  bool passes_link(const std::string& name) const {
    for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      if (links_.count(name.substr(0, slash))) return true;
    }
    return links_.count(name) > 0;
  }

  void regular(archive_entry* entry, const std::string& name) {
    const std::int64_t claimed = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
    if (claimed > left_) too_large(name);
    clear_way(name);
    const Path path = root_ / name;
    File file(path, (archive_entry_perm(entry) & 0100) != 0);
    std::int64_t size = 0;
    for (;;) {
      const void* bytes = nullptr;
      std::size_t count = 0;
      la_int64_t offset = 0;
      const int status = archive_read_data_block(archive_.get(), &bytes, &count, &offset);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK) unreadable(fmt::format("in '{}': ", name));
      constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
      if (offset < size || count > static_cast<std::size_t>(kMost - offset)) {
        damaged(fmt::format("the parts of '{}' are not in order", name));
      }
      const std::int64_t end = offset + static_cast<std::int64_t>(count);
      take(end - size, name);
      file.write(bytes, count, offset);
      size = end;
      report();
    }
    if (size < claimed) {
      // Only a sparse file may end in nothing.
      if (archive_entry_sparse_count(entry) == 0) {
        damaged(fmt::format("'{}' should have {} bytes, found {}", name, claimed, size));
      }
      take(claimed - size, name);
      file.resize(claimed);
    }
    file.close();
  }

  void take(std::int64_t bytes, const std::string& name) {
    if (bytes > left_) too_large(name);
    left_ -= bytes;
  }

  void report() {
    if (options_.stop.stop_requested()) {
      throw IoError("io.cancelled",
                    fmt::format("the extraction of '{}' was stopped", file_.string()));
    }
    bar_->update(std::min<std::int64_t>(length_, archive_filter_bytes(archive_.get(), -1)));
  }

  // libarchive could not go on: because of what the file holds, or of what holds the file.
  [[noreturn]] void unreadable(const std::string& where = "") const {
    const int cause = archive_errno(archive_.get());
    if (cause == ENOMEM) throw std::bad_alloc();
    const char* text = archive_error_string(archive_.get());
    const std::string why = where + (text ? text : "unknown fault");
    if (cause != EIO && cause != EACCES) damaged(why);
    throw IoError("io.cannot_read",
                  fmt::format("cannot read the archive '{}': {}; is the disk in order, and may "
                              "this user read it?",
                              file_.string(), why));
  }
  [[noreturn]] void damaged(const std::string& why) const {
    throw FormatError(
        "archive.damaged",
        fmt::format("the archive '{}' is damaged or not a tar or zip file: {}; remove "
                    "it and download it again",
                    file_.string(), why),
        archive_filter_bytes(archive_.get(), -1));
  }
  [[noreturn]] void refuse(const std::string& code, std::string_view name,
                           const std::string& why) const {
    const std::string entry = name.empty() ? "" : fmt::format("its entry '{}': ", name);
    throw FormatError(code,
                      fmt::format("the archive '{}' is refused, {}{}; nothing of it was kept",
                                  file_.string(), entry, why),
                      archive_filter_bytes(archive_.get(), -1));
  }
  [[noreturn]] void unsafe_link(const std::string& name, const std::string& target) const {
    refuse(
        "archive.unsafe_link", name,
        fmt::format("it is a link to '{}', which is not a file or folder of the archive", target));
  }
  [[noreturn]] void too_large(const std::string& name) const {
    refuse(
        "archive.too_large", name,
        fmt::format("with it the content grows beyond the limit of {} bytes (max_bytes)", limit_));
  }
  [[noreturn]] static void cannot_write(const Path& path, const std::error_code& ec) {
    io::cannot_write(path, ec.value());
  }

  const Path& file_;
  const Path& root_;
  const ExtractArchiveOptions& options_;
  std::unique_ptr<archive, FreeArchive> archive_;
  std::optional<ProgressBar> bar_;
  std::int64_t length_ = 0, limit_ = 0, left_ = 0;
  std::map<std::string, std::string> links_;  // name to target, made at the end
  Path last_parent_;
};

// Which folder becomes the target, and a warning about what is then left out.
Path top_folder(const Path& root, const std::string& name, const Path& archive) {
  std::error_code ec;
  if (!fs::is_directory(fs::symlink_status(root / name, ec))) return root;
  std::string others;
  for (const Path& entry : ls(root)) {
    const std::string other = entry.filename().string();
    // What macOS adds to every archive is no loss.
    if (other == name || other.starts_with("._") || other == "__MACOSX") continue;
    others += (others.empty() ? "'" : ", '") + other + "'";
  }
  if (!others.empty()) {
    log_warning(fmt::format("the archive '{}' has more than the folder '{}'; left out: {}",
                            archive.string(), name, others));
  }
  return root / name;
}

void remove_content(const Path& folder) {
  for (const Path& entry : ls(folder)) {
    std::error_code ec;
    fs::remove_all(entry, ec);
    if (!ec) continue;
    throw IoError(
        "io.cannot_write",
        fmt::format(
            "cannot remove '{}', which an extraction that was cut short has left: {}; remove the "
            "folder '{}' by hand",
            entry.string(), ec.message(), folder.string()));
  }
}

// Removes the folder at the end.
struct Removal {
  const Path& folder;
  ~Removal() { remove_quietly(folder); }
};

// Everything that was extracted, at once: flushing file by file would take longer than the extraction (at 8 ms each,
// a minute for 7,000 pictures). What other programs have not yet written to the same disk goes with it.
void flush_disk(const Path& folder, int fd) {
  if (::syncfs(fd) == 0) return;
  // Only these tell that bytes were lost.
  if (errno == EIO || errno == ENOSPC || errno == EDQUOT) io::cannot_write(folder, errno);
}

enum class Existing { kKeep, kReplace };

bool extract(const Path& archive, const Path& dest, const ExtractArchiveOptions& options,
             Existing existing) {
  const auto is_done = [&](const Path& folder) {
    return io::has_folder(folder) && existing == Existing::kKeep;
  };
  const Path named = dest.has_filename() ? dest : dest.parent_path();
  if (is_done(named)) return false;
  if (options.max_bytes.value_or(1) <= 0 || options.max_entries <= 0) {
    throw ValueError("value.extract_options",
                     fmt::format("max_bytes and max_entries must be > 0; found {} and {}",
                                 options.max_bytes.value_or(1), options.max_entries));
  }
  // As when a file is saved: a link stays, and what it names is made.
  Path target = follow_links(named);
  if (target.empty()) io::cannot_write(named, named.empty() ? ENOENT : errno);
  if (!target.has_filename()) target = target.parent_path();
  make_folder(target.parent_path());
  struct stat found {};
  if (::lstat(target.c_str(), &found) != 0 && errno != ENOENT) io::cannot_write(named, errno);
  const PartLock lock(part_of(target), PartLock::Kind::kFolder, options.stop);
  const Removal removal{lock.path()};
  if (is_done(target)) return false;
  remove_content(lock.path());

  const Path root = lock.path() / "new", old = lock.path() / "old";
  make_folder(root);
  Extraction extraction(archive, root, options);
  extraction.run();
  const Path top = options.unwrap ? top_folder(root, named.filename().string(), archive) : root;
  extraction.make_links(top);
  flush_disk(target, lock.fd());
  // What was there goes in one step, too: nothing removed by halves ever has the name.
  const bool replaced =
      existing == Existing::kReplace && std::rename(target.c_str(), old.c_str()) == 0;
  if (std::rename(top.c_str(), target.c_str()) != 0) {
    const int cause = errno;
    if (replaced) static_cast<void>(std::rename(old.c_str(), target.c_str()));
    io::cannot_write(target, cause);
  }
  flush_folder(target.parent_path());
  return true;
}

}  // namespace

bool extract_archive(const Path& archive, const Path& dest, const ExtractArchiveOptions& options) {
  return boundary([&] { return extract(archive, dest, options, Existing::kKeep); });
}

void io::replace_by_archive(const Path& archive, const Path& dest,
                            const ExtractArchiveOptions& options) {
  extract(archive, dest, options, Existing::kReplace);
}

}  // namespace fastcpp
