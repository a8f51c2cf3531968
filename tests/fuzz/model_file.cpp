// The file that export_model writes, with right checksums: the description, one line end, the weights.
#include "fastcpp/io/model_file.hpp"

#include <algorithm>

#include "fastcpp/io/json.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "fuzz.hpp"
#include "io/zip_file.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(model_file)(std::string_view input) {
  static const fuzz::Folder folder;
  const auto file = folder.path() / "export.fastcpp", again = folder.path() / "again.fastcpp";
  const auto line = std::min(input.find('\n'), input.size());
  const auto description = input.substr(0, line),
             weights = input.substr(std::min(line + 1, input.size()));
  {
    io::AtomicWriter out(file);
    io::ZipWriter zip(out);
    zip.add("learner.json", description.data(), description.size());
    zip.add("model.safetensors", weights.data(), weights.size());
    zip.finish();
    out.commit();
  }
  fuzz::accepted([&] { load_model_description(file); });
  ModelFile read;
  if (!fuzz::accepted([&] { read = load_model_file(file); })) {
    const fuzz::InputFile alone(weights);
    const bool good = fuzz::accepted([&] {
      load_safetensors(alone.path());
      const auto value = from_json(description, {.max_values = 64});
      if (!value.is_dict()) throw FormatError("json.bad", "no object");
    });
    return fuzz::require(!good, "refused, though both parts are good");
  }
  save_model_file(again, read);
  const auto other = load_model_file(again);
  fuzz::require(other.description.to_string() == read.description.to_string() &&
                    other.weights.size() == read.weights.size(),
                "reads otherwise when written");
}
