#include "fastcpp/train/callbacks/mixup.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {
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

constexpr const char* kMixedLoss = "MixUpLoss";

void expect_draw(const MixUpDraw& draw, std::int64_t n) {
  const bool fits = draw.lambda.defined() && draw.perm.defined() && draw.lambda.dim() == 1 &&
                    draw.lambda.size(0) == n && draw.lambda.is_floating_point() &&
                    draw.perm.dim() == 1 && draw.perm.size(0) == n &&
                    draw.perm.scalar_type() == torch::kLong;
  if (fits && draw.perm.ge(0).logical_and(draw.perm.lt(n)).all().item<bool>()) return;
  throw ValueError(
      "value.mixup",
      fmt::format("draw: expected lambda of {0} numbers and perm of {0} int64 in 0..{1}, "
                  "one per item of the batch",
                  n, n - 1));
}

}  // namespace

struct MixUpCallback::Batch {
  torch::Tensor shown;  // what `last_target` is while this batch is on its way
  MixedTargets targets;
};

torch::Tensor mixup_loss(const Loss& loss, const torch::Tensor& output,
                         const MixedTargets& targets) {
  const auto of = [&](const torch::Tensor& target) {
    auto values = loss.unreduced(output, target);
    if (values.dim() > 1) values = values.flatten(1).mean(1);
    if (values.dim() == 1 && values.sizes() == targets.lambda.sizes()) return values;
    throw ValueError(
        "value.mixup",
        fmt::format(
            "the loss {} cannot be mixed: expected one value for each of {} items, found a "
            "tensor of {} dimensions and {} values; use stack_y = false, which mixes the targets",
            loss.name(), targets.lambda.size(0), values.dim(), values.numel()));
  };
  return of(targets.first) * targets.lambda + of(targets.second) * (1 - targets.lambda);
}

MixUpCallback::MixUpCallback(const MixUpOptions& options) : options_(options) {
  expect(positive(options.alpha), "value.mixup", "alpha", "a finite number > 0", options.alpha);
}

void MixUpCallback::on_train_begin(TrainState& state) {
  old_loss_ = {};
  auto learner = learn();
  const Loss loss = learner.loss_func();
  if (options_.stack_y && loss.name() == kMixedLoss) {
    throw ValueError(
        "value.mixup",
        "two MixUpCallbacks take part in this fit: call mixup() once, or take one of them out of "
        "callbacks()");
  }
  // Another fit draws other mixtures.
  seed_ = Rng{learner.data().seed(), 0x6d69787570, state.fit}.next();
  batches_ = 0;
  if (!options_.stack_y) return;
  batch_ = std::make_shared<Batch>();
  const auto is_mixed = [batch = batch_](const Tensors& target) {
    return batch->shown.defined() && batch->shown.is_same(target);
  };
  const auto unreduced = [loss, is_mixed, batch = batch_](const Tensors& output,
                                                          const Tensors& target) {
    return is_mixed(target) ? mixup_loss(loss, output, batch->targets)
                            : loss.unreduced(output, target);
  };
  learner.set_loss_func(Loss(
      kMixedLoss, unreduced, [loss](const torch::Tensor& output) { return loss.activate(output); },
      [loss, is_mixed, unreduced](const Tensors& output, const Tensors& target) {
        // The validation loss is the loss's own, also where that is no plain mean.
        return is_mixed(target) ? unreduced(output, target).mean() : loss(output, target);
      }));
  old_loss_ = loss;
}

void MixUpCallback::on_train_end(TrainState&) {
  batch_.reset();
  if (!old_loss_) return;
  learn().set_loss_func(old_loss_);
  old_loss_ = {};
}

MixUpDraw MixUpCallback::draw(std::int64_t n) {
  if (options_.draw) {
    auto draw = options_.draw(n);
    expect_draw(draw, n);
    return draw;
  }
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
  if (x.count() != 1 || y.count() != 1 || !x.is_floating_point() || y.dim() == 0 ||
      y.size(0) != x.size(0)) {
    throw ValueError(
        "value.mixup",
        "mix-up takes one tensor of floating-point numbers and one target per item: whole "
        "numbers such as token ids, and several tensors, cannot be mixed");
  }
  auto mix = draw(x.size(0));
  mix.lambda = torch::max(mix.lambda, 1 - mix.lambda).to(x.options());
  mix.perm = mix.perm.to(x.device());
  const auto dtype = x.scalar_type();
  if (options_.stack_y) {
    MixedTargets targets{y, y.index_select(0, mix.perm), mix.lambda};
    // A tensor of its own in every case: the loss knows it by that.
    y = y.dim() == 1
            ? torch::stack({targets.first.to(dtype), targets.second.to(dtype), mix.lambda}, 1)
            : y.clone();
    *batch_ = {y, std::move(targets)};
  } else {
    y = mixed(y.to(dtype), mix);
  }
  if (options_.stack_x) {
    x = Tensors(std::vector<torch::Tensor>{x, x.index_select(0, mix.perm), mix.lambda});
  } else {
    x = mixed(x, mix);
  }
}

CallbackFn mixup(const MixUpOptions& options) {
  return factory_of<MixUpCallback>(options);
}

}  // namespace fastcpp
