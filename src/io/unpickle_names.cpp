// Names in a pickle: which are known, and what a "call" of one means. Nothing is imported or
// called; a name selects one of the functions below, which builds plain data.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "io/dtypes.hpp"
#include "io/unpickler.hpp"

namespace fastcpp::inline v0::io {
namespace {

struct KnownName {
  std::string_view module, name;
  Global meaning;
};

constexpr KnownName kKnown[] = {
    {"collections", "OrderedDict", Global::kOrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", Global::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor", Global::kRebuildTensor},  // before PyTorch 0.4
    {"torch._utils", "_rebuild_parameter", Global::kRebuildParameter},
    {"torch.nn.parameter", "Parameter", Global::kParameter},  // before PyTorch 0.4
    {"numpy.core.multiarray", "scalar", Global::kNumpyScalar},
    {"numpy._core.multiarray", "scalar", Global::kNumpyScalar},  // NumPy 2
    {"numpy", "dtype", Global::kNumpyDtype},
    {"_codecs", "encode", Global::kEncode},  // how Python 3 writes bytes for protocol 2
    {"__builtin__", "slice", Global::kSlice},
    {"builtins", "slice", Global::kSlice},
};

// Tensors beyond this many elements only arise from expanding one element by stride 0.
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

// What to tell somebody whose file asks for a name that is not known.
const char* advice(std::string_view module, std::string_view name) {
  if (module.starts_with("fastai")) {
    return "this is a Python learner export, which cannot be loaded; save the weights with "
           "learn.save";
  }
  if (module.starts_with("fastcore")) {
    return "this is a Python object of fastai 2; load_weights and learn.load read the weights "
           "beside it";
  }
  if (module == "torch._utils") {
    return "sparse, quantised and other special tensors are not supported; save dense tensors";
  }
  if (module.starts_with("torch.nn") || module.starts_with("torchvision") || name == "Module") {
    return "this is a whole pickled module; save model.state_dict() instead, of a learner by "
           "learn.save";
  }
  return "only tensors and plain values can be loaded, and nothing is ever executed. Of a pickled "
         "model save "
         "model.state_dict(); a learner export cannot be loaded, save its weights with learn.save";
}

// The part of a hostile or unreadable name that fits into a message.
std::string shown(std::string_view text) {
  std::string result;
  for (char c : text.substr(0, 80)) result += c >= 32 && c < 127 ? c : '?';
  return result;
}

}  // namespace

void Unpickler::global(Ref module, Ref name) {
  Ref ref{RefKind::kGlobal};
  const std::string_view from = graph_.text(module), what = graph_.text(name);
  for (const auto& known : kKnown) {
    if (known.module != from || known.name != what) continue;
    ref.index = static_cast<std::uint64_t>(known.meaning);
    return push(ref);
  }
  if (const auto dtype = from == "torch" ? dtype_of_storage(what) : std::nullopt) {
    ref.index = static_cast<std::uint64_t>(Global::kStorageType);
    ref.length = static_cast<std::uint32_t>(*dtype);
    return push(ref);
  }
  push(unknown(module, name));
}

Ref Unpickler::unknown(Ref module, Ref name) {
  charge(1);
  Ref ref{RefKind::kUnknown};
  ref.index = graph_.unknown.size();
  graph_.unknown.push_back({module, name, op_at_});
  return ref;
}

Ref Unpickler::unknown(const char* module, std::string name) {
  const Ref from = own(RefKind::kOwnedText, module);
  return unknown(from, own(RefKind::kOwnedText, std::move(name)));
}

void Unpickler::refuse(Ref unknown) const {
  const UnknownName& it = graph_.unknown[static_cast<std::size_t>(unknown.index)];
  const std::string_view module = graph_.text(it.module), name = graph_.text(it.name);
  fail_at("pickle.unsupported_global",
          fmt::format("the file asks for '{}.{}'; {}", shown(module), shown(name),
                      advice(module, name)),
          it.at);
}

void Unpickler::stack_global() {
  const Ref name = pop();
  const Ref module = pop();
  if (!graph_.is_text(module) || !graph_.is_text(name))
    fail("pickle.bad_stack", "STACK_GLOBAL without two texts");
  global(module, name);
}

void Unpickler::new_object() {
  pop();  // its arguments
  const Ref type = pop();
  if (type.kind != RefKind::kUnknown)
    fail("pickle.bad_call", "a new object of something that is no class");
  push(type);
}

void Unpickler::reduce() {
  const Ref tuple = pop();
  const Ref callee = pop();
  if (callee.kind == RefKind::kUnknown) return push(callee);
  if (callee.kind != RefKind::kGlobal)
    fail("pickle.bad_call", "a call of something that is no known name");
  if (tuple.kind != RefKind::kTuple) fail("pickle.bad_call", "a call without a tuple of arguments");
  // A copy: building adds nodes, which moves the arena.
  const std::vector<Ref> arguments = graph_.items(tuple);
  // What is made of something unknown is unknown.
  for (const Ref& argument : arguments) {
    if (argument.kind == RefKind::kUnknown) return push(argument);
  }
  switch (static_cast<Global>(callee.index)) {
    case Global::kOrderedDict:
      return push(make_ordered_dict(arguments));
    case Global::kRebuildTensor:
      return push(make_tensor(arguments, true));
    case Global::kRebuildTensorV2:
      return push(make_tensor(arguments, false));
    case Global::kRebuildParameter:
    case Global::kParameter:
      return push(make_parameter(arguments));
    case Global::kNumpyScalar:
      return push(make_numpy_scalar(arguments));
    case Global::kNumpyDtype:
      return push(make_dtype(arguments));
    case Global::kEncode:
      return push(make_encoded(arguments));
    case Global::kSlice:
      return push(make_slice(arguments));
    case Global::kStorageType:
      break;
  }
  fail("pickle.bad_call", "a storage type is not to be called");
}

void Unpickler::build() {
  const Ref state = pop();
  const Ref target = top();
  if (target.kind == RefKind::kUnknown) return;
  if (target.kind == RefKind::kDtype) return build_dtype(target, state);
  if (target.kind == RefKind::kTensor && state.kind == RefKind::kTuple) {
    // A Parameter of PyTorch 0.1 to 0.3: requires_grad, volatile, hooks.
    const std::vector<Ref> parts = graph_.items(state);
    if (parts.size() != 3) fail("pickle.bad_call", "a parameter with an unknown state");
    graph_.tensors[static_cast<std::size_t>(target.index)].requires_grad =
        boolean(parts[0], "requires_grad");
    boolean(parts[1], "volatile");
    return no_hooks(parts[2]);
  }
  if (target.kind != RefKind::kOrderedDict || !graph_.is_dict(state)) {
    fail("pickle.bad_call", "BUILD on something that has no state");
  }
  // The versions of the modules that state_dict() attaches; they are of no use here.
  const auto& entries = graph_.items(state);
  for (std::size_t i = 0; i < entries.size(); i += 2) {
    if (!graph_.is_text(entries[i]) || graph_.text(entries[i]) != "_metadata") {
      fail("pickle.bad_call", "an OrderedDict with an attribute other than _metadata");
    }
  }
}

void Unpickler::no_hooks(Ref ref) {
  const bool empty =
      ref.kind == RefKind::kNone || (graph_.is_dict(ref) && graph_.items(ref).empty());
  if (!empty) fail("pickle.bad_tensor", "a tensor with hooks");
}

std::int64_t Unpickler::integer(Ref ref, const char* what) {
  if (ref.kind != RefKind::kInt)
    fail("pickle.bad_call", fmt::format("{} is no integer of 64 bits", what));
  return ref.integer;
}

bool Unpickler::boolean(Ref ref, const char* what) {
  if (ref.kind != RefKind::kBool) fail("pickle.bad_call", fmt::format("{} is no bool", what));
  return ref.integer != 0;
}

Ref Unpickler::make_ordered_dict(const std::vector<Ref>& arguments) {
  const Ref dict = node(RefKind::kOrderedDict);
  if (arguments.empty()) return dict;
  const bool is_list = arguments[0].kind == RefKind::kList || arguments[0].kind == RefKind::kTuple;
  if (arguments.size() != 1 ||
      !(is_list || (graph_.is_dict(arguments[0]) && graph_.items(arguments[0]).empty()))) {
    fail("pickle.bad_call", "OrderedDict from something that is no list of pairs");
  }
  std::vector<Ref> flat;
  for (const Ref& pair : graph_.items(arguments[0])) {
    const bool good = (pair.kind == RefKind::kList || pair.kind == RefKind::kTuple) &&
                      graph_.items(pair).size() == 2;
    if (!good) fail("pickle.bad_call", "OrderedDict from something that is no list of pairs");
    flat.insert(flat.end(), graph_.items(pair).begin(), graph_.items(pair).end());
  }
  push(dict);
  set_items(flat);
  return pop();
}

std::vector<std::int64_t> Unpickler::dimensions(Ref ref, const char* what) {
  if (ref.kind != RefKind::kTuple && ref.kind != RefKind::kList) {
    fail("pickle.bad_tensor", fmt::format("a tensor whose {} is no tuple", what));
  }
  if (graph_.items(ref).size() > io::kMaxRank) {
    fail("pickle.bad_tensor", fmt::format("a tensor of {} dimensions, at most {}",
                                          graph_.items(ref).size(), io::kMaxRank));
  }
  std::vector<std::int64_t> values;
  for (const Ref& item : graph_.items(ref)) {
    values.push_back(integer(item, what));
    if (values.back() < 0)
      fail("pickle.bad_tensor", fmt::format("a tensor with a negative {}", what));
  }
  return values;
}

Ref Unpickler::make_tensor(const std::vector<Ref>& arguments, bool first_version) {
  // v2 adds requires_grad, hooks and, since PyTorch 2, a dictionary of attributes.
  const std::size_t count = arguments.size();
  if (first_version ? count != 4 : count < 6 || count > 7) {
    fail("pickle.bad_tensor", fmt::format("a tensor described by {} values", count));
  }
  if (arguments[0].kind != RefKind::kStorage)
    fail("pickle.bad_tensor", "a tensor without a storage");
  charge(1);
  const StorageView view = graph_.views[static_cast<std::size_t>(arguments[0].index)];
  TensorRecord tensor;
  tensor.storage = view.storage;
  tensor.offset = integer(arguments[1], "the offset of a tensor");
  tensor.sizes = dimensions(arguments[2], "size");
  tensor.strides = dimensions(arguments[3], "stride");
  if (!first_version) {
    tensor.requires_grad = boolean(arguments[4], "requires_grad");
    no_hooks(arguments[5]);
    if (count == 7) no_hooks(arguments[6]);
  }
  check_bounds(tensor, view);
  tensor.offset += view.offset;
  Ref ref{RefKind::kTensor};
  ref.index = graph_.tensors.size();
  graph_.tensors.push_back(std::move(tensor));
  return ref;
}

void Unpickler::check_bounds(const TensorRecord& tensor, const StorageView& view) {
  if (tensor.sizes.size() != tensor.strides.size()) {
    fail("pickle.bad_tensor", fmt::format("a tensor of {} sizes and {} strides",
                                          tensor.sizes.size(), tensor.strides.size()));
  }
  bool overflow = tensor.offset < 0 || tensor.offset > view.count;
  std::int64_t elements = 1, last = tensor.offset;
  const bool empty = std::find(tensor.sizes.begin(), tensor.sizes.end(), 0) != tensor.sizes.end();
  for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
    // An empty tensor may have any other sizes, but they are multiplied in places.
    const std::int64_t size = std::max<std::int64_t>(tensor.sizes[i], 1);
    std::int64_t reach = 0;
    overflow |= __builtin_mul_overflow(elements, size, &elements) || elements > kMaxElements;
    overflow |= __builtin_mul_overflow(size - 1, tensor.strides[i], &reach);
    overflow |= __builtin_add_overflow(last, reach, &last);
    if (overflow) break;
  }
  if (overflow || (!empty && last >= view.count)) {
    fail("pickle.bad_tensor",
         fmt::format("a tensor of size [{}], stride [{}] and offset {} reaches beyond its storage "
                     "of {} elements",
                     fmt::join(tensor.sizes, ", "), fmt::join(tensor.strides, ", "), tensor.offset,
                     view.count));
  }
  if (tensor.requires_grad && !torch::isFloatingType(graph_.storages[tensor.storage].dtype) &&
      !torch::isComplexType(graph_.storages[tensor.storage].dtype)) {
    fail("pickle.bad_tensor", "an integer tensor that requires a gradient");
  }
}

Ref Unpickler::make_parameter(const std::vector<Ref>& arguments) {
  if (arguments.empty() || arguments.size() > 3 || arguments[0].kind != RefKind::kTensor) {
    fail("pickle.bad_tensor", "a parameter that is not made from a tensor");
  }
  charge(1);
  TensorRecord tensor = graph_.tensors[static_cast<std::size_t>(arguments[0].index)];
  tensor.requires_grad = arguments.size() < 2 || boolean(arguments[1], "requires_grad");
  if (arguments.size() == 3) no_hooks(arguments[2]);
  check_bounds(tensor, {tensor.storage, 0, graph_.storages[tensor.storage].count});
  Ref ref{RefKind::kTensor};
  ref.index = graph_.tensors.size();
  graph_.tensors.push_back(std::move(tensor));
  return ref;
}

Ref Unpickler::make_slice(const std::vector<Ref>& arguments) {
  if (arguments.size() != 3) fail("pickle.bad_call", "a slice without three parts");
  return node(RefKind::kSlice, arguments);
}

Ref Unpickler::make_encoded(const std::vector<Ref>& arguments) {
  const bool good =
      arguments.size() == 2 && graph_.is_text(arguments[0]) && graph_.is_text(arguments[1]) &&
      (graph_.text(arguments[1]) == "latin1" || graph_.text(arguments[1]) == "latin-1") &&
      is_utf8(graph_.text(arguments[0]));  // a text of Python 2 need not be
  if (!good) fail("pickle.bad_call", "bytes that are not given as latin1 text");
  std::string bytes;
  const std::string_view text = graph_.text(arguments[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0xC4) {
      fail("pickle.bad_call", "bytes with a character beyond latin1");
    }
    bytes += byte < 0x80 ? text[i] : static_cast<char>((byte << 6) | (text[++i] & 0x3F));
  }
  return own(RefKind::kOwnedBytes, std::move(bytes));
}

Ref Unpickler::make_dtype(const std::vector<Ref>& arguments) {
  constexpr std::string_view kNames[] = {"f8", "f4", "f2", "i8", "i4", "i2",
                                         "i1", "u8", "u4", "u2", "u1", "b1"};
  if (arguments.empty() || arguments.size() > 3 || !graph_.is_text(arguments[0])) {
    fail("pickle.bad_call", "a numpy dtype without a name");
  }
  const auto name = graph_.text(arguments[0]);
  if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames)) {
    return unknown("numpy", fmt::format("dtype('{}')", shown(name)));
  }
  return node(RefKind::kDtype, {arguments[0]});
}

void Unpickler::build_dtype(Ref target, Ref state) {
  const auto parts = state.kind == RefKind::kTuple ? graph_.items(state) : std::vector<Ref>();
  const auto order =
      parts.size() >= 2 && graph_.is_text(parts[1]) ? graph_.text(parts[1]) : std::string_view();
  if (order != "<" && order != ">" && order != "|" && order != "=") {
    fail("pickle.bad_call", "a numpy dtype without a byte order");
  }
  graph_.nodes[static_cast<std::size_t>(target.index)].big_endian = order == ">";
}

namespace {

template <typename T>
T from_bytes(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

Ref number_of(char kind, std::string_view bytes) {
  switch (bytes.size()) {
    case 1:
      if (kind == 'b') return make_bool(bytes[0] != 0);
      return make_int(kind == 'i' ? from_bytes<std::int8_t>(bytes)
                                  : from_bytes<std::uint8_t>(bytes));
    case 2:
      if (kind == 'f') return make_float(static_cast<float>(from_bytes<at::Half>(bytes)));
      return make_int(kind == 'i' ? from_bytes<std::int16_t>(bytes)
                                  : from_bytes<std::uint16_t>(bytes));
    case 4:
      if (kind == 'f') return make_float(from_bytes<float>(bytes));
      return make_int(kind == 'i' ? std::int64_t{from_bytes<std::int32_t>(bytes)}
                                  : std::int64_t{from_bytes<std::uint32_t>(bytes)});
    default:
      return kind == 'f' ? make_float(from_bytes<double>(bytes))
                         : make_int(from_bytes<std::int64_t>(bytes));
  }
}

}  // namespace

Ref Unpickler::make_numpy_scalar(const std::vector<Ref>& arguments) {
  if (arguments.size() != 2 || arguments[0].kind != RefKind::kDtype ||
      !graph_.is_bytes(arguments[1])) {
    fail("pickle.bad_call", "a numpy scalar without dtype and bytes");
  }
  const Node& dtype = graph_.nodes[static_cast<std::size_t>(arguments[0].index)];
  const std::string_view name = graph_.text(dtype.items[0]);
  std::string bytes(graph_.text(arguments[1]).substr(0, 16));
  if (bytes.size() != static_cast<std::size_t>(name[1] - '0')) {
    fail("pickle.bad_call", fmt::format("a numpy scalar {} of {} bytes", name, bytes.size()));
  }
  if (dtype.big_endian) std::reverse(bytes.begin(), bytes.end());
  const Ref number = number_of(name[0], bytes);
  if (name == "u8" && number.integer < 0) {
    return own(RefKind::kBigInt, std::to_string(static_cast<std::uint64_t>(number.integer)));
  }
  return number;
}

}  // namespace fastcpp::io
