// Which files lie where in a tar file, damaged ones, and the names of shards.
#include "fastcpp/io/tar.hpp"

#include <fmt/format.h>

#include "support/catch.hpp"
#include "support/support.hpp"
#include "support/tar.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

struct Fault {
  std::string code, message;
  std::int64_t offset = -1;
};

Fault fault_of(const Path& file) {
  try {
    tar_members(file);
  } catch (const FormatError& e) {
    return {e.code(), e.what(), e.offset()};
  }
  return {};
}

}  // namespace

TEST_CASE("the members of a tar file are found in every format of their names") {
  TempDir dir;
  const std::string long_name(150, 'n'), longer(300, 'p');
  const auto note = fmt::format("{} path={}\n", 3 + 1 + 5 + longer.size() + 1, longer);
  const auto tar = tar_entry("cat/", "", '5') + tar_entry("./cat/1.jpg", "one") +
                   tar_entry("2.jpg", std::string(700, '2'), '0', "a/b") +
                   tar_entry("././@LongLink", long_name + std::string(1, '\0'), 'L') +
                   tar_entry("cut", "three") + tar_entry("PaxHeaders/x", note, 'x') +
                   tar_entry("cut", "four") + tar_entry("a_link", "", '2') +
                   tar_entry("old", "", '\0') + tar_entry("PaxHeaders/g", "10 a=bcde\n", 'g') +
                   tar_entry("5.jpg", "five") + tar_end() + "what follows";
  write_file(dir / "a.tar", tar);
  const auto members = tar_members(dir / "a.tar");
  const std::vector<std::pair<std::string, std::string>> wanted{
      {"cat/1.jpg", "one"}, {"a/b/2.jpg", std::string(700, '2')},
      {long_name, "three"}, {longer, "four"},
      {"old", ""},          {"5.jpg", "five"}};
  REQUIRE(members.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    CHECK(members[i].name == wanted[i].first);
    CHECK(tar.substr(static_cast<std::size_t>(members[i].offset),
                     static_cast<std::size_t>(members[i].size)) == wanted[i].second);
  }
}

TEST_CASE("a size in notes or in bytes counts, one that leads outside is refused") {
  TempDir dir;
  // The header says 3, the note 5.
  write_file(dir / "pax.tar", tar_entry("x", "9 size=5\n", 'x') + tar_header("a", 3) + "fiver" +
                                  std::string(507, '\0') + tar_entry("b", "b") + tar_end());
  const auto members = tar_members(dir / "pax.tar");
  REQUIRE(members.size() == 2);
  CHECK(members[0].size == 5);
  CHECK(members[1].name == "b");
  write_file(dir / "long.tar",
             tar_entry("x", "22 size=9999999999999\n", 'x') + tar_entry("a", "a") + tar_end());
  CHECK(fault_of(dir / "long.tar").code == "archive.truncated");
  // A name that claims a gigabyte.
  auto claim = tar_header("l", std::size_t{1} << 30, 'L');
  write_file(dir / "name.tar", claim + std::string(4096, 'n'));
  CHECK(fault_of(dir / "name.tar").code == "archive.truncated");
}

TEST_CASE("a shard that is cut anywhere is named, with the place") {
  TempDir dir;
  const auto tar = tar_of({{"1.jpg", std::string(600, 'x')}, {"1.cls", "0"}, {"2.jpg", "second"}});
  const auto end = tar.size() - 1024;
  for (std::size_t size = 0; size < end + 512; size += size % 512 == 511 ? 1 : 73) {
    CAPTURE(size);
    write_file(dir / "cut.tar", tar.substr(0, size));
    const auto fault = fault_of(dir / "cut.tar");
    CHECK(fault.code == "archive.truncated");
    CHECK(fault.message.find("cut.tar") != std::string::npos);
    CHECK(fault.offset >= 0);
    CHECK(fault.offset <= static_cast<std::int64_t>(size));
  }
  // Between two members, where nothing else shows it.
  write_file(dir / "cut.tar", tar.substr(0, 1536));
  const auto between = fault_of(dir / "cut.tar");
  CHECK(between.code == "archive.truncated");
  CHECK(between.offset == 1536);
  // One block of zeros is enough of an end.
  write_file(dir / "cut.tar", tar.substr(0, end + 512));
  CHECK(tar_members(dir / "cut.tar").size() == 3);
}

TEST_CASE("what is no plain tar file is told by what it is") {
  TempDir dir;
  auto tar = tar_of({{"1.jpg", std::string(600, 'x')}, {"2.jpg", "second"}});
  tar[1536 + 3] = 'y';  // in the second header
  write_file(dir / "a.tar", tar);
  const auto damaged = fault_of(dir / "a.tar");
  CHECK(damaged.code == "archive.damaged");
  CHECK(damaged.offset == 1536);
  write_file(dir / "a.tar", std::string("\x1f\x8b\x08", 3) + std::string(2000, 'z'));
  CHECK(fault_of(dir / "a.tar").code == "archive.compressed");
  write_file(dir / "a.tar", std::string("\x1f\x8b\x08", 3));
  CHECK(fault_of(dir / "a.tar").code == "archive.compressed");
  write_file(dir / "a.tar", "<html>" + std::string(2000, 'z'));
  CHECK(fault_of(dir / "a.tar").code == "archive.damaged");
  write_file(dir / "a.tar", tar_entry("hole", "map", 'S') + tar_end());
  CHECK(fault_of(dir / "a.tar").code == "archive.damaged");
  CHECK(caught([&] { tar_members(dir / "none.tar"); }).code == "io.cannot_read");
}

TEST_CASE("patterns of shards are expanded, bad ones refused") {
  using Names = std::vector<std::string>;
  CHECK(expand_shards("train.tar") == Names{"train.tar"});
  CHECK(expand_shards("t-{008..011}.tar") ==
        Names{"t-008.tar", "t-009.tar", "t-010.tar", "t-011.tar"});
  CHECK(expand_shards("{9..11}") == Names{"9", "10", "11"});
  CHECK(expand_shards("{0..2}") == Names{"0", "1", "2"});
  CHECK(expand_shards("{a,b}-{0..1}.tar") == Names{"a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"});
  CHECK(expand_shards("x{,y}") == Names{"x", "xy"});
  for (const auto* bad : {"{", "a}", "{}", "{a{b}}", "{3..1}", "{a..c}", "{0..9999999}",
                          "{0..9999}{0..9999}", "{-1..2}", "{1..99999999999}"}) {
    CAPTURE(bad);
    CHECK(caught([&] { expand_shards(bad); }).code == "value.shards");
  }
}

TEST_CASE("a name is a member of what ends in .tar") {
  const auto parts = [](std::string_view name) {
    const auto found = split_shard(name);
    return found ? found->shard + "|" + found->member : std::string();
  };
  CHECK(parts("a/t-1.tar/cat/1.jpg") == "a/t-1.tar|cat/1.jpg");
  CHECK(parts("https://h/t.tar/1.jpg") == "https://h/t.tar|1.jpg");
  CHECK(parts("https://h.tar/1.jpg").empty());
  CHECK(parts("a/t.tar").empty());
  CHECK(parts("a/t.tar/").empty());
  CHECK(parts("a.target/1.jpg").empty());
}
