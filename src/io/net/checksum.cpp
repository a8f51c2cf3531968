#include "fastcpp/io/checksum.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "io/file_access.hpp"
#include "io/net/digest.hpp"

namespace fastcpp::inline v0 {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class Digest {
 public:
  explicit Digest(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    check(context_ && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1);
  }

  void add(const char* bytes, std::size_t size) {
    check(EVP_DigestUpdate(context_.get(), bytes, size) == 1);
  }

  std::string hex() {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes, &size) == 1);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
    return text;
  }

 private:
  static void check(bool good) {
    if (!good) {
      throw IoError(
          "io.no_digest",
          "OpenSSL does not offer this digest: a FIPS set-up forbids MD5; run without it");
    }
  }

  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
};

std::string digest_file(const Path& file, const EVP_MD* kind, std::uint64_t limit) {
  const io::FileReader in(file);
  Digest digest(kind);
  std::vector<char> buffer(std::size_t{1} << 18);
  const auto size = std::min(in.size(), limit);
  for (std::uint64_t at = 0; at < size;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(size - at, buffer.size()));
    in.read(at, buffer.data(), count);
    digest.add(buffer.data(), count);
    at += count;
  }
  return digest.hex();
}

}  // namespace

std::string sha256_text(std::string_view text) {
  Digest digest(EVP_sha256());
  digest.add(text.data(), text.size());
  return digest.hex();
}

std::string sha256_bytes(std::string_view bytes) {
  return boundary([&] { return sha256_text(bytes); });
}

std::string md5_first_mib(const Path& file) {
  return boundary([&] { return digest_file(file, EVP_md5(), std::uint64_t{1} << 20); });
}

std::string sha256_file(const Path& file) {
  return boundary(
      [&] { return digest_file(file, EVP_sha256(), std::numeric_limits<std::uint64_t>::max()); });
}

FileCheck file_check(const Path& file) {
  return boundary([&] {
    const auto size = static_cast<std::int64_t>(io::FileReader(file).size());
    return FileCheck{size, md5_first_mib(file)};
  });
}

}  // namespace fastcpp
