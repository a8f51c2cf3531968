#include "fastcpp/train/callbacks/mixup.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {
namespace {

// The logarithm of a Gamma(shape, 1) number (Marsaglia and Tsang 2000). Small shapes give numbers
// that underflow, their logarithms do not.
double log_gamma_draw(double shape, Rng& rng) {
  if (shape < 1) {
    return log_gamma_draw(shape + 1, rng) + std::log(1 - rng.uniform()) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = rng.normal(), v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v))
      return std::log(d * v);
  }
}

double beta_draw(double alpha, Rng& rng) {
  const double a = log_gamma_draw(alpha, rng), b = log_gamma_draw(alpha, rng);
  return 1 / (1 + std::exp(b - a));
}

// lambda, shaped to scale the items of `like`.
torch::Tensor per_item(const torch::Tensor& lambda, const torch::Tensor& like) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[0] = -1;
  return lambda.reshape(shape);
}

torch::Tensor mixed(const torch::Tensor& values, const MixUpDraw& draw) {
  const auto lambda = per_item(draw.lambda, values);
  return values * lambda + values.index_select(0, draw.perm) * (1 - lambda);
}

}  // namespace

MixUpCallback::MixUpCallback(const MixUpOptions& options) : options_(options) {
  if (!(options.alpha > 0)) {
    throw ValueError("value.mixup", fmt::format("mixup needs alpha > 0, found {}", options.alpha));
  }
}

void MixUpCallback::on_train_begin(TrainState&) {
  auto learner = learn();
  // Another fit draws other mixtures.
  seed_ = Rng{learner.data().seed(), 0x6d69787570, batches_}.next();
  old_loss_ = learner.loss_func();
  if (options_.stack_y) learner.set_loss_func(mixup_loss(old_loss_));
}

void MixUpCallback::on_train_end(TrainState&) {
  if (old_loss_) learn().set_loss_func(old_loss_);
}

MixUpDraw MixUpCallback::draw(std::int64_t n) {
  if (options_.draw) return options_.draw(n);
  Rng rng{seed_, batches_++};
  MixUpDraw result{torch::empty({n}, torch::kFloat64), torch::empty({n}, torch::kLong)};
  const auto order = rng.permutation(n);
  for (std::int64_t i = 0; i < n; ++i) {
    result.lambda.data_ptr<double>()[i] = beta_draw(options_.alpha, rng);
    result.perm.data_ptr<std::int64_t>()[i] = order[static_cast<std::size_t>(i)];
  }
  return result;
}

void MixUpCallback::on_batch_begin(TrainState& state) {
  if (!state.train) return;
  auto& x = state.last_input;
  auto& y = state.last_target;
  auto mix = draw(x.size(0));
  mix.lambda = torch::max(mix.lambda, 1 - mix.lambda).to(x.options());
  mix.perm = mix.perm.to(x.device());
  const auto dtype = x.scalar_type();
  y = options_.stack_y
          ? torch::stack({y.to(dtype), y.index_select(0, mix.perm).to(dtype), mix.lambda}, 1)
          : mixed(y.to(dtype), mix);
  x = mixed(x, mix);
}

Loss mixup_loss(const Loss& loss) {
  return {"MixUpLoss",
          [loss](const torch::Tensor& output, const torch::Tensor& target) {
            if (target.dim() != 2 || target.size(1) != 3) return loss.unreduced(output, target);
            const auto lambda = target.select(1, 2);
            const auto of = [&](int column) {
              return loss.unreduced(output, target.select(1, column).to(torch::kLong));
            };
            return of(0) * lambda + of(1) * (1 - lambda);
          },
          [loss](const torch::Tensor& output) { return loss.activate(output); }};
}

}  // namespace fastcpp
