#include "io/file_access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::io {

FileReader::FileReader(const Path& file)
    : name_(file.string()), fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  struct stat info {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    const std::string cause =
        fd_ < 0 ? std::generic_category().message(errno) : "not a regular file";
    if (fd_ >= 0) ::close(fd_);
    throw IoError("io.cannot_read",
                  fmt::format("cannot read '{}': {}; is the path right, and may this user read it?",
                              name_, cause));
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
}

FileReader::~FileReader() {
  ::close(fd_);
}

void FileReader::read(std::uint64_t offset, void* to, std::size_t count) const {
  auto* place = static_cast<char*>(to);
  while (count > 0) {
    const auto got = ::pread(fd_, place, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw IoError(
          "io.cannot_read",
          fmt::format(
              "reading '{}' at byte {} failed: {}", name_, offset,
              got < 0 ? std::generic_category().message(errno)
                      : std::string("the file became shorter; does another program write it?")));
    }
    place += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

std::string FileReader::read(std::uint64_t offset, std::size_t count) const {
  std::string bytes(count, '\0');
  read(offset, bytes.data(), count);
  return bytes;
}

void cannot_write(const Path& file, int cause) {
  // What helps depends on the cause; the rest of the message is the system's.
  const char* advice = cause == ENAMETOOLONG ? "choose a shorter name"
                       : cause == ELOOP      ? "remove the symbolic links that lead in a circle"
                       : cause == EISDIR     ? "remove that folder, or choose another name"
                                             : "is the folder writable and is there space left?";
  throw IoError("io.cannot_write", fmt::format("cannot write '{}': {}; {}", file.string(),
                                               std::generic_category().message(cause), advice));
}

bool has_folder(const Path& folder) {
  std::error_code ec;
  const auto found = std::filesystem::status(folder, ec);
  if (!std::filesystem::exists(found)) return false;
  if (std::filesystem::is_directory(found)) return true;
  throw IoError("io.cannot_create",
                fmt::format("cannot create the folder '{}': a file has that name; remove it, or "
                            "choose another folder",
                            folder.string()));
}

namespace {

// `write` writes so many bytes, at the offset that it is given.
template <typename F>
void write_pieces(const void* bytes, std::size_t count, const Path& file, F&& write) {
  for (std::size_t at = 0; at < count;) {
    const ssize_t done = write(static_cast<const char*>(bytes) + at, count - at, at);
    if (done < 0 && errno == EINTR) continue;
    // Nothing taken and nothing said: asking again would never end.
    if (done <= 0) cannot_write(file, done < 0 ? errno : ENOSPC);
    at += static_cast<std::size_t>(done);
  }
}

}  // namespace

void write_all(int fd, const void* bytes, std::size_t count, const Path& file) {
  write_pieces(bytes, count, file, [fd](const char* from, std::size_t size, std::size_t) {
    return ::write(fd, from, size);
  });
}

void write_all(int fd, const void* bytes, std::size_t count, std::int64_t offset,
               const Path& file) {
  write_pieces(
      bytes, count, file, [fd, offset](const char* from, std::size_t size, std::size_t at) {
        return ::pwrite(fd, from, size, static_cast<off_t>(offset) + static_cast<off_t>(at));
      });
}

namespace {

using CrcTables = std::array<std::array<std::uint32_t, 256>, 16>;

constexpr CrcTables make_crc_tables() {
  CrcTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0u);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < tables.size(); ++t) {
    for (std::size_t i = 0; i < 256; ++i) {
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
    }
  }
  return tables;
}

constexpr CrcTables kCrc = make_crc_tables();

#if defined(__x86_64__) && defined(__GNUC__)
#define FASTCPP_CLMUL __attribute__((target("pclmul,sse4.1")))

// Moves a remainder of 128 bits forward by the distance that the two constants stand for.
FASTCPP_CLMUL inline __m128i fold_by(__m128i x, __m128i distance, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(x, distance, 0x00);
  const __m128i high = _mm_clmulepi64_si128(x, distance, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

FASTCPP_CLMUL inline __m128i load16(const unsigned char* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// Carry-less multiplication, 64 bytes a step (Gopal et al. 2009, "Fast CRC computation for generic
// polynomials using PCLMULQDQ"). Leaves 16 bytes with the same remainder as the first `count`
// bytes, for the tables to finish. `count` is a multiple of 16, at least 64; `crc` is inverted.
FASTCPP_CLMUL void fold_to_16(const unsigned char* bytes, std::size_t count, std::uint32_t crc,
                              unsigned char* rest) {
  // x^(512+32), x^(512-32) and x^(128+32), x^(128-32) modulo the polynomial, bits reversed.
  const __m128i by64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i by16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  __m128i x[4];
  for (int i = 0; i < 4; ++i) x[i] = load16(bytes + 16 * i);
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(crc)));
  bytes += 64;
  count -= 64;
  for (; count >= 64; count -= 64, bytes += 64) {
    for (int i = 0; i < 4; ++i) x[i] = fold_by(x[i], by64, load16(bytes + 16 * i));
  }
  __m128i all = x[0];
  for (int i = 1; i < 4; ++i) all = fold_by(all, by16, x[i]);
  for (; count >= 16; count -= 16, bytes += 16) all = fold_by(all, by16, load16(bytes));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), all);
}

bool has_clmul() {
  static const bool has = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  return has;
}
#endif

}  // namespace

std::uint32_t crc32(const void* data, std::size_t count, std::uint32_t crc) {
#if defined(__x86_64__) && defined(__GNUC__)
  constexpr std::size_t kWorthwhile = 256;
  if (count >= kWorthwhile && has_clmul()) {
    const std::size_t whole = count / 16 * 16;
    unsigned char rest[16];
    fold_to_16(static_cast<const unsigned char*>(data), whole, ~crc, rest);
    // The crc so far is part of the rest already: zero bits are what it starts from.
    crc = crc32_by_tables(rest, sizeof rest, ~0u);
    return crc32_by_tables(static_cast<const char*>(data) + whole, count - whole, crc);
  }
#endif
  return crc32_by_tables(data, count, crc);
}

// Sixteen bytes a step ("slicing by 16").
std::uint32_t crc32_by_tables(const void* data, std::size_t count, std::uint32_t crc) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; count >= 16; count -= 16, bytes += 16) {
    std::uint32_t words[4];
    std::memcpy(words, bytes, 16);
    words[0] ^= crc;
    crc = 0;
    for (std::size_t w = 0; w < 4; ++w) {
      const std::size_t top = 15 - 4 * w;
      crc ^= kCrc[top][words[w] & 0xFF] ^ kCrc[top - 1][(words[w] >> 8) & 0xFF] ^
             kCrc[top - 2][(words[w] >> 16) & 0xFF] ^ kCrc[top - 3][words[w] >> 24];
    }
  }
  for (; count > 0; --count, ++bytes) crc = (crc >> 8) ^ kCrc[0][(crc ^ *bytes) & 0xFF];
  return ~crc;
}

}  // namespace fastcpp::io
