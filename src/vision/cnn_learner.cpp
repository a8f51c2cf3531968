#include "fastcpp/vision/cnn_learner.hpp"

#include <torch/torch.h>

#include "fastcpp/core/log.hpp"

namespace fastcpp {

Learner cnn_learner(const DataBunch& data, const models::Arch& base_arch,
                    const CnnLearnerOptions& o) {
  const auto seed = o.seed.value_or(data.seed());
  auto model = create_cnn_model(base_arch, data.c(),
                                {.cut = o.cut,
                                 .pretrained = o.pretrained,
                                 .lin_ftrs = o.lin_ftrs,
                                 .ps = o.ps,
                                 .custom_head = o.custom_head,
                                 .bn_final = o.bn_final,
                                 .concat_pool = o.concat_pool,
                                 .weights = o.weights,
                                 .seed = seed});
  // The head is initialised before the learner moves it to its device and freezes the rest.
  if (o.init) apply_init(*model->ptr(1), o.init, seed);
  Learner learner(data, Model(model),
                  {.opt_func = o.opt_func,
                   .loss_func = o.loss_func,
                   .metrics = o.metrics,
                   .true_wd = o.true_wd,
                   .bn_wd = o.bn_wd,
                   .wd = o.wd,
                   .train_bn = o.train_bn,
                   .path = o.path,
                   .model_dir = o.model_dir,
                   .callback_fns = o.callback_fns,
                   .callbacks = o.callbacks,
                   .silent = o.silent});
  learner.split(o.split_on ? o.split_on(model) : base_arch.split(model));
  if (o.pretrained) learner.freeze();
  return learner;
}

Learner create_cnn(const DataBunch& data, const models::Arch& base_arch,
                   const CnnLearnerOptions& options) {
  log_warning("`create_cnn` is deprecated and is now named `cnn_learner`.");
  return cnn_learner(data, base_arch, options);
}

}  // namespace fastcpp
