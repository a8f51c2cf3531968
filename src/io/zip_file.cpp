#include "io/zip_file.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::io {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50,
                        kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                      kLocatorSize = 20;
constexpr std::uint32_t kBig32 = 0xFFFFFFFF;
constexpr std::uint16_t kBig16 = 0xFFFF;
// A directory of more bytes than this is not one of a checkpoint.
constexpr std::uint64_t kMaxDirectory = 64u << 20;
// Content is read and checked in pieces that stay in the processor's cache.
constexpr std::size_t kPiece = 256u << 10;

template <typename T>
T little(const char* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(
        value | static_cast<T>(static_cast<T>(static_cast<unsigned char>(at[i])) << (8 * i)));
  }
  return value;
}
std::uint16_t u16(const char* at) {
  return little<std::uint16_t>(at);
}
std::uint32_t u32(const char* at) {
  return little<std::uint32_t>(at);
}
std::uint64_t u64(const char* at) {
  return little<std::uint64_t>(at);
}

}  // namespace

ZipReader::ZipReader(const FileReader& file) : file_(file) {
  const Directory directory = find_directory();
  parse_directory(directory);
  check_layout(directory);
}

void ZipReader::fail(const char* code, std::uint64_t offset, const std::string& message) const {
  throw FormatError(code, fmt::format("'{}': {} (at byte {})", file_.name(), message, offset),
                    static_cast<std::int64_t>(offset));
}

ZipReader::Directory ZipReader::find_directory() const {
  const std::uint64_t size = file_.size();
  const std::uint64_t tail = std::min<std::uint64_t>(size, kEndSize + kBig16);
  const std::string bytes = file_.read(size - tail, static_cast<std::size_t>(tail));
  for (std::size_t back = kEndSize; back <= bytes.size(); ++back) {
    const char* at = bytes.data() + bytes.size() - back;
    // The comment must end with the file, so that text inside a comment is not taken for the
    // record.
    if (u32(at) != kEnd || u16(at + 20) != back - kEndSize) continue;
    const std::uint64_t where = size - back;
    if (u16(at + 4) != u16(at + 6) || u16(at + 8) != u16(at + 10)) {
      fail("zip.bad_directory", where, "the archive is one part of several; join them first");
    }
    Directory directory{u32(at + 16), u32(at + 12), u16(at + 10), where};
    apply_zip64(where, directory);
    if (directory.offset > directory.end || directory.size != directory.end - directory.offset) {
      fail("zip.bad_directory", where,
           fmt::format("the directory of {} bytes at {} does not end where its end record "
                       "starts",
                       directory.size, directory.offset));
    }
    return directory;
  }
  fail("zip.truncated", size,
       "no zip directory at the end; the file is cut short or was not downloaded completely");
}

void ZipReader::apply_zip64(std::uint64_t end_record, Directory& directory) const {
  if (end_record < kLocatorSize) return;
  const std::string locator = file_.read(end_record - kLocatorSize, kLocatorSize);
  if (u32(locator.data()) != kLocator64) return;
  const std::uint64_t where = u64(locator.data() + 8);
  if (end_record < kLocatorSize + kEnd64Size || where > end_record - kLocatorSize - kEnd64Size) {
    fail("zip.bad_directory", end_record - kLocatorSize,
         "the zip64 end record lies outside of the file");
  }
  const std::string record = file_.read(where, kEnd64Size);
  if (u32(record.data()) != kEnd64) fail("zip.bad_directory", where, "no zip64 end record here");
  if (u32(record.data() + 16) != u32(record.data() + 20) ||
      u64(record.data() + 24) != u64(record.data() + 32)) {
    fail("zip.bad_directory", where, "the archive is one part of several; join them first");
  }
  directory = {u64(record.data() + 48), u64(record.data() + 40), u64(record.data() + 32), where};
}

void ZipReader::parse_directory(const Directory& directory) {
  if (directory.size > kMaxDirectory)
    fail("zip.too_large", directory.offset, "the zip directory is too large");
  if (directory.count > directory.size / kCentralSize) {
    fail("zip.bad_directory", directory.offset,
         fmt::format("{} entries do not fit into a directory of {} bytes", directory.count,
                     directory.size));
  }
  const std::string bytes = file_.read(directory.offset, static_cast<std::size_t>(directory.size));
  entries_.reserve(static_cast<std::size_t>(directory.count));
  std::size_t place = 0;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    const char* at = bytes.data() + place;
    const std::uint64_t where = directory.offset + place;
    if (bytes.size() - place < kCentralSize || u32(at) != kCentralHeader) {
      fail("zip.bad_directory", where,
           fmt::format("expected entry {} of {} in the zip directory", i + 1, directory.count));
    }
    const std::size_t name = u16(at + 28), extra = u16(at + 30), comment = u16(at + 32);
    if (bytes.size() - place - kCentralSize < name + extra + comment) {
      fail("zip.bad_directory", where, "an entry reaches beyond the zip directory");
    }
    ZipEntry entry;
    entry.name.assign(at + kCentralSize, name);
    entry.encrypted = (u16(at + 8) & 1) != 0;
    entry.method = u16(at + 10);
    entry.crc = u32(at + 16);
    entry.packed_size = u32(at + 20);
    entry.size = u32(at + 24);
    entry.header = u32(at + 42);
    read_zip64_extra({at + kCentralSize + name, extra}, where, entry);
    if (entry.name.find('\0') != std::string::npos)
      fail("zip.bad_entry", where, "an entry's name holds a NUL");
    entries_.push_back(std::move(entry));
    place += kCentralSize + name + extra + comment;
  }
  if (place != bytes.size()) {
    fail("zip.bad_directory", directory.offset + place, "bytes are left in the zip directory");
  }
}

void ZipReader::read_zip64_extra(std::string_view extra, std::uint64_t offset,
                                 ZipEntry& entry) const {
  while (extra.size() >= 4) {
    const std::size_t length = u16(extra.data() + 2);
    if (extra.size() - 4 < length) break;
    if (u16(extra.data()) == 1) {
      std::string_view fields = extra.substr(4, length);
      for (std::uint64_t* field : {&entry.size, &entry.packed_size, &entry.header}) {
        if (*field != kBig32) continue;
        if (fields.size() < 8)
          fail("zip.bad_entry", offset, fmt::format("the zip64 sizes of '{}' are cut", entry.name));
        *field = u64(fields.data());
        fields.remove_prefix(8);
      }
      return;
    }
    extra.remove_prefix(4 + length);
  }
}

void ZipReader::check_layout(const Directory& directory) {
  std::vector<const ZipEntry*> by_place;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    by_place.push_back(&entries_[i]);
    if (!index_.emplace(entries_[i].name, i).second) {
      fail("zip.bad_entry", entries_[i].header,
           fmt::format("the entry '{}' occurs twice", entries_[i].name));
    }
  }
  std::sort(by_place.begin(), by_place.end(),
            [](auto* a, auto* b) { return a->header < b->header; });
  // Entries in disjoint places: their sizes together are then bounded by the size of the file.
  std::uint64_t free_from = 0;
  for (const ZipEntry* entry : by_place) {
    const std::uint64_t head = kLocalSize + entry->name.size();
    const bool fits = entry->header >= free_from && entry->header <= directory.offset &&
                      directory.offset - entry->header >= head &&
                      directory.offset - entry->header - head >= entry->packed_size;
    if (!fits) {
      fail("zip.bad_entry", entry->header,
           fmt::format("the entry '{}' of {} bytes overlaps another one or reaches beyond the file",
                       entry->name, entry->packed_size));
    }
    free_from = entry->header + head + entry->packed_size;
  }
}

const ZipEntry* ZipReader::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

std::uint64_t ZipReader::data_offset(const ZipEntry& entry) const {
  if (file_.size() < kLocalSize || entry.header > file_.size() - kLocalSize) {
    fail("zip.bad_entry", entry.header,
         fmt::format("the entry '{}' lies outside of the file", entry.name));
  }
  const std::string head = file_.read(entry.header, kLocalSize);
  const std::uint64_t name = u16(head.data() + 26), extra = u16(head.data() + 28);
  const std::uint64_t data = entry.header + kLocalSize + name + extra;
  if (u32(head.data()) != kLocalHeader || data > file_.size() ||
      entry.packed_size > file_.size() - data) {
    fail("zip.bad_entry", entry.header,
         fmt::format("the entry '{}' lies outside of the file", entry.name));
  }
  if (file_.read(entry.header + kLocalSize, static_cast<std::size_t>(name)) != entry.name ||
      u16(head.data() + 8) != entry.method) {
    fail("zip.bad_entry", entry.header,
         fmt::format("the header before '{}' contradicts the directory", entry.name));
  }
  return data;
}

void ZipReader::read(const ZipEntry& entry, void* to) const {
  const std::uint64_t data = data_offset(entry);
  if (entry.encrypted)
    fail("zip.encrypted", entry.header, fmt::format("the entry '{}' is encrypted", entry.name));
  if (entry.method == 8) return inflate(entry, data, to);
  if (entry.method != 0 || entry.size != entry.packed_size) {
    fail("zip.compression", entry.header,
         fmt::format("the entry '{}' has compression method {} and the sizes {} and {}; PyTorch "
                     "stores plainly",
                     entry.name, entry.method, entry.packed_size, entry.size));
  }
  read_stored(entry, data, [to](std::uint64_t at) { return static_cast<char*>(to) + at; });
}

void ZipReader::check(const ZipEntry& entry) const {
  std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, entry.size)), '\0');
  read_stored(entry, data_offset(entry), [&](std::uint64_t) { return piece.data(); });
}

// Reads in pieces, each to where `place` says, and checks the sum.
template <typename Place>
void ZipReader::read_stored(const ZipEntry& entry, std::uint64_t data, const Place& place) const {
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < entry.size;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, entry.size - done));
    char* to = place(done);
    file_.read(data + done, to, piece);
    crc = crc32(to, piece, crc);
    done += piece;
  }
  if (crc != entry.crc) {
    fail("zip.checksum", data,
         fmt::format("the entry '{}' is damaged: its checksum is {:08x}, expected {:08x}; fetch "
                     "the file again",
                     entry.name, crc, entry.crc));
  }
}

std::string ZipReader::read(const ZipEntry& entry, std::uint64_t limit) const {
  if (entry.size > limit) {
    fail("zip.too_large", entry.header,
         fmt::format("the entry '{}' has {} bytes, expected at most {}", entry.name, entry.size,
                     limit));
  }
  std::string bytes(static_cast<std::size_t>(entry.size), '\0');
  read(entry, bytes.data());
  return bytes;
}

namespace {

// zlib's state of unpacking a bare deflate stream.
class Inflater {
 public:
  Inflater() : good_(inflateInit2(&stream_, -MAX_WBITS) == Z_OK) {}
  ~Inflater() {
    if (good_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Unpacks some bytes behind what came before; false when they are no such stream, or give more than there is room for.
  bool feed(std::string_view packed, char*& to, std::uint64_t& room) {
    // zlib does not write there. Its own const (ZLIB_CONST) is lost where another source of this target included it before.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    while (good_ && !ended_ && (stream_.avail_in > 0 || room > 0)) {
      const auto piece = static_cast<uInt>(std::min<std::uint64_t>(room, kPiece));
      // Without room the end of the stream can still be read, but zlib wants an address.
      Bytef nowhere = 0;
      stream_.next_out = piece > 0 ? reinterpret_cast<Bytef*>(to) : &nowhere;
      stream_.avail_out = piece;
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      const auto got = piece - stream_.avail_out;
      to += got;
      room -= got;
      ended_ = result == Z_STREAM_END;
      // No progress is an error only where there was something to work on and room for it.
      if (result == Z_BUF_ERROR) return stream_.avail_in == 0;
      if (result != Z_OK && !ended_) return false;
    }
    return good_;
  }
  // Whether the stream came to its end, with nothing behind it.
  bool ended() const { return ended_ && stream_.avail_in == 0; }

 private:
  z_stream stream_{};
  bool good_, ended_ = false;
};

}  // namespace

void ZipReader::inflate(const ZipEntry& entry, std::uint64_t data, void* to) const {
  Inflater inflater;
  char* place = static_cast<char*>(to);
  std::uint64_t room = entry.size;
  bool good = true;
  for (std::uint64_t done = 0; good && done < entry.packed_size;) {
    const auto piece = std::min<std::uint64_t>(kPiece, entry.packed_size - done);
    good = inflater.feed(file_.read(data + done, static_cast<std::size_t>(piece)), place, room);
    done += piece;
  }
  if (!good || !inflater.ended() || room > 0 ||
      crc32(to, static_cast<std::size_t>(entry.size)) != entry.crc) {
    fail("zip.checksum", data, fmt::format("the compressed entry '{}' is damaged", entry.name));
  }
}

namespace {

template <typename T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

bool is_big(std::uint64_t value) {
  return value >= kBig32;
}
std::uint32_t clipped(std::uint64_t value) {
  return is_big(value) ? kBig32 : static_cast<std::uint32_t>(value);
}

// The fields that local and central header share, from "version needed" to the length of the name.
void put_common(std::string& out, const ZipEntry& entry, bool zip64) {
  put<std::uint16_t>(out, zip64 ? 45 : 20);
  put<std::uint16_t>(out, 0x0800);  // the name is UTF-8
  put<std::uint16_t>(out, 0);       // stored
  put<std::uint32_t>(out, 0);       // no time, so that equal weights make equal files
  put<std::uint32_t>(out, entry.crc);
  put<std::uint32_t>(out, zip64 ? kBig32 : clipped(entry.size));
  put<std::uint32_t>(out, zip64 ? kBig32 : clipped(entry.size));
  put<std::uint16_t>(out, static_cast<std::uint16_t>(entry.name.size()));
}

}  // namespace

void ZipWriter::add(const std::string& name, const void* data, std::uint64_t size) {
  add(name, {{static_cast<const char*>(data), static_cast<std::size_t>(size)}});
}

void ZipWriter::add(const std::string& name, const std::vector<std::string_view>& pieces) {
  ZipEntry entry;
  entry.name = name;
  entry.header = out_.position();
  for (const auto piece : pieces) {
    entry.size += piece.size();
    entry.crc = crc32(piece.data(), piece.size(), entry.crc);
  }
  const auto size = entry.packed_size = entry.size;
  const bool zip64 = is_big(size);
  std::string extra;
  if (zip64) {
    put<std::uint16_t>(extra, 1);
    put<std::uint16_t>(extra, 16);
    put<std::uint64_t>(extra, size);
    put<std::uint64_t>(extra, size);
  }
  // "FB" is PyTorch's padding field.
  const std::uint64_t unpadded = entry.header + kLocalSize + name.size() + extra.size() + 4;
  const auto padding = static_cast<std::uint16_t>((64 - unpadded % 64) % 64);
  put<std::uint16_t>(extra, 0x4246);
  put<std::uint16_t>(extra, padding);
  extra.append(padding, 'Z');
  std::string head;
  put<std::uint32_t>(head, kLocalHeader);
  put_common(head, entry, zip64);
  put<std::uint16_t>(head, static_cast<std::uint16_t>(extra.size()));
  out_.write(head + name + extra);
  for (const auto piece : pieces) out_.write(piece);
  entries_.push_back(std::move(entry));
}

void ZipWriter::finish() {
  const std::uint64_t start = out_.position();
  std::string bytes;
  for (const ZipEntry& entry : entries_) {
    const bool zip64 = is_big(entry.size) || is_big(entry.header);
    put<std::uint32_t>(bytes, kCentralHeader);
    put<std::uint16_t>(bytes, zip64 ? 45 : 20);
    put_common(bytes, entry, zip64);
    put<std::uint16_t>(bytes, zip64 ? 28 : 0);
    put<std::uint16_t>(bytes, 0);  // comment
    put<std::uint16_t>(bytes, 0);  // disk
    put<std::uint16_t>(bytes, 0);
    put<std::uint32_t>(bytes, 0);
    put<std::uint32_t>(bytes, zip64 ? kBig32 : clipped(entry.header));
    bytes += entry.name;
    if (zip64) {
      put<std::uint16_t>(bytes, 1);
      put<std::uint16_t>(bytes, 24);
      put<std::uint64_t>(bytes, entry.size);
      put<std::uint64_t>(bytes, entry.size);
      put<std::uint64_t>(bytes, entry.header);
    }
  }
  const std::uint64_t size = bytes.size(), end = start + size, count = entries_.size();
  const bool zip64 = is_big(start) || is_big(size) || count >= kBig16;
  if (zip64) {
    put<std::uint32_t>(bytes, kEnd64);
    put<std::uint64_t>(bytes, kEnd64Size - 12);
    put<std::uint16_t>(bytes, 45);
    put<std::uint16_t>(bytes, 45);
    put<std::uint64_t>(bytes, 0);  // disks
    put<std::uint64_t>(bytes, count);
    put<std::uint64_t>(bytes, count);
    put<std::uint64_t>(bytes, size);
    put<std::uint64_t>(bytes, start);
    put<std::uint32_t>(bytes, kLocator64);
    put<std::uint32_t>(bytes, 0);
    put<std::uint64_t>(bytes, end);
    put<std::uint32_t>(bytes, 1);
  }
  put<std::uint32_t>(bytes, kEnd);
  put<std::uint32_t>(bytes, 0);  // disks
  const auto short_count = zip64 ? kBig16 : static_cast<std::uint16_t>(count);
  put<std::uint16_t>(bytes, short_count);
  put<std::uint16_t>(bytes, short_count);
  put<std::uint32_t>(bytes, zip64 ? kBig32 : clipped(size));
  put<std::uint32_t>(bytes, zip64 ? kBig32 : clipped(start));
  put<std::uint16_t>(bytes, 0);
  out_.write(bytes);
}

}  // namespace fastcpp::io
