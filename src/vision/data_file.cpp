// A bunch of pictures as a file: what was labelled and how it is transformed, or only what predicting needs.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/image_list.hpp"

namespace fastcpp {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr const char* kFormat = "fastcpp data";

// --- cells and labels

Json json_of(const Cell& cell) {
  return std::visit(
      [](const auto& value) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
          return nullptr;
        } else {
          return value;
        }
      },
      cell);
}

Cell cell_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>())) {
    return value.get<std::uint64_t>();
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return value.get<std::string>();
}

Json json_of(const std::vector<Cell>& cells) {
  Json list = Json::array();
  for (const auto& cell : cells) list.push_back(json_of(cell));
  return list;
}

ClassNames classes_of(const Json& list) {
  std::vector<Cell> cells;
  for (const auto& one : list) cells.push_back(cell_of(one));
  return ClassNames(std::move(cells));
}

// Nothing for a kind of the user's own, which no file can make again.
std::optional<Json> json_of(const Labels& labels) {
  Json json{{"label_cls", labels.name()}};
  if (const auto* category = dynamic_cast<const CategoryList*>(&labels)) {
    json["classes"] = json_of(category->class_cells());
    json["y"] = category->indices();
  } else if (const auto* several = dynamic_cast<const MultiCategoryList*>(&labels)) {
    json["classes"] = json_of(several->class_cells());
    json["one_hot"] = several->is_one_hot();
    if (several->label_delim()) json["label_delim"] = *several->label_delim();
    json["y"] = Json::array();
    if (several->is_one_hot()) {
      const auto numbers = several->targets().contiguous();
      for (std::int64_t i = 0; i < numbers.numel(); ++i) {
        json["y"].push_back(numbers.data_ptr<float>()[i]);
      }
    }
    for (std::int64_t i = 0; !several->is_one_hot() && i < several->size(); ++i) {
      json["y"].push_back(several->indices(i));
    }
  } else if (const auto* numbers = dynamic_cast<const FloatList*>(&labels)) {
    json["c"] = numbers->c();
    json["log"] = numbers->log();
    json["y"] = Json::array();
    // No JSON number is infinite or NaN.
    for (const auto y : numbers->numbers()) {
      json["y"].push_back(std::isfinite(y) ? Json(y) : Json(fmt::format("{}", y)));
    }
  } else if (dynamic_cast<const EmptyLabelList*>(&labels)) {
    json["y"] = labels.size();
  } else {
    return std::nullopt;
  }
  return json;
}

float number_of(const Json& value) {
  if (value.is_number()) return value.get<float>();
  const auto text = value.get<std::string>();
  if (text == "inf") return std::numeric_limits<float>::infinity();
  if (text == "-inf") return -std::numeric_limits<float>::infinity();
  return std::numeric_limits<float>::quiet_NaN();
}

std::shared_ptr<const Labels> labels_of(const Json& json) {
  const auto name = json.at("label_cls").get<std::string>();
  if (name == "CategoryList") {
    return std::make_shared<CategoryList>(json.at("y").get<std::vector<std::int64_t>>(),
                                          classes_of(json.at("classes")));
  }
  if (name == "MultiCategoryList") {
    const auto classes = classes_of(json.at("classes"));
    if (json.at("one_hot").get<bool>()) {
      return std::make_shared<MultiCategoryList>(
          MultiCategoryList::one_hot(json.at("y").get<std::vector<float>>(), classes));
    }
    return std::make_shared<MultiCategoryList>(
        json.at("y").get<std::vector<std::vector<std::int64_t>>>(), classes,
        json.contains("label_delim") ? std::optional(json["label_delim"].get<std::string>())
                                     : std::nullopt);
  }
  if (name == "FloatList") {
    std::vector<float> y;
    for (const auto& one : json.at("y")) y.push_back(number_of(one));
    const auto c = json.at("c").get<std::int64_t>();
    if (c < 1) throw FormatError("data.bad_file", fmt::format("c must be at least 1, found {}", c));
    return std::make_shared<FloatList>(std::move(y), c, json.at("log").get<bool>());
  }
  if (name == "EmptyLabelList") {
    return std::make_shared<EmptyLabelList>(json.at("y").get<std::int64_t>());
  }
  throw FormatError("data.bad_file", fmt::format("no kind of labels is called '{}'", name));
}

// --- transforms

Json json_of(const TfmList& tfms) {
  Json list = Json::array();
  for (const auto& tfm : tfms) {
    Json params = Json::object();
    for (const auto& [name, value] : tfm.params()) {
      if (const auto* range = std::get_if<ParamRange>(&value)) {
        params[name] = Json{{"low", range->low}, {"high", range->high}};
      } else if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
        params[name] = *numbers;
      } else {
        params[name] = std::get<std::string>(value);
      }
    }
    list.push_back({{"name", tfm.name()},
                    {"params", std::move(params)},
                    {"p", tfm.p()},
                    {"is_random", tfm.is_random()}});
  }
  return list;
}

TfmList tfms_of(const Json& list) {
  TfmList tfms;
  for (const auto& item : list) {
    std::vector<TransformParam> params;
    for (const auto& [name, value] : item.at("params").items()) {
      if (value.is_object()) {
        params.push_back({name, ParamRange(value.at("low"), value.at("high"))});
      } else if (value.is_array()) {
        params.push_back({name, value.get<std::vector<double>>()});
      } else {
        params.push_back({name, value.get<std::string>()});
      }
    }
    tfms.emplace_back(item.at("name").get<std::string>(), std::move(params),
                      TransformOptions{item.at("p"), item.at("is_random")});
  }
  return tfms;
}

Json json_of(const ApplyTfmsOptions& options) {
  const auto& [size, resize_method, mult, padding_mode, mode] = options;
  Json json;
  if (size.is_pair()) {
    json["size"] = {size.value().rows, size.value().cols};
  } else if (size) {
    json["size"] = size.value().rows;
  }
  if (resize_method) json["resize_method"] = static_cast<int>(*resize_method);
  if (mult) json["mult"] = *mult;
  json["padding_mode"] = to_string(padding_mode);
  json["mode"] = mode == SampleMode::kNearest ? "nearest" : "bilinear";
  return json;
}

ApplyTfmsOptions apply_of(const Json& json) {
  ApplyTfmsOptions options;
  if (json.contains("size")) {
    const auto& size = json["size"];
    options.size = size.is_array() ? ImageSize(size.at(0).get<int>(), size.at(1).get<int>())
                                   : ImageSize(size.get<int>());
  }
  if (json.contains("resize_method")) {
    const auto method = json["resize_method"].get<int>();
    if (method < 1 || method > 4) {
      throw FormatError("data.bad_file", fmt::format("no resize method is number {}", method));
    }
    options.resize_method = static_cast<ResizeMethod>(method);
  }
  if (json.contains("mult")) options.mult = json["mult"].get<int>();
  options.padding_mode = padding_mode_from(json.at("padding_mode").get<std::string>());
  options.mode = json.at("mode") == "nearest" ? SampleMode::kNearest : SampleMode::kBilinear;
  return options;
}

// --- files

void write(const Path& file, Json json) {
  json["format"] = kFormat;
  json["version"] = kVersion;
  // A name that is no UTF-8 cannot stand in JSON; dump says so, and which byte.
  write_file(file, json.dump(1) + "\n");
}

Json parsed(const Path& file) {
  auto json = Json::parse(read_file(file));
  if (!json.is_object() || json.value("format", "") != kFormat) {
    throw FormatError("data.bad_file", "it is no file that `save` or `export_data` wrote");
  }
  if (!json.at("version").is_number_integer()) {
    throw FormatError("data.bad_file", "its version is no whole number");
  }
  if (json["version"] != kVersion) {
    throw FormatError("data.bad_file",
                      fmt::format("it has version {}, this library reads version {}: read it with "
                                  "the library that wrote it, or a newer one",
                                  json["version"].dump(), kVersion));
  }
  return json;
}

// Runs `f` on the content of a file; what is wrong with it is told with the file's name.
template <typename F>
ImageDataBunch from_file(const Path& file, F&& f) {
  return boundary([&] {
    try {
      return boundary([&] { return f(parsed(file)); });
    } catch (const FormatError& e) {
      std::throw_with_nested(
          FormatError("data.bad_file",
                      fmt::format("'{}' cannot be read as data: {}", file.string(), e.what())));
    }
  });
}

std::optional<Json> list_json(const LabelList& list, const Path& path) {
  auto labels = json_of(*list.y);
  if (!labels) return std::nullopt;
  Json json{{"items", Json::array()}, {"labels", std::move(*labels)}};
  for (const auto& item : list.items) {
    auto name = relative_below(item, path);
    // A relative path that does not lie below would be looked for there.
    if ((path / name).lexically_normal() != item.lexically_normal()) {
      name = std::filesystem::absolute(item).lexically_normal().generic_string();
    }
    json["items"].push_back(std::move(name));
  }
  return json;
}

LabelList list_of(const Json& json, const Path& path) {
  Paths items;
  // An absolute path stays as it is.
  for (const auto& item : json.at("items")) items.push_back(path / item.get<std::string>());
  return {std::move(items), labels_of(json.at("labels"))};
}

}  // namespace

void ImageDataBunch::save(const Path& file) const {
  boundary([&] {
    const auto& train = ds(DatasetType::Train);
    Json json{{"tfms",
               {{"train", json_of(train.tfms())}, {"valid", json_of(ds(DatasetType::Fix).tfms())}}},
              {"apply", json_of(train.options())}};
    const auto add = [&](const char* name, const LabelList& list) {
      auto part = list_json(list, path());
      if (part) json[name] = std::move(*part);
      return part.has_value();
    };
    const LabelList none({}, labels());
    bool known = add("train", train.list());
    known = known && add("valid", empty_val() ? none : ds(DatasetType::Valid).list());
    if (has_test()) known = known && add("test", ds(DatasetType::Test).list());
    if (!known) {
      // fastai's words for data that it cannot write.
      return log_warning(
          "Serializing the `DataBunch` only works when you created it using the data block API.");
    }
    write(path() / file, std::move(json));
  });
}

ImageDataBunch load_data(const Path& path, const Path& file, const DatabunchOptions& options) {
  return from_file(path / file, [&](const Json& json) {
    LabelLists lists{list_of(json.at("train"), path), list_of(json.at("valid"), path)};
    if (json.contains("test")) lists.test = list_of(json["test"], path);
    ImageLabelLists labelled(ImageList({}, path), std::move(lists));
    labelled.set_transforms(
        {tfms_of(json.at("tfms").at("train")), tfms_of(json["tfms"].at("valid"))},
        apply_of(json.at("apply")));
    return labelled.databunch(options);
  });
}

void ImageDataBunch::export_data(const Path& file) const {
  boundary([&] {
    const auto& fix = ds(DatasetType::Fix);
    auto described = json_of(*labels());
    if (!described) {
      throw DataError("data.cannot_export",
                      fmt::format("labels of the kind {} are not known to the file: only fastcpp's "
                                  "own kinds can be exported",
                                  labels()->name()));
    }
    Json json{{"labels", std::move(*described)},
              {"tfms", json_of(fix.tfms())},
              {"apply", json_of(fix.options())}};
    if (stats()) json["stats"] = {{"mean", stats()->mean}, {"std", stats()->std}};
    write(path() / file, std::move(json));
  });
}

ImageDataBunch ImageDataBunch::load_empty(const Path& path, const Path& fname,
                                          const DatabunchOptions& options) {
  return from_file(path / fname, [&](const Json& json) {
    const LabelList none({}, labels_of(json.at("labels")));
    ImageLabelLists labelled(ImageList({}, path), {none, none});
    const auto tfms = tfms_of(json.at("tfms"));
    labelled.set_transforms({tfms, tfms}, apply_of(json.at("apply")));
    auto data = labelled.databunch(options);
    if (json.contains("stats")) {
      data.normalize({json["stats"].at("mean").get<std::vector<float>>(),
                      json["stats"].at("std").get<std::vector<float>>()});
    }
    return data;
  });
}

}  // namespace fastcpp
