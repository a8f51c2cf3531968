#include "forward_passes.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/vision/models/cnn_model.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/weight_rule.hpp"

namespace fastcpp::test {
namespace {

// Relative to the largest output; fixed by the golden files.
constexpr double kDouble = 1e-9;
constexpr double kFloat = 5e-5;

// What the report calls a comparison, and its tolerance.
struct Topic {
  Topic(const std::string& list, torch::ScalarType type)
      : exact(type == torch::kFloat64),
        relative(exact ? kDouble : kFloat),
        deviation("forward/" + list + (exact ? "/float64" : "/float32")) {}
  bool exact;
  double relative;
  Deviation deviation;
};

// Every difference is relative to `scale`.
void check_values(const torch::Tensor& got, const std::vector<double>& want, double scale,
                  Topic& topic) {
  const auto flat = got.to(torch::kFloat64).flatten();
  REQUIRE(static_cast<std::size_t>(flat.numel()) == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    INFO("element " << i);
    const auto value = flat[static_cast<std::int64_t>(i)].item<double>();
    CHECK(topic.deviation(value / scale, want[i] / scale) <= topic.relative);
  }
}

// Sum and sum of squares of each item. The sum of n values is held to the tolerance of one, times
// sqrt(n).
void check_sums(const torch::Tensor& got, const Json& sum, const Json& sumsq, Topic& topic) {
  const auto items = got.to(torch::kFloat64).flatten(1);
  REQUIRE(static_cast<std::size_t>(items.size(0)) == sum.size());
  for (std::int64_t i = 0; i < items.size(0); ++i) {
    const auto want = number(sumsq[static_cast<std::size_t>(i)]);
    const auto scale = std::sqrt(want * static_cast<double>(items.size(1)));
    CHECK(topic.deviation(items[i].sum().item<double>() / scale,
                          number(sum[static_cast<std::size_t>(i)]) / scale) <= topic.relative);
    CHECK(items[i].square().sum().item<double>() == Approx(want).epsilon(10 * topic.relative));
  }
}

void check_full(const Json& expected, torch::ScalarType type, Topic& topic) {
  const torch::NoGradGuard no_grad;
  auto network = models::find(expected.at("arch").get<std::string>())
                     .make(expected.value(
                         "classes", std::int64_t{1000}));  // ImageNet's, unless it says otherwise
  set_weights_by_rule(*network, expected.at("weights_key"), expected.at("bn_gain"));
  network->to(type);
  network->eval();
  const auto x = sgn_tensor(expected.at("input_key"), expected.at("input"), 2).to(type);
  const auto out = network->forward(x);
  std::vector<double> first;
  for (const auto& row : expected.at("first16")) {
    for (const auto& value : row) first.push_back(number(value));
  }
  check_values(out.slice(1, 0, 16), first, number(expected.at("max_abs")), topic);
  check_sums(out, expected.at("sum"), expected.at("sumsq"), topic);
  const auto best = out.argmax(1);
  for (std::int64_t i = 0; i < best.size(0); ++i) {
    CHECK(best[i].item<std::int64_t>() == expected.at("argmax")[static_cast<std::size_t>(i)]);
  }
}

void check_cnn(const Json& expected, torch::ScalarType type, Topic& topic) {
  const torch::NoGradGuard no_grad;
  auto arch = models::find(expected.at("arch").get<std::string>());
  arch.init = nullptr;
  CreateCnnModelOptions options{.pretrained = false};
  if (expected.contains("args")) {
    const auto& args = expected["args"];
    if (args.contains("lin_ftrs")) {
      options.lin_ftrs = args["lin_ftrs"].get<std::vector<std::int64_t>>();
    }
    if (args.contains("ps")) {
      options.ps = args["ps"].is_array() ? numbers(args["ps"]) : std::vector<double>{args["ps"]};
    }
    if (args.contains("bn_final")) options.bn_final = args["bn_final"];
    if (args.contains("concat_pool")) options.concat_pool = args["concat_pool"];
  }
  auto model = create_cnn_model(arch, expected.at("classes"), options);
  set_weights_by_rule(*model, expected.at("weights_key"), expected.at("bn_gain"));
  model->to(type);
  model->eval();
  const auto x = sgn_tensor(expected.at("input_key"), expected.at("input"), 2).to(type);
  const auto body = model->begin()->forward(x.clone());
  CHECK(body.sizes().vec() == expected.at("body_shape").get<std::vector<std::int64_t>>());
  check_sums(body, expected.at("body_sum"), expected.at("body_sumsq"), topic);
  std::vector<double> out;
  for (const auto& row : expected.at("out")) {
    for (const auto& value : row) out.push_back(number(value));
  }
  check_values(model->forward(x), out, number(expected.at("max_abs")), topic);
}

}  // namespace

int check_forward(const std::string& list, const std::string& arch) {
  const auto golden_file = golden("forward.json");
  int count = 0;
  for (const auto& expected : golden_file.at(list)) {
    if (expected.at("arch") != arch) continue;
    ++count;
    for (const auto type : {torch::kFloat32, torch::kFloat64}) {
      INFO(list << " " << arch << " " << type);
      Topic topic(list, type);
      list == "full" ? check_full(expected, type, topic) : check_cnn(expected, type, topic);
    }
  }
  return count;
}

}  // namespace fastcpp::test
