#include "fastcpp/io/value.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <compare>
#include <map>
#include <variant>

#include "fastcpp/core/error.hpp"
#include "io/dtypes.hpp"

namespace fastcpp::inline v0 {
namespace {

// What makes two keys equal in Python, where 1, 1.0 and True are one key. The text lives in the
// key's own node.
struct KeyView {
  int group = 0;
  std::int64_t number = 0;
  std::string_view text;
  auto operator<=>(const KeyView&) const = default;
};

KeyView key_view(const Value& key) {
  using Kind = Value::Kind;
  switch (key.kind()) {
    case Kind::kNone:
      return {};
    case Kind::kBool:
      return {1, key.as_bool() ? 1 : 0, {}};
    case Kind::kInt:
      return {1, key.as_int(), {}};
    case Kind::kFloat: {
      const double number = key.as_double();
      if (std::abs(number) < 0x1p62 && number == std::floor(number)) {
        return {1, static_cast<std::int64_t>(number), {}};
      }
      return {2, std::bit_cast<std::int64_t>(number), {}};
    }
    case Kind::kString:
      return {3, 0, key.as_string()};
    case Kind::kBytes:
      return {4, 0, key.as_bytes()};
    case Kind::kBigInt:
      return {5, 0, key.as_string()};
    default:
      throw ValueError(
          "value.key",
          fmt::format("a dictionary key must be None, bool, number, text or bytes, found {}",
                      key.to_string(60)));
  }
}

const char* kind_name(Value::Kind kind) {
  constexpr const char* kNames[] = {"None",    "a bool",  "an int", "an int beyond 64 bits",
                                    "a float", "a text",  "bytes",  "a tensor",
                                    "a list",  "a tuple", "a dict", "a slice"};
  return kNames[static_cast<int>(kind)];
}

// Few entries are found faster by looking at each.
constexpr std::size_t kIndexFrom = 8;

struct Dict {
  std::vector<Value::Entry> entries;
  std::map<KeyView, std::size_t> index;
  bool ordered = false;

  std::size_t place_of(const KeyView& key) const {
    if (!index.empty()) {
      const auto found = index.find(key);
      return found == index.end() ? entries.size() : found->second;
    }
    std::size_t i = 0;
    while (i < entries.size() && key_view(entries[i].first) != key) ++i;
    return i;
  }

  void set(Value key, Value value) {
    const std::size_t place = place_of(key_view(key));
    if (place < entries.size()) {
      entries[place].second = std::move(value);
      return;
    }
    entries.emplace_back(std::move(key), std::move(value));
    if (!index.empty()) {
      index.emplace(key_view(entries.back().first), place);
    } else if (entries.size() > kIndexFrom) {
      for (std::size_t i = 0; i < entries.size(); ++i) index.emplace(key_view(entries[i].first), i);
    }
  }
};

}  // namespace

struct Value::Node {
  std::variant<std::string, torch::Tensor, std::vector<Value>, Dict> content;
  int height = 0;

  // Bounded height keeps every walk, and the destructor, within a small stack.
  void hold(const Value& child) {
    const int below = child.node_ ? child.node_->height : 0;
    if (below >= kMaxDepth) {
      throw ValueError("value.too_deep",
                       fmt::format("lists, tuples and dicts may be nested {} deep", kMaxDepth));
    }
    height = std::max(height, below + 1);
  }
};

Value::Value(std::string text) : kind_(Kind::kString), node_(std::make_shared<Node>()) {
  node_->content = std::move(text);
}

Value::Value(torch::Tensor tensor) : kind_(Kind::kTensor), node_(std::make_shared<Node>()) {
  if (!tensor.defined()) {
    throw ValueError("value.undefined_tensor", "an undefined tensor cannot be stored in a Value");
  }
  node_->content = std::move(tensor);
}

Value Value::bytes(std::string content) {
  Value value(std::move(content));
  value.kind_ = Kind::kBytes;
  return value;
}

Value Value::big_int(std::string decimal) {
  const std::size_t sign = !decimal.empty() && decimal[0] == '-' ? 1 : 0;
  if (decimal.size() == sign ||
      decimal.find_first_not_of("0123456789", sign) != std::string::npos) {
    throw ValueError("value.number",
                     fmt::format("not a decimal integer: '{}'", decimal.substr(0, 60)));
  }
  std::int64_t number = 0;
  const auto [end, ec] = std::from_chars(decimal.data(), decimal.data() + decimal.size(), number);
  if (ec == std::errc() && end == decimal.data() + decimal.size()) return number;
  Value value(std::move(decimal));
  value.kind_ = Kind::kBigInt;
  return value;
}

Value Value::container(Kind kind, std::vector<Value> items) {
  auto node = std::make_shared<Node>();
  node->height = 1;
  for (const Value& item : items) node->hold(item);
  node->content = std::move(items);
  return {kind, std::move(node)};
}

Value Value::list(std::vector<Value> items) {
  return container(Kind::kList, std::move(items));
}
Value Value::tuple(std::vector<Value> items) {
  return container(Kind::kTuple, std::move(items));
}
Value Value::slice(Value start, Value stop, Value step) {
  return container(Kind::kSlice, {std::move(start), std::move(stop), std::move(step)});
}

Value Value::dict(std::vector<Entry> entries) {
  auto node = std::make_shared<Node>();
  node->height = 1;
  Dict dict;
  for (auto& [key, value] : entries) {
    node->hold(value);
    dict.set(std::move(key), std::move(value));
  }
  node->content = std::move(dict);
  return {Kind::kDict, std::move(node)};
}

Value Value::ordered_dict(std::vector<Entry> entries) {
  Value value = dict(std::move(entries));
  std::get<Dict>(value.node_->content).ordered = true;
  return value;
}

const Value::Node& Value::need(Kind kind) const {
  if (kind_ != kind) {
    throw ValueError("value.wrong_kind", fmt::format("expected {}, found {}: {}", kind_name(kind),
                                                     kind_name(kind_), to_string(60)));
  }
  return *node_;
}

Value::Node& Value::own() {
  if (node_.use_count() > 1) node_ = std::make_shared<Node>(*node_);
  return *node_;
}

bool Value::is_number() const {
  return kind_ == Kind::kInt || kind_ == Kind::kFloat;
}

bool Value::is_ordered_dict() const {
  return kind_ == Kind::kDict && std::get<Dict>(node_->content).ordered;
}

bool Value::as_bool() const {
  if (kind_ != Kind::kBool) need(Kind::kBool);
  return int_ != 0;
}

std::int64_t Value::as_int() const {
  if (kind_ != Kind::kInt) need(Kind::kInt);
  return int_;
}

double Value::as_double() const {
  if (kind_ == Kind::kInt) return static_cast<double>(int_);
  if (kind_ != Kind::kFloat) need(Kind::kFloat);
  return float_;
}

const std::string& Value::as_string() const {
  const Kind wanted = kind_ == Kind::kBigInt ? kind_ : Kind::kString;
  return std::get<std::string>(need(wanted).content);
}

const std::string& Value::as_bytes() const {
  return std::get<std::string>(need(Kind::kBytes).content);
}

const torch::Tensor& Value::as_tensor() const {
  return std::get<torch::Tensor>(need(Kind::kTensor).content);
}

std::size_t Value::size() const {
  return is_dict() ? entries().size() : items().size();
}

const std::vector<Value>& Value::items() const {
  const Kind wanted = kind_ == Kind::kTuple || kind_ == Kind::kSlice ? kind_ : Kind::kList;
  return std::get<std::vector<Value>>(need(wanted).content);
}

const std::vector<Value::Entry>& Value::entries() const {
  return std::get<Dict>(need(Kind::kDict).content).entries;
}

const Value* Value::find(const Value& key) const {
  const auto& dict = std::get<Dict>(need(Kind::kDict).content);
  const std::size_t place = dict.place_of(key_view(key));
  return place < dict.entries.size() ? &dict.entries[place].second : nullptr;
}

const Value& Value::at(const Value& key) const {
  if (const Value* found = find(key)) return *found;
  throw ValueError("value.missing_key",
                   fmt::format("no entry {} in the dict {}", key.to_string(60), to_string(200)));
}

void Value::set(Value key, Value value) {
  need(Kind::kDict);
  key_view(key);
  Node& node = own();
  node.hold(value);
  std::get<Dict>(node.content).set(std::move(key), std::move(value));
}

void Value::append(Value item) {
  need(Kind::kList);
  Node& node = own();
  node.hold(item);
  std::get<std::vector<Value>>(node.content).push_back(std::move(item));
}

namespace {

void print_float(std::string& out, double number) {
  const std::size_t start = out.size();
  out += fmt::format("{}", number);
  if (out.find_first_of(".en", start) == std::string::npos) out += ".0";
}

void print_text(std::string& out, std::string_view text, std::size_t max_length) {
  out += '\'';
  for (char c : text.substr(0, max_length)) {
    if (c == '\'' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 32) {
      out += fmt::format("\\x{:02x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  out += '\'';
}

void print_tensor(std::string& out, const torch::Tensor& tensor) {
  const auto* dtype = io::find_dtype(tensor.scalar_type());
  out += fmt::format("<{} [{}]>", dtype ? dtype->name : "tensor",
                     fmt::join(tensor.sizes().vec(), ", "));
}

}  // namespace

// Stops as soon as the text is long enough: shared parts could make it grow without bounds.
void Value::print(std::string& out, std::size_t max_length) const {
  if (out.size() >= max_length) return;
  switch (kind_) {
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += int_ ? "True" : "False";
      return;
    case Kind::kInt:
      out += std::to_string(int_);
      return;
    case Kind::kFloat:
      print_float(out, float_);
      return;
    case Kind::kBigInt:
      out += as_string();
      return;
    case Kind::kBytes:
      out += 'b';
      print_text(out, as_bytes(), max_length);
      return;
    case Kind::kString:
      print_text(out, as_string(), max_length);
      return;
    case Kind::kTensor:
      print_tensor(out, as_tensor());
      return;
    case Kind::kDict:
      break;
    default:
      out += is_list() ? "[" : is_tuple() ? "(" : "slice(";
      for (std::size_t i = 0; i < size() && out.size() < max_length; ++i) {
        if (i > 0) out += ", ";
        items()[i].print(out, max_length);
      }
      if (is_tuple() && size() == 1) out += ',';
      out += is_list() ? ']' : ')';
      return;
  }
  out += '{';
  bool first = true;
  for (const auto& [key, value] : entries()) {
    if (out.size() >= max_length) break;
    if (!first) out += ", ";
    first = false;
    key.print(out, max_length);
    out += ": ";
    value.print(out, max_length);
  }
  out += '}';
}

std::string Value::to_string(std::size_t max_length) const {
  std::string out;
  print(out, max_length);
  if (out.size() > max_length) {
    // Not in the middle of a UTF-8 character.
    std::size_t end = max_length;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    out.resize(end);
    out += "...";
  }
  return out;
}

}  // namespace fastcpp
