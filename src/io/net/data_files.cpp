// download_data and untar_data: which archive, which folder, and whether they are what they should
// be.
#include <fmt/format.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/config.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/io/urls.hpp"
#include "io/file_access.hpp"
#include "io/net/parts.hpp"
#include "io/net/url_parts.hpp"

namespace fastcpp::inline v0 {
namespace {
namespace fs = std::filesystem;

Path local_folder(bool data) {
  return urls::local_path() / (data ? "data" : "models");
}

Path archive_path(const ArchiveUrl& url, bool data) {
  const std::string name = url.name + url.ext;
  const Path local = local_folder(data) / name;
  if (io::is_there(local)) return local;
  return (data ? Config::data_archive_path() : Config::model_path()) / name;
}

Path folder_path(const ArchiveUrl& url, bool data) {
  const Path local = local_folder(data) / url.name;
  if (io::is_there(local) || io::is_there(local_folder(data) / (url.name + url.ext))) return local;
  return (data ? Config::data_path() : Config::model_path()) / url.name;
}

Path chosen_archive(const ArchiveUrl& url, const std::optional<Path>& fname, bool data) {
  if (fname) return *fname;
  return url.local ? *url.local : archive_path(url, data);
}

void load_archive(const ArchiveUrl& parts, const Path& archive, const DownloadUrlOptions& options) {
  if (!options.overwrite && io::is_there(archive)) return;
  if (!parts.local) log_info(fmt::format("Downloading {}", shown_url(parts.address)));
  // Without fname a local archive is its own place, so that only a missing one comes here.
  download_url(parts.address, archive, options);
}

[[noreturn]] void checksum_error(const Path& archive, const FileCheck& expected,
                                 const FileCheck& found) {
  throw DownloadError(
      "download.checksum",
      fmt::format(
          "the downloaded file '{}' does not match the expected checksum: expected {} bytes "
          "and MD5 {} of the first MiB, found {} bytes and {}; remove that file from the "
          "folder '{}' and try again",
          archive.string(), expected.size, expected.md5, found.size, found.md5,
          archive.parent_path().string()));
}

Path untar(const std::string& url, const UntarDataOptions& options) {
  const ArchiveUrl parts = archive_url(url, ".tgz");
  const Path dest = options.dest ? *options.dest / parts.name : folder_path(parts, options.data);
  const Path archive = chosen_archive(parts, options.fname, options.data);
  const auto check = options.check ? options.check : urls::check(parts.address);
  if (options.verbose) {
    log_info(fmt::format("{}: archive {}, folder {}", parts.name, archive.string(), dest.string()));
  }

  // A file:// archive used where it lies belongs to the user: it is never removed.
  const bool ours = !parts.local || options.fname;
  const bool outdated = ours && check && io::is_there(archive) && file_check(archive) != *check;
  const bool there = io::has_folder(dest);
  const bool renew = options.force_download || outdated;
  if (renew) {
    log_info(
        fmt::format("A new version of the {} is available.", options.data ? "dataset" : "model"));
  } else if (there) {
    return dest;
  }

  DownloadUrlOptions download = options.download;
  download.overwrite = ours && (renew || download.overwrite);
  if (check && !download.expected_size) download.expected_size = check->size;
  load_archive(parts, archive, download);
  if (check) {
    if (const FileCheck found = file_check(archive); found != *check) {
      checksum_error(archive, *check, found);
    }
  }
  ExtractArchiveOptions extract = options.extract;
  extract.show_progress = extract.show_progress && download.show_progress;
  if (!extract.stop.stop_possible()) extract.stop = download.stop;
  if (renew) {
    io::replace_by_archive(archive, dest, extract);
  } else {
    extract_archive(archive, dest, extract);
  }
  return dest;
}

}  // namespace

Path download_data(const std::string& url, const DownloadDataOptions& options) {
  return boundary([&] {
    const ArchiveUrl parts = archive_url(url, options.ext);
    const Path archive = chosen_archive(parts, options.fname, options.data);
    load_archive(parts, archive, options.download);
    return archive;
  });
}

Path untar_data(const std::string& url, const UntarDataOptions& options) {
  return boundary([&] { return untar(url, options); });
}

}  // namespace fastcpp
