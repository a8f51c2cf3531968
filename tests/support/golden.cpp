#include "support/golden.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>

#include "support/support.hpp"

namespace fastcpp::test {
namespace fs = std::filesystem;

fs::path golden_dir() {
  const char* given = std::getenv("FASTCPP_GOLDEN_DIR");
  return given && *given ? fs::path(given) : source_dir() / "tests" / "golden";
}

// What programs of this repository made lies in no other folder.
fs::path golden_file(const fs::path& file) {
  const auto given = golden_dir() / file;
  return fs::exists(given) ? given : source_dir() / "tests" / "golden" / file;
}

bool has_golden(const std::string& file) {
  return fs::exists(golden_file(file));
}

const Json& golden(const std::string& file) {
  static std::map<std::string, Json> cache;
  const auto found = cache.find(file);
  if (found != cache.end()) return found->second;
  std::ifstream in(golden_file(file));
  if (!in) throw std::runtime_error("no golden file " + (golden_dir() / file).string());
  return cache.emplace(file, Json::parse(in)).first->second;
}

double number(const Json& value) {
  if (value.is_number()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  throw std::runtime_error("not a number in a golden file: " + text);
}

std::vector<double> numbers(const Json& list) {
  std::vector<double> values;
  for (const auto& item : list) values.push_back(number(item));
  return values;
}

namespace {

const std::string& raw_file(const fs::path& path) {
  static std::map<fs::path, std::string> cache;
  auto [it, fresh] = cache.try_emplace(path);
  if (fresh) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("no golden file " + path.string());
    it->second.assign(std::istreambuf_iterator<char>(in), {});
  }
  return it->second;
}

template <typename T>
void widen(const std::string& bytes, std::size_t offset, std::vector<double>& values) {
  if (offset + values.size() * sizeof(T) > bytes.size()) {
    throw std::runtime_error("a golden array reaches beyond its file");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + offset + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
}

}  // namespace

Array array(const Json& where, const std::string& folder) {
  Array result;
  result.dtype = where.at("dtype").get<std::string>();
  result.shape = where.at("shape").get<std::vector<std::int64_t>>();
  std::int64_t count = 1;
  for (auto side : result.shape) count *= side;
  result.values.resize(static_cast<std::size_t>(count));
  const auto file = golden_file(fs::path(folder) / where.at("file").get<std::string>());
  const auto& bytes = raw_file(file);
  const auto offset = where.at("offset").get<std::size_t>();
  if (result.dtype == "float32") {
    widen<float>(bytes, offset, result.values);
  } else if (result.dtype == "float64") {
    widen<double>(bytes, offset, result.values);
  } else if (result.dtype == "int64") {
    widen<std::int64_t>(bytes, offset, result.values);
  } else if (result.dtype == "uint8") {
    widen<std::uint8_t>(bytes, offset, result.values);
  } else {
    throw std::runtime_error("unknown dtype in a golden file: " + result.dtype);
  }
  return result;
}

std::uint64_t fnv1a64(const std::string& text) {
  std::uint64_t h = 14695981039346656037ull;
  for (unsigned char byte : text) h = (h ^ byte) * 1099511628211ull;
  return h;
}

std::uint64_t raw(const std::string& key, std::uint64_t i) {
  std::uint64_t z = fnv1a64(key) + (i + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

double u01(const std::string& key, std::uint64_t i) {
  return static_cast<double>(raw(key, i) >> 11) * 0x1.0p-53;
}

double sgn(const std::string& key, std::uint64_t i) {
  return 2 * u01(key, i) - 1;
}

std::int64_t ints(const std::string& key, std::int64_t k, std::uint64_t i) {
  return static_cast<std::int64_t>(std::floor(u01(key, i) * static_cast<double>(k)));
}

std::vector<std::int64_t> perm(const std::string& key, std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return u01(key, static_cast<std::uint64_t>(a)) < u01(key, static_cast<std::uint64_t>(b));
  });
  return order;
}

}  // namespace fastcpp::test
