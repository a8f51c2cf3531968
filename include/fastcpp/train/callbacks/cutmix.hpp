/// \file
/// Training on pictures with a box of another one.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/metrics/loss.hpp"

namespace fastcpp::inline v0 {

/// A box of pixels.
struct CutMixBox {
  std::int64_t row = 0;   ///< the first, from the top
  std::int64_t col = 0;   ///< the first, from the left
  std::int64_t rows = 0;  ///< how many; 0: nothing is cut
  std::int64_t cols = 0;  ///< how many; 0: nothing is cut
};

/// The box of pictures of `rows` x `cols` pixels (torchvision: `CutMix.make_params`): sides of sqrt(1 - lambda) of the
/// picture's about a pixel, clipped at the borders.
/// \param lambda the share of the picture that a box within it leaves, 0..1
/// \param row    which row its centre lies in, as a share of the rows, 0 <= row < 1
/// \param col    likewise
/// \param rows   of the pictures, >= 1
/// \param cols   of the pictures, >= 1
/// \throws ValueError `value.cutmix` on a share or a size outside its range
FASTCPP_API CutMixBox cutmix_box(double lambda, double row, double col, std::int64_t rows,
                                 std::int64_t cols);

/// What is drawn for a batch: one box for all its pictures, and who gives what is in it.
struct CutMixDraw {
  double lambda = 1;        ///< see cutmix_box
  double row = 0;           ///< see cutmix_box
  double col = 0;           ///< see cutmix_box
  torch::Tensor perm = {};  ///< n, int64: the partner of each item
};

/// Options of CutMixCallback.
struct CutMixOptions {
  double alpha = 1.0;   ///< lambda comes from Beta(alpha, alpha), > 0
  bool stack_y = true;  ///< mix the losses; false: mix the targets
  /// Makes the draw for a batch of n; absent: drawn from the data's seed.
  std::function<CutMixDraw(std::int64_t n)> draw = {};
};

/// CutMix (Yun et al. 2019, arXiv:1905.04899): a box of every picture of a batch comes from another one, and so does that
/// share of its loss. The box is torchvision's, lambda that of the pixels that stayed. Validation is untouched. Belongs to
/// one learner at a time; called from the thread that trains.
///
/// Losses and targets are mixed as MixUpCallback mixes them, so any target goes with it that goes with mix-up. Targets
/// that are pictures of the inputs' size (a class per pixel: n x ... x rows x cols) get the box itself instead, and the
/// loss stays as it is. Coordinates (points, boxes) cannot be mixed; they look like other numbers, so nothing refuses them.
///
/// The draw of a batch depends on the data's seed, the number of the fit, the epoch and the batch alone.
class FASTCPP_API CutMixCallback : public Callback {
 public:
  /// \throws ValueError `value.cutmix` on an alpha that is not a finite number > 0
  explicit CutMixCallback(const CutMixOptions& options = {});
  bool in_lr_find() const override { return true; }
  /// \throws ValueError `value.cutmix` when a mix-up or another CutMix takes part in the fit
  void on_train_begin(TrainState&) override;
  /// \throws ValueError `value.cutmix` on inputs that are no pictures, or a draw that does not fit the batch
  void on_batch_begin(TrainState&) override;
  void on_train_end(TrainState&) override;

 private:
  struct Batch;
  CutMixDraw draw(std::int64_t n, const TrainState& state);

  CutMixOptions options_;
  Loss old_loss_;                 // of the learner, while a loss of this callback is in its place
  std::shared_ptr<Batch> batch_;  // the mixed batch on its way; the loss in place reads it
  std::uint64_t seed_ = 0;
};

/// For `callback_fns` and the callbacks of a fit: makes a CutMixCallback for every fit.
/// \throws ValueError `value.cutmix`, at once
FASTCPP_API CallbackFn cutmix(const CutMixOptions& options = {});

}  // namespace fastcpp
