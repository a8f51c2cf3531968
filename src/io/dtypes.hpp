// Element types that PyTorch's and safetensors' files know.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include <torch/types.h>

namespace fastcpp::inline v0::io {

// Dimensions of a tensor in a file, as many as PyTorch takes.
inline constexpr std::size_t kMaxRank = 64;

struct DtypeNames {
  torch::ScalarType type;
  const char* name;         // as Python prints it
  const char* storage;      // torch.<storage> in a pickle
  const char* safetensors;  // nullptr: the format has no such type
};

inline constexpr std::array<DtypeNames, 12> kDtypes{{
    {torch::kFloat32, "float32", "FloatStorage", "F32"},
    {torch::kFloat64, "float64", "DoubleStorage", "F64"},
    {torch::kFloat16, "float16", "HalfStorage", "F16"},
    {torch::kBFloat16, "bfloat16", "BFloat16Storage", "BF16"},
    {torch::kInt64, "int64", "LongStorage", "I64"},
    {torch::kInt32, "int32", "IntStorage", "I32"},
    {torch::kInt16, "int16", "ShortStorage", "I16"},
    {torch::kInt8, "int8", "CharStorage", "I8"},
    {torch::kUInt8, "uint8", "ByteStorage", "U8"},
    {torch::kBool, "bool", "BoolStorage", "BOOL"},
    {torch::kComplexFloat, "complex64", "ComplexFloatStorage", nullptr},
    {torch::kComplexDouble, "complex128", "ComplexDoubleStorage", nullptr},
}};

// nullptr when the table has no such type.
inline const DtypeNames* find_dtype(torch::ScalarType type) {
  for (const auto& entry : kDtypes) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}

inline std::optional<torch::ScalarType> dtype_of_storage(std::string_view storage) {
  for (const auto& entry : kDtypes) {
    if (storage == entry.storage) return entry.type;
  }
  return std::nullopt;
}

inline std::optional<torch::ScalarType> dtype_of_safetensors(std::string_view name) {
  for (const auto& entry : kDtypes) {
    if (entry.safetensors && name == entry.safetensors) return entry.type;
  }
  return std::nullopt;
}

}  // namespace fastcpp::io
