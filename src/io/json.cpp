#include "fastcpp/io/json.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

using OrderedJson = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& place, const std::string& what) {
  throw ValueError("value.json", fmt::format("JSON cannot hold {}, which stands at '{}'", what,
                                             place.empty() ? "the top" : place));
}

std::uint64_t unsigned_of(const std::string& digits, const std::string& place) {
  std::uint64_t number = 0;
  const auto* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc() || at != end) refuse(place, "a number of more than 64 bits");
  return number;
}

// JSON's own check comes too late to tell where a text stands.
void check_utf8(const std::string& text, const std::string& place) {
  try {
    OrderedJson(text).dump();
  } catch (const OrderedJson::type_error&) {
    refuse(place, fmt::format("a text that is not UTF-8 ({})",
                              OrderedJson(text).dump(-1, ' ', true,
                                                     OrderedJson::error_handler_t::replace)));
  }
}

OrderedJson json_of(const Value& value, const std::string& place) {
  switch (value.kind()) {
    case Value::Kind::kNone:
      return nullptr;
    case Value::Kind::kBool:
      return value.as_bool();
    case Value::Kind::kInt:
      return value.as_int();
    case Value::Kind::kBigInt:
      // 64 bits without a sign are a number to JSON.
      return unsigned_of(value.as_string(), place);
    case Value::Kind::kFloat:
      if (!std::isfinite(value.as_double())) refuse(place, "a number that is not finite");
      return value.as_double();
    case Value::Kind::kString:
      check_utf8(value.as_string(), place);
      return value.as_string();
    case Value::Kind::kList:
    case Value::Kind::kTuple: {
      OrderedJson list = OrderedJson::array();
      for (std::size_t i = 0; i < value.size(); ++i) {
        list.push_back(json_of(value.items()[i], fmt::format("{}[{}]", place, i)));
      }
      return list;
    }
    case Value::Kind::kDict: {
      OrderedJson object = OrderedJson::object();
      for (const auto& [key, item] : value.entries()) {
        if (!key.is_string()) refuse(place, "a key that is no text");
        check_utf8(key.as_string(), place);
        const auto below = place.empty() ? key.as_string() : place + "." + key.as_string();
        object[key.as_string()] = json_of(item, below);
      }
      return object;
    }
    default:
      refuse(place, value.to_string(40));
  }
}

// Builds the value while the text is read, so that depth and numbers are checked before memory is taken for more.
class JsonReader : public nlohmann::json_sax<OrderedJson> {
 public:
  explicit JsonReader(std::size_t max_values) : max_values_(max_values) {}

  bool null() override { return add({}); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override {
    return add(std::in_range<std::int64_t>(value) ? Value(static_cast<std::int64_t>(value))
                                                  : Value::big_int(std::to_string(value)));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // What is too large for 64 bits arrives here, as does what is too large for a double. The parser writes the point as
    // the locale does.
    if (text.find_first_not_of("-0123456789") == std::string::npos) {
      fail("json.number", "a number of more than 64 bits");
    }
    if (!std::isfinite(value)) fail("json.number", "a number that is too large");
    return add(value);
  }
  bool string(string_t& text) override { return add(std::move(text)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Value::dict()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value::list()); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (open_.back().value.contains(Value(name))) {
      fail("json.repeated_key", fmt::format("the key '{}' twice", name.substr(0, 80)));
    }
    open_.back().key = std::move(name);
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception& error) override {
    constexpr int kOutOfRange = 406;
    if (error.id == kOutOfRange) fail("json.number", "a number that is too large");
    throw FormatError("json.bad", fmt::format("the text is no JSON from byte {} on", at),
                      static_cast<std::int64_t>(at));
  }

  Value result;

 private:
  struct Open {
    Value value;
    std::string key = {};
  };

  [[noreturn]] static void fail(const char* code, const std::string& what) {
    throw FormatError(code, fmt::format("the JSON text holds {}", what));
  }
  bool add(Value value) {
    if (++count_ > max_values_) {
      fail("json.too_many", fmt::format("more than {} values", max_values_));
    }
    if (open_.empty()) {
      result = std::move(value);
    } else if (open_.back().value.is_list()) {
      open_.back().value.append(std::move(value));
    } else {
      open_.back().value.set(Value(open_.back().key), std::move(value));
    }
    return true;
  }
  bool open(Value value) {
    // Values are limited too, and each level adds one.
    if (open_.size() + 1 >= static_cast<std::size_t>(Value::kMaxDepth)) {
      fail("json.too_deep", fmt::format("more than {} levels", Value::kMaxDepth));
    }
    open_.push_back({std::move(value)});
    return true;
  }
  bool close() {
    auto done = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(done));
  }

  std::vector<Open> open_;
  std::size_t max_values_, count_ = 0;
};

}  // namespace

std::string to_json(const Value& value, const ToJsonOptions& options) {
  return boundary([&] { return json_of(value, "").dump(options.indent); });
}

Value from_json(std::string_view text, const FromJsonOptions& options) {
  return boundary([&] {
    // To the parser a zero byte is the end of the text.
    const auto zero = text.find('\0');
    if (zero != text.npos) {
      throw FormatError("json.bad", fmt::format("the text is no JSON from byte {} on", zero),
                        static_cast<std::int64_t>(zero));
    }
    JsonReader reader(options.max_values);
    if (!OrderedJson::sax_parse(text, &reader))
      throw FormatError("json.bad", "the text is no JSON");
    return reader.result;
  });
}

}  // namespace fastcpp
