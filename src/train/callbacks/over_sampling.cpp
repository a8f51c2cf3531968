#include "fastcpp/train/callbacks/over_sampling.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {
namespace {

// Known from other samplers by its type.
class ClassSampler : public WeightedRandomSampler {
 public:
  using WeightedRandomSampler::WeightedRandomSampler;
};

// The class of each training item. `what` continues "Can only ".
torch::Tensor training_classes(const DataBunch& data, const char* what) {
  const auto targets = data.train_ds().targets();
  if (data.label_kind() == LabelKind::kCategory && !targets) {
    throw DataError("data.no_targets",
                    fmt::format("to {} by classes, the classes of all training items must be "
                                "known, but the data set does not tell its targets at once",
                                what));
  }
  const bool integers = targets && !targets->is_floating_point() && !targets->is_complex() &&
                        targets->scalar_type() != torch::kBool;
  if (data.label_kind() != LabelKind::kCategory || !integers || targets->dim() != 1) {
    throw ValueError("value.targets", fmt::format("Can only {} integer values: each training item "
                                                  "must have one class",
                                                  what));
  }
  return targets->to(torch::kCPU, torch::kLong).contiguous();
}

// How many items there are of each class that occurs.
std::map<std::int64_t, std::int64_t> counts_of(const torch::Tensor& classes) {
  std::map<std::int64_t, std::int64_t> counts;
  const auto* of_item = classes.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < classes.numel(); ++i) ++counts[of_item[i]];
  return counts;
}

std::vector<double> weights_of(const torch::Tensor& classes) {
  const auto counts = counts_of(classes);
  std::vector<double> weights(static_cast<std::size_t>(classes.numel()));
  const auto* of_item = classes.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = 1 / static_cast<double>(counts.at(of_item[i]));
  }
  return weights;
}

}  // namespace

std::vector<double> balanced_weights(const DataBunch& data) {
  return boundary([&] { return weights_of(training_classes(data, "weigh")); });
}

ClassSamplingCallback::ClassSamplingCallback(const ClassSamplingOptions& options, Count count)
    : options_(options), count_(count) {
  // Refused where they are written.
  if (!options.weights.empty()) static_cast<void>(WeightedRandomSampler(options.weights));
}

void ClassSamplingCallback::on_train_begin(TrainState& state) {
  old_.reset();
  auto learner = learn();
  const auto data = learner.data();
  const auto loader = data.train_dl().whole();
  const bool over = count_ == Count::kOfLargest;
  if (std::dynamic_pointer_cast<const ClassSampler>(loader.options().sampler)) {
    throw ValueError("value.sampler",
                     "two callbacks that over- or under-sample take part in this fit: take one of "
                     "them out");
  }
  const auto classes = training_classes(data, over ? "oversample" : "undersample");
  const auto n = loader.dataset()->size();
  auto weights = options_.weights.empty() ? weights_of(classes) : options_.weights;
  if (static_cast<std::int64_t>(weights.size()) != n) {
    throw ValueError("value.weights", fmt::format("expected a weight for each of {} training "
                                                  "items, found {}",
                                                  n, weights.size()));
  }
  const auto counts = counts_of(classes);
  const auto [smallest, largest] =
      std::minmax_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto items = data.c() * (over ? largest : smallest)->second;
  sampler_ = std::make_shared<ClassSampler>(std::move(weights), items);
  // A loader of its own starts with its first pass: by another seed every fit draws anew.
  const auto drawing = loader.with(
      {.seed = Rng{data.seed(), 0x73616d706c65, state.fit}.next(), .sampler = sampler_});
  if (drawing.size() == 0) {
    throw TrainError("train.empty_loader",
                     fmt::format("{} items an epoch make no batch of {}: use a smaller batch size",
                                 items, loader.batch_size()));
  }
  old_ = data;
  learner.set_data(data.with_train_dl(drawing));
}

void ClassSamplingCallback::on_train_end(TrainState&) {
  const auto old = std::exchange(old_, std::nullopt);
  // Other data that the learner was given meanwhile stay.
  if (old && learn().data().train_dl().whole().options().sampler == sampler_) {
    learn().set_data(old->whole());
  }
  sampler_.reset();
}

CallbackFn over_sampling(const ClassSamplingOptions& options) {
  return factory_of<OverSamplingCallback>(options);
}

CallbackFn under_sampling(const ClassSamplingOptions& options) {
  return factory_of<UnderSamplingCallback>(options);
}

}  // namespace fastcpp
