#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "../../examples/report.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("a report is written although a label is not UTF-8") {
  TempDir dir;
  const auto set =
      std::make_shared<TensorDataset>(torch::zeros({4, 2}), torch::zeros({4}, torch::kLong));
  const auto data = DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                                      {.bs = 2,
                                       .num_workers = 0,
                                       .device = torch::kCPU,
                                       .classes = {"b\xe9te", "Gro\u00dfer Hund"}});
  Cli cli;
  cli.out = dir / "out";
  Report report(cli, data);
  report.most_confused({{"b\xe9te", "Gro\u00dfer Hund", 3}});
  REQUIRE_NOTHROW(report.write());
  const auto summary = nlohmann::json::parse(read_file(cli.out / "summary.json"));
  CHECK(summary.at("classes") == nlohmann::json{"b\ufffdte", "Gro\u00dfer Hund"});
  CHECK(summary.at("n_train") == 4);
  // The text file has the label as it is.
  CHECK(read_file(cli.out / "most_confused.txt") == "b\xe9te\tGro\u00dfer Hund\t3\n");
}
