#include "failing_support.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <dlfcn.h>

#include <cerrno>
#include <mutex>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"

using fastcpp::test::Faults;

namespace {

std::mutex faults_mutex;
Faults* faults = nullptr;
bool curl_started = false;

bool failing(bool Faults::*what) {
  std::scoped_lock lock(faults_mutex);
  return faults && faults->*what;
}

// Before a change to the disk.
void step() {
  std::scoped_lock lock(faults_mutex);
  if (faults && faults->kill_at > 0 && --faults->kill_at == 0) ::kill(::getpid(), SIGKILL);
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
  step();
  return failing(&Faults::full) ? 0 : ::syscall(SYS_write, fd, bytes, count);
}
ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  step();
  return failing(&Faults::full) ? 0 : ::syscall(SYS_pwrite64, fd, bytes, count, offset);
}
int unlink(const char* name) noexcept {
  step();
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, name, 0));
}
int mkdir(const char* name, mode_t mode) noexcept {
  step();
  return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, name, mode));
}
int unlinkat(int folder, const char* name, int flags) noexcept {
  step();
  if (failing(&Faults::busy)) return fail_with(EBUSY);
  return static_cast<int>(::syscall(SYS_unlinkat, folder, name, flags));
}
int fsync(int fd) {
  step();
  note("fsync");
  if (failing(&Faults::no_flush)) return fail_with(EIO);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int syncfs(int fd) noexcept {
  step();
  note("syncfs");
  if (failing(&Faults::no_flush)) return fail_with(EIO);
  return static_cast<int>(::syscall(SYS_syncfs, fd));
}
int rename(const char* from, const char* to) noexcept {
  step();
  note("rename");
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
CURLcode curl_global_init(long flags) {
  if (failing(&Faults::no_start)) return CURLE_FAILED_INIT;
  curl_started = true;
  return next<CURLcode(long)>("curl_global_init")(flags);
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

namespace fastcpp::test {

ScopedFaults::ScopedFaults(const Faults& wanted) : Faults(wanted) {
  std::scoped_lock lock(faults_mutex);
  faults = this;
}

ScopedFaults::~ScopedFaults() {
  std::scoped_lock lock(faults_mutex);
  faults = nullptr;
}

OtherServer::OtherServer(const HttpServer::Handler& handler) {
  int ends[2];
  if (::pipe(ends) != 0) return;
  process = ::fork();
  if (process == 0) {
    ::close(STDERR_FILENO);  // for whose end the test waits
    HttpServer server(handler);
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

OtherServer::~OtherServer() {
  if (process <= 0) return;
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
}

bool curl_is_ready() {
  return curl_started;
}

void pack(const Path& file, const std::string& name, const std::string& bytes) {
  pack(file, name, {{"a", bytes}});
}

void pack(const Path& file, const std::string& name,
          const std::vector<std::pair<std::string, std::string>>& files) {
  make_folder(file.parent_path());
  archive* a = archive_write_new();
  archive_write_set_format_ustar(a);
  REQUIRE(archive_write_open_filename(a, file.c_str()) == ARCHIVE_OK);
  for (const auto& [path, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, (name + "/" + path).c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
    archive_write_data(a, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
}

}  // namespace fastcpp::test
