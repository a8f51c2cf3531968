#include "fastcpp/io/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "io/checkpoint_reader.hpp"
#include "io/pickler.hpp"
#include "io/zip_file.hpp"

namespace fastcpp::inline v0 {
namespace {

using io::CheckpointReader;
using io::Ref;

// What LibTorch refuses here comes from the file, and more memory is no matter of smaller batches.
template <typename F>
auto reading(const Path& file, F&& read) {
  try {
    return boundary(std::forward<F>(read));
  } catch (const MemoryError&) {
    std::throw_with_nested(IoError(
        "io.out_of_memory",
        fmt::format("not enough memory to read '{}': free memory elsewhere", file.string())));
  } catch (const TrainError& e) {
    std::throw_with_nested(
        FormatError("pickle.bad_tensor", fmt::format("'{}': {}", file.string(), e.what())));
  }
}

bool is_safetensors(const io::FileReader& file) {
  char start[9] = {};
  if (file.size() < sizeof(start)) return false;
  file.read(0, start, sizeof(start));
  std::uint64_t header = 0;
  std::copy(start, start + 8, reinterpret_cast<char*>(&header));
  return start[8] == '{' && header <= file.size() - 8;
}

// The value of a key in a dictionary, or nullptr.
const Ref* entry_of(const io::PickleGraph& graph, Ref dict, std::string_view key) {
  const auto& items = graph.items(dict);
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (graph.is_text(items[i]) && graph.text(items[i]) == key) return &items[i + 1];
  }
  return nullptr;
}

// The part of the file that holds the weights. fastai, Lightning, timm, torchvision's and PyTorch's own scripts put
// them under one of a few names, beside the epoch, the optimizer and more.
Ref weights_part(const CheckpointReader& reader) {
  const auto& graph = reader.graph();
  if (!graph.is_dict(reader.root())) return reader.root();
  for (const char* name : {"model", "state_dict", "model_state_dict", "net"}) {
    const Ref* part = entry_of(graph, reader.root(), name);
    if (part && (graph.is_dict(*part) || part->kind == io::RefKind::kUnknown)) return *part;
  }
  return reader.root();
}

[[noreturn]] void not_a_state_dict(const std::string& prefix, const std::string& found) {
  throw FormatError(
      "pickle.not_a_state_dict",
      fmt::format("{}expected a dictionary of names and tensors, found {}; save the weights with "
                  "torch.save(model.state_dict(), file) or learn.save",
                  prefix, found));
}

StateDict weights_of(const Value& value, const std::string& prefix) {
  if (!value.is_dict()) not_a_state_dict(prefix, value.to_string(100));
  StateDict weights;
  for (const auto& [key, item] : value.entries()) {
    if (!key.is_string() || !item.is_tensor()) {
      not_a_state_dict(prefix,
                       fmt::format("the entry {}: {}", key.to_string(100), item.to_string(100)));
    }
    weights.insert(key.as_string(), item.as_tensor().detach());
  }
  return weights;
}

}  // namespace

Value load_checkpoint(const Path& file, const LoadCheckpointOptions& options) {
  return reading(file, [&] {
    const io::FileReader reader(file);
    const auto checkpoint = io::open_checkpoint(reader);
    if (!options.entry) return checkpoint->value(checkpoint->root());
    const auto& graph = checkpoint->graph();
    const Ref* part = graph.is_dict(checkpoint->root())
                          ? entry_of(graph, checkpoint->root(), *options.entry)
                          : nullptr;
    if (!part) {
      throw ValueError("value.missing_key",
                       fmt::format("'{}' has no entry '{}'", file.string(), *options.entry));
    }
    return checkpoint->value(*part);
  });
}

StateDict load_weights(const Path& file) {
  return reading(file, [&] {
    const io::FileReader reader(file);
    if (is_safetensors(reader) || (file.extension() == ".safetensors" && reader.size() > 0)) {
      return load_safetensors(file);
    }
    const auto checkpoint = io::open_checkpoint(reader);
    return weights_of(checkpoint->value(weights_part(*checkpoint)),
                      fmt::format("'{}': ", file.string()));
  });
}

void save_checkpoint(const Path& file, const Value& root) {
  boundary([&] {
    const io::Pickler pickle(root);
    io::AtomicWriter out(file);
    io::ZipWriter zip(out);
    zip.add("archive/data.pkl", pickle.bytes().data(), pickle.bytes().size());
    zip.add("archive/byteorder", "little", 6);
    for (std::size_t i = 0; i < pickle.storages().size(); ++i) {
      const auto& storage = pickle.storages()[i];
      zip.add(fmt::format("archive/data/{}", i), storage.data_ptr(), storage.nbytes());
    }
    zip.add("archive/version", "3\n", 2);
    zip.finish();
    out.commit();
  });
}

Value to_value(const StateDict& weights) {
  return boundary([&] {
    std::vector<Value::Entry> entries;
    entries.reserve(weights.size());
    for (const auto& [name, tensor] : weights) entries.emplace_back(name, tensor);
    return Value::ordered_dict(std::move(entries));
  });
}

StateDict to_state_dict(const Value& value) {
  return boundary([&] { return weights_of(value, ""); });
}

}  // namespace fastcpp
