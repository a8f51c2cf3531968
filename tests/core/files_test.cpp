// Files and folders: whole or not at all, through links of every kind, with names of every kind, on full disks.
#include <fmt/format.h>

#include <array>
#include <future>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/path.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace fs = std::filesystem;

TEST_CASE("files are written whole or not at all") {
  TempDir dir;
  write_file(dir / "a/b.txt", "one");
  write_file(dir / "a/b.txt", "two");
  CHECK(read_file(dir / "a/b.txt") == "two");
  CHECK(ls(dir / "a").size() == 1);
  CHECK(caught([&] { read_file(dir / "none"); }).code == "io.cannot_read");
  CHECK(caught([&] { read_file(dir.path()); }).code == "io.cannot_read");
  CHECK(caught([&] { ls(dir / "none"); }).code == "io.cannot_list");
  CHECK(caught([&] { ls(dir / "a/b.txt"); }).code == "io.cannot_list");

  {
    AtomicWriter out(dir / "a/b.txt");
    out.write("half");
    CHECK(out.position() == 4);
    CHECK(read_file(dir / "a/b.txt") == "two");
  }
  CHECK(read_file(dir / "a/b.txt") == "two");
  CHECK(ls(dir / "a").size() == 1);

  std::string large(3'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 7) large[i] = '\0';
  write_file(dir / "large", large);
  CHECK(read_file(dir / "large") == large);
  write_file(dir / "empty", "");
  CHECK(read_file(dir / "empty").empty());
  // Files of the kernel say that they are empty.
  CHECK(read_file("/proc/self/status").find("Pid:") != std::string::npos);
}

TEST_CASE("what cannot be written says so, and leaves nothing behind") {
  TempDir dir;
  write_file(dir / "file", "old");
  for (const Path& file : {dir.path(), dir / "", Path("")}) {
    const auto error = caught([&] { write_file(file, "x"); });
    CHECK(error.code == "io.cannot_write");
    CHECK(error.message.find(fmt::format("'{}'", file.string())) != std::string::npos);
  }
  CHECK(caught([&] { write_file(dir / "file/below", "x"); }).code == "io.cannot_create");
  CHECK(caught([&] { make_folder(dir / "file"); }).code == "io.cannot_create");
  CHECK(caught([&] { make_folder(dir / "file/below"); }).code == "io.cannot_create");
  CHECK(read_file(dir / "file") == "old");
  CHECK(ls(dir.path()).size() == 1);
}

TEST_CASE("an existing file keeps its access rights") {
  TempDir dir;
  write_file(dir / "a", "old");
  fs::permissions(dir / "a", fs::perms::owner_read | fs::perms::owner_write);
  write_file(dir / "a", "new");
  CHECK(fs::status(dir / "a").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("symbolic links are written through") {
  TempDir dir;
  write_file(dir / "there/real", "old");
  fs::create_symlink(dir / "there/real", dir / "absolute");
  fs::create_symlink("there/real", dir / "relative");
  fs::create_symlink("relative", dir / "chain");
  fs::create_directory_symlink("there", dir / "folder");
  for (const auto* link : {"absolute", "relative", "chain", "folder/real"}) {
    INFO(link);
    write_file(dir / link, link);
    CHECK(read_file(dir / "there/real") == link);
    CHECK(read_file(dir / link) == link);
    CHECK(ls(dir / "there").size() == 1);
  }
  for (const auto* link : {"absolute", "relative", "chain", "folder"}) {
    CHECK(fs::is_symlink(dir / link));
  }

  // Nothing there yet: the file appears where the link points, as for any program that opens it.
  fs::create_symlink("later/new", dir / "dangling");
  write_file(dir / "dangling", "made");
  CHECK(fs::is_symlink(dir / "dangling"));
  CHECK(read_file(dir / "later/new") == "made");

  fs::create_symlink("loop2", dir / "loop1");
  fs::create_symlink("loop1", dir / "loop2");
  CHECK(caught([&] { write_file(dir / "loop1", "x"); }).code == "io.cannot_write");
  CHECK(caught([&] { read_file(dir / "loop1"); }).code == "io.cannot_read");
  CHECK(caught([&] { ls(dir / "loop1"); }).code == "io.cannot_list");
  CHECK(caught([&] { make_folder(dir / "loop1"); }).code == "io.cannot_create");
  CHECK(caught([&] { write_file(dir / "folder", "x"); }).code == "io.cannot_write");

  CHECK(ls(dir / "folder").size() == 1);
  make_folder(dir / "folder");
  make_folder(dir / "folder/more/still");
  CHECK(fs::is_directory(dir / "there/more/still"));
  fs::create_directory_symlink("nowhere", dir / "broken");
  CHECK(caught([&] { make_folder(dir / "broken"); }).code == "io.cannot_create");
}

TEST_CASE("a pipe is written in place") {
  TempDir dir;
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  auto read = std::async(std::launch::async, [&] { return read_file(dir / "pipe"); });
  write_file(dir / "pipe", "text");
  CHECK(read.get() == "text");
  CHECK(fs::is_fifo(dir / "pipe"));
  write_file("/dev/null", "text");
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("names of every kind") {
  TempDir dir;
  const std::string longest(255, 'n');
  for (const std::string& name :
       {std::string("with blank"), std::string("[brackets]{0}%s"), std::string("\xff\xfe no UTF-8"),
        std::string("\xC3\xA9t\xC3\xA9"), std::string(" "), std::string("line\nbreak"), longest}) {
    INFO(name);
    write_file(dir / "files" / name, name);
    write_file(dir / "files" / name, name);
    CHECK(read_file(dir / "files" / name) == name);
    make_folder(dir / "folders" / name / "below");
    CHECK(ls(dir / "folders" / name).size() == 1);
    CHECK(caught([&] { read_file(dir / name); }).message.find(name) != std::string::npos);
    CHECK(caught([&] { ls(dir / name); }).message.find(name) != std::string::npos);
  }
  CHECK(ls(dir / "files").size() == 7);

  const std::string too_long(256, 'n');
  CHECK(caught([&] { write_file(dir / too_long, "x"); }).code == "io.cannot_write");
  CHECK(caught([&] { read_file(dir / too_long); }).code == "io.cannot_read");
  CHECK(caught([&] { make_folder(dir / too_long); }).code == "io.cannot_create");
  CHECK(caught([&] { ls(dir / too_long); }).code == "io.cannot_list");
  Path deep = dir.path();
  for (int i = 0; i < 5000; ++i) deep /= "x";
  CHECK(caught([&] { write_file(deep, "x"); }).code.substr(0, 10) == "io.cannot_");
  CHECK(caught([&] { read_file(deep); }).code == "io.cannot_read");
  CHECK(caught([&] { make_folder(deep); }).code == "io.cannot_create");
  CHECK(caught([&] { ls(deep); }).code == "io.cannot_list");
  // Nothing of the temporary siblings is left.
  CHECK(ls(dir / "files").size() == 7);
}

TEST_CASE("threads that write one file leave one content, whole") {
  TempDir dir;
  std::vector<std::thread> threads;
  for (char name = 'a'; name < 'e'; ++name) {
    threads.emplace_back([&, name] {
      for (int i = 0; i < 20; ++i) write_file(dir / "x/y/file", std::string(10'000, name));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto content = read_file(dir / "x/y/file");
  CHECK(content == std::string(10'000, content[0]));
  CHECK(ls(dir / "x/y").size() == 1);
}

namespace {

// Writes beyond what there is room for. 0: as promised; else what went wrong.
int write_too_much(const Path& folder) {
  const Path file = folder / "file";
  const std::string more(1 << 20, 'x');
  if (caught([&] { write_file(file, more); }).code != "io.cannot_write") return 1;
  if (read_file(file) != "old") return 2;
  if (ls(folder).size() != 1) return 3;
  // In small pieces, which a buffer could have swallowed.
  const auto error = caught([&] {
    AtomicWriter out(file);
    for (int i = 0; i < 1 << 16; ++i) out.write("0123456789abcdef");
    out.commit();
  });
  if (error.code != "io.cannot_write") return 4;
  if (error.message.find(file.string()) == std::string::npos) return 5;
  return read_file(file) == "old" && ls(folder).size() == 1 ? 0 : 6;
}

}  // namespace

TEST_CASE("a file beyond the limit of its size") {
  TempDir dir;
  write_file(dir / "file", "old");
  const auto result = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
    return write_too_much(dir.path());
  });
  CHECK(result.status == 0);
}

TEST_CASE("a full disk", "[skips]") {
  TempDir dir;
  const auto result = in_child([&] {
    // A small disk that only this process sees.
    if (::unshare(CLONE_NEWNS) != 0) return 77;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("none", dir.path().c_str(), "tmpfs", 0, "size=256k") != 0) return 77;
    write_file(dir / "file", "old");
    return write_too_much(dir.path());
  });
  if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == 77)
    return skip("a disk of its own needs more rights than this process has");
  CHECK(result.status == 0);
}

TEST_CASE("what is printed to a closed standard output does not land in a file") {
  TempDir dir;
  const auto result = in_child([&] {
    ::close(STDOUT_FILENO);
    AtomicWriter out(dir / "file");
    if (::write(STDOUT_FILENO, "printed", 7) != -1) return 1;
    out.write("content");
    out.commit();
    return read_file(dir / "file") == "content" ? 0 : 2;
  });
  CHECK(result.status == 0);
}
