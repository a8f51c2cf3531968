#include "deploy/learner_file.hpp"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <exception>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/registry.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "fastcpp/vision/transform/recipes.hpp"

namespace fastcpp {
namespace {

Recipe recipe_of(const Value& value) {
  const auto* options = value.find("options");
  return {value.at("name").as_string(), options ? *options : Value::dict()};
}

std::vector<float> floats_of(const Value& list) {
  std::vector<float> numbers;
  for (const auto& one : list.items()) numbers.push_back(static_cast<float>(one.as_double()));
  return numbers;
}

void check_version(const Value& description) {
  const auto* format = description.find("format");
  if (!format || !format->is_string() || format->as_string() != kLearnerFormat) {
    throw FormatError("model.bad_file", "it is no file that export_model wrote");
  }
  const auto version = description.at("version").as_int();
  if (version < 1 || version > kLearnerVersion) {
    const auto* by = description.find("fastcpp");
    throw FormatError(
        "model.version",
        fmt::format(
            "it has version {} of the format{}, this library reads up to version {}: take "
            "a newer fastcpp",
            version,
            by && by->is_string() ? fmt::format(" (written by fastcpp {})", by->as_string()) : "",
            kLearnerVersion));
  }
}

LearnerFile made_of(const ModelFile& content) {
  const auto& description = content.description;
  check_version(description);
  // Before a network is made that the weights do not fill.
  const auto found = size_of(content.weights), expected = description.at("weights");
  if (found.at("tensors").as_int() != expected.at("tensors").as_int() ||
      found.at("numbers").as_int() != expected.at("numbers").as_int()) {
    throw FormatError(
        "model.weights",
        fmt::format("its weights are {} numbers in {} tensors, but it says that the model has {} "
                    "in {}: they belong to another model",
                    found.at("numbers").as_int(), found.at("tensors").as_int(),
                    expected.at("numbers").as_int(), expected.at("tensors").as_int()));
  }
  LearnerFile file;
  file.labels = make_labels_of(recipe_of(description.at("labels")));
  file.loss = make_loss(recipe_of(description.at("loss")));
  if (const auto* pictures = description.find("pictures"); pictures && !pictures->is_none()) {
    file.pictures = ItemReader::Pictures{tfms_from_value(pictures->at("tfms")),
                                         apply_from_value(pictures->at("apply"))};
  }
  if (const auto* stats = description.find("stats"); stats && !stats->is_none()) {
    file.stats = Stats{floats_of(stats->at("mean")), floats_of(stats->at("std"))};
    Normalize(*file.stats, torch::kCPU);  // checks them
  }
  file.model = make_known_model(recipe_of(description.at("model")));
  load_state_dict(*file.model, content.weights);
  file.model->eval();
  return file;
}

}  // namespace

Model make_known_model(const Recipe& recipe) {
  if (recipe.name != "cnn") return make_model(recipe);
  return boundary([&] { return Model(make_cnn(recipe.options)).set_recipe(recipe); });
}

Value size_of(const StateDict& weights) {
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : weights) numbers += tensor.numel();
  return Value::dict(
      {{"tensors", static_cast<std::int64_t>(weights.size())}, {"numbers", numbers}});
}

LearnerFile read_learner_file(const Path& file) {
  return boundary([&] {
    const auto content = load_model_file(file);
    const auto told = [&](const Error& e) {
      return fmt::format("'{}' cannot be read as a learner: {}", file.string(), e.what());
    };
    try {
      return boundary([&] { return made_of(content); });
    } catch (const MemoryError&) {
      throw;
    } catch (const FormatError& e) {
      std::throw_with_nested(FormatError(e.code(), told(e)));
    } catch (const IoError&) {
      throw;
    } catch (const Error& e) {
      // What the file says is missing, of another kind than expected, unknown here, or does not fit.
      std::throw_with_nested(FormatError(
          e.code() == "value.unknown_recipe" ? "model.unknown_recipe" : "model.bad_file", told(e)));
    }
  });
}

Predictor::Predictor(const Path& file, const PredictorOptions& options) {
  boundary([&] {
    PredictorAccess::check(options);
    auto parts = read_learner_file(file);
    const auto device = options.device.value_or(
        torch::cuda::is_available() ? torch::Device(torch::kCUDA) : torch::Device(torch::kCPU));
    parts.model->to(device);
    impl_ = PredictorAccess::make(
        {.one_item = ItemReader{std::move(parts.pictures), std::move(parts.stats), device},
         .labels = std::move(parts.labels),
         .model = std::move(parts.model),
         .loss = std::move(parts.loss)},
        options);
  });
}

}  // namespace fastcpp
