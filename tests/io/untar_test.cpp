// extract_archive against archives that reach outside; untar_data and download_data.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <locale.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/io/urls.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using Request = HttpServer::Request;
using Response = HttpServer::Response;
namespace fs = std::filesystem;

namespace {

// One member of a tar file, byte by byte, because no library writes what these tests need.
struct Member {
  std::string name, data = "";
  char type = '0';  // '1' hard link, '2' symbolic link, '3' device, '5' folder
  std::string target = "";
  std::string claimed_size = "";  // octal digits instead of the true size
};

std::string tar(const std::vector<Member>& members) {
  std::string out;
  for (const Member& m : members) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) {
      std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, m.name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, m.claimed_size.empty() ? fmt::format("{:011o}", m.data.size()) : m.claimed_size);
    put(136, "00000000000");
    put(148, "        ");
    put(156, std::string(1, m.type));
    put(157, m.target);
    put(257, std::string("ustar\0", 6) + "00");
    unsigned sum = 0;
    for (const unsigned char c : header) sum += c;
    put(148, fmt::format("{:06o}", sum) + '\0');
    out += header + m.data + std::string((512 - m.data.size() % 512) % 512, '\0');
  }
  return out + std::string(1024, '\0');
}

// Written by libarchive: "tgz" or "zip".
void pack(const Path& file, const std::vector<std::pair<std::string, std::string>>& files) {
  const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const locale_t former = ::uselocale(utf8);
  archive* a = archive_write_new();
  const bool zip = file.extension() == ".zip";
  zip ? archive_write_set_format_zip(a) : archive_write_set_format_pax_restricted(a);
  if (!zip) archive_write_add_filter_gzip(a);
  if (zip) archive_write_set_options(a, "hdrcharset=UTF-8");
  REQUIRE(archive_write_open_filename(a, file.c_str()) == ARCHIVE_OK);
  for (const auto& [name, data] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(data.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, name.ends_with(".sh") ? 0755 : 0644);
    REQUIRE(archive_write_header(a, entry) >= ARCHIVE_WARN);
    archive_write_data(a, data.data(), data.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
  ::uselocale(former);
  ::freelocale(utf8);
}

// The code for an archive of these members; nothing may be left, and nothing may appear outside.
std::string refused(const std::vector<Member>& members) {
  TempDir dir;
  write_file(dir / "outside/secret", "untouched");
  write_file(dir / "x.tar", tar(members));
  const auto error = caught([&] { extract_archive(dir / "x.tar", dir / "in/x"); });
  CHECK(read_file(dir / "outside/secret") == "untouched");
  CHECK(ls(dir.path()).size() == 3);
  CHECK(ls(dir / "outside").size() == 1);
  CHECK(ls(dir / "in").size() == (error.code.empty() ? 1 : 0));
  return error.code;
}

// A cache of its own for untar_data.
struct Cache {
  TempDir dir;
  ScopedEnv home{"FASTAI_HOME", (dir / "home").string()};
  Path former = urls::set_local_path(dir / "work");
  CapturedLog log;
  ~Cache() { urls::set_local_path(former); }
};

std::string data_set(const std::string& name = "set") {
  TempDir dir;
  pack(dir / "a.tgz", {{name + "/train/3/a.png", "three"}, {name + "/labels.csv", "a,3"}});
  return read_file(dir / "a.tgz");
}

}  // namespace

TEST_CASE("archives of all kinds are extracted") {
  TempDir dir;
  const std::string ext = GENERATE("tgz", "zip");
  const Path file = dir / ("set." + ext);
  pack(file, {{"set/a.txt", "one"},
              {"set/dir/b.txt", std::string(700'000, 'b')},
              {"set/\xC3\xA9t\xC3\xA9.txt", "summer"},
              {"set/run.sh", "go"}});
  CHECK(extract_archive(file, dir / "out/set/"));
  CHECK(read_file(dir / "out/set/a.txt") == "one");
  CHECK(read_file(dir / "out/set/dir/b.txt").size() == 700'000);
  CHECK(read_file(dir / "out/set/\xC3\xA9t\xC3\xA9.txt") == "summer");
  CHECK(::access((dir / "out/set/run.sh").c_str(), X_OK) == 0);
  const auto perms = fs::status(dir / "out/set/a.txt").permissions();
  CHECK((perms & fs::perms::owner_exec) == fs::perms::none);
  CHECK(ls(dir / "out").size() == 1);
  // GNU tar stores names as they are, in any encoding.
  write_file(dir / "raw.tar", tar({{"\xC3\xA9.txt", "1"}, {"\xE9.txt", "2"}}));
  CHECK(extract_archive(dir / "raw.tar", dir / "raw"));
  CHECK(read_file(dir / "raw/\xC3\xA9.txt") == "1");
  CHECK(read_file(dir / "raw/\xE9.txt") == "2");

  CHECK_FALSE(extract_archive(file, dir / "out/set"));
  CHECK(extract_archive(file, dir / "out/set2", {.unwrap = false}));
  CHECK(read_file(dir / "out/set2/set/a.txt") == "one");
}

TEST_CASE("the folder of the target's name becomes the target") {
  TempDir dir;
  CapturedLog log;
  SECTION("other names are kept") {
    write_file(dir / "x.tar", tar({{"./", "", '5'}, {"./train/a", "1"}}));
    extract_archive(dir / "x.tar", dir / "x");
    CHECK(read_file(dir / "x/train/a") == "1");
  }
  SECTION("loose files are kept") {
    write_file(dir / "x.tar", tar({{"a", "1"}, {"b", "2"}}));
    extract_archive(dir / "x.tar", dir / "x");
    CHECK(ls(dir / "x").size() == 2);
  }
  SECTION("what lies beside is left out, and said") {
    write_file(dir / "x.tar", tar({{"x/a", "1"}, {"pets/b", "2"}, {"._x", "mac"}}));
    extract_archive(dir / "x.tar", dir / "x");
    CHECK(ls(dir / "x") == std::vector<Path>{dir / "x/a"});
    CHECK(ls(dir.path()).size() == 2);
    REQUIRE(log.warnings.size() == 1);
    CHECK(log.warnings[0].find("'pets'") != std::string::npos);
    CHECK(log.warnings[0].find("._x") == std::string::npos);
  }
}

TEST_CASE("links that stay inside are made") {
  TempDir dir;
  write_file(dir / "x.tar", tar({{"x/l", "", '2', "dir/../dir/a"},
                                 {"x/dir/a", "1"},
                                 {"x/dir/up", "", '2', "../b"},
                                 {"x/b", "2"},
                                 {"x/h", "", '1', "x/b"},
                                 {"x/gone", "", '2', "nothing/here"}}));
  REQUIRE(extract_archive(dir / "x.tar", dir / "x"));
  CHECK(fs::is_symlink(dir / "x/l"));
  CHECK(read_file(dir / "x/l") == "1");
  CHECK(read_file(dir / "x/dir/up") == "2");
  CHECK(read_file(dir / "x/h") == "2");
  CHECK(fs::is_symlink(dir / "x/gone"));
}

TEST_CASE("no archive reaches outside its folder") {
  CapturedLog log;
  // Well-formed ones first, so that the refusals below have a cause.
  CHECK(refused({{"x/a", "1"}}).empty());
  CHECK(refused({{"x/../x/a", "1"}}) == "archive.unsafe_path");
  CHECK(refused({{"../outside/secret", "1"}}) == "archive.unsafe_path");
  CHECK(refused({{"x/../../outside/secret", "1"}}) == "archive.unsafe_path");
  CHECK(refused({{"/tmp/fastcpp-should-not-exist", "1"}}) == "archive.unsafe_path");
  CHECK(refused({{"..", "", '5'}}) == "archive.unsafe_path");
  // Links, plain and by way of others.
  CHECK(refused({{"x/l", "", '2', "/etc/passwd"}}) == "archive.unsafe_link");
  CHECK(refused({{"x/l", "", '2', "../../outside"}}) == "archive.unsafe_link");
  CHECK(refused({{"x/l", "", '2', "../../../outside"}, {"x/l/secret", "1"}}) ==
        "archive.unsafe_link");
  CHECK(refused({{"x/d/a", "1"}, {"x/l", "", '2', "d"}, {"x/l/b", "1"}}) == "archive.unsafe_path");
  // Each link is harmless by its text; together they leave.
  CHECK(refused({{"x/d/e/a", "1"},
                 {"x/d/e/s", "", '2', "../.."},
                 {"x/t", "", '2', "d/e/s/../../../outside"}}) == "archive.unsafe_link");
  // Inside the archive, but outside the folder that remains of it.
  CHECK(refused({{"x/l", "", '2', "../y"}, {"x/a", "1"}, {"y", "2"}}) == "archive.unsafe_link");
  CHECK(refused({{"x/a", "", '2', "b"}, {"x/b", "", '2', "a"}}) == "archive.unsafe_link");
  // Hard links.
  CHECK(refused({{"x/h", "", '1', "../outside/secret"}}) == "archive.unsafe_path");
  CHECK(refused({{"x/h", "", '1', "/etc/passwd"}}) == "archive.unsafe_path");
  CHECK(refused({{"x/h", "", '1', "x/none"}}) == "archive.unsafe_link");
  CHECK(refused({{"x/s", "", '2', "b"}, {"x/b", "1"}, {"x/h", "", '1', "x/s"}}) ==
        "archive.unsafe_link");
  // Devices and pipes.
  CHECK(refused({{"x/null", "", '3'}}) == "archive.unsafe_entry");
  CHECK(refused({{"x/pipe", "", '6'}}) == "archive.unsafe_entry");
  // Names that are two things.
  CHECK(refused({{"x/a", "1"}, {"x/a/b", "1"}}) == "archive.damaged");
  CHECK(refused({{"x/a/b", "1"}, {"x/a", "1"}}) == "archive.damaged");
  CHECK_FALSE(fs::exists("/tmp/fastcpp-should-not-exist"));
}

TEST_CASE("a later entry replaces an earlier one, and never writes through it") {
  TempDir dir;
  write_file(dir / "x.tar", tar({{"x/a", "1"},
                                 {"x/h", "", '1', "x/a"},
                                 {"x/h", "22"},
                                 {"x/l", "", '2', "a"},
                                 {"x/l", "333"}}));
  extract_archive(dir / "x.tar", dir / "x");
  CHECK(read_file(dir / "x/a") == "1");
  CHECK(read_file(dir / "x/h") == "22");
  CHECK_FALSE(fs::is_symlink(dir / "x/l"));
  CHECK(read_file(dir / "x/l") == "333");
}

TEST_CASE("huge claims are refused before anything is written") {
  // 8 GiB by the header, more than 1 GiB + 200 times the length of this little file.
  CHECK(refused({{"x/a", "1", '0', "", "77777777777"}}) == "archive.too_large");

  TempDir dir;
  pack(dir / "x.tgz", {{"x/a", std::string(600'000, 'a')}, {"x/b", std::string(600'000, 'b')}});
  CHECK(caught([&] { extract_archive(dir / "x.tgz", dir / "x", {.max_bytes = 1'199'999}); }).code ==
        "archive.too_large");
  CHECK(caught([&] { extract_archive(dir / "x.tgz", dir / "x", {.max_entries = 1}); }).code ==
        "archive.too_large");
  CHECK(caught([&] { extract_archive(dir / "x.tgz", dir / "x", {.max_bytes = 0}); }).code ==
        "value.extract_options");
  CHECK(ls(dir.path()).size() == 1);
  CHECK(extract_archive(dir / "x.tgz", dir / "x", {.max_bytes = 1'200'000, .max_entries = 2}));
}

TEST_CASE("damaged archives leave nothing behind") {
  TempDir dir;
  std::string noise(200'000, '\0');
  std::uint64_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 6364136223846793005ULL + 1) >> 56);
  const std::string ext = GENERATE("tgz", "zip");
  const Path file = dir / ("x." + ext);
  pack(file, {{"x/a", noise}});
  const std::string good = read_file(file);
  const auto code = [&](const std::string& bytes) {
    write_file(file, bytes);
    const auto found = caught([&] { extract_archive(file, dir / "x"); }).code;
    CHECK(ls(dir.path()).size() == 1);
    return found;
  };
  CHECK(code(good.substr(0, good.size() / 2)) == "archive.damaged");
  CHECK(code("") == "archive.damaged");
  CHECK(code("<html>Please log in to this network</html>") == "archive.damaged");
  CHECK(caught([&] { extract_archive(dir / "none.tgz", dir / "x"); }).code == "io.cannot_read");
  write_file(file, good);
  CHECK(extract_archive(file, dir / "x"));
}

TEST_CASE("leftovers of a crash are cleared away, several callers share one extraction") {
  TempDir dir;
  CapturedLog log;
  pack(dir / "x.tgz", {{"x/a", "1"}, {"x/b", "2"}});
  write_file(dir / "x.part/x/old", "left over");
  std::vector<std::thread> threads;
  std::atomic<int> did{0}, failed{0};
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto error = caught([&] {
        if (extract_archive(dir / "x.tgz", dir / "x", {.show_progress = false})) ++did;
      });
      if (!error.code.empty()) ++failed;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(did == 1);
  CHECK(failed == 0);
  CHECK(ls(dir / "x") == std::vector<Path>{dir / "x/a", dir / "x/b"});
  CHECK(ls(dir.path()).size() == 2);
}

TEST_CASE("untar_data downloads, checks, extracts, and then does nothing") {
  Cache cache;
  const std::string bytes = data_set();
  HttpServer server([&](const Request&, int) { return Response{.body = bytes}; });
  write_file(cache.dir / "reference", bytes);
  UntarDataOptions options{.check = file_check(cache.dir / "reference"), .download = fast()};

  const Path path = untar_data(server.url("/data/set"), options);
  CHECK(path == cache.dir / "home/data/set");
  CHECK(read_file(path / "train/3/a.png") == "three");
  CHECK(server.requests()[0].path == "/data/set.tgz");
  CHECK(cache.log.info == std::vector<std::string>{"Downloading " + server.url("/data/set.tgz")});
  CHECK(fs::exists(cache.dir / "home/config.yml"));
  CHECK(ls(cache.dir / "home/data") ==
        std::vector<Path>{cache.dir / "home/data/set", cache.dir / "home/data/set.tgz"});

  CHECK(untar_data(server.url("/data/set"), options) == path);
  CHECK(server.requests().size() == 1);

  // A folder without an archive is taken as it is.
  fs::remove(cache.dir / "home/data/set.tgz");
  write_file(path / "mine", "kept");
  CHECK(untar_data(server.url("/data/set"), options) == path);
  CHECK(server.requests().size() == 1);
  CHECK(fs::exists(path / "mine"));

  options.force_download = true;
  untar_data(server.url("/data/set"), options);
  CHECK(server.requests().size() == 2);
  CHECK_FALSE(fs::exists(path / "mine"));
  CHECK(cache.log.info[1] == "A new version of the dataset is available.");
}

TEST_CASE("an archive that is not the expected one") {
  Cache cache;
  std::string bytes = data_set();
  write_file(cache.dir / "reference", bytes);
  const UntarDataOptions options{.check = file_check(cache.dir / "reference"), .download = fast()};
  HttpServer server([&](const Request&, int) { return Response{.body = bytes}; });
  const std::string url = server.url("/set");
  const Path archive = cache.dir / "home/data/set.tgz", folder = cache.dir / "home/data/set";

  SECTION("an old one in the cache is replaced") {
    write_file(archive, "old");
    write_file(folder / "old", "old");
    untar_data(url, options);
    CHECK_FALSE(fs::exists(folder / "old"));
    CHECK(read_file(archive) == bytes);
    CHECK(cache.log.info[0] == "A new version of the dataset is available.");
  }
  SECTION("the server has one of the same length") {
    bytes[20] = static_cast<char>(bytes[20] ^ 1);
    const auto error = caught([&] { untar_data(url, options); });
    CHECK(error.code == "download.checksum");
    CHECK(error.message.find(archive.string()) != std::string::npos);
    CHECK(error.message.find("remove that file") != std::string::npos);
    CHECK_FALSE(fs::exists(folder));
    // The next call does that by itself.
    bytes[20] = static_cast<char>(bytes[20] ^ 1);
    CHECK(untar_data(url, options) == folder);
  }
  SECTION("the server has one of another length") {
    bytes = "<html>log in</html>";
    CHECK(caught([&] { untar_data(url, options); }).code == "download.checksum");
    CHECK_FALSE(fs::exists(archive));
  }
  SECTION("what is placed by hand is used") {
    write_file(archive, bytes);
    CHECK(untar_data(url, options) == folder);
    CHECK(server.requests().empty());
  }
}

TEST_CASE("where things go") {
  Cache cache;
  HttpServer server([&](const Request& request, int) {
    return Response{.body = request.path == "/v/set.zip?x=1" ? "" : data_set()};
  });
  const std::string url = server.url("/set");
  SECTION("dest and fname") {
    const Path path = untar_data(
        url,
        {.fname = cache.dir / "arch/mine.tgz", .dest = cache.dir / "mine", .download = fast()});
    CHECK(path == cache.dir / "mine/set");
    CHECK(fs::exists(path / "labels.csv"));
    CHECK(fs::exists(cache.dir / "arch/mine.tgz"));
  }
  SECTION("models") {
    CHECK(untar_data(url, {.data = false, .download = fast()}) == cache.dir / "home/models/set");
    CHECK(fs::exists(cache.dir / "home/models/set.tgz"));
  }
  SECTION("the folder beside the program comes first") {
    write_file(cache.dir / "work/data/set/a", "1");
    CHECK(untar_data(url, {.download = fast()}) == cache.dir / "work/data/set");
    CHECK(server.requests().empty());
  }
  SECTION("also an archive there") {
    write_file(cache.dir / "work/data/set.tgz", data_set());
    CHECK(untar_data(url, {.download = fast()}) == cache.dir / "work/data/set");
    CHECK(server.requests().empty());
  }
  SECTION("folders of the configuration") {
    write_file(cache.dir / "home/config.yml",
               fmt::format("data_path: {}\n", (cache.dir / "big").string()));
    CHECK(untar_data(url, {.download = fast()}) == cache.dir / "big/set");
    CHECK(fs::exists(cache.dir / "home/data/set.tgz"));
  }
  SECTION("download_data alone") {
    CHECK(download_data(url, {.download = fast()}) == cache.dir / "home/data/set.tgz");
    CHECK(download_data(url + ".tar.gz", {.download = fast()}) ==
          cache.dir / "home/data/set.tar.gz");
    CHECK(download_data(server.url("/v/set.zip?x=1"), {.download = fast()}) ==
          cache.dir / "home/data/set.zip");
    CHECK(server.requests()[2].path == "/v/set.zip?x=1");
    CHECK_FALSE(fs::exists(cache.dir / "home/data/set"));
  }
  SECTION("odd addresses") {
    for (const char* odd : {"http://host", "http://host/", "set", "http://host/..",
                            "http://host/%2e%2e", "http://host/a%2fb"}) {
      CAPTURE(odd);
      CHECK(caught([&] { untar_data(odd, {.download = fast()}); }).code == "value.url");
    }
  }
  SECTION("offline") {
    const std::string away = fmt::format("http://127.0.0.1:{}/set", closed_port());
    const auto error = caught([&] { untar_data(away, {.download = fast()}); });
    CHECK(error.code == "download.offline");
    CHECK(error.message.find(away + ".tgz") != std::string::npos);
    CHECK(error.message.find((cache.dir / "home/data/set.tgz").string()) != std::string::npos);
  }
}

TEST_CASE("file addresses are used where they lie") {
  Cache cache;
  const Path archive = cache.dir / "x/set.tgz";
  write_file(archive, data_set());
  const std::string url = "file://" + (cache.dir / "x/set").string();
  const Path path = untar_data(url);
  CHECK(path == cache.dir / "home/data/set");
  CHECK(read_file(path / "labels.csv") == "a,3");
  CHECK(ls(cache.dir / "home/data").size() == 1);
  CHECK(cache.log.info.empty());

  // The user's own file survives whatever happens to the folder.
  untar_data(url + ".tgz", {.force_download = true});
  CHECK(fs::exists(archive));
  fs::remove_all(path);
  CHECK(caught([&] { untar_data(url, {.check = FileCheck{1, "0"}}); }).code == "download.checksum");
  CHECK(fs::exists(archive));

  pack(cache.dir / "x/zipped.zip", {{"a/b", "1"}});
  CHECK(read_file(untar_data("file://" + (cache.dir / "x/zipped.zip").string()) / "a/b") == "1");
  CHECK(caught([&] { untar_data("file://" + (cache.dir / "x/none").string()); }).code ==
        "io.cannot_read");
}
