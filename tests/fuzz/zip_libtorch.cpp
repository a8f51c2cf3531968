// The zip container of checkpoints, beside LibTorch's own reader: what both take must have the same records. What ours
// refuses is not judged. It takes what LibTorch's does not (no record "version", more than one folder), for the containers
// of other programs: every record it hands out lies inside of the file and has the right checksum, of which LibTorch's
// reader makes sure of neither.
#include <c10/util/Logging.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#ifdef FASTCPP_FUZZ
#include <sanitizer/lsan_interface.h>
#endif

#include "fuzz.hpp"
#include "io/zip_file.hpp"

using namespace fastcpp;

namespace {

constexpr std::uint64_t kMostOfLibTorch = 1 << 20;
// LibTorch's reader cuts longer names.
constexpr std::size_t kLongestName = 500;

class Memory : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Memory(std::string_view bytes) : bytes_(bytes) {}
  std::size_t size() const override { return bytes_.size(); }
  std::size_t read(std::uint64_t at, void* to, std::size_t count, const char*) const override {
    if (at > bytes_.size()) return 0;
    const auto part = bytes_.substr(static_cast<std::size_t>(at), count);
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    return part.size();
  }

 private:
  std::string_view bytes_;
};

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return text;
}

// Whether some entry of the directory says of itself that it is a folder. LibTorch's reader reads nothing from such a one
// and calls that a success.
bool has_folder(std::string_view input) {
  for (std::size_t at = 0; (at = input.find("PK\1\2", at)) != input.npos; at += 4) {
    if (at + 46 <= input.size() && (input[at + 38] & 0x10)) return true;
  }
  return false;
}

using Records = std::map<std::string, std::string>;

// Empty when the reader refuses anything.
Records read_by_fastcpp(const Path& file) {
  Records records;
  const bool good = fuzz::accepted([&] {
    const io::FileReader reader(file);
    const io::ZipReader zip(reader);
    for (const auto& entry : zip.entries()) records[entry.name] = zip.read(entry, kMostOfLibTorch);
  });
  return good ? records : Records();
}

// By their whole names; empty when the reader refuses the archive or a record.
Records read_by_libtorch(std::string_view input, const std::string& folder) {
  Records records;
#ifdef FASTCPP_FUZZ
  // LibTorch's reader loses what it had taken when its constructor throws.
  const __lsan::ScopedDisabler not_ours;
#endif
  try {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<Memory>(input));
    for (const auto& name : reader.getAllRecords()) {
      const auto [bytes, size] = reader.getRecord(name);
      records[folder + name].assign(static_cast<const char*>(bytes.get()), size);
    }
  } catch (const std::exception&) {
    return {};
  }
  return records;
}

}  // namespace

FASTCPP_FUZZ_TARGET(zip_libtorch)(std::string_view input) {
  // LibTorch's errors would look up the names of all functions on the stack.
  [[maybe_unused]] static const bool quiet = (c10::SetStackTraceFetcher([] { return ""; }), true);
  const fuzz::InputFile file(input);
  const auto ours = read_by_fastcpp(file.path());
  if (ours.empty() || has_folder(input)) return;
  std::set<std::string> names;
  for (const auto& [name, content] : ours) {
    // LibTorch's reader takes capital and small letters for the same.
    const bool clear =
        names.insert(lower(name)).second && name.size() <= kLongestName && !name.ends_with('/');
    if (!clear) return;
  }
  const auto& first = ours.begin()->first;
  const auto theirs = read_by_libtorch(input, first.substr(0, first.find('/') + 1));
  if (theirs.empty()) return;
  fuzz::require(theirs.size() == ours.size(), "LibTorch finds another number of records");
  for (const auto& [name, content] : theirs) {
    const auto found = ours.find(name);
    fuzz::require(found != ours.end(), "LibTorch finds a record more: " + name);
    fuzz::require(found->second == content, "LibTorch reads another content of " + name);
  }
}
