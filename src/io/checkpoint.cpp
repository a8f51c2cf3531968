#include "fastcpp/io/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "io/checkpoint_reader.hpp"
#include "io/pickler.hpp"
#include "io/zip_file.hpp"

namespace fastcpp {
namespace {

using io::CheckpointReader;
using io::Ref;

// Neither LibTorch's nor the allocator's exceptions leave.
template <typename F>
auto guarded(const Path& file, F&& read) {
  try {
    return read();
  } catch (const c10::Error& e) {
    throw FormatError("pickle.bad_tensor", fmt::format("'{}': LibTorch refuses a tensor: {}",
                                                       file.string(), e.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    throw IoError("io.out_of_memory", fmt::format("not enough memory to read '{}'", file.string()));
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

// The part of the file that holds the weights: `model` of {model, opt}, else everything.
Ref weights_part(const CheckpointReader& reader) {
  const Ref root = reader.root();
  const auto& graph = reader.graph();
  if (!graph.is_dict(root)) return root;
  const auto& items = graph.items(root);
  const Ref* model = nullptr;
  bool opt = false;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    const auto key = graph.is_text(items[i]) ? graph.text(items[i]) : std::string_view();
    if (key == "model") {
      model = &items[i + 1];
    } else if (key == "opt") {
      opt = true;
    } else {
      return root;
    }
  }
  return model && opt ? *model : root;
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

Value load_checkpoint(const Path& file) {
  return guarded(file, [&] {
    const io::FileReader reader(file);
    const auto checkpoint = io::open_checkpoint(reader);
    return checkpoint->value(checkpoint->root());
  });
}

StateDict load_weights(const Path& file) {
  return guarded(file, [&] {
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
  try {
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
  } catch (const c10::Error& e) {
    throw ValueError("value.tensor", fmt::format("cannot write '{}': {}", file.string(),
                                                 e.what_without_backtrace()));
  }
}

Value to_value(const StateDict& weights) {
  std::vector<Value::Entry> entries;
  entries.reserve(weights.size());
  for (const auto& [name, tensor] : weights) entries.emplace_back(name, tensor);
  return Value::ordered_dict(std::move(entries));
}

StateDict to_state_dict(const Value& value) {
  return weights_of(value, "");
}

}  // namespace fastcpp
