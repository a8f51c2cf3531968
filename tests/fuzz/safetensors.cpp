// Safetensors files. What is read is written and read again.
#include "fastcpp/io/safetensors.hpp"

#include <cstring>

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(safetensors)(std::string_view input) {
  const fuzz::InputFile file(input);
  std::map<std::string, std::string> metadata;
  fuzz::accepted([&] { metadata = safetensors_metadata(file.path()); });
  StateDict weights;
  if (!fuzz::accepted([&] { weights = load_safetensors(file.path()); })) return;
  std::uint64_t header = 0, bytes = 0;
  std::memcpy(&header, input.data(), sizeof header);
  for (const auto& [name, tensor] : weights) bytes += tensor.nbytes();
  fuzz::require(8 + header + bytes == input.size(), "head and tensors are not the whole file");
  static const fuzz::Folder folder;
  const auto again = folder.path() / "again.safetensors";
  save_safetensors(again, weights, metadata);
  fuzz::require(safetensors_metadata(again) == metadata,
                "the metadata read otherwise when written");
  const auto read = load_safetensors(again);
  fuzz::require(read.size() == weights.size(), "another number of tensors when written");
  for (const auto& [name, tensor] : weights) {
    const auto& other = read.at(name);
    const bool same = other.sizes() == tensor.sizes() && other.dtype() == tensor.dtype() &&
                      (tensor.nbytes() == 0 ||
                       std::memcmp(other.data_ptr(), tensor.data_ptr(), tensor.nbytes()) == 0);
    fuzz::require(same, "reads otherwise when written: " + name);
  }
}
