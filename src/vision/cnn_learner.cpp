#include "fastcpp/vision/cnn_learner.hpp"

#include <ATen/Context.h>
#include <torch/types.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/vision/models/fold.hpp"

namespace fastcpp::inline v0 {
namespace {

Learner make_learner(const DataBunch& data, const models::Arch& base_arch,
                     const CnnLearnerOptions& o) {
  if (o.pretrained && !data.stats()) {
    log_warning(
        "the weights are pretrained, but the data are not normalised as the pictures were that "
        "they were trained on: call data.normalize(imagenet_stats) before cnn_learner");
  }
  const auto seed = o.seed.value_or(data.seed());
  const CreateCnnModelOptions make_model{o.cut,      o.pretrained,  o.lin_ftrs, o.ps, o.custom_head,
                                         o.bn_final, o.concat_pool, o.weights,  seed};
  // A field more does not compile here, and below: it must be given above.
  [[maybe_unused]] const auto& [m1, m2, m3, m4, m5, m6, m7, m8, m9] = make_model;
  auto model = create_cnn_model(base_arch, data.c(), make_model);
  models::set_training_conv(*model, o.training_conv);
  // The head is initialised before the learner moves it to its device and freezes the rest.
  if (o.init) apply_init(*model->ptr(1), o.init, seed);
  const LearnerOptions train_with{o.opt_func,  o.loss_func,    o.metrics,   o.true_wd,
                                  o.bn_wd,     o.wd,           o.train_bn,  o.path,
                                  o.model_dir, o.callback_fns, o.callbacks, /*layer_groups=*/{},
                                  o.add_time,  o.silent,       o.progress};
  [[maybe_unused]] const auto& [t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] =
      train_with;
  Model wrapped(model);
  if (auto recipe = cnn_recipe(base_arch, data.c(), make_model, model)) {
    wrapped.set_recipe(std::move(*recipe));
  }
  Learner learner(data, wrapped, train_with);
  learner.split(o.split_on ? o.split_on(model) : base_arch.split(model));
  if (o.pretrained) learner.freeze();
  if (o.cudnn_benchmark && data.device().is_cuda()) at::globalContext().setBenchmarkCuDNN(true);
  return learner;
}

}  // namespace

Learner cnn_learner(const DataBunch& data, const models::Arch& base_arch,
                    const CnnLearnerOptions& options) {
  return boundary([&] { return make_learner(data, base_arch, options); });
}

Learner create_cnn(const DataBunch& data, const models::Arch& base_arch,
                   const CnnLearnerOptions& options) {
  log_warning("`create_cnn` is deprecated and is now named `cnn_learner`.");
  return cnn_learner(data, base_arch, options);
}

}  // namespace fastcpp
