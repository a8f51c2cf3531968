#include "io/checkpoint_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "fastcpp/core/error.hpp"
#include "io/zip_file.hpp"

namespace fastcpp::inline v0::io {

namespace {

[[noreturn]] void fail_at(const FileReader& file, const char* code, const std::string& message,
                          std::uint64_t offset) {
  throw FormatError(code, fmt::format("'{}': {} (at byte {})", file.name(), message, offset),
                    static_cast<std::int64_t>(offset));
}

}  // namespace

Value CheckpointReader::value(Ref ref) {
  return build(ref, 0);
}

void CheckpointReader::check_depth(int depth) const {
  if (depth > Value::kMaxDepth) {
    throw FormatError(
        "pickle.too_deep",
        fmt::format("'{}': lists, tuples or dictionaries are nested more than {} deep", name(),
                    Value::kMaxDepth));
  }
}

Value CheckpointReader::build(Ref ref, int depth) {
  switch (ref.kind) {
    case RefKind::kNone:
      return {};
    case RefKind::kBool:
      return ref.integer != 0;
    case RefKind::kInt:
      return ref.integer;
    case RefKind::kFloat:
      return ref.number;
    case RefKind::kBigInt:
      return Value::big_int(std::string(graph().text(ref)));
    case RefKind::kText:
    case RefKind::kOwnedText:
    case RefKind::kRaw:
    case RefKind::kBytes:
    case RefKind::kOwnedBytes:
      return text(ref);
    case RefKind::kTensor: {
      auto [place, fresh] = tensors_.try_emplace(ref.index);
      if (fresh) place->second = tensor(graph().tensors[static_cast<std::size_t>(ref.index)]);
      return place->second;
    }
    case RefKind::kTuple:
    case RefKind::kList:
    case RefKind::kDict:
    case RefKind::kOrderedDict:
    case RefKind::kSlice:
      return build_container(ref, depth);
    case RefKind::kUnknown:
      unpickler_->refuse(ref);
    case RefKind::kGlobal:
    case RefKind::kStorage:
    case RefKind::kDtype:
      break;
  }
  throw FormatError(
      "pickle.unsupported_value",
      fmt::format("'{}': a class, a bare storage or a dtype stands where a value is expected",
                  name()));
}

// One value per place in the file: a text that is mentioned a million times is held once.
Value CheckpointReader::text(Ref ref) {
  const bool owned = ref.kind == RefKind::kOwnedText || ref.kind == RefKind::kOwnedBytes;
  auto [place, fresh] = texts_.try_emplace(ref.index * 2 + (owned ? 1 : 0));
  if (fresh) {
    std::string content(graph().text(ref));
    const bool is_text = ref.kind == RefKind::kRaw ? is_utf8(content) : graph().is_text(ref);
    place->second = is_text ? Value(std::move(content)) : Value::bytes(std::move(content));
  }
  return place->second;
}

// Each container is built once, however often it is mentioned; otherwise sixty doublings would take
// for ever.
Value CheckpointReader::build_container(Ref ref, int depth) {
  const auto known = containers_.find(ref.index);
  if (known != containers_.end()) return known->second;
  check_depth(depth);
  if (!open_.emplace(ref.index, true).second) {
    throw FormatError("pickle.cycle", fmt::format("'{}': a container contains itself", name()));
  }
  const auto& items = graph().items(ref);
  Value result;
  try {
    if (graph().is_dict(ref)) {
      std::vector<Value::Entry> entries;
      entries.reserve(items.size() / 2);
      for (std::size_t i = 0; i < items.size(); i += 2) {
        if (items[i].kind == RefKind::kUnknown) unpickler_->refuse(items[i]);
        if (items[i].kind >= RefKind::kGlobal) {
          throw FormatError("pickle.bad_key",
                            fmt::format("'{}': a dictionary key is neither text nor number; "
                                        "load_weights reads the weights beside it",
                                        name()));
        }
        entries.emplace_back(build(items[i], depth + 1), build(items[i + 1], depth + 1));
      }
      result = ref.kind == RefKind::kDict ? Value::dict(std::move(entries))
                                          : Value::ordered_dict(std::move(entries));
    } else {
      std::vector<Value> values;
      values.reserve(items.size());
      for (const Ref& item : items) values.push_back(build(item, depth + 1));
      if (ref.kind == RefKind::kSlice) {
        result = Value::slice(values[0], values[1], values[2]);
      } else {
        result = ref.kind == RefKind::kList ? Value::list(std::move(values))
                                            : Value::tuple(std::move(values));
      }
    }
  } catch (const ValueError&) {
    // Sharing can make a value deeper than the way to it.
    check_depth(Value::kMaxDepth + 1);
  }
  open_.erase(ref.index);
  containers_.emplace(ref.index, result);
  return result;
}

torch::Tensor CheckpointReader::tensor(const TensorRecord& record) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor& flat = storage(record.storage);
  torch::Tensor result = torch::empty({0}, flat.options());
  result.set_(flat.storage(), record.offset, record.sizes, record.strides);
  if (record.requires_grad) result.set_requires_grad(true);
  return result;
}

const torch::Tensor& CheckpointReader::storage(std::size_t index) {
  auto [place, fresh] = storages_.try_emplace(index);
  if (!fresh) return place->second;
  const StorageRecord& record = graph().storages[index];
  const auto bytes = static_cast<std::uint64_t>(record.count) * torch::elementSize(record.dtype);
  torch::Tensor flat = read_storage(record, index, bytes);
  if (record.dtype == torch::kBool) {
    // Any other byte than 0 and 1 is no bool to C++.
    auto* flags = static_cast<unsigned char*>(flat.data_ptr());
    for (std::uint64_t i = 0; i < bytes; ++i) flags[i] = flags[i] != 0;
  }
  return place->second = flat;
}

namespace {

// ---- zip
// ----------------------------------------------------------------------------------------------------------

class ZipCheckpoint : public CheckpointReader {
 public:
  explicit ZipCheckpoint(const FileReader& file) : CheckpointReader(file), zip_(file) {
    const ZipEntry& pickle = find_pickle();
    // PyTorch stores; an archive packed again by hand may unpack to a few times its size, not to
    // anything.
    inflatable_ = 4 * file.size() + (16u << 20);
    pickle_ = zip_.read(pickle, budget(pickle));
    if (const ZipEntry* order = zip_.find(folder_ + "byteorder")) {
      const std::string text = zip_.read(*order, 16);
      if (text != "little" && text != "big") {
        fail_at(file, "zip.bad_entry", "the byte order is neither 'little' nor 'big'",
                order->header);
      }
      big_endian_ = text == "big";
    }
    unpickler_ = std::make_unique<Unpickler>(file.name(), pickle_, zip_.data_offset(pickle));
    root_ = unpickler_->run();
  }

 private:
  const ZipEntry& find_pickle() {
    const ZipEntry* found = nullptr;
    for (const ZipEntry& entry : zip_.entries()) {
      const std::size_t slash = entry.name.find('/');
      const std::string_view inside =
          std::string_view(entry.name).substr(slash == std::string::npos ? 0 : slash + 1);
      if (inside == "constants.pkl" || inside.starts_with("code/")) {
        fail_at(file_, "zip.torchscript",
                "this is a TorchScript archive, not weights; load it with torch::jit::load, or "
                "save model.state_dict()",
                entry.header);
      }
      if (inside != "data.pkl") continue;
      if (found) fail_at(file_, "zip.bad_entry", "two entries are called data.pkl", entry.header);
      found = &entry;
      folder_ = entry.name.substr(0, entry.name.size() - inside.size());
    }
    if (!found)
      fail_at(file_, "zip.not_a_checkpoint",
              "a zip file without data.pkl: not a PyTorch checkpoint", 0);
    return *found;
  }

  std::uint64_t budget(const ZipEntry& entry) {
    if (entry.method == 0) return entry.packed_size;
    if (entry.size > inflatable_) {
      fail_at(file_, "zip.too_large",
              fmt::format("the entry '{}' unpacks to {} bytes", entry.name, entry.size),
              entry.header);
    }
    inflatable_ -= entry.size;
    return entry.size;
  }

  torch::Tensor read_storage(const StorageRecord& storage, std::size_t,
                             std::uint64_t bytes) override {
    const ZipEntry& entry = entry_of(storage);
    if (entry.size != bytes) {
      fail_at(file_, "zip.bad_storage",
              fmt::format("the entry '{}' has {} bytes, the storage needs {}", entry.name,
                          entry.size, bytes),
              entry.header);
    }
    budget(entry);
    torch::Tensor flat = torch::empty({storage.count}, storage.dtype);
    zip_.read(entry, flat.data_ptr());
    if (big_endian_) swap_bytes(flat);
    return flat;
  }

  const ZipEntry& entry_of(const StorageRecord& storage) const {
    const std::string name = folder_ + "data/" + storage.key;
    if (const ZipEntry* entry = zip_.find(name)) return *entry;
    fail_at(file_, "zip.missing_storage", fmt::format("the archive lacks the entry '{}'", name), 0);
  }

  static void swap_bytes(torch::Tensor& flat) {
    const std::size_t width = flat.element_size() / (flat.is_complex() ? 2 : 1);
    auto* bytes = static_cast<char*>(flat.data_ptr());
    for (char* at = bytes; at < bytes + flat.nbytes(); at += width) std::reverse(at, at + width);
  }

  ZipReader zip_;
  std::string folder_;
  std::uint64_t inflatable_ = 0;
  bool big_endian_ = false;
};

// ---- legacy
// -------------------------------------------------------------------------------------------------------

constexpr std::string_view kMagic = "119547037146038801333356";
constexpr std::int64_t kProtocolVersion = 1001;

// Five pickles (magic number, version, system, object, storage keys), then per key the element
// count and the elements, little-endian whatever the system record says.
class LegacyCheckpoint : public CheckpointReader {
 public:
  explicit LegacyCheckpoint(const FileReader& file) : CheckpointReader(file) {
    // The pickles are a small part of the file; where they end is known only after reading them.
    for (std::uint64_t length = 1u << 20;; length *= 2) {
      const bool whole = length >= file.size();
      pickle_ = file.read(0, static_cast<std::size_t>(std::min(length, file.size())));
      unpickler_ = std::make_unique<Unpickler>(file.name(), pickle_, 0, whole);
      try {
        find_storages(read_pickles());
        return;
      } catch (const NeedMoreBytes&) {
      }
    }
  }

 private:
  Ref read_pickles() {
    const Ref magic = unpickler_->run();
    if (magic.kind != RefKind::kBigInt || graph().text(magic) != kMagic) {
      fail_at(file_, "pickle.unknown_format", "a pickle, but not one that torch.save wrote", 0);
    }
    const Ref version = unpickler_->run();
    if (version.kind != RefKind::kInt || version.integer != kProtocolVersion) {
      unpickler_->fail("pickle.bad_version",
                       fmt::format("expected the legacy format {}", kProtocolVersion));
    }
    unpickler_->run();
    // Only the object itself may have parts that nobody wants.
    refuse_unknown(0);
    root_ = unpickler_->run();
    const std::size_t known = graph().unknown.size();
    const Ref keys = unpickler_->run();
    refuse_unknown(known);
    if (keys.kind != RefKind::kList)
      unpickler_->fail("pickle.bad_storage", "the storage keys are no list");
    return keys;
  }

  void refuse_unknown(std::size_t from) const {
    if (graph().unknown.size() <= from) return;
    Ref unknown{RefKind::kUnknown};
    unknown.index = from;
    unpickler_->refuse(unknown);
  }

  void find_storages(Ref keys) {
    places_.assign(graph().storages.size(), std::nullopt);
    std::uint64_t at = unpickler_->position();
    for (const Ref& key : graph().items(keys)) {
      const auto found = graph().is_text(key) ? graph().storage_by_key.find(graph().text(key))
                                              : graph().storage_by_key.end();
      // Perhaps one of a kind that is not known, whose size cannot be told.
      if (found == graph().storage_by_key.end()) refuse_unknown(0);
      if (found == graph().storage_by_key.end() || places_[found->second]) {
        unpickler_->fail("pickle.bad_storage",
                         "a storage key that no tensor uses or that occurs twice");
      }
      const StorageRecord& storage = graph().storages[found->second];
      std::int64_t count = 0;
      if (file_.size() - at < sizeof(count)) {
        fail_at(file_, "pickle.truncated", "the file ends before its storages; it is cut short",
                at);
      }
      file_.read(at, &count, sizeof(count));
      if (count != storage.count) {
        fail_at(file_, "pickle.bad_storage",
                fmt::format("the storage '{}' holds {} elements, {} were announced", storage.key,
                            count, storage.count),
                at);
      }
      at += sizeof(count);
      const auto bytes = static_cast<std::uint64_t>(count) * torch::elementSize(storage.dtype);
      if (file_.size() - at < bytes) {
        fail_at(file_, "pickle.truncated",
                fmt::format("the storage '{}' needs {} bytes, {} are left; the file is cut "
                            "short",
                            storage.key, bytes, file_.size() - at),
                at);
      }
      places_[found->second] = at;
      at += bytes;
    }
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (!places_[i]) {
        fail_at(file_, "pickle.bad_storage",
                fmt::format("the storage '{}' is not in the file", graph().storages[i].key), at);
      }
    }
  }

  torch::Tensor read_storage(const StorageRecord& storage, std::size_t index,
                             std::uint64_t bytes) override {
    torch::Tensor flat = torch::empty({storage.count}, storage.dtype);
    file_.read(*places_[index], flat.data_ptr(), static_cast<std::size_t>(bytes));
    return flat;
  }

  std::vector<std::optional<std::uint64_t>> places_;
};

[[noreturn]] void refuse(const FileReader& file, std::string_view start) {
  const char* guess = "neither a PyTorch checkpoint nor a safetensors file";
  if (start.empty()) {
    guess = "the file is empty";
  } else if (start[0] == '<') {
    guess = "a web page; the download address was not that of the file";
  } else if (start.starts_with("version https://git-lfs")) {
    guess = "a Git LFS pointer; fetch the file itself with git lfs pull";
  } else if (start.starts_with("\x93NUMPY")) {
    guess = "a NumPy array, not weights";
  }
  fail_at(file, "pickle.unknown_format", guess, 0);
}

}  // namespace

std::unique_ptr<CheckpointReader> open_checkpoint(const FileReader& file) {
  const std::string start =
      file.read(0, static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), 32)));
  if (start.starts_with("PK")) return std::make_unique<ZipCheckpoint>(file);
  // Protocol 2 and later, or the magic number as text (protocol 0 and 1).
  const bool legacy =
      start.starts_with("\x80") || start.starts_with("L" + std::string(kMagic).substr(0, 20));
  if (legacy) return std::make_unique<LegacyCheckpoint>(file);
  refuse(file, start);
}

}  // namespace fastcpp::io
