// Every seed of the fuzz targets, and some hundred damaged ones of each, always the same.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <random>

#include "fuzz.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

namespace {

// FASTCPP_MUTATIONS=10000 for a long run.
int mutations() {
  const char* wanted = std::getenv("FASTCPP_MUTATIONS");
  return wanted ? std::atoi(wanted) : 200;
}

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size();) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    i += 2;
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

std::string damaged(std::string bytes, std::mt19937& random) {
  const auto below = [&](std::size_t size) { return random() % std::max<std::size_t>(1, size); };
  for (auto times = 1 + below(3); times > 0 && !bytes.empty(); --times) {
    const auto at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes[at] ^= static_cast<char>(1 << below(8));
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.erase(at, 1 + below(8));
        break;
      case 3:
        bytes.insert(at, 1 + below(8), static_cast<char>(below(256)));
        break;
      case 4:
        bytes.insert(below(bytes.size()), bytes.substr(at, 1 + below(16)));
        break;
      default:  // lengths at their limits
        for (auto i = at; i < std::min(bytes.size(), at + (std::size_t{1} << below(4))); ++i) {
          bytes[i] = "\xff\x00\x7f\x80"[at & 3];
        }
    }
  }
  return bytes;
}

using Target = void (*)(std::string_view);

void replay(Target target, const std::string& bytes, const std::string& name) {
  std::string fault;
  try {
    target(bytes);
  } catch (const std::exception& e) {
    fault = e.what();
  }
  if (fault.empty()) return;
  FAIL_CHECK(name << ": " << fault << "\n" << to_hex(bytes));
}

void replay_all(const char* name, Target target) {
  std::vector<Path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_dir() / "tests/fuzz/corpus" / name)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(!files.empty());
  replay(target, "", "nothing");
  for (const auto& file : files) {
    auto seed = read_file(file);
    if (file.extension() == ".hex") seed = from_hex(seed);
    replay(target, seed, file.filename().string());
    std::mt19937 random(static_cast<unsigned>(seed.size()));
    for (int i = 0; i < mutations(); ++i) {
      replay(target, damaged(seed, random), file.filename().string() + ", damaged");
    }
  }
}

}  // namespace

#define REPLAY(name)                          \
  namespace fastcpp::fuzz {                   \
  void target_##name(std::string_view input); \
  }                                           \
  TEST_CASE("seeds of the target " #name) {   \
    replay_all(#name, &fuzz::target_##name);  \
  }

REPLAY(archive)
REPLAY(checkpoint)
REPLAY(csv)
REPLAY(gif)
REPLAY(http)
REPLAY(image)
REPLAY(image_header)
REPLAY(json)
REPLAY(model_file)
REPLAY(pack)
REPLAY(pickle)
REPLAY(regex)
REPLAY(safetensors)
REPLAY(tar)
REPLAY(zip)
REPLAY(zip_libtorch)
