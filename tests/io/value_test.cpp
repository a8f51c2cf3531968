#include "fastcpp/io/value.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

TEST_CASE("a value knows what it is") {
  CHECK(Value().is_none());
  CHECK(Value(true).is_bool());
  CHECK(Value(3).as_int() == 3);
  CHECK(Value(3).as_double() == 3.0);
  CHECK(Value(2.5f).as_double() == 2.5);
  CHECK(Value("x").as_string() == "x");
  CHECK(Value::big_int("12").is_int());
  CHECK(Value::big_int("-9223372036854775808").as_int() == INT64_MIN);
  CHECK(Value::big_int("9223372036854775808").kind() == Value::Kind::kBigInt);
  CHECK(Value::slice(1, 2).size() == 3);
  CHECK(test::caught([] { Value::big_int("1x"); }).code == "value.number");
  CHECK(test::caught([] { Value(torch::Tensor()); }).code == "value.undefined_tensor");
}

TEST_CASE("asking for another kind names both") {
  const auto caught = test::caught([] { Value("abc").as_double(); });
  CHECK(caught.code == "value.wrong_kind");
  CHECK(caught.message == "expected a float, found a text: 'abc'");
  CHECK(test::caught([] { Value(1).as_bool(); }).code == "value.wrong_kind");
  CHECK(test::caught([] { Value(1.0).as_int(); }).code == "value.wrong_kind");
  CHECK(test::caught([] { Value(1).items(); }).code == "value.wrong_kind");
  CHECK(test::caught([] { Value(1).size(); }).code == "value.wrong_kind");
  CHECK(test::caught([] { Value::list().at("a"); }).code == "value.wrong_kind");
}

TEST_CASE("a dict keeps the first place and the last value of a key") {
  Value dict = Value::dict({{"a", 1}, {"b", 2}, {"a", 3}});
  REQUIRE(dict.size() == 2);
  CHECK(dict.entries()[0].first.as_string() == "a");
  CHECK(dict.at("a").as_int() == 3);
  dict.set(1, "int");
  dict.set(true, "bool");  // one key in Python
  CHECK(dict.at(1.0).as_string() == "bool");
  CHECK(dict.find("missing") == nullptr);
  CHECK(test::caught([&] { dict.at("missing"); }).code == "value.missing_key");
  CHECK(test::caught([&] { dict.set(Value::list(), 1); }).code == "value.key");
  // Beyond a few entries an index answers.
  for (int i = 0; i < 1000; ++i) dict.set(fmt::format("k{}", i % 500), i);
  CHECK(dict.size() == 503);
  CHECK(dict.at("k499").as_int() == 999);
  CHECK(dict.at("a").as_int() == 3);
  CHECK_FALSE(dict.contains("k500"));
}

TEST_CASE("changing a copy leaves the original") {
  Value a = Value::dict({{"list", Value::list({1})}});
  Value b = a;
  b.set("more", 2);
  CHECK(a.size() == 1);
  CHECK(b.size() == 2);
  // Not even by way of itself can a value come to contain itself.
  a.set("self", a);
  CHECK(a.at("self").size() == 1);
  Value list = Value::list();
  list.append(list);
  CHECK(list.to_string() == "[[]]");
}

TEST_CASE("nesting is limited") {
  Value value = Value::list();
  for (int i = 1; i < Value::kMaxDepth; ++i) value = Value::tuple({value});
  CHECK(test::caught([&] { Value::list({value}); }).code == "value.too_deep");
  CHECK(test::caught([&] { Value::dict({{"x", value}}); }).code == "value.too_deep");
  Value dict = Value::dict();
  CHECK(test::caught([&] { dict.set("x", value); }).code == "value.too_deep");
}

TEST_CASE("to_string speaks Python and stays short") {
  const Value value = Value::dict({{"a", Value::tuple({1})},
                                   {"b", Value::list({1.0, 2.5, nullptr, true})},
                                   {"t", torch::ones({2, 3})},
                                   {"s", Value::slice(nullptr, 3)}});
  CHECK(
      value.to_string() ==
      "{'a': (1,), 'b': [1.0, 2.5, None, True], 't': <float32 [2, 3]>, 's': slice(None, 3, None)}");
  CHECK(value.to_string(10) == "{'a': (1,)...");
  CHECK(Value("caf\xc3\xa9").to_string(5) == "'caf...");
  Value doubled = Value::list({1});
  for (int i = 0; i < 60; ++i) doubled = Value::tuple({doubled, doubled});
  CHECK(doubled.to_string(1000).size() < 1100);
}
