// A learner as a file, and a file as a learner.
#include <fmt/format.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <algorithm>
#include <any>
#include <exception>
#include <filesystem>
#include <opencv2/core.hpp>

#include "deploy/learner_file.hpp"
#include "deploy/predictor_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/version.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/image_dataset.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "fastcpp/vision/transform/recipes.hpp"

namespace fastcpp::inline v0 {
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

// A picture whose pixels all differ from their neighbours.
Image probe() {
  cv::Mat rgb(75, 93, CV_8UC3);
  for (int row = 0; row < rgb.rows; ++row) {
    for (int col = 0; col < rgb.cols; ++col) {
      rgb.at<cv::Vec3b>(row, col) = cv::Vec3b(static_cast<std::uint8_t>(3 * col % 256),
                                              static_cast<std::uint8_t>(5 * row % 256),
                                              static_cast<std::uint8_t>((7 * row + col) % 256));
    }
  }
  return Image::from_rgb(rgb);
}

// Whether the model that a file makes again computes what the learner's does.
void compare(const Learner& learn, const Tensors& x, const Model& made) {
  const torch::NoGradGuard no_grad;
  const EvaluationMode evaluation(learn.model());
  made->to(learn.data().device());
  made->eval();
  const torch::Tensor theirs = forward(learn.model(), x), ours = forward(made, x);
  if (!torch::allclose(theirs, ours, 1e-3, 1e-4, /*equal_nan=*/true)) {
    cannot_export(
        fmt::format("the model ({})", learn.model()->name()),
        "what its recipe makes has the same weights but computes something else; register "
        "what you changed under a name of its own");
  }
}

// A row with a known value in each column.
TabularRow probe_row(const TabularProcessor& processor) {
  TabularRow row;
  for (const auto& input : processor.inputs()) {
    const auto known = input.cells.empty() ? Cell() : input.cells.front();
    row.emplace(input.name, input.categories ? known : Cell(0.5));
  }
  return row;
}

bool same_tensors(const Tensors& a, const Tensors& b) {
  const auto all = a.items(), others = b.items();
  return std::equal(all.begin(), all.end(), others.begin(), others.end(),
                    [](const auto& one, const auto& other) { return torch::equal(one, other); });
}

// Whether what a file makes again treats an item as the learner does.
void compare(const Learner& learn, const BatchReader& reader, const std::any& item,
             const Model& made) {
  const auto data = learn.data();
  const auto x = data.one_item(item);
  if (!same_tensors(x, reader(item))) {
    cannot_export("an item reader",
                  reader.pictures ? "pictures go to the network otherwise than by transforms and "
                                    "statistics; do what set_item_reader was given for in a "
                                    "registered transform"
                                  : "rows go to the network otherwise than by what was learnt from "
                                    "their columns; do it in a registered step of the table, or "
                                    "name a reader of your own by register_items");
  }
  compare(learn, x, made);
}

// On a training item, where the bunch has some.
void compare(const Learner& learn, const DataBunch& data, const Model& made) {
  const auto& set = *data.fix_dl().dataset();
  if (set.size() == 0) return;
  Rng rng(0);
  compare(learn, data.one_item(std::any(set.get(0, rng).x)), made);
}

// Makes all that the file names once, so that what cannot be made again is told now and not when the file is read.
void check(const Learner& learn, const StateDict& weights) {
  const auto try_it = [](const std::string& what, auto&& make) {
    try {
      return make();
    } catch (const MemoryError&) {
      throw;
    } catch (const Error& e) {
      std::throw_with_nested(ValueError(
          "value.cannot_export",
          fmt::format("{} cannot be written to a file, because it could not be made again: {}",
                      what, e.what())));
    }
  };
  const auto data = learn.data();
  const auto& labels = *data.labels();
  const auto& loss = *learn.loss_func().recipe();
  const auto& model = *learn.model().recipe();
  try_it(fmt::format("the labels ({})", labels.name()),
         [&] { return make_labels_of(labels.recipe()); });
  try_it(fmt::format("the loss '{}'", loss.name), [&] { return make_loss(loss); });
  const auto made = try_it(fmt::format("the model '{}'", model.name), [&] {
    auto again = make_known_model(model);
    load_state_dict(*again, weights);
    return again;
  });
  if (const auto* pictures = pictures_of(data)) {
    const BatchReader::Pictures how{pictures->tfms(), pictures->options()};
    compare(learn, {how, data.stats(), {}, data.device()}, std::any(probe()), made);
  }
  if (const auto* items = data.item_recipe()) {
    auto reader = try_it(fmt::format("the reader of items '{}'", items->name),
                         [&] { return make_known_reader(*items); });
    if (reads_rows(*items)) {
      compare(learn, {{}, data.stats(), {}, data.device(), std::move(reader)},
              std::any(probe_row(TabularProcessor::from_state(items->options))), made);
    } else {
      compare(learn, data, made);
    }
  }
}

std::vector<torch::ScalarType> dtypes_of(const DataBunch& data) {
  std::vector<torch::ScalarType> dtypes;
  if (const auto layout = data.train_ds().layout()) {
    for (const auto& tensor : layout->x) dtypes.push_back(tensor.dtype);
  }
  return dtypes;
}

std::vector<std::vector<std::int64_t>> shapes_of(const DataBunch& data) {
  std::vector<std::vector<std::int64_t>> shapes;
  if (const auto layout = data.train_ds().layout()) {
    for (const auto& tensor : layout->x) shapes.push_back(tensor.shape);
  }
  return shapes;
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
  check(learn, weights);
  auto value = Value::dict({{"format", kLearnerFormat},
                            {"version", kLearnerVersion},
                            {"fastcpp", fmt::format("{}.{}.{}", FASTCPP_VERSION_MAJOR,
                                                    FASTCPP_VERSION_MINOR, FASTCPP_VERSION_PATCH)},
                            {"libtorch", TORCH_VERSION},
                            {"model", value_of(*model)},
                            {"weights", size_of(weights)},
                            {"labels", value_of(data.labels()->recipe())},
                            {"loss", value_of(*loss)},
                            {"samples", dtype_names(dtypes_of(data))},
                            {"pictures", Value()},
                            {"items", Value()},
                            {"stats", Value()}});
  if (const auto* pictures = pictures_of(data)) {
    value.set("pictures", Value::dict({{"tfms", tfms_to_value(pictures->tfms())},
                                       {"apply", apply_to_value(pictures->options())}}));
  }
  if (const auto* items = data.item_recipe()) value.set("items", value_of(*items));
  if (const auto shapes = shapes_of(data); shapes.size() > 1) {
    auto lists = Value::list();
    for (const auto& shape : shapes) lists.append(Value::list({shape.begin(), shape.end()}));
    value.set("shapes", std::move(lists));
  }
  if (const auto& stats = data.stats()) {
    value.set("stats", Value::dict({{"mean", list_of(stats->mean)}, {"std", list_of(stats->std)}}));
  }
  return value;
}

constexpr double kLargestHalf = 65504;

StateDict halved(const StateDict& weights) {
  StateDict half;
  for (const auto& [name, tensor] : weights) {
    // What half precision cannot hold, such as a large variance, stays as it is.
    const bool fits = tensor.is_floating_point() &&
                      (tensor.numel() == 0 || tensor.abs().max().item<double>() <= kLargestHalf);
    half.insert(name, fits ? tensor.to(torch::kHalf) : tensor);
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

// A table without rows, or with those to predict.
DataBunch table_bunch(const LearnerFile& file, const Path& path,
                      const LoadLearnerOptions& options) {
  const auto processor = TabularProcessor::from_state(file.items->options);
  const bool matrices = file.items->name == "tabular";
  const auto set = [&](TabularItems items, std::shared_ptr<const Labels> y) {
    return std::make_shared<const TabularDataset>(
        std::move(items), std::move(y), processor,
        matrices ? TabularInput::kMatrices : TabularInput::kColumns,
        matrices ? "TabularList" : "CollabList");
  };
  const auto cats = static_cast<std::int64_t>(processor.cat_names().size());
  const auto conts = static_cast<std::int64_t>(processor.cont_names().size());
  const auto none =
      set({torch::empty({0, cats}, torch::kLong), torch::empty({0, conts})}, file.labels);
  std::shared_ptr<const TabularDataset> test;
  if (options.test_df) {
    test = set(processor.process(*options.test_df),
               std::make_shared<EmptyLabelList>(options.test_df->rows()));
  }
  return TabularDataBunch::make_bunch(none, none, test, path,
                                      {.bs = options.bs, .device = options.device});
}

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
  if (file.items) {
    data.set_item_reader(make_known_reader(*file.items), *file.items);
  } else if (!file.dtypes.empty()) {
    data.set_item_reader([dtypes = file.dtypes](const std::any& item) -> Tensors {
      const auto* tensor = std::any_cast<torch::Tensor>(&item);
      return tensor && dtypes.size() == 1 ? Tensors(tensor->to(dtypes[0])) : Tensors();
    });
  }
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

ModelInput input_of(const DataBunch& data) {
  ModelInput input{.stats = data.stats(), .own_transforms = has_own_batch_transforms(data)};
  if (const auto* items = data.item_recipe()) set_items(input, *items);
  set_parts(input, dtypes_of(data), shapes_of(data));
  if (const auto* pictures = pictures_of(data)) {
    input.pictures = true;
    input.size = output_size(pictures->tfms(), pictures->options());
  }
  return input;
}

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
    const bool is_table = content.items && reads_rows(*content.items);
    if (options.test_df && !is_table) {
      throw DataError("data.no_table", "the model did not learn from a table: give it no test_df");
    }
    const auto data = content.pictures ? pictures_bunch(content, path, options)
                      : is_table       ? table_bunch(content, path, options)
                                       : tensors_bunch(content, path, options);
    auto with = options.learner;
    if (!with.loss_func) with.loss_func = content.loss;
    return Learner(data, content.model, with);
  });
}

}  // namespace fastcpp
