#include "fastcpp/train/callbacks/mixup.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"
#include "train/callbacks/mixing.hpp"

namespace fastcpp::inline v0 {
namespace {

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

struct MixUpCallback::Batch : detail::MixedBatch {};

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
  if (options_.stack_y && loss.name() == detail::kMixedLoss) {
    throw ValueError("value.mixup",
                     "two callbacks that mix items take part in this fit: call mixup() or cutmix() "
                     "once, or take one of them out of callbacks()");
  }
  // Another fit draws other mixtures.
  seed_ = Rng{learner.data().seed(), 0x6d69787570, state.fit}.next();
  batches_ = 0;
  if (!options_.stack_y) return;
  batch_ = std::make_shared<Batch>();
  learner.set_loss_func(detail::mixed_loss(loss, batch_));
  old_loss_ = loss;
}

void MixUpCallback::on_train_end(TrainState&) {
  batch_.reset();
  if (!old_loss_) return;
  learn().set_loss_func(old_loss_);
  old_loss_ = {};
}

Value MixUpCallback::state() const {
  return Value::dict({{"batches", static_cast<std::int64_t>(batches_)}});
}

void MixUpCallback::load_state(const Value& state) {
  batches_ = static_cast<std::uint64_t>(state.at("batches").as_int());
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
    result.lambda.data_ptr<double>()[i] = detail::beta_draw(options_.alpha, rng);
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
        "numbers such as token ids, and several tensors such as rows of a table, cannot be mixed");
  }
  auto mix = draw(x.size(0));
  mix.lambda = torch::max(mix.lambda, 1 - mix.lambda).to(x.options());
  mix.perm = mix.perm.to(x.device());
  const auto dtype = x.scalar_type();
  if (options_.stack_y) {
    MixedTargets targets{y, y.index_select(0, mix.perm), mix.lambda};
    y = detail::shown_targets(targets, dtype);
    batch_->shown = y;
    batch_->targets = std::move(targets);
  } else {
    y = detail::mixed(y.to(dtype), mix.lambda, mix.perm);
  }
  if (options_.stack_x) {
    x = Tensors(std::vector<torch::Tensor>{x, x.index_select(0, mix.perm), mix.lambda});
  } else {
    x = detail::mixed(x, mix.lambda, mix.perm);
  }
}

CallbackFn mixup(const MixUpOptions& options) {
  return factory_of<MixUpCallback>(options);
}

}  // namespace fastcpp
