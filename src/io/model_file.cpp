#include "fastcpp/io/model_file.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"
#include "io/safetensors_bytes.hpp"
#include "io/zip_file.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr const char* kDescription = "learner.json";
constexpr const char* kWeights = "model.safetensors";
constexpr std::uint64_t kMaxDescription = 64u << 20;

const io::ZipEntry& entry(const io::ZipReader& zip, const Path& file, const char* name) {
  const auto* found = zip.find(name);
  if (!found) {
    throw FormatError("model.no_entry",
                      fmt::format("'{}' is a zip archive without '{}': it is no file that "
                                  "export_model wrote",
                                  file.string(), name));
  }
  // Stored, so that what is read takes no more memory than the file has bytes.
  if (found->method != 0 || found->size != found->packed_size) {
    throw FormatError("zip.compression",
                      fmt::format("'{}' holds '{}' compressed, expected it stored plainly: write "
                                  "it again by export_model",
                                  file.string(), name));
  }
  return *found;
}

}  // namespace

void save_model_file(const Path& file, const ModelFile& content) {
  boundary([&] {
    const auto json = to_json(content.description);
    const io::SafetensorsBytes bytes(content.weights, {{"format", "pt"}});
    // What lies on the CPU already is not copied.
    std::vector<torch::Tensor> tensors;
    std::vector<std::string_view> pieces{bytes.head()};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto& tensor = tensors.emplace_back(bytes.content(i));
      if (tensor.numel() == 0) continue;
      pieces.emplace_back(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
    }
    io::AtomicWriter out(file);
    io::ZipWriter zip(out);
    zip.add(kDescription, json.data(), json.size());
    zip.add(kWeights, pieces);
    zip.finish();
    out.commit();
  });
}

namespace {

Value description_of(const io::ZipReader& zip, const io::FileReader& reader, const Path& file) {
  const auto& stored = entry(zip, file, kDescription);
  // A value takes up to 64 bytes in a list that grows: four times the file in all.
  const auto max_values = static_cast<std::size_t>(reader.size() / 16 + 64);
  try {
    auto description = from_json(zip.read(stored, kMaxDescription), {.max_values = max_values});
    if (description.is_dict()) return description;
    throw FormatError("json.bad", "expected a JSON object");
  } catch (const FormatError& e) {
    if (std::string_view(e.code()).starts_with("zip.")) throw;
    std::throw_with_nested(FormatError(
        e.code(), fmt::format("'{}', entry '{}': {}", file.string(), kDescription, e.what())));
  }
}

}  // namespace

Value load_model_description(const Path& file) {
  return boundary([&] {
    const io::FileReader reader(file);
    return description_of(io::ZipReader(reader), reader, file);
  });
}

ModelFile load_model_file(const Path& file) {
  return boundary([&] {
    const io::FileReader reader(file);
    const io::ZipReader zip(reader);
    ModelFile content;
    content.description = description_of(zip, reader, file);
    const auto& weights = entry(zip, file, kWeights);
    zip.check(weights);
    content.weights =
        io::read_safetensors(io::FilePart(reader, zip.data_offset(weights), weights.size));
    return content;
  });
}

}  // namespace fastcpp
