// What a pickle describes, before any tensor is made: plain nodes in an arena. Nodes point to each
// other by number, so that cycles and deep nesting cost no stack, not even when everything is
// thrown away.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <torch/types.h>

namespace fastcpp::inline v0::io {

enum class RefKind : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kText,       // UTF-8, a piece of the pickle
  kOwnedText,  // UTF-8, decoded from escapes
  kRaw,        // Python 2 string, a piece of the pickle: text or bytes
  kBytes,      // a piece of the pickle
  kOwnedBytes,
  kBigInt,   // decimal text
  kGlobal,   // number of a Global
  kUnknown,  // what a name that is not known stands for: number of an UnknownName
  kStorage,  // number of a StorageView
  kTensor,   // number of a TensorRecord
  kDtype,    // numpy dtype: number of a node
  kTuple,    // the rest: number of a node
  kList,
  kDict,
  kOrderedDict,
  kSlice,
};

// A value on the unpickler's stack. Small things stand in it, others are addressed.
struct Ref {
  Ref() = default;
  explicit Ref(RefKind what, std::uint32_t size = 0) : kind(what), length(size) {}

  RefKind kind = RefKind::kNone;
  std::uint32_t length = 0;
  union {
    std::int64_t integer = 0;
    double number;
    std::uint64_t index;
  };
};

inline Ref make_int(std::int64_t value) {
  Ref ref{RefKind::kInt};
  ref.integer = value;
  return ref;
}

inline Ref make_bool(bool value) {
  Ref ref{RefKind::kBool};
  ref.integer = value;
  return ref;
}

inline Ref make_float(double value) {
  Ref ref{RefKind::kFloat};
  ref.number = value;
  return ref;
}

// The names a checkpoint may use. They select what the reader does; nothing is looked up or called.
enum class Global : std::uint8_t {
  kOrderedDict,
  kRebuildTensor,
  kRebuildTensorV2,
  kRebuildParameter,
  kParameter,
  kNumpyScalar,
  kNumpyDtype,
  kEncode,
  kSlice,
  kStorageType,  // Ref::length tells the element type
};

// A class or function that is not known, or whatever a file would have made by it. It is carried along, never looked up
// and never built, so that weights beside it can be read; wanted, it is an error.
struct UnknownName {
  Ref module, name;      // texts
  std::uint64_t at = 0;  // where the file asks for it, in the pickle
};

struct Node {
  std::vector<Ref> items;  // of a dict: key, value, key, value ...; of a dtype: its name
  bool big_endian = false;
};

struct StorageRecord {
  std::string key;
  torch::ScalarType dtype;
  std::int64_t count = 0;  // elements
};

struct StorageView {
  std::size_t storage = 0;
  std::int64_t offset = 0, count = 0;  // elements
};

struct TensorRecord {
  std::size_t storage = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes, strides;
  bool requires_grad = false;
};

struct PickleGraph {
  std::string_view bytes;  // the pickle itself, in the caller's memory
  std::vector<Node> nodes;
  std::vector<std::string> owned;
  std::vector<StorageRecord> storages;
  std::vector<StorageView> views;
  std::vector<TensorRecord> tensors;
  std::vector<UnknownName> unknown;
  std::map<std::string, std::size_t, std::less<>> storage_by_key;

  bool is_text(Ref ref) const {
    return ref.kind == RefKind::kText || ref.kind == RefKind::kOwnedText ||
           ref.kind == RefKind::kRaw;
  }
  bool is_bytes(Ref ref) const {
    return ref.kind == RefKind::kBytes || ref.kind == RefKind::kOwnedBytes ||
           ref.kind == RefKind::kRaw;
  }
  bool is_dict(Ref ref) const {
    return ref.kind == RefKind::kDict || ref.kind == RefKind::kOrderedDict;
  }
  // Characters of a text, bytes or big int.
  std::string_view text(Ref ref) const {
    const bool piece =
        ref.kind == RefKind::kText || ref.kind == RefKind::kRaw || ref.kind == RefKind::kBytes;
    return piece ? bytes.substr(static_cast<std::size_t>(ref.index), ref.length)
                 : std::string_view(owned[static_cast<std::size_t>(ref.index)]);
  }
  const std::vector<Ref>& items(Ref ref) const {
    return nodes[static_cast<std::size_t>(ref.index)].items;
  }
};

// Whether the bytes are well-formed UTF-8.
bool is_utf8(std::string_view text);

}  // namespace fastcpp::io
