// Downloads, archives and weights where the system fails: full disks, sinks that throw, locks that are not there, odd
// names, links, closed streams.
#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
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

namespace {

// What the system calls below do instead of their work, while an object of this lives.
struct Faults {
  bool no_locks = false;               // flock is not offered
  bool full = false;                   // write and pwrite take nothing
  bool busy = false;                   // nothing can be removed
  bool no_list = false;                // libcurl has no memory for a header
  bool no_transfer = false;            // libcurl takes no transfer
  bool no_wait = false;                // libcurl cannot wait
  bool no_flush = false;               // the disk fails when it is flushed
  std::vector<std::string> done = {};  // flushes and renames, in order
};
std::mutex faults_mutex;
Faults* faults = nullptr;

struct ScopedFaults : Faults {
  explicit ScopedFaults(const Faults& wanted = {}) : Faults(wanted) { set(this); }
  ~ScopedFaults() { set(nullptr); }
  static void set(Faults* to) {
    std::scoped_lock lock(faults_mutex);
    faults = to;
  }
};

bool failing(bool Faults::*what) {
  std::scoped_lock lock(faults_mutex);
  return faults && faults->*what;
}

void note(const std::string& what) {
  std::scoped_lock lock(faults_mutex);
  if (faults) faults->done.push_back(what);
}

int fail_with(int cause) {
  errno = cause;
  return -1;
}

template <typename F>
F* next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// This program's own take the place of the system's, for its libraries too.
#pragma GCC visibility push(default)
extern "C" {
// Under a name of its own here, because a struct is called flock as well.
int fake_flock(int fd, int operation) noexcept __asm__("flock");
int fake_flock(int fd, int operation) noexcept {
  if (failing(&Faults::no_locks)) return fail_with(ENOLCK);
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}
ssize_t write(int fd, const void* bytes, size_t count) {
  return failing(&Faults::full) ? 0 : ::syscall(SYS_write, fd, bytes, count);
}
ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return failing(&Faults::full) ? 0 : ::syscall(SYS_pwrite64, fd, bytes, count, offset);
}
int unlinkat(int folder, const char* name, int flags) noexcept {
  if (failing(&Faults::busy)) return fail_with(EBUSY);
  return static_cast<int>(::syscall(SYS_unlinkat, folder, name, flags));
}
int fsync(int fd) {
  note("fsync");
  if (failing(&Faults::no_flush)) return fail_with(EIO);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int syncfs(int fd) noexcept {
  note("syncfs");
  if (failing(&Faults::no_flush)) return fail_with(EIO);
  return static_cast<int>(::syscall(SYS_syncfs, fd));
}
int rename(const char* from, const char* to) noexcept {
  note("rename");
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
curl_slist* curl_slist_append(curl_slist* list, const char* text) {
  if (failing(&Faults::no_list)) return nullptr;
  return next<curl_slist*(curl_slist*, const char*)>("curl_slist_append")(list, text);
}
CURLMcode curl_multi_add_handle(CURLM* multi, CURL* easy) {
  if (failing(&Faults::no_transfer)) return CURLM_INTERNAL_ERROR;
  return next<CURLMcode(CURLM*, CURL*)>("curl_multi_add_handle")(multi, easy);
}
CURLMcode curl_multi_poll(CURLM* multi, curl_waitfd* fds, unsigned count, int time, int* ready) {
  if (failing(&Faults::no_wait)) return CURLM_INTERNAL_ERROR;
  return next<CURLMcode(CURLM*, curl_waitfd*, unsigned, int, int*)>("curl_multi_poll")(
      multi, fds, count, time, ready);
}
}
#pragma GCC visibility pop

namespace {

// A tar file of so many bytes in one file, `NAME/a`.
void pack(const Path& file, const std::string& name, const std::string& bytes = "one") {
  archive* a = archive_write_new();
  archive_write_set_format_ustar(a);
  REQUIRE(archive_write_open_filename(a, file.c_str()) == ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, (name + "/a").c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
  archive_write_data(a, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string file_url(const Path& file) {
  return "file://" + file.string();
}

// Files may become no longer than this; to be used in a child.
bool limit_files(rlim_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

struct ThrowingSink : ProgressSink {
  void begin(const ProgressTask&) override { throw std::runtime_error("begin"); }
  void update(std::int64_t, std::string_view) override { throw 42; }
  void end() override { throw std::runtime_error("end"); }
};

struct ScopedSink {
  explicit ScopedSink(std::shared_ptr<ProgressSink> sink)
      : former(set_progress_sink(std::move(sink))) {}
  ~ScopedSink() { set_progress_sink(former); }
  std::shared_ptr<ProgressSink> former;
};

// A user who presses the button.
struct StoppingSink : ProgressSink {
  void update(std::int64_t, std::string_view) override {
    source.request_stop();
    ++updates;
  }
  std::stop_source source;
  int updates = 0;
};

// A bar on streams that the program has closed.
struct PrintingSink : ProgressSink {
  void begin(const ProgressTask&) override { print(); }
  void update(std::int64_t, std::string_view) override { print(); }
  void print() {
    for (int fd = 0; fd <= 2; ++fd) printed += ::write(fd, "!", 1) == 1;
  }
  int printed = 0;
};

struct NotingSink : ProgressSink {
  void begin(const ProgressTask& task) override { began.push_back(task.what); }
  void end() override { ++ended; }
  std::vector<std::string> began;
  int ended = 0;
};

// A server in a process of its own, with streams of its own.
struct OtherServer {
  explicit OtherServer(const std::string& body) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    process = ::fork();
    if (process == 0) {
      ::close(STDERR_FILENO);  // for whose end the test waits
      HttpServer server([&](const Request&, int) { return Response{.body = body}; });
      const std::string address = server.url("/a");
      if (::write(ends[1], address.data(), address.size()) > 0) ::pause();
      ::_exit(0);
    }
    char buffer[200];
    const auto got = ::read(ends[0], buffer, sizeof buffer);
    url.assign(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~OtherServer() {
    if (process > 0) ::kill(process, SIGKILL);
  }
  std::string url;
  pid_t process = -1;
};

}  // namespace

TEST_CASE("a download that does not fit the disk") {
  TempDir dir;
  const std::string bytes = content();
  write_file(dir / "source", bytes);
  write_file(dir / "a", "old");
  // With a server of its own: the child must be the only process that knows its threads.
  const auto result = in_child([&] {
    if (!limit_files(100'000)) return 98;
    HttpServer server(
        [&](const Request&, int) { return Response{.body = bytes, .etag = "\"one\""}; });
    auto options = fast();
    options.overwrite = true;
    for (const auto& url : {server.url("/a"), file_url(dir / "source")}) {
      const auto error = caught([&] { download_url(url, dir / "a", options); });
      if (error.code != "io.cannot_write") return 1;
      if (!has(error.message, (dir / "a").string()) || !has(error.message, "space")) return 2;
      if (read_file(dir / "a") != "old") return 3;
    }
    return 0;
  });
  CHECK(result.status == 0);
  CHECK(ls(dir.path()).size() == 2);
  // When there is room again, it works.
  HttpServer server(
      [&](const Request&, int) { return Response{.body = bytes, .etag = "\"one\""}; });
  auto options = fast();
  options.overwrite = true;
  download_url(server.url("/a"), dir / "a", options);
  CHECK(read_file(dir / "a") == bytes);
  CHECK(ls(dir.path()).size() == 2);
}

TEST_CASE("an archive that does not fit the disk") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  const auto result = in_child([&] {
    if (!limit_files(100'000)) return 98;
    const auto error = caught([&] { extract_archive(dir / "x.tar", dir / "x"); });
    if (error.code != "io.cannot_write" || !has(error.message, "space")) return 1;
    return 0;
  });
  CHECK(result.status == 0);
  CHECK(ls(dir.path()).size() == 1);
  CHECK(extract_archive(dir / "x.tar", dir / "x"));
}

TEST_CASE("a disk that takes nothing and says nothing") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  // In a child, so that a loop without end does not hold the others up.
  const auto result = in_child([&] {
    ::alarm(20);
    const ScopedFaults none{{.full = true}};
    if (caught([&] { download_url(file_url(dir / "x.tar"), dir / "y", fast()); }).code !=
        "io.cannot_write")
      return 1;
    if (caught([&] { extract_archive(dir / "x.tar", dir / "x"); }).code != "io.cannot_write")
      return 2;
    return caught([&] { write_file(dir / "z", "x"); }).code == "io.cannot_write" ? 0 : 3;
  });
  CHECK(result.status == 0);
  CHECK(ls(dir.path()).size() == 1);
}

TEST_CASE("what arrives is flushed before it gets its name") {
  TempDir dir;
  pack(dir / "x.tar", "x");
  {
    const ScopedFaults watched;
    download_url(file_url(dir / "x.tar"), dir / "y.tar", fast());
    CHECK(watched.done == std::vector<std::string>{"fsync", "rename", "fsync"});
  }
  {
    const ScopedFaults watched;
    extract_archive(dir / "x.tar", dir / "x");
    CHECK(watched.done == std::vector<std::string>{"syncfs", "rename", "fsync"});
  }
  const ScopedFaults failing{{.no_flush = true}};
  CHECK(caught([&] { download_url(file_url(dir / "x.tar"), dir / "z.tar", fast()); }).code ==
        "io.cannot_write");
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "z"); }).code == "io.cannot_write");
  CHECK(ls(dir.path()).size() == 3);
}

TEST_CASE("a sink that throws changes nothing") {
  TempDir dir;
  CapturedLog log;
  pack(dir / "x.tar", "x", content());
  const ScopedSink sink(std::make_shared<ThrowingSink>());
  HttpServer server([&](const Request&, int n) {
    return n == 0 ? Response{.body = content()} : Response{.status = 404, .body = "no"};
  });
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == content());
  CHECK(caught([&] { download_url(server.url("/b"), dir / "b", fast()); }).code ==
        "download.http_status");
  download_url(file_url(dir / "a"), dir / "c", fast());
  CHECK(extract_archive(dir / "x.tar", dir / "x"));
  CHECK(read_file(dir / "x/a") == content());
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("bars are named and end, whatever happens") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  auto notes = std::make_shared<NotingSink>();
  const ScopedSink sink(notes);
  auto options = fast();
  options.max_bytes = 1000;
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "x", {.max_bytes = 1000}); }).code ==
        "archive.too_large");
  HttpServer server(
      [&](const Request&, int) { return Response{.body = content(), .cut_after = 100'000}; });
  options.max_bytes = 1'000'000;
  options.retries = 0;
  CHECK(caught([&] { download_url(server.url("/a"), dir / "b", options); }).code ==
        "download.incomplete");
  CHECK(notes->began == std::vector<std::string>{"x.tar", "b"});
  CHECK(notes->ended == 2);
}

TEST_CASE("work that is stopped leaves nothing behind") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  std::stop_source source;
  source.request_stop();
  auto options = fast();
  options.stop = source.get_token();
  CHECK(caught([&] { download_url(file_url(dir / "x.tar"), dir / "y", options); }).code ==
        "io.cancelled");
  CHECK(caught([&] {
          extract_archive(dir / "x.tar", dir / "x", {.stop = source.get_token()});
        }).code == "io.cancelled");
  CHECK(ls(dir.path()).size() == 1);

  // In the middle.
  pack(dir / "long.tar", "long", content(3'000'000));
  for (int i = 0; i < 2; ++i) {
    const auto stopper = std::make_shared<StoppingSink>();
    const ScopedSink sink(stopper);
    options.stop = stopper->source.get_token();
    const auto error = caught([&] {
      i == 0 ? download_url(file_url(dir / "long.tar"), dir / "y", options)
             : static_cast<void>(
                   extract_archive(dir / "long.tar", dir / "long", {.stop = options.stop}));
    });
    CHECK(error.code == "io.cancelled");
    CHECK(stopper->updates == 1);
    CHECK(ls(dir.path()).size() == 2);
  }
}

TEST_CASE("a file system without locks") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  HttpServer server([&](const Request&, int n) {
    Response response{.body = content(), .etag = "\"one\""};
    if (n == 0) response.cut_after = 100'000;
    return response;
  });
  auto options = fast();
  options.retries = 0;
  const ScopedFaults faulty{{.no_locks = true}};
  CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
        "download.incomplete");
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "x", {.max_bytes = 9}); }).code ==
        "archive.too_large");
  CHECK(ls(dir.path()).size() == 1);
  download_url(server.url("/a"), dir / "a", options);
  extract_archive(dir / "x.tar", dir / "x");
  CHECK(read_file(dir / "a") == content());
  CHECK(read_file(dir / "x/a") == content());
  CHECK(ls(dir.path()).size() == 3);
}

TEST_CASE("leftovers that cannot be removed are named") {
  TempDir dir;
  pack(dir / "x.tar", "x");
  write_file(dir / "x.part/x/old", "left over");
  Caught error;
  {
    const ScopedFaults faulty{{.busy = true}};
    error = caught([&] { extract_archive(dir / "x.tar", dir / "x"); });
  }
  CHECK(error.code == "io.cannot_write");
  CHECK(has(error.message, (dir / "x.part").string()));
  CHECK_FALSE(fs::exists(dir / "x"));
}

TEST_CASE("libcurl that fails") {
  TempDir dir;
  HttpServer server([&](const Request&, int n) {
    Response response{.body = content(), .etag = "\"one\""};
    if (n == 0) response.cut_after = 100'000;
    return response;
  });
  auto options = fast();
  options.retries = 0;
  CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
        "download.incomplete");
  const auto code = [&](const Faults& wanted) {
    const ScopedFaults faulty(wanted);
    return caught([&] { download_url(server.url("/a"), dir / "a", options); }).code;
  };
  CHECK(code({.no_list = true}) == "train.out_of_memory");
  CHECK(code({.no_transfer = true}) == "download.failed");
  CHECK(code({.no_wait = true}) == "download.failed");
  download_url(server.url("/a"), dir / "a", options);
  CHECK(read_file(dir / "a") == content());
}

TEST_CASE("a note on a part that cannot be read") {
  TempDir dir;
  HttpServer server(
      [&](const Request&, int) { return Response{.body = content(), .etag = "\"one\""}; });
  const int kind = GENERATE(0, 1, 2);
  CAPTURE(kind);
  write_file(dir / "a.part", "half");
  if (kind == 0) write_file(dir / "a.part.info/x", "a folder");
  if (kind == 1) fs::create_symlink("a.part.info", dir / "a.part.info");
  if (kind == 2) write_file(dir / "a.part.info", std::string("\0\xff\n\n", 4));
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == content());
  CHECK(ls(dir.path()).size() == (kind == 0 ? 2 : 1));
}

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

TEST_CASE("what is printed to closed streams lands in no file and goes to no server") {
  TempDir dir;
  CapturedLog log;
  pack(dir / "x.tar", "x", content());
  const auto result = in_child([&] {
    ::alarm(60);
    const OtherServer server(content());
    const ScopedSink sink(std::make_shared<PrintingSink>());
    for (int fd = 0; fd <= 2; ++fd) ::close(fd);
    for (const auto& url : {server.url, file_url(dir / "x.tar")}) {
      if (!caught([&] {
             download_url(url, dir / url.substr(url.size() - 1), fast());
           }).code.empty())
        return 1;
    }
    if (!caught([&] { extract_archive(dir / "x.tar", dir / "x"); }).code.empty()) return 2;
    return 0;
  });
  CHECK(result.status == 0);
  CHECK(read_file(dir / "a") == content());
  CHECK(read_file(dir / "r") == read_file(dir / "x.tar"));
  CHECK(read_file(dir / "x/a") == content());
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
