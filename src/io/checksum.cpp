#include "fastcpp/io/checksum.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "io/digest.hpp"

namespace fastcpp {
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
      throw IoError("io.no_digest",
                    "OpenSSL does not offer this digest (a FIPS set-up forbids MD5)");
    }
  }

  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
};

std::string digest_file(const Path& file, const EVP_MD* kind, std::int64_t limit) {
  std::error_code ec;
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file, ec)) {
    throw IoError("io.cannot_read", fmt::format("cannot read '{}': {}", file.string(),
                                                errno ? std::strerror(errno) : "not a file"));
  }
  Digest digest(kind);
  std::vector<char> buffer(std::size_t{1} << 18);
  while (limit > 0 && in) {
    const auto wanted = std::min<std::int64_t>(limit, static_cast<std::int64_t>(buffer.size()));
    in.read(buffer.data(), wanted);
    digest.add(buffer.data(), static_cast<std::size_t>(in.gcount()));
    limit -= in.gcount();
  }
  if (in.bad()) {
    throw IoError("io.cannot_read", fmt::format("reading '{}' failed", file.string()));
  }
  return digest.hex();
}

}  // namespace

std::string sha256_text(std::string_view text) {
  Digest digest(EVP_sha256());
  digest.add(text.data(), text.size());
  return digest.hex();
}

std::string md5_first_mib(const Path& file) {
  return digest_file(file, EVP_md5(), std::int64_t{1} << 20);
}

std::string sha256_file(const Path& file) {
  return digest_file(file, EVP_sha256(), std::numeric_limits<std::int64_t>::max());
}

FileCheck file_check(const Path& file) {
  FileCheck found{0, md5_first_mib(file)};
  std::error_code ec;
  found.size = static_cast<std::int64_t>(std::filesystem::file_size(file, ec));
  if (ec) {
    throw IoError("io.cannot_read",
                  fmt::format("cannot measure '{}': {}", file.string(), ec.message()));
  }
  return found;
}

}  // namespace fastcpp
