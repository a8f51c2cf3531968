#include "fastcpp/core/learning_rate.hpp"

#include <cmath>
#include <limits>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/core/rng.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("numpy's seeded permutations") {
  // Values from numpy itself (RandomState, seeds 42 and 2).
  CHECK(numpy_permutation(42, 10) == std::vector<std::int64_t>{8, 1, 5, 0, 7, 2, 9, 4, 3, 6});
  CHECK(numpy_permutation(2, 10) == std::vector<std::int64_t>{4, 1, 5, 0, 7, 2, 3, 6, 9, 8});
  const auto pets = numpy_permutation(2, 7390);
  CHECK(std::vector<std::int64_t>(pets.begin(), pets.begin() + 5) ==
        std::vector<std::int64_t>{564, 6883, 194, 2312, 4140});
  CHECK(std::vector<std::int64_t>(pets.end() - 3, pets.end()) ==
        std::vector<std::int64_t>{6637, 2575, 7336});
  CHECK(numpy_permutation(1, 0).empty());
}

TEST_CASE("a generator's address decides its stream") {
  CHECK(Rng{1, 2, 3}.next() == Rng{1, 2, 3}.next());
  CHECK(Rng{1, 2, 3}.next() != Rng{1, 3, 2}.next());
  Rng rng(7);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = rng.uniform(2, 4);
    REQUIRE(value >= 2);
    REQUIRE(value < 4);
    sum += value;
  }
  CHECK(sum / 10000 == Approx(3).margin(0.03));
}

TEST_CASE("numbers at once, and after others that were passed over, are those drawn one by one") {
  Rng one(11), many(11), later(11);
  std::vector<double> drawn(9), at_once(9);
  for (auto& value : drawn) value = one.uniform();
  many.fill_uniform(at_once.data(), at_once.size());
  CHECK(at_once == drawn);
  CHECK(many.next() == one.next());
  later.discard(4);
  CHECK(later.uniform() == drawn[4]);
}

TEST_CASE("integers of any range, permutations of any length") {
  Rng rng(3);
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();
  bool below = false, above = false;
  for (int i = 0; i < 100; ++i) (rng.integer(kLow, kHigh) < 0 ? below : above) = true;
  CHECK(below);
  CHECK(above);
  CHECK(rng.integer(kHigh, kHigh) == kHigh);
  for (int i = 0; i < 100; ++i) {
    const auto value = rng.integer(-2, 1);
    CHECK(value >= -2);
    CHECK(value <= 1);
  }
  CHECK(rng.permutation(0).empty());
  CHECK(caught([&] { rng.permutation(-1); }).code == "value.permutation");
  CHECK(caught([] { numpy_permutation(2, -1); }).code == "value.permutation");
  CHECK(caught([] { numpy_permutation(2, kHigh); }).code == "train.out_of_memory");
}

TEST_CASE("rates of layer groups") {
  CHECK(lr_range(0.1, 3) == std::vector<double>{0.1, 0.1, 0.1});
  const auto tenth = lr_range(slice(3e-3), 3);
  CHECK(tenth == std::vector<double>{3e-3 / 10, 3e-3 / 10, 3e-3});
  const auto range = lr_range(slice(1e-6, 1e-4), 3);
  CHECK(range[1] == Approx(1e-5).epsilon(1e-12));
  CHECK(lr_range(slice(1e-6, 1e-4), 1) == std::vector<double>{1e-4});
  CHECK(caught([] { lr_range(std::vector<double>{1, 2}, 3); }).code == "value.learning_rate");
  for (const double rate : {-1.0, std::nan(""), HUGE_VAL}) {
    CHECK(caught([&] { lr_range(rate, 3); }).code == "value.learning_rate");
    CHECK(caught([&] { lr_range(slice(rate), 3); }).code == "value.learning_rate");
    CHECK(caught([&] { lr_range(slice(1e-3, rate), 3); }).code == "value.learning_rate");
    CHECK(caught([&] { lr_range(std::vector<double>{1, rate}, 2); }).code == "value.learning_rate");
  }
  CHECK(caught([] { lr_range(slice(0, 1e-3), 3); }).code == "value.learning_rate");
  CHECK(caught([] { lr_range(slice(1e-3, 0), 3); }).code == "value.learning_rate");
  CHECK(caught([] { lr_range(slice(1e-3), 0); }).code == "value.learning_rate");
  CHECK(caught([] { lr_range(1e-3, std::size_t{1} << 62); }).code == "train.out_of_memory");
}

TEST_CASE("the table is fastai's") {
  const std::vector<std::string> names{"epoch", "train_loss", "valid_loss", "error_rate", "time"};
  CHECK(format_table_line(names, names) ==
        "epoch     train_loss  valid_loss  error_rate  time    ");
  CHECK(format_table_line(names, {"0", "1.409939", "0.357608", "0.102165", "00:26"}) ==
        "0         1.409939    0.357608    0.102165    00:26     ");
  // What is wider than its column stays apart from the next one.
  const std::vector<std::string> wide{"epoch", "cpu peak", "time"};
  CHECK(format_table_line(wide, {"0", "320.835938", "00:05"}) ==
        "0         320.835938  00:05     ");
  CHECK(format_time(59.9) == "00:59");
  CHECK(format_time(3723) == "1:02:03");
}
