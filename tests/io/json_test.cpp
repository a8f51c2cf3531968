#include "fastcpp/io/json.hpp"

#include <limits>
#include <string>

#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "support/catch.hpp"
#include "support/foreign_locale.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

std::string json_code(std::string_view text) {
  return caught([&] { from_json(text); }).code;
}

std::string again(std::string_view text) {
  return to_json(from_json(text), {.indent = -1});
}

}  // namespace

TEST_CASE("values and JSON are each other") {
  for (const char* text :
       {"null", "true", "0", "-7", "9223372036854775807", "-9223372036854775808",
        "18446744073709551615", "0.1", "1e+300", "-2.5", R"("")", R"("a\"b\\\n\u0001é")", "[]",
        "{}", R"([1,[2.0,"x",null],{"k":[true]}])", R"({"z":1,"a":{"b":[]}})"}) {
    INFO(text);
    CHECK(again(text) == text);
  }
  const auto value = from_json(R"({"whole": 1, "point": 1.0, "exponent": 1e2})");
  CHECK(value.at("whole").kind() == Value::Kind::kInt);
  CHECK(value.at("point").kind() == Value::Kind::kFloat);
  CHECK(value.at("exponent").as_double() == 100);
  CHECK(to_json(Value::tuple({1, 2}), {.indent = -1}) == "[1,2]");
  CHECK(to_json(Value::dict({{"a", 1}})) == "{\n \"a\": 1\n}");
  // Every float comes back as it was.
  for (const double x : {0.1, 1.0 / 3, std::numeric_limits<double>::min(),
                         std::numeric_limits<double>::max(), -0.0}) {
    CHECK(from_json(to_json(Value(x))).as_double() == x);
  }
}

TEST_CASE("text that is no JSON, or too much of it, is refused") {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\" 1}", "nul", "[1] 2", "'a'", "\xff", "[\"\xc3\"]"}) {
    INFO(text);
    CHECK(json_code(text) == "json.bad");
  }
  CHECK(json_code(std::string("[1]\0[2]", 7)) == "json.bad");
  CHECK(json_code("18446744073709551616") == "json.number");
  CHECK(json_code("-9223372036854775809") == "json.number");
  CHECK(json_code("1e999") == "json.number");
  CHECK(caught([] { from_json("[0,0,0]", {.max_values = 3}); }).code == "json.too_many");
  CHECK(from_json("[0,0,0]", {.max_values = 4}).size() == 3);
  CHECK(json_code(R"({"a": 1, "b": {"a": 2}, "a": 3})") == "json.repeated_key");
  CHECK(json_code(std::string(150, '[') + std::string(150, ']')).empty());
  CHECK(json_code(std::string(100000, '[')) == "json.too_deep");
}

TEST_CASE("values that JSON cannot hold are refused with their place") {
  const auto refused = [](const Value& value, const std::string& place) {
    const auto error = caught([&] { to_json(value); });
    CHECK(error.code == "value.json");
    CHECK(error.message.find(place) != std::string::npos);
  };
  refused(Value::dict({{"a", Value::list({1, torch::zeros({2})})}}), "'a[1]'");
  refused(Value(std::numeric_limits<double>::quiet_NaN()), "the top");
  refused(Value::dict({{1, 2}}), "the top");
  refused(Value::dict({{"b", Value::bytes("x")}}), "'b'");
  refused(Value::big_int("123456789012345678901234567890"), "the top");
  refused(Value::big_int("-9223372036854775809"), "the top");
  refused(Value::big_int("99999999999999999999"), "the top");
  refused(Value::dict({{"c", Value::list({std::string("\xff")})}}), "'c[0]'");
  refused(Value::dict({{std::string("\xff"), 1}}), "the top");
}

TEST_CASE("numbers do not depend on the language") {
  const ForeignLocale german("de_DE");
  CHECK(again("[0.5,1.25]") == "[0.5,1.25]");
}

TEST_CASE("a model file holds values and weights, whole") {
  TempDir dir;
  const auto file = dir / "model.fastcpp";
  StateDict weights;
  weights.insert("b", torch::arange(6, torch::kFloat32).reshape({2, 3}));
  weights.insert("a", torch::tensor({1, 2, 3}));
  weights.insert("none", torch::zeros({0, 4}));
  weights.insert("half", torch::ones({3}, torch::kHalf));
  save_model_file(file, {Value::dict({{"name", "x"}}), weights});
  const auto back = load_model_file(file);
  CHECK(back.description.at("name").as_string() == "x");
  REQUIRE(back.weights.size() == 4);
  for (const auto& [name, tensor] : weights) {
    CHECK(torch::equal(back.weights.at(name), tensor));
    CHECK(back.weights.at(name).scalar_type() == tensor.scalar_type());
  }
  const auto bytes = read_file(file);
  CHECK(bytes.substr(0, 2) == "PK");
  save_model_file(file, {Value::dict({{"name", "x"}}), weights});
  CHECK(read_file(file) == bytes);

  // Its second entry is a safetensors file as it is.
  const auto at = bytes.find("model.safetensors");
  REQUIRE(at != std::string::npos);
  CHECK(caught([&] {
          save_model_file(file, {Value::dict({{"t", torch::zeros({1})}}), weights});
        }).code == "value.json");
  CHECK(read_file(file) == bytes);

  write_file(dir / "cut.fastcpp", bytes.substr(0, bytes.size() / 2));
  CHECK(caught([&] { load_model_file(dir / "cut.fastcpp"); }).code.substr(0, 4) == "zip.");
  auto flipped = bytes;
  flipped[bytes.size() / 2] ^= 4;
  write_file(dir / "flipped.fastcpp", flipped);
  const auto error = caught([&] {
    const auto content = load_model_file(dir / "flipped.fastcpp");
    for (const auto& [name, tensor] : weights)
      CHECK(torch::equal(content.weights.at(name), tensor));
  });
  CHECK((error.code.empty() || error.message.find("flipped.fastcpp") != std::string::npos));
  CHECK(caught([&] { load_model_file(dir / "missing.fastcpp"); }).code == "io.cannot_read");
}
