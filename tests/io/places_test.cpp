// Where downloads, data sets and weights go: names of every kind, symbolic links, places that cannot be written.
#include <atomic>

#include <sys/stat.h>
#include <unistd.h>

#include "failing_support.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/io/config.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/hub.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/io/urls.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using Request = HttpServer::Request;
using Response = HttpServer::Response;
namespace fs = std::filesystem;

TEST_CASE("folders that cannot be made or written") {
  TempDir dir;
  CapturedLog log;
  pack(dir / "x.tar", "x");
  write_file(dir / "file", "mine");
  const std::string url = file_url(dir / "x.tar");
  auto options = fast();
  options.overwrite = true;
  const auto download_to = [&](const Path& to) {
    return caught([&] { download_url(url, to, options); });
  };
  const auto extract_to = [&](const Path& to) {
    return caught([&] { extract_archive(dir / "x.tar", to); });
  };
  CHECK(download_to(dir / "file/below").code == "io.cannot_create");
  CHECK(extract_to(dir / "file/below").code == "io.cannot_create");
  CHECK(extract_to(dir / "file").code == "io.cannot_create");
  CHECK(download_to(dir.path()).code == "io.cannot_write");
  CHECK(download_to("").code == "io.cannot_write");
  CHECK(extract_to("").code == "io.cannot_write");
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK(download_to(dir / "pipe").code == "io.cannot_write");
  CHECK(fs::is_fifo(dir / "pipe"));
  fs::remove(dir / "pipe");
  // A folder is no file that is there.
  CHECK(caught([&] { download_url(url, dir.path(), fast()); }).code == "io.cannot_write");

  const auto error = download_to(dir / std::string(256, 'n'));
  CHECK(error.code == "io.cannot_write");
  CHECK(has(error.message, "shorter"));
  CHECK(extract_to(dir / std::string(256, 'n')).code == "io.cannot_write");
  Path deep = dir.path();
  for (int i = 0; i < 5000; ++i) deep /= "x";
  CHECK(download_to(deep).code.substr(0, 10) == "io.cannot_");
  CHECK(extract_to(deep).code.substr(0, 10) == "io.cannot_");

  const ScopedEnv home("FASTAI_HOME", (dir / "file").string());
  const auto refused = caught([] { Config::data_path(); });
  CHECK(refused.code == "io.cannot_create");
  CHECK(has(refused.message, "FASTAI_HOME"));
  CHECK(caught([&] { untar_data("http://127.0.0.1/x"); }).code == "io.cannot_create");
  const ScopedEnv torch("TORCH_HOME", (dir / "file").string());
  CHECK(caught([&] {
          hub_weights("a.pth", {.base_url = file_url(dir.path())});
        }).code.substr(0, 3) == "io.");
  CHECK(ls(dir.path()).size() == 2);
  CHECK(read_file(dir / "file") == "mine");
}

TEST_CASE("names of every kind, in downloads and archives") {
  TempDir dir;
  HttpServer server(
      [&](const Request&, int) { return Response{.body = content(), .etag = "\"one\""}; });
  for (const std::string& name :
       {std::string("with blank"), std::string("[brackets]{0}%s # x"),
        std::string("\xff\xfe no UTF-8"), std::string("\xC3\xA9t\xC3\xA9"),
        std::string("line\nbreak"), std::string(255, 'n'), std::string(254, 'n')}) {
    INFO(name);
    TempDir own;
    download_url(server.url("/a"), own / name, fast());
    CHECK(read_file(own / name) == content());
    pack(dir / "x.tar", "x");
    CHECK(extract_archive(dir / "x.tar", own / "folder" / name));
    CHECK(read_file(own / "folder" / name / "x/a") == "one");
    CHECK(ls(own.path()).size() == 2);
    CHECK(ls(own / "folder").size() == 1);
    CHECK(has(caught([&] { extract_archive(own / name, own / "y"); }).message, name));

    const ScopedEnv home("FASTAI_HOME", (own / "home" / name).string());
    CHECK(Config::data_path() == own / "home" / name / "data");
  }
}

TEST_CASE("symbolic links are followed, and stay") {
  TempDir dir;
  pack(dir / "x.tar", "x");
  const std::string bytes = read_file(dir / "x.tar"), url = file_url(dir / "x.tar");
  auto options = fast();
  options.overwrite = true;
  write_file(dir / "there/real", "old");
  fs::permissions(dir / "there/real", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("there/real", dir / "link");
  fs::create_symlink("link", dir / "chain");
  fs::create_symlink("later/new", dir / "dangling");
  fs::create_directory_symlink("there", dir / "folder");
  for (const char* name : {"link", "chain", "dangling", "folder/other"}) {
    INFO(name);
    download_url(url, dir / name, options);
    CHECK(read_file(dir / name) == bytes);
  }
  for (const char* name : {"link", "chain", "dangling", "folder"})
    CHECK(fs::is_symlink(dir / name));
  CHECK(read_file(dir / "there/real") == bytes);
  CHECK(fs::status(dir / "there/real").permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(ls(dir / "there").size() == 2);
  CHECK(ls(dir / "later").size() == 1);

  // A data set's folder on another disk, not yet made.
  fs::create_directory_symlink("disk/set", dir / "x");
  CHECK(extract_archive(dir / "x.tar", dir / "x"));
  CHECK(fs::is_symlink(dir / "x"));
  CHECK(read_file(dir / "disk/set/a") == "one");
  CHECK_FALSE(extract_archive(dir / "x.tar", dir / "x"));

  fs::create_symlink("loop2", dir / "loop1");
  fs::create_symlink("loop1", dir / "loop2");
  CHECK(caught([&] { download_url(url, dir / "loop1", options); }).code == "io.cannot_write");
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "loop1"); }).code == "io.cannot_write");
  CHECK(caught([&] { sha256_file(dir / "loop1"); }).code == "io.cannot_read");
  CHECK(caught([&] { extract_archive(dir / "loop1", dir / "y"); }).code == "io.cannot_read");
}

TEST_CASE("a renewed data set stays where a link has put it") {
  TempDir dir;
  CapturedLog log;
  const ScopedEnv home("FASTAI_HOME", (dir / "home").string());
  const Path former = urls::set_local_path(dir / "work");
  pack(dir / "x.tar", "x");
  const std::string bytes = read_file(dir / "x.tar");
  std::atomic<bool> gone{false};
  HttpServer server([&](const Request&, int) {
    return gone ? Response{.status = 404, .body = "no"} : Response{.body = bytes};
  });
  fs::create_directories(dir / "home/data");
  fs::create_directory_symlink("../../disk/x", dir / "home/data/x");
  const std::string url = server.url("/x.tar");
  const Path folder = untar_data(url, {.download = fast()});
  CHECK(read_file(dir / "disk/x/a") == "one");

  write_file(folder / "mine", "kept");
  // Without a connection the old folder and archive are better than none.
  gone = true;
  CHECK(caught([&] { untar_data(url, {.force_download = true, .download = fast()}); }).code ==
        "download.http_status");
  CHECK(fs::exists(folder / "mine"));
  CHECK(read_file(dir / "home/data/x.tar") == bytes);
  gone = false;
  untar_data(url, {.force_download = true, .download = fast()});
  CHECK(fs::is_symlink(folder));
  CHECK_FALSE(fs::exists(dir / "disk/x/mine"));
  CHECK(read_file(dir / "disk/x/a") == "one");

  fs::remove_all(dir / "disk");
  CHECK(caught([&] {
          untar_data(url, {.download = fast(), .extract = {.max_entries = 0}});
        }).code == "value.extract_options");
  std::stop_source source;
  source.request_stop();
  auto options = fast();
  options.stop = source.get_token();
  CHECK(caught([&] { untar_data(url, {.download = options}); }).code == "io.cancelled");
  // A file where the folder should be.
  write_file(dir / "disk/x", "a file");
  CHECK(caught([&] { untar_data(url, {.download = fast()}); }).code == "io.cannot_create");
  urls::set_local_path(former);
}

TEST_CASE("digests of what is no file") {
  TempDir dir;
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  const auto result = in_child([&] {
    ::alarm(20);  // a pipe that nobody writes to
    return caught([&] { sha256_file(dir / "pipe"); }).code == "io.cannot_read" &&
                   caught([&] { file_check("/dev/zero"); }).code == "io.cannot_read"
               ? 0
               : 1;
  });
  CHECK(result.status == 0);
  CHECK(caught([&] { download_url("file:///etc/hostname%00.tgz", dir / "a", fast()); }).code ==
        "value.url");
}
