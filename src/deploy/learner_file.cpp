#include "deploy/learner_file.hpp"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <string_view>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/collab/model.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/processor.hpp"
#include "fastcpp/train/registry.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "fastcpp/vision/transform/recipes.hpp"

namespace fastcpp::inline v0 {
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

struct DtypeName {
  torch::ScalarType dtype;
  const char* name;
};
constexpr DtypeName kDtypes[] = {{torch::kFloat32, "float32"}, {torch::kFloat64, "float64"},
                                 {torch::kFloat16, "float16"}, {torch::kBFloat16, "bfloat16"},
                                 {torch::kInt64, "int64"},     {torch::kInt32, "int32"},
                                 {torch::kInt16, "int16"},     {torch::kInt8, "int8"},
                                 {torch::kUInt8, "uint8"},     {torch::kBool, "bool"}};

std::vector<torch::ScalarType> dtypes_of(const Value& names) {
  std::vector<torch::ScalarType> dtypes;
  for (const auto& name : names.items()) {
    const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                     [&](const auto& one) { return one.name == name.as_string(); });
    if (found == std::end(kDtypes)) {
      throw FormatError("model.bad_file",
                        fmt::format("no element type is called '{}'", name.as_string()));
    }
    dtypes.push_back(found->dtype);
  }
  return dtypes;
}

std::vector<std::vector<std::int64_t>> shapes_of(const Value& lists) {
  std::vector<std::vector<std::int64_t>> shapes;
  for (const auto& list : lists.items()) {
    auto& shape = shapes.emplace_back();
    for (const auto& side : list.items()) shape.push_back(side.as_int());
    if (std::any_of(shape.begin(), shape.end(), [](auto side) { return side < 0; })) {
      throw FormatError("model.bad_file", "a sample has a side below 0");
    }
  }
  return shapes;
}

// The layers of a head are made before the weights are looked at, so what the file says of them must fit the weights.
void check_widths(const Value& head, std::int64_t numbers) {
  double wanted = 0;
  auto width = static_cast<double>(head.at("nf").as_int());
  const auto next = [&](std::int64_t to) {
    wanted += width * static_cast<double>(to);
    width = static_cast<double>(to);
  };
  for (const auto& one : head.at("lin_ftrs").items()) next(one.as_int());
  next(head.at("nc").as_int());
  if (!(wanted <= static_cast<double>(numbers))) {
    throw FormatError(
        "model.weights",
        fmt::format("its head has {} weights, but the file only {} numbers", wanted, numbers));
  }
}

// The same of embeddings and layers of tables and ratings.
void check_tables(const Value& model, std::int64_t numbers) {
  double wanted = 0, width = 0;
  if (const auto* sizes = model.find("emb_szs")) {
    for (const auto& one : sizes->items()) {
      const auto columns = static_cast<double>(one.items().at(1).as_int());
      wanted += static_cast<double>(one.items().at(0).as_int()) * columns;
      width += columns;
    }
    width += static_cast<double>(model.at("n_cont").as_int());
    const auto next = [&](std::int64_t to) {
      wanted += width * static_cast<double>(to);
      width = static_cast<double>(to);
    };
    for (const auto& one : model.at("layers").items()) next(one.as_int());
    next(model.at("out_sz").as_int());
  } else {
    wanted = (static_cast<double>(model.at("n_users").as_int()) +
              static_cast<double>(model.at("n_items").as_int())) *
             static_cast<double>(model.at("n_factors").as_int());
  }
  if (!(wanted <= static_cast<double>(numbers))) {
    throw FormatError("model.weights",
                      fmt::format("its layers have {} weights, but the file only {} "
                                  "numbers",
                                  wanted, numbers));
  }
}

void check_version(const Value& description) {
  const auto* format = description.find("format");
  if (!format || !format->is_string() || format->as_string() != kLearnerFormat) {
    throw FormatError("model.bad_file", "it is no file that export_model wrote");
  }
  const auto version = description.at("version").as_int();
  if (version < 1) {
    throw FormatError("model.bad_file", fmt::format("no version is number {}", version));
  }
  if (version > kLearnerVersion) {
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
    file.pictures = BatchReader::Pictures{tfms_from_value(pictures->at("tfms")),
                                          apply_from_value(pictures->at("apply"))};
  }
  if (const auto* stats = description.find("stats"); stats && !stats->is_none()) {
    file.stats = Stats{floats_of(stats->at("mean")), floats_of(stats->at("std"))};
    Normalize(*file.stats, torch::kCPU);  // checks them
  }
  if (const auto* samples = description.find("samples"); samples && !samples->is_none()) {
    file.dtypes = dtypes_of(*samples);
  }
  if (const auto* shapes = description.find("shapes"); shapes && !shapes->is_none()) {
    file.shapes = shapes_of(*shapes);
  }
  if (const auto* items = description.find("items"); items && !items->is_none()) {
    file.items = recipe_of(*items);
    make_known_reader(*file.items);  // checks it
  }
  const auto recipe = recipe_of(description.at("model"));
  if (recipe.name == "cnn") check_widths(recipe.options, found.at("numbers").as_int());
  if (reads_rows(recipe)) check_tables(recipe.options, found.at("numbers").as_int());
  file.model = make_known_model(recipe);
  load_state_dict(*file.model, content.weights);
  file.model->eval();
  return file;
}

}  // namespace

Model make_known_model(const Recipe& recipe) {
  return boundary([&] {
    if (recipe.name == "cnn") return Model(make_cnn(recipe.options)).set_recipe(recipe);
    if (recipe.name == "tabular") return Model(make_tabular(recipe.options)).set_recipe(recipe);
    if (recipe.name == "collab") return make_collab(recipe.options);
    return make_model(recipe);
  });
}

// A model and the reader of its items have the same name.
bool reads_rows(const Recipe& items) {
  return items.name == "tabular" || items.name == "collab";
}

void set_items(ModelInput& input, const Recipe& items) {
  input.items = items;
  input.rows = reads_rows(items);
  if (items.name == "collab") {
    input.parts = {{"users", torch::kInt64, {}}, {"items", torch::kInt64, {}}};
  } else if (input.rows) {
    const auto count = [&](const char* names) {
      return static_cast<std::int64_t>(items.options.at(names).items().size());
    };
    input.parts = {{"cats", torch::kInt64, {count("cat_names")}},
                   {"conts", torch::kFloat32, {count("cont_names")}}};
  }
}

void set_parts(ModelInput& input, const std::vector<torch::ScalarType>& dtypes,
               const std::vector<std::vector<std::int64_t>>& shapes) {
  if (!input.parts.empty() || shapes.size() < 2 || dtypes.size() != shapes.size()) return;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    input.parts.push_back({fmt::format("input_{}", i), dtypes[i], shapes[i]});
  }
}

ItemReader make_known_reader(const Recipe& recipe) {
  return boundary([&] {
    if (!reads_rows(recipe)) return make_item_reader(recipe);
    return tabular_reader(
        TabularProcessor::from_state(recipe.options),
        recipe.name == "tabular" ? TabularInput::kMatrices : TabularInput::kColumns);
  });
}

Value dtype_names(const std::vector<torch::ScalarType>& dtypes) {
  auto names = Value::list();
  for (const auto dtype : dtypes) {
    const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                     [&](const auto& one) { return one.dtype == dtype; });
    if (found == std::end(kDtypes)) return {};
    names.append(found->name);
  }
  return names;
}

Value size_of(const StateDict& weights) {
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : weights) numbers += tensor.numel();
  return Value::dict(
      {{"tensors", static_cast<std::int64_t>(weights.size())}, {"numbers", numbers}});
}

LearnerFile read_learner_file(const Path& file) {
  return boundary([&] {
    const auto told = [&](const Error& e) {
      return fmt::format("'{}' cannot be read as a learner: {}", file.string(), e.what());
    };
    try {
      return boundary([&] {
        // Before the rest, which a newer version may hold in another form.
        check_version(load_model_description(file));
        return made_of(load_model_file(file));
      });
    } catch (const MemoryError&) {
      throw;
    } catch (const FormatError& e) {
      // Those of the archive name the file already.
      if (std::string_view(e.what()).find(file.string()) != std::string_view::npos) throw;
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
    ModelInput input{.pictures = parts.pictures.has_value(), .stats = parts.stats};
    if (parts.items) set_items(input, *parts.items);
    set_parts(input, parts.dtypes, parts.shapes);
    if (parts.pictures) input.size = output_size(parts.pictures->tfms, parts.pictures->apply);
    impl_ = PredictorAccess::make(
        {.one_item =
             BatchReader{std::move(parts.pictures), std::move(parts.stats), std::move(parts.dtypes),
                         device, parts.items ? make_known_reader(*parts.items) : ItemReader()},
         .labels = std::move(parts.labels),
         .model = std::move(parts.model),
         .loss = std::move(parts.loss),
         .input = std::move(input)},
        options);
  });
}

}  // namespace fastcpp
