// The pickles of a legacy checkpoint, beside Python's own reader: what ours takes, Python's takes too, and both make the
// same of it. Ours may refuse more: it knows what checkpoints of weights hold. Where the two are meant to differ, or
// Python's reads nothing at all, other_readers.py says so. The input is what follows a checkpoint's head.
#include "python.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>

#include "fastcpp/io/checkpoint.hpp"
#include "io/dtypes.hpp"

using namespace fastcpp;

namespace {

constexpr std::int64_t kMostElements = 1000;

std::string text_of(const Value& value);

std::string text_of(const std::vector<Value>& items) {
  std::vector<std::string> texts;
  for (const auto& item : items) texts.push_back(text_of(item));
  return fmt::format("{}", fmt::join(texts, ","));
}

std::string text_of(const torch::Tensor& tensor) {
  auto text = fmt::format("t {} [{}] {:d}", io::find_dtype(tensor.scalar_type())->storage,
                          fmt::join(tensor.sizes().vec(), ", "), tensor.requires_grad());
  if (tensor.numel() > kMostElements) return text;
  const auto whole = tensor.detach().contiguous();
  return text + ' ' +
         fuzz::hex(
             {whole.numel() > 0 ? static_cast<const char*>(whole.data_ptr()) : "", whole.nbytes()});
}

std::string text_of(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNone:
      return "None";
    case Value::Kind::kBool:
      return value.as_bool() ? "True" : "False";
    case Value::Kind::kInt:
      return fmt::format("i{}", value.as_int());
    case Value::Kind::kBigInt:
      return "i" + value.as_string();
    case Value::Kind::kFloat: {
      const double number = value.as_double();
      return std::isnan(number) ? "fnan"
                                : fmt::format("f{:016x}", std::bit_cast<std::uint64_t>(number));
    }
    case Value::Kind::kString:
      return "s" + fuzz::hex(value.as_string());
    case Value::Kind::kBytes:
      return "b" + fuzz::hex(value.as_bytes());
    case Value::Kind::kTensor:
      return text_of(value.as_tensor());
    case Value::Kind::kList:
      return "[" + text_of(value.items()) + "]";
    case Value::Kind::kTuple:
      return "(" + text_of(value.items()) + ")";
    case Value::Kind::kSlice:
      return "slice(" + text_of(value.items()) + ")";
    case Value::Kind::kDict:
      break;
  }
  std::vector<std::string> texts;
  for (const auto& [key, item] : value.entries()) {
    texts.push_back(text_of(key) + ":" + text_of(item));
  }
  return fmt::format("{}{{{}}}", value.is_ordered_dict() ? "o" : "", fmt::join(texts, ","));
}

}  // namespace

FASTCPP_FUZZ_TARGET(pickle_python)(std::string_view input) {
  static const fuzz::PythonReader read_pickle("read_pickle");
  // Magic number, version and system record.
  static constexpr std::string_view kHead(
      "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.", 25);
  const fuzz::InputFile file(std::string(kHead) + std::string(input));
  Value value;
  if (!fuzz::accepted([&] { value = load_checkpoint(file.path()); })) return;
  const auto theirs = read_pickle(input);
  if (!theirs) return;
  const auto ours = text_of(value);
  fuzz::require(ours == *theirs, "ours reads " + ours + "\nPython reads " + *theirs);
}
