// Safetensors files, beside a reader in Python after the format's description: both take the same files, and find the same
// in them. What ours refuses beyond the description, other_readers.py names.
#include "python.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fastcpp/io/safetensors.hpp"
#include "io/dtypes.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(safetensors_python)(std::string_view input) {
  static const fuzz::PythonReader read_safetensors("read_safetensors");
  const fuzz::InputFile file(input);
  std::vector<std::string> lines;
  const bool good = fuzz::accepted([&] {
    for (const auto& [key, value] : safetensors_metadata(file.path())) {
      lines.push_back(fuzz::hex(key) + "=" + fuzz::hex(value));
    }
    for (const auto& [name, tensor] : load_safetensors(file.path())) {
      const auto* bytes = tensor.nbytes() > 0 ? static_cast<const char*>(tensor.data_ptr()) : "";
      lines.push_back(fmt::format(
          "{} {} [{}] {}", fuzz::hex(name), io::find_dtype(tensor.scalar_type())->safetensors,
          fmt::join(tensor.sizes().vec(), ", "), fuzz::hex({bytes, tensor.nbytes()})));
    }
  });
  const auto theirs = read_safetensors(input);
  fuzz::require(theirs.has_value() == good,
                good ? "ours takes what Python refuses" : "ours refuses what Python takes");
  if (!good) return;
  const auto ours = fmt::format("{}", fmt::join(lines, "\n"));
  fuzz::require(ours == *theirs, "ours reads " + ours + "\nPython reads " + *theirs);
}
