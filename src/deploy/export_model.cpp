// A learner as a file, and a file as a learner.
#include <fmt/format.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <exception>
#include <filesystem>

#include "deploy/learner_file.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/version.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/image_dataset.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "fastcpp/vision/transform/recipes.hpp"

namespace fastcpp {
namespace {

[[noreturn]] void cannot_export(const std::string& what, const char* advice) {
  throw ValueError("value.cannot_export",
                   fmt::format("{} cannot be written to a file: {}", what, advice));
}

Value value_of(const Recipe& recipe) {
  return Value::dict({{"name", recipe.name}, {"options", recipe.options}});
}

Value list_of(const std::vector<float>& numbers) {
  return Value::list({numbers.begin(), numbers.end()});
}

const ImageDataset* pictures_of(const DataBunch& data) {
  return dynamic_cast<const ImageDataset*>(data.fix_dl().dataset().get());
}

// Functions that run on batches, beside those that the library put there.
bool has_own_batch_transforms(const DataBunch& data) {
  const auto* pictures = pictures_of(data);
  const std::size_t known =
      (data.stats() ? 1 : 0) + (pictures && pictures->loading().augment_on_device ? 1 : 0);
  return data.fix_dl().options().tfms.size() > known;
}

// Makes all that the file names once, so that what cannot be made again is told now and not when the file is read.
void check(const Recipe& model, const Recipe& loss, const Labels& labels,
           const StateDict& weights) {
  const auto try_it = [](const std::string& what, auto&& make) {
    try {
      make();
    } catch (const MemoryError&) {
      throw;
    } catch (const Error& e) {
      std::throw_with_nested(ValueError(
          "value.cannot_export",
          fmt::format("{} cannot be written to a file, because it could not be made again: {}",
                      what, e.what())));
    }
  };
  try_it(fmt::format("the labels ({})", labels.name()), [&] { make_labels_of(labels.recipe()); });
  try_it(fmt::format("the loss '{}'", loss.name), [&] { make_loss(loss); });
  try_it(fmt::format("the model '{}'", model.name),
         [&] { load_state_dict(*make_known_model(model), weights); });
}

Value described(const Learner& learn, const StateDict& weights) {
  const auto data = learn.data();
  const auto* model = learn.model().recipe();
  const auto* loss = learn.loss_func().recipe();
  if (!model) {
    cannot_export(
        fmt::format("the model ({})", learn.model()->name()),
        "it does not say how it is made. That of cnn_learner does, unless custom_head, a function "
        "as cut or an architecture that is not registered was given; any other is told by "
        "Model::set_recipe and register_model");
  }
  if (!loss) {
    cannot_export(fmt::format("the loss {}", learn.loss_func().name()),
                  "it does not say how it is made; tell it by Loss::set_recipe and register_loss");
  }
  if (has_own_batch_transforms(data)) {
    cannot_export("a function of dl_tfms",
                  "what it does to a batch is not known by name; do it "
                  "in a registered transform, or in the model");
  }
  check(*model, *loss, *data.labels(), weights);
  auto value = Value::dict({{"format", kLearnerFormat},
                            {"version", kLearnerVersion},
                            {"fastcpp", fmt::format("{}.{}.{}", FASTCPP_VERSION_MAJOR,
                                                    FASTCPP_VERSION_MINOR, FASTCPP_VERSION_PATCH)},
                            {"libtorch", TORCH_VERSION},
                            {"model", value_of(*model)},
                            {"weights", size_of(weights)},
                            {"labels", value_of(data.labels()->recipe())},
                            {"loss", value_of(*loss)},
                            {"pictures", Value()},
                            {"stats", Value()}});
  if (const auto* pictures = pictures_of(data)) {
    value.set("pictures", Value::dict({{"tfms", tfms_to_value(pictures->tfms())},
                                       {"apply", apply_to_value(pictures->options())}}));
  }
  if (const auto& stats = data.stats()) {
    value.set("stats", Value::dict({{"mean", list_of(stats->mean)}, {"std", list_of(stats->std)}}));
  }
  return value;
}

StateDict halved(const StateDict& weights) {
  StateDict half;
  for (const auto& [name, tensor] : weights) {
    half.insert(name, tensor.is_floating_point() ? tensor.to(torch::kHalf) : tensor);
  }
  return half;
}

// Samples that are tensors of any shape, and none of them.
class NoSamples : public Dataset {
 public:
  std::int64_t size() const override { return 0; }
  Sample get(std::int64_t index, Rng&) const override {
    throw ValueError("value.index",
                     fmt::format("there is no item {}: the data set is empty", index));
  }
};

DataBunch tensors_bunch(const LearnerFile& file, const Path& path,
                        const LoadLearnerOptions& options) {
  if (options.test) {
    throw DataError("data.no_pictures",
                    "the model predicts from tensors: give the learner data by set_data instead of "
                    "test pictures");
  }
  auto data = DataBunch::create({std::make_shared<NoSamples>(), {}, {}, {}}, path,
                                {.bs = options.bs,
                                 .device = options.device,
                                 .kind = file.labels->kind(),
                                 .labels = file.labels});
  if (file.stats) data.normalize_with(file.stats);
  return data;
}

DataBunch pictures_bunch(const LearnerFile& file, const Path& path,
                         const LoadLearnerOptions& options) {
  const LabelList none({}, file.labels);
  ImageLabelLists lists(ImageList({}, path), {none, none});
  if (options.test) lists.add_test(*options.test);
  lists.set_transforms({file.pictures->tfms, file.pictures->tfms}, file.pictures->apply);
  auto data =
      lists.databunch({.path = path, .bs = options.bs, .device = options.device, .no_check = true});
  if (file.stats) data.normalize(*file.stats);
  return data;
}

}  // namespace

Path Learner::export_model(const Path& file, const ExportOptions& options) const {
  return boundary([&] {
    const auto target = path() / file;
    auto weights = state_dict(*model());
    auto description = described(*this, weights);
    if (options.half) weights = halved(weights);
    save_model_file(target, {std::move(description), std::move(weights)});
    return target;
  });
}

Learner load_learner(const Path& file, const LoadLearnerOptions& options) {
  return boundary([&] {
    auto content = read_learner_file(file);
    auto path = file.parent_path();
    if (path.empty()) path = ".";
    const auto data = content.pictures ? pictures_bunch(content, path, options)
                                       : tensors_bunch(content, path, options);
    auto with = options.learner;
    if (!with.loss_func) with.loss_func = content.loss;
    return Learner(data, content.model, with);
  });
}

}  // namespace fastcpp
