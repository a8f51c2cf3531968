/// \file
/// A Python value as checkpoints hold them: numbers, text, tensors, lists, tuples and dictionaries.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A Python value. Cheap to copy: copies share their content until one changes, and tensors for good; changing a copy
/// never changes the original, so no value can contain itself. Threads: const calls by any number at once; while a value
/// or a copy of it changes, one.
///
/// \code
/// Value group = Value::dict({{"lr", 1e-3}, {"betas", Value::tuple({0.9, 0.99})}, {"params",
/// Value::list({0, 1})}}); double lr = group.at("lr").as_double(); \endcode
class FASTCPP_API Value {
 public:
  /// What a value is. Python's numpy scalars arrive as kInt, kFloat or kBool.
  enum class Kind {
    kNone,
    kBool,
    kInt,     ///< fits in 64 bits
    kBigInt,  ///< does not; held as decimal text
    kFloat,
    kString,  ///< UTF-8
    kBytes,
    kTensor,
    kList,
    kTuple,
    kDict,   ///< dict or OrderedDict
    kSlice,  ///< `slice(start, stop, step)`; the parts are its items
  };
  /// One entry of a dictionary.
  using Entry = std::pair<Value, Value>;
  /// Deepest nesting of lists, tuples and dictionaries.
  static constexpr int kMaxDepth = 200;

  /// None.
  Value() {}
  /// None.
  Value(std::nullptr_t) {}
  /// A bool or an int.
  template <std::integral T>
  Value(T number) : kind_(std::same_as<T, bool> ? Kind::kBool : Kind::kInt) {
    static_assert(sizeof(T) < 8 || std::is_signed_v<T>,
                  "cast to std::int64_t or use Value::big_int");
    int_ = static_cast<std::int64_t>(number);
  }
  /// A float.
  template <std::floating_point T>
  Value(T number) : kind_(Kind::kFloat), float_(static_cast<double>(number)) {}
  /// A text, UTF-8.
  Value(std::string text);
  /// \copydoc Value(std::string)
  Value(std::string_view text) : Value(std::string(text)) {}
  /// \copydoc Value(std::string)
  Value(const char* text) : Value(std::string(text)) {}
  /// A tensor.
  /// \throws ValueError `value.undefined_tensor`
  Value(torch::Tensor tensor);

  /// Raw bytes.
  static Value bytes(std::string content);
  /// An integer of any size as decimal text; becomes kInt when it fits.
  /// \throws ValueError `value.number` when the text is not a decimal integer
  static Value big_int(std::string decimal);
  /// A list.
  /// \throws ValueError `value.too_deep`
  static Value list(std::vector<Value> items = {});
  /// A tuple.
  /// \throws ValueError `value.too_deep`
  static Value tuple(std::vector<Value> items = {});
  /// A dict; a repeated key keeps its first place and its last value.
  /// \throws ValueError `value.key` (see `set`), `value.too_deep`
  static Value dict(std::vector<Entry> entries = {});
  /// Like `dict`; Python reads an `OrderedDict`.
  static Value ordered_dict(std::vector<Entry> entries = {});
  /// Python's `slice(start, stop, step)`.
  static Value slice(Value start, Value stop, Value step = {});

  /// What the value is.
  Kind kind() const { return kind_; }
  /// Whether it is None.
  bool is_none() const { return kind_ == Kind::kNone; }
  /// Whether it is a bool.
  bool is_bool() const { return kind_ == Kind::kBool; }
  /// Whether it is an int of 64 bits.
  bool is_int() const { return kind_ == Kind::kInt; }
  /// Whether it is an int or a float.
  bool is_number() const;
  /// Whether it is a text.
  bool is_string() const { return kind_ == Kind::kString; }
  /// Whether it is a tensor.
  bool is_tensor() const { return kind_ == Kind::kTensor; }
  /// Whether it is a list.
  bool is_list() const { return kind_ == Kind::kList; }
  /// Whether it is a tuple.
  bool is_tuple() const { return kind_ == Kind::kTuple; }
  /// Whether it is a dict or OrderedDict.
  bool is_dict() const { return kind_ == Kind::kDict; }
  /// Whether it is an OrderedDict.
  bool is_ordered_dict() const;
  /// Whether it is a slice.
  bool is_slice() const { return kind_ == Kind::kSlice; }

  /// The bool. All `as_…` functions:
  /// \throws ValueError `value.wrong_kind` when the value is something else
  bool as_bool() const;
  /// The int.
  std::int64_t as_int() const;
  /// The float, or the int widened.
  double as_double() const;
  /// The UTF-8 text; for kBigInt the decimal digits.
  const std::string& as_string() const;
  /// The raw bytes.
  const std::string& as_bytes() const;
  /// The tensor.
  const torch::Tensor& as_tensor() const;

  /// Number of items or entries.
  /// \throws ValueError `value.wrong_kind` when it is no list, tuple, slice or dict
  std::size_t size() const;
  /// Items of a list, tuple or slice.
  /// \throws ValueError `value.wrong_kind`
  const std::vector<Value>& items() const;
  /// Entries of a dict in order.
  /// \throws ValueError `value.wrong_kind`
  const std::vector<Entry>& entries() const;
  /// The value under a key, nullptr when absent; valid until the next change.
  /// \throws ValueError `value.wrong_kind` when this is no dict
  const Value* find(const Value& key) const;
  /// Whether a dict has the key.
  /// \throws ValueError `value.wrong_kind`
  bool contains(const Value& key) const { return find(key) != nullptr; }
  /// The value under a key.
  /// \throws ValueError `value.wrong_kind`, `value.missing_key`
  const Value& at(const Value& key) const;

  /// Adds an entry to a dict or replaces its value.
  /// \param key None, bool, int, float, text or bytes
  /// \throws ValueError `value.wrong_kind`, `value.key`, `value.too_deep`
  void set(Value key, Value value);
  /// Adds an item to a list.
  /// \throws ValueError `value.wrong_kind`, `value.too_deep`
  void append(Value item);

  /// A text for people in Python's notation, cut after about `max_length` characters; tensors as
  /// `<float32 [2, 3]>`.
  std::string to_string(std::size_t max_length = 1000) const;

  /// An address that equal copies share: tells apart containers that are one object in Python. Null
  /// for numbers.
  const void* identity() const { return node_.get(); }

 private:
  struct Node;
  Value(Kind kind, std::shared_ptr<Node> node) : kind_(kind), node_(std::move(node)) {}
  static Value container(Kind kind, std::vector<Value> items);
  const Node& need(Kind kind) const;
  Node& own();
  void print(std::string& out, std::size_t max_length) const;

  Kind kind_ = Kind::kNone;
  union {
    std::int64_t int_ = 0;
    double float_;
  };
  std::shared_ptr<Node> node_;
};

}  // namespace fastcpp
