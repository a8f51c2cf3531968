#include "fastcpp/train/callbacks/cutmix.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"
#include "train/callbacks/mixing.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr const char* kCutMix = "value.cutmix";

void expect_partners(const torch::Tensor& perm, std::int64_t n) {
  const bool fits =
      perm.defined() && perm.dim() == 1 && perm.size(0) == n && perm.scalar_type() == torch::kLong;
  if (fits && perm.ge(0).logical_and(perm.lt(n)).all().item<bool>()) return;
  throw ValueError(
      kCutMix,
      fmt::format("draw: expected perm of {} int64 in 0..{}, one per item of the batch", n, n - 1));
}

torch::Tensor inside(const torch::Tensor& pictures, const CutMixBox& box) {
  return pictures.slice(-2, box.row, box.row + box.rows).slice(-1, box.col, box.col + box.cols);
}

torch::Tensor pasted(const torch::Tensor& pictures, const CutMixBox& box,
                     const torch::Tensor& perm) {
  auto result = pictures.clone();
  if (box.rows == 0 || box.cols == 0) return result;
  inside(result, box).copy_(inside(pictures, box).index_select(0, perm));
  return result;
}

}  // namespace

struct CutMixCallback::Batch : detail::MixedBatch {};

CutMixBox cutmix_box(double lambda, double row, double col, std::int64_t rows, std::int64_t cols) {
  expect(lambda >= 0 && lambda <= 1, kCutMix, "lambda", "a number in 0..1", lambda);
  expect(row >= 0 && row < 1, kCutMix, "row", "a number >= 0 and < 1", row);
  expect(col >= 0 && col < 1, kCutMix, "col", "a number >= 0 and < 1", col);
  expect(rows >= 1, kCutMix, "rows", "at least 1", rows);
  expect(cols >= 1, kCutMix, "cols", "at least 1", cols);
  const double half = 0.5 * std::sqrt(1 - lambda);
  struct Span {
    std::int64_t first, count;
  };
  const auto span = [half](double place, std::int64_t n) {
    const auto side = static_cast<double>(n);
    const auto centre = static_cast<std::int64_t>(place * side),
               reach = static_cast<std::int64_t>(half * side);
    const auto first = std::max<std::int64_t>(centre - reach, 0);
    return Span{first, std::min(centre + reach, n) - first};
  };
  const auto down = span(row, rows), across = span(col, cols);
  return {down.first, across.first, down.count, across.count};
}

CutMixCallback::CutMixCallback(const CutMixOptions& options) : options_(options) {
  expect(positive(options.alpha), kCutMix, "alpha", "a finite number > 0", options.alpha);
}

void CutMixCallback::on_train_begin(TrainState& state) {
  old_loss_ = {};
  auto learner = learn();
  const Loss loss = learner.loss_func();
  if (loss.name() == detail::kMixedLoss) {
    throw ValueError(
        "value.cutmix",
        "CutMix meets mix-up or another CutMix in this fit: one callback that mixes items is "
        "enough, take the others out of callbacks() and callback_fns()");
  }
  // Another fit draws other boxes.
  seed_ = Rng{learner.data().seed(), 0x6375746d6978, state.fit}.next();
  if (!options_.stack_y) return;
  batch_ = std::make_shared<Batch>();
  learner.set_loss_func(detail::mixed_loss(loss, batch_));
  old_loss_ = loss;
}

void CutMixCallback::on_train_end(TrainState&) {
  batch_.reset();
  if (!old_loss_) return;
  learn().set_loss_func(old_loss_);
  old_loss_ = {};
}

CutMixDraw CutMixCallback::draw(std::int64_t n, const TrainState& state) {
  if (options_.draw) {
    auto draw = options_.draw(n);
    expect_partners(draw.perm, n);
    return draw;
  }
  Rng rng{seed_, static_cast<std::uint64_t>(state.epoch),
          static_cast<std::uint64_t>(state.num_batch)};
  CutMixDraw result;
  result.lambda = detail::beta_draw(options_.alpha, rng);
  result.row = rng.uniform();
  result.col = rng.uniform();
  result.perm = torch::tensor(rng.permutation(n), torch::kLong);
  return result;
}

void CutMixCallback::on_batch_begin(TrainState& state) {
  if (!state.train) return;
  auto& x = state.last_input;
  auto& y = state.last_target;
  if (x.count() != 1 || y.count() != 1 || x.dim() < 3 || !x.is_floating_point() || y.dim() == 0 ||
      y.size(0) != x.size(0) || x.size(-1) < 1 || x.size(-2) < 1) {
    throw ValueError(
        "value.cutmix",
        "CutMix takes one tensor of pictures, n x channels x rows x columns of floating-point "
        "numbers, and one target per item: boxes of other items cannot be cut out");
  }
  const auto rows = x.size(-2), cols = x.size(-1);
  const auto drawn = draw(x.size(0), state);
  const auto box = cutmix_box(drawn.lambda, drawn.row, drawn.col, rows, cols);
  const auto perm = drawn.perm.to(x.device());
  if (y.dim() >= 3 && y.size(-2) == rows && y.size(-1) == cols) {
    y = pasted(y, box, perm);
  } else {
    // What the clipped box leaves.
    const double share =
        1 - static_cast<double>(box.rows * box.cols) / static_cast<double>(rows * cols);
    const auto lambda = torch::full({x.size(0)}, share, x.options());
    const auto dtype = x.scalar_type();
    if (options_.stack_y) {
      MixedTargets targets{y, y.index_select(0, perm), lambda};
      y = detail::shown_targets(targets, dtype);
      batch_->shown = y;
      batch_->targets = std::move(targets);
    } else {
      y = detail::mixed(y.to(dtype), lambda, perm);
    }
  }
  x = pasted(x, box, perm);
}

CallbackFn cutmix(const CutMixOptions& options) {
  return factory_of<CutMixCallback>(options);
}

}  // namespace fastcpp
