#include "fastcpp/io/pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "io/file_access.hpp"
#include "io/pack_reader.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::string_view kPackMagic =
    "\x93"
    "FCPACK\n";
constexpr std::uint32_t kPackVersion = 1;
constexpr std::uint64_t kHeadSize = 16, kEntrySize = 16, kTailSize = 64;
constexpr std::size_t kLongestName = 4096;

// A number with its lowest byte first, whatever the machine.
template <typename T>
void put_little(std::string& to, T number) {
  for (std::size_t i = 0; i < sizeof(T); ++i) to += static_cast<char>(number >> (8 * i) & 0xFF);
}

template <typename T>
T little_at(std::string_view from, std::size_t at) {
  T number = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) {
    number = static_cast<T>(number << 8 | static_cast<unsigned char>(from[at + i]));
  }
  return number;
}

std::uint32_t checksum(std::string_view bytes) {
  return io::crc32(bytes.data(), bytes.size());
}

// Names become parts of paths: they must not lead anywhere else.
bool is_plain(std::string_view name) {
  if (name.empty() || name.size() > kLongestName || name.find('\0') != name.npos) return false;
  for (std::size_t from = 0; from <= name.size();) {
    const auto part = name.substr(from, name.find('/', from) - from);
    if (part.empty() || part == "." || part == "..") return false;
    from += part.size() + 1;
  }
  return true;
}

}  // namespace

struct PackWriter::Impl {
  explicit Impl(const Path& given) : file(given), out(given) {}

  const Path file;
  io::AtomicWriter out;
  std::unordered_set<std::string> known;
  std::string index, names;
  std::int64_t count = 0;
  bool whole = true;  // no entry was written in part

  void check_whole() const {
    if (whole) return;
    throw IoError("io.cannot_write", fmt::format("the pack '{}' has an entry that was written in "
                                                 "part; write it again from the beginning",
                                                 file.string()));
  }
};

PackWriter::PackWriter(const Path& file)
    : impl_(boundary([&] { return std::make_unique<Impl>(file); })) {
  boundary([&] {
    std::string head(kPackMagic);
    put_little(head, kPackVersion);
    put_little(head, checksum(head));
    impl_->out.write(head);
  });
}

PackWriter::~PackWriter() = default;

void PackWriter::add(std::string_view name, std::string_view content) {
  boundary([&] {
    if (!is_plain(name) || impl_->known.contains(std::string(name))) {
      throw ValueError(
          "value.pack_name",
          fmt::format("the pack '{}' cannot have an entry called '{}': a name has 1 to {} bytes, "
                      "none of its parts is empty, '.' or '..', and it stands there once",
                      impl_->file.string(), name.substr(0, name.find('\0')), kLongestName));
    }
    impl_->check_whole();
    impl_->whole = false;
    impl_->out.write(content);
    put_little(impl_->index, static_cast<std::uint64_t>(content.size()));
    put_little(impl_->index, checksum(content));
    put_little(impl_->index, static_cast<std::uint32_t>(name.size()));
    impl_->names += name;
    impl_->known.emplace(name);
    ++impl_->count;
    impl_->whole = true;
  });
}

std::int64_t PackWriter::size() const {
  return impl_->count;
}

std::uint64_t PackWriter::position() const {
  return impl_->out.position();
}

void PackWriter::commit(std::string_view notes) {
  boundary([&] {
    impl_->check_whole();
    auto& [file, out, known, index, names, count, whole] = *impl_;
    const auto begin = out.position();
    auto crc = checksum(index);
    crc = io::crc32(names.data(), names.size(), crc);
    crc = io::crc32(notes.data(), notes.size(), crc);
    for (const std::string_view part : {std::string_view(index), std::string_view(names), notes}) {
      out.write(part);
    }
    std::string tail;
    put_little(tail, static_cast<std::uint64_t>(count));
    put_little(tail, begin);
    put_little(tail, static_cast<std::uint64_t>(names.size()));
    put_little(tail, static_cast<std::uint64_t>(notes.size()));
    put_little(tail, out.position() + kTailSize);
    put_little(tail, crc);
    put_little(tail, std::uint64_t{0});
    put_little(tail, checksum(tail));
    out.write(tail += kPackMagic);
    out.commit();
  });
}

struct PackReader::Impl {
  Impl(std::unique_ptr<io::FileReader> given, std::string name)
      : file(std::move(given)), shown(std::move(name)) {
    read_index(read_tail());
  }

  std::string_view name(std::size_t i) const {
    return std::string_view(text).substr(entries[i].name, entries[i + 1].name - entries[i].name);
  }
  std::uint64_t bytes(std::size_t i) const { return entries[i + 1].offset - entries[i].offset; }

  std::size_t checked(std::int64_t i) const {
    if (i >= 0 && i < count()) return static_cast<std::size_t>(i);
    throw ValueError("value.index",
                     fmt::format("there is no entry {} in '{}', which has {}", i, shown, count()));
  }
  std::int64_t count() const { return static_cast<std::int64_t>(by_name.size()); }

  [[noreturn]] void fail(const char* code, const std::string& why, std::uint64_t at) const {
    throw FormatError(
        code,
        fmt::format("the pack '{}' cannot be read: {} (at byte {} of {}); prepare it, "
                    "or copy it, again",
                    shown, why, at, file->size()),
        static_cast<std::int64_t>(at));
  }

  struct Entry {
    std::uint64_t offset = 0,
                  name = 0;  // where content and name begin; they end where the next begin
    std::uint32_t crc = 0;
  };
  const std::unique_ptr<io::FileReader> file;
  const std::string shown;
  std::vector<Entry> entries;          // and one more, for the ends of the last
  std::vector<std::uint32_t> by_name;  // positions of entries
  std::string text;                    // names
  std::string notes;

 private:
  struct Tail {
    std::uint64_t count = 0, index = 0, names = 0, notes = 0;
    std::uint32_t crc = 0;
  };

  Tail read_tail() const {
    const auto size = file->size();
    const auto head = file->read(0, static_cast<std::size_t>(std::min(size, kHeadSize)));
    if (!head.starts_with(kPackMagic)) {
      fail(size < kPackMagic.size() ? "pack.truncated" : "pack.bad_header",
           "it does not begin as a pack does", 0);
    }
    if (size < kHeadSize + kTailSize) fail("pack.truncated", "it is too short", size);
    const std::string_view start(head);
    if (little_at<std::uint32_t>(start, 12) != checksum(start.substr(0, 12))) {
      fail("pack.bad_header", "the checksum of its head is wrong", 0);
    }
    if (const auto version = little_at<std::uint32_t>(start, 8); version != kPackVersion) {
      fail("pack.version",
           fmt::format("it has version {} of the format, this program knows {}", version,
                       kPackVersion),
           8);
    }
    const auto at = size - kTailSize;
    const auto bytes = file->read(at, kTailSize);
    const std::string_view tail(bytes);
    if (!tail.ends_with(kPackMagic)) {
      fail("pack.truncated", "its end is not there: it was cut, or not written in full", at);
    }
    if (little_at<std::uint32_t>(tail, 52) != checksum(tail.substr(0, 52))) {
      fail("pack.bad_header", "the checksum of its tail is wrong", at);
    }
    if (little_at<std::uint64_t>(tail, 44) != 0) {
      fail("pack.bad_header", "its tail holds what this version of the format does not have", at);
    }
    if (const auto told = little_at<std::uint64_t>(tail, 32); told != size) {
      fail("pack.truncated", fmt::format("it should have {} bytes", told), at);
    }
    Tail found{little_at<std::uint64_t>(tail, 0), little_at<std::uint64_t>(tail, 8),
               little_at<std::uint64_t>(tail, 16), little_at<std::uint64_t>(tail, 24),
               little_at<std::uint32_t>(tail, 40)};
    // Each by itself first, so that no sum overflows: all three lie within the file.
    auto rest = at;
    const auto take = [&](std::uint64_t part) {
      if (part > rest) fail("pack.bad_index", "its parts are longer than the file", at);
      rest -= part;
    };
    take(found.index);
    if (found.index < kHeadSize) fail("pack.bad_index", "the index lies within the head", at);
    take(found.names);
    take(found.notes);
    if (rest % kEntrySize != 0 || rest / kEntrySize != found.count || found.count > UINT32_MAX) {
      fail("pack.bad_index",
           fmt::format("an index of {} bytes cannot be that of {} entries", rest, found.count), at);
    }
    return found;
  }

  void read_index(const Tail& tail) {
    const auto size = static_cast<std::size_t>(tail.count * kEntrySize);
    const auto index = file->read(tail.index, size);
    text = file->read(tail.index + size, static_cast<std::size_t>(tail.names));
    notes = file->read(tail.index + size + tail.names, static_cast<std::size_t>(tail.notes));
    auto crc = checksum(index);
    crc = io::crc32(text.data(), text.size(), crc);
    crc = io::crc32(notes.data(), notes.size(), crc);
    if (crc != tail.crc) fail("pack.bad_index", "the checksum of its index is wrong", tail.index);
    const auto count = static_cast<std::size_t>(tail.count);
    entries.reserve(count + 1);
    Entry next{kHeadSize, 0, 0};
    for (std::size_t i = 0; i < count; ++i) {
      const auto at = i * kEntrySize;
      const auto bytes = little_at<std::uint64_t>(index, at);
      const std::uint64_t letters = little_at<std::uint32_t>(index, at + 12);
      if (bytes > tail.index - next.offset || letters > text.size() - next.name) {
        fail("pack.bad_index", fmt::format("entry {} is longer than what is left", i),
             tail.index + at);
      }
      next.crc = little_at<std::uint32_t>(index, at + 8);
      entries.push_back(next);
      next = {next.offset + bytes, next.name + letters, 0};
      if (!is_plain(std::string_view(text).substr(entries.back().name, letters))) {
        fail("pack.bad_index", fmt::format("the name of entry {} is none that a file may have", i),
             tail.index + at);
      }
    }
    entries.push_back(next);
    if (next.offset != tail.index || next.name != text.size()) {
      fail("pack.bad_index", "there are bytes that belong to no entry", tail.index);
    }
    sort_names(tail);
  }

  void sort_names(const Tail& tail) {
    by_name.resize(static_cast<std::size_t>(tail.count));
    std::iota(by_name.begin(), by_name.end(), 0u);
    const auto before = [this](std::uint32_t a, std::uint32_t b) { return name(a) < name(b); };
    // Names from a folder are sorted already.
    if (!std::is_sorted(by_name.begin(), by_name.end(), before)) {
      std::sort(by_name.begin(), by_name.end(), before);
    }
    const auto twice =
        std::adjacent_find(by_name.begin(), by_name.end(),
                           [this](std::uint32_t a, std::uint32_t b) { return name(a) == name(b); });
    if (twice != by_name.end()) {
      fail("pack.bad_index", fmt::format("the name '{}' stands there twice", name(*twice)),
           tail.index);
    }
  }
};

std::shared_ptr<const PackReader> PackAccess::open(std::unique_ptr<io::FileReader> file,
                                                   std::string shown) {
  auto impl = std::make_unique<PackReader::Impl>(std::move(file), std::move(shown));
  return std::shared_ptr<const PackReader>(new PackReader(std::move(impl)));
}

PackReader::PackReader(const Path& file)
    : impl_(boundary([&] {
        return std::make_unique<Impl>(std::make_unique<io::FileReader>(file), file.string());
      })) {}

PackReader::PackReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PackReader::~PackReader() = default;

const std::string& PackReader::file() const {
  return impl_->shown;
}

std::int64_t PackReader::size() const {
  return impl_->count();
}

std::string_view PackReader::name(std::int64_t i) const {
  return boundary([&] { return impl_->name(impl_->checked(i)); });
}

std::optional<std::int64_t> PackReader::find(std::string_view name) const {
  const auto& order = impl_->by_name;
  const auto at = std::lower_bound(
      order.begin(), order.end(), name,
      [this](std::uint32_t i, std::string_view text) { return impl_->name(i) < text; });
  if (at == order.end() || impl_->name(*at) != name) return std::nullopt;
  return *at;
}

std::uint64_t PackReader::bytes(std::int64_t i) const {
  return boundary([&] { return impl_->bytes(impl_->checked(i)); });
}

std::string PackReader::read(std::int64_t i) const {
  return boundary([&] {
    const auto at = impl_->checked(i);
    const auto& entry = impl_->entries[at];
    auto content = impl_->file->read(entry.offset, static_cast<std::size_t>(impl_->bytes(at)));
    if (checksum(content) != entry.crc) {
      impl_->fail("pack.bad_entry",
                  fmt::format("the checksum of '{}' in it is wrong", impl_->name(at)),
                  entry.offset);
    }
    return content;
  });
}

std::string_view PackReader::notes() const {
  return impl_->notes;
}

std::size_t io::behind_ending(std::string_view name, std::string_view ending, std::size_t from) {
  if (is_web_address(name)) {
    const auto behind_server = name.find('/', name.find("://") + 3);
    if (behind_server == name.npos) return name.npos;
    from = std::max(from, behind_server + 1);
  }
  for (; from < name.size(); ++from) {
    from = name.find('/', from);
    if (from == name.npos || from + 1 == name.size()) break;
    if (name.substr(0, from).ends_with(ending)) return from;
  }
  return name.npos;
}

std::optional<PackEntry> split_pack(std::string_view name) {
  const auto at = io::behind_ending(name, ".pack");
  if (at == name.npos) return std::nullopt;
  return boundary([&] {
    return std::optional(
        PackEntry{std::string(name.substr(0, at)), std::string(name.substr(at + 1))});
  });
}

}  // namespace fastcpp
