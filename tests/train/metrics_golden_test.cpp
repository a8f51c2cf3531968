// Metrics and validation losses over batches, beside the reference (tests/golden/metrics.json).
#include <torch/torch.h>

#include <cmath>
#include <optional>

#include "fastcpp/train/loss.hpp"
#include "fastcpp/train/metrics.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

torch::Tensor tensor(const Json& where) {
  const auto a = array(where);
  const auto values = torch::tensor(a.values, torch::kFloat64).reshape(a.shape);
  return values.to(a.dtype == "int64" ? torch::kLong : torch::kFloat32);
}

// What this library has so far; the others of the file wait for their metric.
std::optional<Metric> metric(const Json& item) {
  const auto name = item.at("name").get<std::string>();
  if (name == "accuracy") return accuracy;
  if (name == "error_rate") return error_rate;
  if (name == "top_k_accuracy") return top_k_accuracy(item.at("args").value("k", 5));
  return std::nullopt;
}

std::optional<Loss> loss(const std::string& kind) {
  if (kind == "multiclass" || kind == "binary") return cross_entropy();
  if (kind == "multilabel") return bce_with_logits();
  if (kind == "regression") return mse_loss();
  return std::nullopt;
}

}  // namespace

TEST_CASE("metrics and losses are weighted by batch size, as in the reference") {
  constexpr double kTolerance = 2e-5;  // the golden README's
  int metrics = 0, losses = 0;
  for (const auto& item : golden("metrics.json").at("cases")) {
    INFO(item.at("name").get<std::string>());
    const auto outputs = tensor(item.at("outputs")), targets = tensor(item.at("targets"));
    const auto sizes = item.at("batches").get<std::vector<std::int64_t>>();
    const auto x = outputs.split_with_sizes(sizes), y = targets.split_with_sizes(sizes);
    const auto kind = item.at("kind").get<std::string>();
    for (const auto& want : item.at("metrics")) {
      const bool single = kind == "multiclass" || kind == "binary";
      const auto known = single && !want.value("direct", false) ? metric(want) : std::nullopt;
      if (!known) continue;
      INFO(want.at("name").get<std::string>());
      ++metrics;
      auto state = known->start();
      for (std::size_t b = 0; b < sizes.size(); ++b) state->update(x[b], y[b]);
      CHECK(std::abs(state->value() - number(want.at("value"))) <= kTolerance);
    }
    const auto function = loss(kind);
    if (!function) continue;
    ++losses;
    double sum = 0;
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      sum += (*function)(x[b], y[b]).item<double>() * static_cast<double>(sizes[b]);
    }
    CHECK(std::abs(sum / static_cast<double>(outputs.size(0)) - number(item.at("loss"))) <=
          kTolerance);
  }
  CHECK(metrics > 0);
  CHECK(losses > 0);
}
