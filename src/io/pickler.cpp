#include "io/pickler.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "fastcpp/core/error.hpp"
#include "io/dtypes.hpp"

namespace fastcpp::inline v0::io {

Pickler::Pickler(const Value& root) {
  byte(0x80);
  byte(2);
  write(root);
  byte('.');
}

template <typename T>
void Pickler::little(T number) {
  out_.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void Pickler::remember(std::uint32_t number) {
  byte('r');
  little(number);
}

void Pickler::write(const Value& value) {
  using Kind = Value::Kind;
  switch (value.kind()) {
    case Kind::kNone:
      return byte('N');
    case Kind::kBool:
      return byte(value.as_bool() ? 0x88 : 0x89);
    case Kind::kInt:
      return write_int(value.as_int());
    case Kind::kBigInt:
      out_ += 'L' + value.as_string() + "L\n";
      return;
    case Kind::kFloat:
      return write_float(value.as_double());
    case Kind::kString:
      return write_text(value.as_string());
    case Kind::kBytes:
      return write_bytes(value.as_bytes());
    case Kind::kTensor:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kSlice:
      break;
  }
  // One object stays one object, and shared parts do not multiply.
  const auto known = containers_.find(value.identity());
  if (known != containers_.end()) {
    byte('j');
    return little(known->second);
  }
  if (value.is_tensor()) {
    write_tensor(value.as_tensor());
  } else {
    write_container(value);
  }
  remember(memo_);
  containers_[value.identity()] = memo_++;
}

void Pickler::write_container(const Value& value) {
  if (value.is_dict()) {
    if (value.is_ordered_dict()) {
      global("collections\nOrderedDict\n");
      out_ += ")R";
    } else {
      byte('}');
    }
    if (value.size() == 0) return;
    byte('(');
    for (const auto& [key, item] : value.entries()) {
      write(key);
      write(item);
    }
    return byte('u');
  }
  if (value.is_slice()) global("__builtin__\nslice\n");
  out_ += value.is_list() ? "](" : "(";
  for (const Value& item : value.items()) write(item);
  out_ += value.is_list() ? "e" : value.is_slice() ? "tR" : "t";
}

void Pickler::write_int(std::int64_t number) {
  if (number >= 0 && number < 256) {
    byte('K');
    byte(static_cast<unsigned char>(number));
  } else if (number >= INT32_MIN && number <= INT32_MAX) {
    byte('J');
    little(static_cast<std::int32_t>(number));
  } else {
    byte(0x8a);
    byte(8);
    little(number);
  }
}

void Pickler::write_float(double number) {
  byte('G');
  const auto bits = std::bit_cast<std::uint64_t>(number);
  for (int shift = 56; shift >= 0; shift -= 8) byte(static_cast<unsigned char>(bits >> shift));
}

void Pickler::write_text(const std::string& text) {
  byte('X');
  little(static_cast<std::uint32_t>(text.size()));
  out_ += text;
}

void Pickler::write_bytes(const std::string& bytes) {
  byte('B');
  little(static_cast<std::uint32_t>(bytes.size()));
  out_ += bytes;
}

void Pickler::global(const std::string& module_and_name) {
  const auto [place, fresh] = globals_.try_emplace(module_and_name, memo_);
  if (!fresh) {
    byte('j');
    return little(place->second);
  }
  out_ += 'c' + module_and_name;
  remember(memo_++);
}

void Pickler::write_dimensions(torch::IntArrayRef values) {
  byte('(');
  for (std::int64_t value : values) write_int(value);
  byte('t');
}

void Pickler::write_tensor(const torch::Tensor& tensor) {
  const auto* dtype = find_dtype(tensor.scalar_type());
  if (!dtype || tensor.layout() != torch::kStrided || tensor.is_quantized() || tensor.is_meta()) {
    throw ValueError(
        "value.dtype",
        fmt::format("cannot save a tensor of type {}: only dense tensors of floats, integers "
                    "and bools can be saved",
                    tensor.toString()));
  }
  const torch::Tensor plain = tensor.resolve_conj().resolve_neg();
  const std::size_t storage = storage_of(plain);
  global("torch._utils\n_rebuild_tensor_v2\n");
  out_ += "((";
  write_text("storage");
  global(fmt::format("torch\n{}\n", dtype->storage));
  write_text(std::to_string(storage));
  write_text("cpu");
  write_int(storages_[storage].numel());
  out_ += "tQ";
  write_int(plain.storage_offset());
  write_dimensions(plain.sizes());
  write_dimensions(plain.strides());
  byte(tensor.requires_grad() ? 0x88 : 0x89);
  global("collections\nOrderedDict\n");
  out_ += ")RtR";
}

std::size_t Pickler::storage_of(const torch::Tensor& tensor) {
  // Keyed by type as well: a storage that is seen as two types is written as two.
  const auto key = std::make_pair(static_cast<const void*>(tensor.storage().unsafeGetStorageImpl()),
                                  tensor.scalar_type());
  const auto [place, fresh] = storage_by_address_.try_emplace(key, storages_.size());
  if (fresh) {
    const torch::NoGradGuard no_grad;
    const auto count = static_cast<std::int64_t>(tensor.storage().nbytes() / tensor.element_size());
    torch::Tensor flat = torch::empty({0}, tensor.options().requires_grad(false));
    flat.set_(tensor.storage(), 0, {count}, {1});
    storages_.push_back(flat.cpu());
    alive_.push_back(tensor);  // its address must not be given to another storage
  }
  return place->second;
}

}  // namespace fastcpp::io
