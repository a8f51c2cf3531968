// The formulas that make the inputs of all golden tests (rng.json). Those of the weights need
// tensors: tests/vision/forward_test.cpp.
#include <fmt/format.h>

#include <set>
#include <utility>

#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"

using namespace fastcpp::test;

namespace {

std::string hex(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

}  // namespace

TEST_CASE("the formulas of the golden inputs") {
  const auto& file = golden("rng.json");
  Deviation integers("rng/integers"), reals("rng/reals");
  const auto same = [&](bool equal) {
    integers.add(equal ? 0 : 1);
    return equal;
  };

  for (const auto& item : file.at("fnv1a64")) {
    INFO(item.dump());
    CHECK(same(hex(fnv1a64(item.at("text").get<std::string>())) ==
               item.at("hex").get<std::string>()));
  }
  for (const auto& item : file.at("raw")) {
    INFO(item.dump());
    std::uint64_t i = 0;
    for (const auto& want : item.at("hex")) {
      CHECK(same(hex(raw(item.at("key").get<std::string>(), i++)) == want.get<std::string>()));
    }
  }
  // Exact: the text of the file reads back to the same double.
  for (const auto& [name, formula] : {std::pair("u01", &u01), std::pair("sgn", &sgn)}) {
    const auto& stream = file.at(name);
    std::uint64_t i = 0;
    for (const double want : numbers(stream.at("values"))) {
      CHECK(reals(formula(stream.at("key").get<std::string>(), i++), want) == 0);
    }
  }
  for (const auto& item : file.at("u01_at")) {
    INFO(item.dump());
    CHECK(reals(u01(item.at("key").get<std::string>(), item.at("index").get<std::uint64_t>()),
                number(item.at("value"))) == 0);
  }
  const auto& drawn = file.at("ints");
  std::uint64_t i = 0;
  for (const auto& want : drawn.at("values")) {
    CHECK(same(ints(drawn.at("key").get<std::string>(), drawn.at("k").get<std::int64_t>(), i++) ==
               want.get<std::int64_t>()));
  }
  const auto& order = file.at("perm");
  CHECK(same(perm(order.at("key").get<std::string>(), order.at("n").get<std::int64_t>()) ==
             order.at("values").get<std::vector<std::int64_t>>()));

  // Nothing in the file is passed over.
  const std::set<std::string> known{"format", "set",  "file",   "fnv1a64", "raw",    "u01",
                                    "sgn",    "ints", "u01_at", "perm",    "weights"};
  for (const auto& item : file.items()) {
    INFO(item.key());
    CHECK(known.contains(item.key()));
  }
  CHECK(integers.count() >= 9 + 4 + 12 + 1);
  CHECK(reals.count() >= 12 + 4);
}
