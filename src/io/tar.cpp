#include "fastcpp/io/tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "io/file_access.hpp"
#include "io/tar_reader.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::size_t kBlock = 512;
// A name, or a list of what a header has no room for, is never longer; a damaged length must not ask for gigabytes.
constexpr std::uint64_t kLongestText = std::uint64_t{1} << 20;

using Block = std::array<char, kBlock>;

// A field of a header up to its first zero byte.
std::string_view field(const Block& block, std::size_t at, std::size_t size) {
  const std::string_view whole(block.data() + at, size);
  return whole.substr(0, whole.find('\0'));
}

// Octal digits with blanks around, or bytes of a large number as GNU writes them; nothing when it is neither.
std::optional<std::uint64_t> number(const Block& block, std::size_t at, std::size_t size) {
  const auto first = static_cast<unsigned char>(block[at]);
  std::uint64_t value = 0;
  if (first == 0x80) {
    for (std::size_t i = 1; i < size; ++i) {
      if (value >> 55) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(block[at + i]);
    }
    return value;
  }
  auto text = field(block, at, size);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The checksum counts its own eight bytes as blanks. Old programs added signed bytes.
bool has_checksum(const Block& block) {
  constexpr std::size_t kAt = 148, kSize = 8;
  const auto wanted = number(block, kAt, kSize);
  if (!wanted) return false;
  std::uint64_t sum = 0;
  std::int64_t signed_sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = i >= kAt && i < kAt + kSize ? ' ' : block[i];
    sum += static_cast<unsigned char>(c);
    signed_sum += static_cast<signed char>(c);
  }
  return *wanted == sum || static_cast<std::int64_t>(*wanted) == signed_sum;
}

// The name of what a file begins with, when it is a compressed one.
std::string_view compression(const Block& block) {
  static constexpr std::pair<std::string_view, std::string_view> kAll[] = {
      {"\x1f\x8b", "gzip"},
      {"BZh", "bzip2"},
      {"\xfd"
       "7zXZ",
       "xz"},
      {"\x28\xb5\x2f\xfd", "zstd"}};
  for (const auto& [magic, name] : kAll) {
    if (std::string_view(block.data(), kBlock).starts_with(magic)) return name;
  }
  return {};
}

class TarReader {
 public:
  TarReader(const io::FileReader& file, std::string shown)
      : file_(file), shown_(std::move(shown)) {}

  std::vector<TarMember> members() {
    while (read_header()) {
      const char type = block_[156];
      const auto size = data_size(type);
      switch (type) {
        case 'L':
          long_name_ = text(size);
          long_name_.resize(std::min(long_name_.find('\0'), long_name_.size()));
          break;
        case 'x':
        case 'X':
          read_pax(text(size));
          break;
        case 'S':
          sparse();
        case '0':
        case '\0':
        case '7':
          add(size);
          [[fallthrough]];
        default:
          // What follows belongs to the next member again.
          if (type != 'K' && type != 'g') forget();
      }
      skip(size);
    }
    return std::move(members_);
  }

 private:
  // The next header; false at the mark of the end.
  bool read_header() {
    at_ = next_;
    if (file_.size() - at_ < kBlock) {
      // Less than a header may show all the same what this is not.
      block_ = {};
      file_.read(at_, block_.data(), static_cast<std::size_t>(file_.size() - at_));
      if (at_ == 0) refuse_compressed();
      truncated(at_ == 0 && file_.size() == 0 ? "it is empty" : "the mark of its end is not there");
    }
    file_.read(at_, block_.data(), kBlock);
    if (std::all_of(block_.begin(), block_.end(), [](char c) { return c == 0; })) return false;
    if (!has_checksum(block_)) {
      if (at_ == 0) refuse_compressed();
      damaged(at_ == 0 ? "this is no tar file" : "the checksum of a header is wrong");
    }
    next_ = at_ + kBlock;
    return true;
  }

  // Of the bytes behind the header; they lie within the file.
  std::uint64_t data_size(char type) {
    const auto told = number(block_, 124, 12);
    if (!told) damaged("the size of a member is no number");
    // Links, devices and folders have none, whatever stands there.
    if (type >= '1' && type <= '6') return 0;
    const bool extra = type == 'L' || type == 'K' || type == 'x' || type == 'X' || type == 'g';
    const auto size = extra ? *told : pax_size_.value_or(*told);
    if (size > file_.size() - next_) {
      truncated(fmt::format("the member '{}' should have {} bytes, {} are left", name(), size,
                            file_.size() - next_));
    }
    return size;
  }

  void skip(std::uint64_t size) {
    const auto padded = (size + kBlock - 1) / kBlock * kBlock;
    next_ += std::min(padded, file_.size() - next_);
  }

  std::string text(std::uint64_t size) {
    if (size > kLongestText) damaged("a name or note is longer than any can be");
    return file_.read(next_, static_cast<std::size_t>(size));
  }

  // Lines of "LENGTH key=value\n", where the length counts the whole line.
  void read_pax(std::string_view notes) {
    while (!notes.empty()) {
      std::size_t length = 0;
      const auto [end, ec] = std::from_chars(notes.data(), notes.data() + notes.size(), length);
      const auto head = static_cast<std::size_t>(end - notes.data()) + 1;
      if (ec != std::errc() || length > notes.size() || head >= length || notes[head - 1] != ' ' ||
          notes[length - 1] != '\n') {
        // Some programs fill the rest with zeros.
        if (notes.front() == '\0') return;
        damaged("a note of the pax format cannot be read");
      }
      const auto line = notes.substr(head, length - head - 1);
      const auto equals = line.find('=');
      if (equals == line.npos) damaged("a note of the pax format has no '='");
      note(line.substr(0, equals), line.substr(equals + 1));
      notes.remove_prefix(length);
    }
  }

  void note(std::string_view key, std::string_view value) {
    if (key == "path") pax_path_ = value;
    if (key.starts_with("GNU.sparse.")) sparse();
    if (key != "size") return;
    std::uint64_t size = 0;
    const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), size);
    if (ec != std::errc() || end != value.data() + value.size()) {
      damaged("a size of the pax format is no number");
    }
    pax_size_ = size;
  }

  std::string name() const {
    if (!pax_path_.empty()) return pax_path_;
    if (!long_name_.empty()) return long_name_;
    std::string own(field(block_, 0, 100));
    // GNU's own format has other things there.
    const bool posix = std::memcmp(block_.data() + 257, "ustar\0", 6) == 0;
    const auto prefix = posix ? field(block_, 345, 155) : std::string_view();
    return prefix.empty() ? own : fmt::format("{}/{}", prefix, own);
  }

  void add(std::uint64_t size) {
    auto named = name();
    while (named.starts_with("./")) named.erase(0, 2);
    // Before POSIX a folder was a file whose name ends so.
    if (named.empty() || named.ends_with('/')) return;
    members_.push_back(
        {std::move(named), static_cast<std::int64_t>(next_), static_cast<std::int64_t>(size)});
  }

  void forget() {
    long_name_.clear();
    pax_path_.clear();
    pax_size_.reset();
  }

  void refuse_compressed() const {
    const auto by = compression(block_);
    if (by.empty()) return;
    throw FormatError(
        "archive.compressed",
        fmt::format("the shard '{}' is compressed by {}: its members cannot be read one by one; "
                    "unpack it to a plain .tar (pictures are compressed already)",
                    shown_, by),
        0);
  }

  [[noreturn]] void sparse() const { damaged("a member is stored with holes (sparse)"); }
  [[noreturn]] void truncated(const std::string& why) const {
    throw FormatError("archive.truncated",
                      fmt::format("the shard '{}' is cut short: {} (at byte {} of {}); make or "
                                  "fetch it again",
                                  shown_, why, at_, file_.size()),
                      static_cast<std::int64_t>(at_));
  }
  [[noreturn]] void damaged(const std::string& why) const {
    throw FormatError("archive.damaged",
                      fmt::format("the shard '{}' is damaged: {} (at byte {}); make or fetch it "
                                  "again",
                                  shown_, why, at_),
                      static_cast<std::int64_t>(at_));
  }

  const io::FileReader& file_;
  const std::string shown_;
  std::uint64_t at_ = 0, next_ = 0;  // the header that was read, and what follows it
  Block block_{};
  std::string long_name_, pax_path_;
  std::optional<std::uint64_t> pax_size_;
  std::vector<TarMember> members_;
};

[[noreturn]] void bad_pattern(std::string_view pattern, std::string_view why) {
  throw ValueError("value.shards", fmt::format("the pattern of shards '{}' {}; write it like "
                                               "train-{{0000..0009}}.tar or {{a,b}}.tar",
                                               pattern, why));
}

constexpr std::size_t kMostShards = 1'000'000;

// The names between two braces.
std::vector<std::string> choices(std::string_view inside, std::string_view pattern) {
  std::vector<std::string> names;
  const auto dots = inside.find("..");
  if (dots == inside.npos) {
    for (std::size_t from = 0; from <= inside.size();) {
      const auto comma = std::min(inside.find(',', from), inside.size());
      names.emplace_back(inside.substr(from, comma - from));
      from = comma + 1;
    }
    return names;
  }
  const auto first = inside.substr(0, dots), last = inside.substr(dots + 2);
  const auto value = [&](std::string_view digits) {
    std::uint32_t counted = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), counted);
    if (ec != std::errc() || end != digits.data() + digits.size()) {
      bad_pattern(pattern, "has '..' between what are no whole numbers from 0 to 4294967295");
    }
    return std::uint64_t{counted};
  };
  const auto from = value(first), to = value(last);
  if (to < from) bad_pattern(pattern, "counts to an end before its beginning");
  if (to - from >= kMostShards) bad_pattern(pattern, "stands for more than a million names");
  const auto leads = [](std::string_view digits) { return digits.size() > 1 && digits[0] == '0'; };
  const bool padded = leads(first) || leads(last);
  const auto width = padded ? std::max(first.size(), last.size()) : 1;
  for (auto i = from; i <= to; ++i) names.push_back(fmt::format("{:0{}}", i, width));
  return names;
}

}  // namespace

std::vector<TarMember> io::read_members(const FileReader& file, const std::string& shown) {
  return TarReader(file, shown).members();
}

std::vector<TarMember> tar_members(const Path& file, const std::string& shown) {
  return boundary([&] {
    const io::FileReader reader(file);
    return io::read_members(reader, shown.empty() ? file.string() : shown);
  });
}

std::optional<ShardMember> split_shard(std::string_view name) {
  constexpr std::string_view kEnd = ".tar/";
  // An address of a server may end so as well: its part is not that of a file.
  const auto host = name.find("://");
  const auto from = is_web_address(name) ? name.find('/', host + 3) : 0;
  const auto at = from == name.npos ? name.npos : name.find(kEnd, from);
  if (at == name.npos || at + kEnd.size() == name.size()) return std::nullopt;
  return boundary([&] {
    return std::optional(ShardMember{std::string(name.substr(0, at + kEnd.size() - 1)),
                                     std::string(name.substr(at + kEnd.size()))});
  });
}

std::vector<std::string> expand_shards(std::string_view pattern) {
  return boundary([&] {
    std::vector<std::string> names{""};
    for (auto rest = pattern; !rest.empty();) {
      const auto brace = rest.find_first_of("{}");
      const auto plain = rest.substr(0, brace);
      for (auto& name : names) name += plain;
      if (brace == rest.npos) break;
      rest.remove_prefix(brace);
      const auto end = rest.find_first_of("{}", 1);
      if (rest[0] == '}' || end == rest.npos) bad_pattern(pattern, "has a brace without another");
      if (rest[end] == '{') bad_pattern(pattern, "has braces within braces");
      if (end == 1) bad_pattern(pattern, "has braces with nothing between");
      const auto inside = choices(rest.substr(1, end - 1), pattern);
      if (names.size() * inside.size() > kMostShards) {
        bad_pattern(pattern, "stands for more than a million names");
      }
      std::vector<std::string> more;
      more.reserve(names.size() * inside.size());
      for (const auto& name : names) {
        for (const auto& choice : inside) more.push_back(name + choice);
      }
      names = std::move(more);
      rest.remove_prefix(end + 1);
    }
    return names;
  });
}

}  // namespace fastcpp
