#include "fastcpp/train/metrics.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>

#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace {

class Average : public MetricState {
 public:
  explicit Average(Metric::Function function) : function_(std::move(function)) {}

  void update(const torch::Tensor& output, const torch::Tensor& target) override {
    const auto n = static_cast<double>(target.size(0));
    sum_ += function_(output, target).item<double>() * n;
    count_ += n;
  }

  double value() const override { return sum_ / count_; }

 private:
  Metric::Function function_;
  double sum_ = 0, count_ = 0;
};

}  // namespace

Metric::Metric(std::string name, Function function)
    : Metric(std::move(name), Factory([function] { return std::make_unique<Average>(function); })) {
}

Metric::Metric(std::string name, Factory factory)
    : name_(std::move(name)), factory_(std::move(factory)) {}

double Metric::operator()(const torch::Tensor& output, const torch::Tensor& target) const {
  auto state = start();
  state->update(output, target);
  return state->value();
}

torch::Tensor detail::accuracy(const torch::Tensor& output, const torch::Tensor& target) {
  const auto n = target.size(0);
  const auto predicted = output.argmax(-1).reshape({n, -1});
  return predicted.eq(target.reshape({n, -1})).to(torch::kFloat32).mean();
}

torch::Tensor detail::error_rate(const torch::Tensor& output, const torch::Tensor& target) {
  return 1 - detail::accuracy(output, target);
}

Metric top_k_accuracy(int k) {
  if (k < 1) throw ValueError("value.k", fmt::format("k must be at least 1, found {}", k));
  return {"top_k_accuracy",
          Metric::Function([k](const torch::Tensor& output, const torch::Tensor& target) {
            const auto best =
                std::get<1>(output.topk(std::min<std::int64_t>(k, output.size(-1)), -1));
            return best.eq(target.unsqueeze(-1)).any(-1).to(torch::kFloat32).mean();
          })};
}

}  // namespace fastcpp
