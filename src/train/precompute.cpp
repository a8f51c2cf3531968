#include "train/precompute.hpp"

#include <fmt/format.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/hooks/watched.hpp"
#include "fastcpp/train/optim/layers.hpp"

namespace fastcpp::inline v0 {
namespace nn = torch::nn;
namespace {

// All layers of a sequence but the first, run in turn. Holds them under the names they have in the
// sequence.
class RestImpl : public nn::Module {
 public:
  explicit RestImpl(const nn::SequentialImpl& layers) {
    const auto children = layers.named_children();  // a copy: it must outlive the iterator
    auto child = children.begin();
    for (auto layer = layers.begin(); layer != layers.end(); ++layer, ++child) {
      if (layer == layers.begin()) continue;
      register_module(child->key(), layer->ptr());
      layers_.push_back(*layer);
    }
  }
  torch::Tensor forward(torch::Tensor x) {
    for (auto& layer : layers_)
      x = detail::watched(*layer.ptr(), [&] { return layer.forward(std::move(x)); });
    return x;
  }

 private:
  std::vector<nn::AnyModule> layers_;
};

const nn::SequentialImpl& body_and_head(const Model& model) {
  const auto* layers = dynamic_cast<const nn::SequentialImpl*>(model.ptr().get());
  if (layers && layers->size() >= 2) return *layers;
  throw ValueError("value.precompute",
                   "precompute needs a sequence of a body and a head, as cnn_learner makes it; "
                   "this model is none");
}

// The body's output for every item of a loader that walks them in order, once.
std::shared_ptr<const TensorDataset> outputs(const Model& body, const DataLoader& loader,
                                             const FeatureOptions& options) {
  torch::Tensor all;
  std::vector<torch::Tensor> targets;
  std::int64_t done = 0, items = 0;
  ProgressBar bar(options.progress, {.phase = ProgressPhase::kPrecompute, .total = loader.size()});
  for (auto& batch : loader) {
    if (options.stop.stop_requested()) throw_stopped("precompute", done, loader.size());
    const torch::Tensor out = forward(body, batch.x, {.precision = options.precision})
                                  .one("precompute")
                                  .cpu()
                                  .contiguous();
    if (!all.defined()) {
      auto shape = out.sizes().vec();
      shape[0] = loader.dataset()->size();
      all = torch::empty(shape, out.options());
    }
    // Items that cannot be loaded may be missing: the features are then of those that are there.
    all.narrow(0, items, out.size(0)).copy_(out);
    items += out.size(0);
    targets.push_back(batch.y.one("precompute").cpu().clone());
    bar.update(++done);
  }
  return std::make_shared<const TensorDataset>(
      all.defined() ? all.narrow(0, 0, items) : all,
      targets.empty() ? torch::Tensor() : torch::cat(targets));
}

}  // namespace

std::shared_ptr<nn::Module> body_of(const Model& model) {
  return body_and_head(model).begin()->ptr();
}

Features compute_features(const DataBunch& data, const Model& model,
                          const FeatureOptions& options) {
  const auto& layers = body_and_head(model);
  auto first = *layers.begin();
  const Model body(std::shared_ptr<nn::Module>(first.ptr()),
                   [first](const torch::Tensor& x) mutable { return first.forward(x); });
  const torch::NoGradGuard no_grad;
  const EvaluationMode evaluation(body);
  const auto set = [&](const DataLoader& loader) { return outputs(body, loader, options); };
  DataBunch::Datasets sets;
  sets.train = set(data.fix_dl());
  if (!data.empty_val()) sets.valid = set(data.valid_dl());
  const auto bs = data.batch_size();
  const DataBunchOptions options_of_data{
      .bs = bs,
      .val_bs = data.empty_val() ? bs : data.valid_dl().batch_size(),
      .num_workers = 0,  // nothing to load: a copy within memory
      .dl_tfms = {},     // the features came out of transformed batches
      .device = data.device(),
      .seed = data.seed(),
      .kind = data.label_kind(),
      .classes = data.classes(),
      .shuffle = data.train_dl().options().shuffle,
      .name = "DataBunch",
      .collate_fn = {},
      .labels = data.labels(),
      .sampler = data.train_dl().options().sampler,
      .on_error = OnError::kRaise};  // a copy within memory does not fail
  // A field more in DataBunchOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] =
      options_of_data;
  return {DataBunch::create(sets, data.path(), options_of_data),
          Model(std::make_shared<RestImpl>(layers))};
}

void check_body_frozen(const Model& model) {
  for (const auto& layer : flatten_model(body_of(model))) {
    if (is_batchnorm(*layer)) continue;
    for (const auto& parameter : layer->parameters()) {
      if (!parameter.requires_grad()) continue;
      throw TrainError("train.precomputed",
                       "the body is to be trained, but its features are precomputed: call "
                       "precompute({.on = false}) first, or freeze the body");
    }
  }
}

}  // namespace fastcpp
