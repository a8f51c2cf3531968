// Packs: what was written is read in any order, by threads and processes; what is cut or damaged is told.
#include "fastcpp/io/pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "fastcpp/io/file_source.hpp"
#include "io/file_access.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::string_literals;

namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

const Entries& letters() {
  static const Entries all{{"cat/2.jpg", std::string(700, 'c')},
                           {"a", ""},
                           {"cat/1.jpg", std::string("\0\xff\n", 3)},
                           {"dog/1.jpg", "dog"}};
  return all;
}

std::string bytes_of(const Entries& entries, std::string_view notes = "some notes") {
  const TempDir dir;
  PackWriter out(dir / "x.pack");
  for (const auto& [name, content] : entries) out.add(name, content);
  out.commit(notes);
  return read_file(dir / "x.pack");
}

struct PackFault {
  std::string code, message;
  std::int64_t offset = -1;
};

// What opening the bytes as a pack and reading all of it throws.
PackFault fault_of_pack(const Path& file, const std::string& bytes) {
  write_file(file, bytes);
  try {
    const PackReader pack(file);
    for (std::int64_t i = 0; i < pack.size(); ++i) pack.read(i);
  } catch (const FormatError& e) {
    return {e.code(), e.what(), e.offset()};
  }
  return {};
}

// With these bytes somewhere, and the checksums put right again as an attacker would.
std::string forged(std::string bytes, std::size_t at, std::string_view with) {
  bytes.replace(at, with.size(), with);
  const auto number = [&](std::size_t from) {
    std::uint64_t value = 0;
    for (std::size_t i = 8; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(bytes[from + i]);
    return value;
  };
  const auto put = [&](std::size_t to, std::uint32_t crc) {
    for (std::size_t i = 0; i < 4; ++i) bytes[to + i] = static_cast<char>(crc >> (8 * i) & 0xFF);
  };
  const auto tail = bytes.size() - 64;
  put(12, io::crc32(bytes.data(), 12));
  if (const auto index = number(tail + 8); index <= tail) {
    put(tail + 40, io::crc32(bytes.data() + index, tail - index));
  }
  put(tail + 52, io::crc32(bytes.data() + tail, 52));
  return bytes;
}

std::string little(std::uint64_t number, std::size_t size = 8) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xFF);
  return bytes;
}

}  // namespace

TEST_CASE("what a pack was given it gives back, in its order and by its names") {
  const TempDir dir;
  const auto file = dir / "sub/all.pack";
  {
    PackWriter out(file);
    for (const auto& [name, content] : letters()) out.add(name, content);
    CHECK(out.size() == 4);
    CHECK(out.position() == 16 + 706);
    CHECK_FALSE(std::filesystem::exists(file));
    out.commit("notes\0too"s);
  }
  const PackReader pack(file);
  CHECK(pack.file() == file.string());
  REQUIRE(pack.size() == 4);
  CHECK(pack.notes() == "notes\0too"s);
  for (const std::int64_t i : {3, 0, 2, 1}) {
    const auto& [name, content] = letters()[static_cast<std::size_t>(i)];
    CHECK(pack.name(i) == name);
    CHECK(pack.bytes(i) == content.size());
    CHECK(pack.read(i) == content);
    CHECK(pack.find(name) == i);
  }
  CHECK_FALSE(pack.find("cat"));
  CHECK_FALSE(pack.find("zebra"));
  CHECK(caught([&] { pack.read(4); }).code == "value.index");
  CHECK(caught([&] { static_cast<void>(pack.name(-1)); }).code == "value.index");
  // Nothing but the format decides what is written: head, contents, four of index, names, notes, tail.
  CHECK(std::filesystem::file_size(file) == 16 + 706 + 4 * 16 + 28 + 9 + 64);
  CHECK(bytes_of({}, "").size() == 16 + 64);
}

TEST_CASE("the format is the one that its header describes, byte by byte") {
  // By tests/fuzz/make_corpus.py, which writes it without this library.
  const auto wanted =
      "\x93"
      "FCPACK\n\x01\0\0\0\x06\x90\xf1\x5e"
      "x"  // head, content
      "\x01\0\0\0\0\0\0\0\x83\x16\xdc\x8c\x03\0\0\0"
      "a/b"
      "n"                                                       // index, name, notes
      "\x01\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0"  // tail
      "\x01\0\0\0\0\0\0\0\x65\0\0\0\0\0\0\0\xed\x5c\x21\x3d"
      "\0\0\0\0\0\0\0\0\x53\xe3\x7b\xfa\x93"
      "FCPACK\n"s;
  CHECK(bytes_of({{"a/b", "x"}}, "n") == wanted);
}

TEST_CASE("a pack whose writing does not end is not there, and the old one stays") {
  const TempDir dir;
  const auto file = dir / "a.pack";
  write_file(file, bytes_of(letters()));
  {
    PackWriter out(file);
    out.add("new", "content");
  }
  CHECK(PackReader(file).size() == 4);
  CHECK(ls(dir.path()).size() == 1);
}

TEST_CASE("names that lead elsewhere, or stand twice, are not written") {
  const TempDir dir;
  PackWriter out(dir / "a.pack");
  out.add("a/b", "");
  for (const auto& name : {"a/b"s, ""s, "/a"s, "a/"s, "a//b"s, "../a"s, "a/.."s, "./a"s, "a\0b"s,
                           std::string(5000, 'n')}) {
    CAPTURE(name);
    const auto refused = caught([&] { out.add(name, "x"); });
    CHECK(refused.code == "value.pack_name");
    CHECK(refused.message.find("a.pack") != std::string::npos);
  }
  out.add("...", "");
  out.commit();
  CHECK(PackReader(dir / "a.pack").size() == 2);
}

TEST_CASE("a pack that is cut anywhere, or has a flipped bit anywhere, is named with the place") {
  const TempDir dir;
  const auto bytes = bytes_of(letters());
  for (std::size_t size = 0; size < bytes.size(); size += size < 20 ? 1 : 13) {
    CAPTURE(size);
    const auto fault = fault_of_pack(dir / "cut.pack", bytes.substr(0, size));
    CHECK(fault.code == "pack.truncated");
    CHECK(fault.message.find("cut.pack") != std::string::npos);
  }
  std::map<std::string, int> codes;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    CAPTURE(at);
    auto flipped = bytes;
    flipped[at] ^= static_cast<char>(1 << at % 8);
    const auto fault = fault_of_pack(dir / "bit.pack", flipped);
    CHECK(fault.message.find("bit.pack") != std::string::npos);
    CHECK(fault.offset >= 0);
    ++codes[fault.code];
    if (at >= 16 && at < 716) CHECK(fault.message.find("'cat/2.jpg'") != std::string::npos);
  }
  // Contents; index, names and notes; head and tail; and the magic at the end.
  CHECK(codes == std::map<std::string, int>{{"pack.bad_entry", 706},
                                            {"pack.bad_index", 64 + 28 + 10},
                                            {"pack.bad_header", 16 + 56},
                                            {"pack.truncated", 8}});
  CHECK(fault_of_pack(dir / "bit.pack", "something else altogether").code == "pack.bad_header");
}

TEST_CASE("a pack with right checksums and wrong numbers is refused before anything is asked for") {
  const TempDir dir;
  const auto bytes = bytes_of(letters());
  const auto tail = bytes.size() - 64, index = tail - 10 - 28 - 64;
  const auto code = [&](std::size_t at, std::string_view with) {
    return fault_of_pack(dir / "forged.pack", forged(bytes, at, with)).code;
  };
  CHECK(code(0, "") == "");
  const auto version = fault_of_pack(dir / "forged.pack", forged(bytes, 8, little(2, 4)));
  CHECK(version.code == "pack.version");
  CHECK(version.message.find("version 2") != std::string::npos);
  for (const auto huge : {std::uint64_t{1} << 32, std::uint64_t{1} << 60, ~std::uint64_t{0}}) {
    CAPTURE(huge);
    CHECK(code(tail, little(huge)) == "pack.bad_index");       // entries
    CHECK(code(tail + 8, little(huge)) == "pack.bad_index");   // place of the index
    CHECK(code(tail + 16, little(huge)) == "pack.bad_index");  // letters of all names
    CHECK(code(tail + 24, little(huge)) == "pack.bad_index");  // notes
    CHECK(code(tail + 32, little(huge)) == "pack.truncated");  // the file
    CHECK(code(index, little(huge)) == "pack.bad_index");      // a content
  }
  CHECK(code(tail + 44, little(1)) == "pack.bad_header");              // what should be zero
  CHECK(code(index + 12, little(0xFFFFFFFF, 4)) == "pack.bad_index");  // a name
  CHECK(code(tail + 8, little(3)) == "pack.bad_index");                // an index within the head
  CHECK(code(index, little(699)) == "pack.bad_index");  // a byte that belongs to nobody
  const auto names = index + 64;
  CHECK(code(names, "../2.jpg/") == "pack.bad_index");
  CHECK(code(names, "/at/2.jpg") == "pack.bad_index");
  CHECK(code(names + 10, "cat/2.jpg") == "pack.bad_index");  // twice
}

TEST_CASE("a pack that is cut or written anew while it is open ends nobody") {
  const TempDir dir;
  const auto file = dir / "a.pack";
  write_file(file, bytes_of(letters()));
  const PackReader open(file);
  // Written anew: who has the old one keeps it.
  write_file(file, bytes_of({{"other", "content"}}));
  CHECK(open.read(3) == "dog");
  const PackReader fresh(file);
  CHECK(fresh.read(0) == "content");
  std::filesystem::resize_file(file, 18);
  const auto cut = caught([&] { fresh.read(0); });
  CHECK(cut.code == "io.cannot_read");
  CHECK(cut.message.find("a.pack") != std::string::npos);
  CHECK(caught([&] { PackReader again(file); }).code == "pack.truncated");
  CHECK(caught([&] { PackReader none(dir / "none.pack"); }).code == "io.cannot_read");
  CHECK(caught([&] { PackReader folder(dir.path()); }).code == "io.cannot_read");
}

TEST_CASE("many threads read one pack") {
  const TempDir dir;
  Entries entries;
  for (int i = 0; i < 200; ++i) {
    entries.emplace_back(fmt::format("{}/{}", i % 7, i),
                         std::string(static_cast<std::size_t>(i * 37), static_cast<char>(i)));
  }
  write_file(dir / "a.pack", bytes_of(entries));
  const PackReader pack(dir / "a.pack");
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < entries.size(); ++i) {
          const auto& [name, content] = entries[(i * 31 + t * 50) % entries.size()];
          const auto at = pack.find(name);
          wrong += !at || pack.read(*at) != content;
        }
      });
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a name may lead into a pack, a shard or a folder that is called so") {
  CHECK(split_pack("a/b.pack/c/d.jpg")->pack == "a/b.pack");
  CHECK(split_pack("a/b.pack/c/d.jpg")->entry == "c/d.jpg");
  CHECK(split_pack("http://h.pack/b.pack/c")->pack == "http://h.pack/b.pack");
  for (const auto* name : {"a.pack", "a.pack/", "a.packs/b", "http://h.pack/c", ""}) {
    CAPTURE(name);
    CHECK_FALSE(split_pack(name));
  }
  const TempDir dir;
  write_file(dir / "x.pack", bytes_of({{"t.tar/1.jpg", "in the pack"}, {"1.jpg", "one"}}));
  write_file(dir / "f.pack/1.jpg", "in a folder");
  write_file(dir / "f.tar/y.pack", bytes_of({{"1.jpg", "below a folder"}}));
  const FileSource source({.cache = dir / "cache"});
  CHECK(FileSource::is_special(dir / "x.pack/1.jpg"));
  CHECK(source.read(dir / "x.pack/1.jpg") == "one");
  CHECK(source.read(dir / "x.pack/t.tar/1.jpg") == "in the pack");
  CHECK(source.read(dir / "f.pack/1.jpg") == "in a folder");
  CHECK(source.read(dir / "f.tar/y.pack/1.jpg") == "below a folder");
  const auto absent = caught([&] { source.read(dir / "x.pack/2.jpg"); });
  CHECK(absent.code == "pack.no_entry");
  CHECK(absent.message.find("'2.jpg'") != std::string::npos);
  CHECK(caught([&] { source.read(dir / "none.pack/2.jpg"); }).code == "io.cannot_read");
  // A pack stays the one that it was until it is opened again.
  const auto name = (dir / "x.pack").string();
  write_file(dir / "x.pack", bytes_of({{"2.jpg", "two"}}));
  CHECK(source.read(dir / "x.pack/1.jpg") == "one");
  CHECK(source.pack(name)->size() == 1);
  CHECK(source.read(dir / "x.pack/2.jpg") == "two");
}

TEST_CASE("a pack behind an address is fetched once") {
  const auto whole = bytes_of(letters());
  const HttpServer server([&](const HttpServer::Request& request, int) {
    if (request.path == "/cut.pack") return HttpServer::Response{.body = whole.substr(0, 300)};
    return HttpServer::Response{.body = whole};
  });
  const TempDir dir;
  auto download = fast();
  download.show_progress = false;
  const FileSource source({.cache = dir / "cache", .download = download});
  for (const auto& [name, content] : letters()) {
    CHECK(source.read(server.url("/a.pack/" + name)) == content);
  }
  CHECK(server.requests().size() == 1);
  const auto cut = caught([&] { source.pack(server.url("/cut.pack")); });
  CHECK(cut.code == "pack.truncated");
  CHECK(cut.message.find("/cut.pack") != std::string::npos);
  // It has left the cache: the next try asks again.
  caught([&] { source.pack(server.url("/cut.pack")); });
  CHECK(server.requests().size() == 3);
}
