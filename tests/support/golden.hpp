// Reader of the golden files: numbers produced by the reference (tests/golden/README.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fastcpp::test {

using Json = nlohmann::ordered_json;

// FASTCPP_GOLDEN_DIR, else tests/golden of the project.
std::filesystem::path golden_dir();
bool has_golden(const std::string& file);
// Parsed once; the reference stays valid.
const Json& golden(const std::string& file);

// A number, also one of the texts "nan", "inf", "-inf".
double number(const Json& value);
std::vector<double> numbers(const Json& list);

// An array {"file", "dtype", "shape", "offset"} of the raw file beside the JSON, widened to double.
// `folder` is where the JSON lies, relative to golden_dir().
struct Array {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<double> values;
};
Array array(const Json& where, const std::string& folder = "");

// The counter-based generator of the golden README.
std::uint64_t fnv1a64(const std::string& text);
std::uint64_t raw(const std::string& key, std::uint64_t i);
double u01(const std::string& key, std::uint64_t i);
double sgn(const std::string& key, std::uint64_t i);
std::int64_t ints(const std::string& key, std::int64_t k, std::uint64_t i);
std::vector<std::int64_t> perm(const std::string& key, std::int64_t n);

}  // namespace fastcpp::test
