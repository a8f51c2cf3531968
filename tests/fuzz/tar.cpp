// Tar shards: members lie within the file, one behind the other, and are found again by their names.
#include "fastcpp/io/tar.hpp"

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(tar)(std::string_view input) {
  const fuzz::InputFile file(input);
  std::vector<TarMember> members;
  if (!fuzz::accepted([&] { members = tar_members(file.path(), "fuzz.tar"); })) return;
  std::int64_t end = 0;
  for (const auto& member : members) {
    fuzz::require(!member.name.empty(), "a member without a name");
    fuzz::require(member.offset % 512 == 0 && member.offset >= end + 512,
                  "a member that lies in another one, or has no header");
    fuzz::require(member.size >= 0, "less than nothing");
    end = member.offset + member.size;
    fuzz::require(end <= static_cast<std::int64_t>(input.size()), "a member beyond the file");
    if (const auto parts = split_shard("fuzz.tar/" + member.name)) {
      fuzz::require(parts->shard == "fuzz.tar" && parts->member == member.name,
                    "another member by its name: " + member.name);
    } else {
      fuzz::require(false, "no member by its name: " + member.name);
    }
  }
}
