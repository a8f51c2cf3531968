// The order of items in shards: few shards at a time, by seed, pass and shard alone.
#include "fastcpp/data/shard_sampler.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// 12 shards of 5 to 16 items.
Paths items_of_shards() {
  Paths items;
  for (int shard = 0; shard < 12; ++shard) {
    for (int i = 0; i < 5 + shard; ++i) {
      items.push_back_text("t-", std::to_string(shard), ".tar/", std::to_string(i), ".jpg");
    }
  }
  return items;
}

}  // namespace

TEST_CASE("a window of shards is shuffled together, each item comes once") {
  const auto items = items_of_shards();
  const auto n = static_cast<std::int64_t>(items.size());
  const ShardSampler sampler(items, 3);
  CHECK(sampler.shards() == 12);
  CHECK(sampler.size(n) == n);
  Rng rng{7, 1}, same{7, 1}, later{7, 2};
  const auto order = sampler.order(n, rng);
  CHECK(order == sampler.order(n, same));
  CHECK(order != sampler.order(n, later));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < n; ++i) CHECK(sorted[static_cast<std::size_t>(i)] == i);
  // A shard is open from its first item to its last; never more than a window at once.
  const auto shard_of = [&](std::size_t at) {
    const auto text = items.text(static_cast<std::size_t>(order[at]));
    return text.substr(0, text.find('/'));
  };
  std::size_t neighbours = 0;
  for (std::size_t at = 0; at < order.size(); ++at) {
    std::set<std::string_view> before, after;
    for (std::size_t i = 0; i <= at; ++i) before.insert(shard_of(i));
    for (std::size_t i = at; i < order.size(); ++i) after.insert(shard_of(i));
    std::vector<std::string_view> open;
    std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                          std::back_inserter(open));
    CHECK(open.size() <= 3);
    if (at > 0) neighbours += shard_of(at) == shard_of(at - 1);
  }
  CHECK(neighbours < order.size() * 2 / 3);  // shuffled, not shard by shard
}

TEST_CASE("a window of all shards is the order of a full shuffle") {
  const auto items = items_of_shards();
  const auto n = static_cast<std::int64_t>(items.size());
  Rng one{3, 4}, other{3, 4};
  CHECK(ShardSampler(items, 12).order(n, one) == RandomSampler().order(n, other));
  CHECK(caught([&] { ShardSampler(items, 12).order(n + 1, one); }).code == "value.sampler");
  CHECK(caught([&] { const ShardSampler none(items, 0); }).code == "value.window");
  // Items that are in no shard are one.
  CHECK(ShardSampler({"a.jpg", "b.jpg", "t.tar/c.jpg"}).shards() == 2);
}
