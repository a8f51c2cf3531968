/// \file
/// A learner that fine-tunes a pretrained network.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "fastcpp/vision/models/models.hpp"

namespace fastcpp::inline v0 {

/// Options of `cnn_learner`, in fastai's order; those from `opt_func` on belong to the learner.
struct CnnLearnerOptions {
  Cut cut = {};            ///< where the body ends; default: the architecture's place
  bool pretrained = true;  ///< ImageNet weights, and a frozen body
  std::vector<std::int64_t> lin_ftrs = {512};   ///< widths of the head's hidden layers
  std::vector<double> ps = {0.5};               ///< dropout, see CreateHeadOptions
  torch::nn::Sequential custom_head = nullptr;  ///< instead of `create_head`'s
  /// Modules at which layer groups start; absent: the architecture's.
  std::function<std::vector<Layer>(const torch::nn::Sequential&)> split_on = {};
  bool bn_final = false;           ///< a batch normalisation at the end
  InitFunc init = kaiming_normal;  ///< of the head; empty: LibTorch's own
  bool concat_pool = true;         ///< maximum and average pooling side by side
  OptFunc opt_func = adam();       ///< as in LearnerOptions, from here on
  Loss loss_func = {};
  std::vector<Metric> metrics = {};
  bool true_wd = true;
  bool bn_wd = true;
  double wd = 1e-2;
  bool train_bn = true;
  std::optional<Path> path = {};
  Path model_dir = "models";
  std::vector<CallbackFn> callback_fns = {};
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  bool add_time = true;
  bool silent = false;
  std::shared_ptr<ProgressSink> progress = {};
  std::optional<Path> weights = {};        ///< a file instead of the published weights
  std::optional<std::uint64_t> seed = {};  ///< of the initial weights; absent: the data's
  models::TrainingConv training_conv =
      models::TrainingConv::kPacked;  ///< what computes convolutions in training
  /// With data on CUDA: cuDNN measures its algorithms for every new shape of a batch and takes the fastest, from then on in
  /// the whole process (PyTorch: `torch.backends.cudnn.benchmark = True`). false leaves the process as it is: for pictures of
  /// many sizes, or the same numbers in every run
  bool cudnn_benchmark = true;
};

/// A learner over Sequential(body, head), split into layer groups, its body frozen when pretrained (fastai:
/// `cnn_learner`). Warns when the weights are pretrained and the data not normalised.
/// \throws ValueError, WeightsError, DownloadError as `create_cnn_model`; as Learner's constructor
FASTCPP_API Learner cnn_learner(const DataBunch& data, const models::Arch& base_arch,
                                const CnnLearnerOptions& options = {});

/// The old name of `cnn_learner`; warns (fastai: `create_cnn`).
FASTCPP_API Learner create_cnn(const DataBunch& data, const models::Arch& base_arch,
                               const CnnLearnerOptions& options = {});

}  // namespace fastcpp
