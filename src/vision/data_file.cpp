// A bunch of pictures as a file: what was labelled and how it is transformed, or only what predicting needs.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "fastcpp/vision/transform/recipes.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr int kVersion = 2;
constexpr const char* kFormat = "fastcpp data";

Value number(float x) {
  // No JSON number is infinite or NaN.
  return std::isfinite(x) ? Value(static_cast<double>(x)) : Value(fmt::format("{}", x));
}

float number_of(const Value& value) {
  if (!value.is_string()) return static_cast<float>(value.as_double());
  if (value.as_string() == "inf") return std::numeric_limits<float>::infinity();
  if (value.as_string() == "-inf") return -std::numeric_limits<float>::infinity();
  return std::numeric_limits<float>::quiet_NaN();
}

template <typename T>
Value list_value(const std::vector<T>& numbers) {
  return Value::list({numbers.begin(), numbers.end()});
}

Value numbers_value(const float* numbers, std::int64_t count) {
  auto list = Value::list();
  for (std::int64_t i = 0; i < count; ++i) list.append(number(numbers[i]));
  return list;
}

// What the items of a kind of fastcpp's own are labelled; none for one of the user's.
std::optional<Value> targets_value(const Labels& labels) {
  if (const auto* category = dynamic_cast<const CategoryList*>(&labels)) {
    return list_value(category->indices());
  }
  if (const auto* several = dynamic_cast<const MultiCategoryList*>(&labels)) {
    if (several->is_one_hot()) {
      const auto numbers = several->targets().contiguous();
      return numbers_value(numbers.data_ptr<float>(), numbers.numel());
    }
    auto list = Value::list();
    for (std::int64_t i = 0; i < several->size(); ++i) list.append(list_value(several->indices(i)));
    return list;
  }
  if (const auto* numbers = dynamic_cast<const FloatList*>(&labels)) {
    return numbers_value(numbers->numbers().data(),
                         static_cast<std::int64_t>(numbers->numbers().size()));
  }
  if (dynamic_cast<const EmptyLabelList*>(&labels)) return labels.size();
  return std::nullopt;
}

std::vector<std::int64_t> indices_of(const Value& list) {
  std::vector<std::int64_t> indices;
  for (const auto& one : list.items()) indices.push_back(one.as_int());
  return indices;
}

std::vector<float> numbers_of(const Value& list) {
  std::vector<float> numbers;
  for (const auto& one : list.items()) numbers.push_back(number_of(one));
  return numbers;
}

Value recipe_value(const Labels& labels) {
  auto recipe = labels.recipe();
  return Value::dict({{"name", std::move(recipe.name)}, {"options", std::move(recipe.options)}});
}

std::shared_ptr<const Labels> kind_of(const Value& value) {
  return make_labels_of({value.at("name").as_string(), value.at("options")});
}

std::shared_ptr<const Labels> labels_of(const Value& value) {
  const auto kind = kind_of(value);
  const auto& y = value.at("y");
  if (const auto* category = dynamic_cast<const CategoryList*>(kind.get())) {
    return std::make_shared<CategoryList>(indices_of(y), ClassNames(category->class_cells()));
  }
  if (const auto* several = dynamic_cast<const MultiCategoryList*>(kind.get())) {
    const ClassNames classes(several->class_cells());
    if (several->is_one_hot()) {
      return std::make_shared<MultiCategoryList>(
          MultiCategoryList::one_hot(numbers_of(y), classes));
    }
    std::vector<std::vector<std::int64_t>> items;
    for (const auto& item : y.items()) items.push_back(indices_of(item));
    return std::make_shared<MultiCategoryList>(std::move(items), classes, several->label_delim());
  }
  if (const auto* numbers = dynamic_cast<const FloatList*>(kind.get())) {
    return std::make_shared<FloatList>(numbers_of(y), numbers->c(), numbers->log());
  }
  if (dynamic_cast<const EmptyLabelList*>(kind.get())) {
    return std::make_shared<EmptyLabelList>(y.as_int());
  }
  throw FormatError("data.bad_file",
                    fmt::format("labels of the kind {} are not read with items", kind->name()));
}

void write(const Path& file, Value value) {
  value.set("format", kFormat);
  value.set("version", kVersion);
  write_file(file, to_json(value) + "\n");
}

Value parsed(const Path& file) {
  auto value = from_json(read_file(file));
  const auto* format = value.is_dict() ? value.find("format") : nullptr;
  if (!format || !format->is_string() || format->as_string() != kFormat) {
    throw FormatError("data.bad_file", "it is no file that `save` or `export_data` wrote");
  }
  const auto& version = value.at("version");
  if (!version.is_int()) {
    throw FormatError("data.bad_file", "its version is no whole number");
  }
  if (version.as_int() != kVersion) {
    throw FormatError("data.bad_file",
                      fmt::format("it has version {}, this library reads version {}: read it with "
                                  "the library that wrote it, or a newer one",
                                  version.as_int(), kVersion));
  }
  return value;
}

// Runs `f` on the content of a file; what is wrong with it is told with the file's name.
template <typename F>
ImageDataBunch from_file(const Path& file, F&& f) {
  return boundary([&] {
    const auto told = [&](const Error& e) {
      return FormatError("data.bad_file",
                         fmt::format("'{}' cannot be read as data: {}", file.string(), e.what()));
    };
    try {
      return boundary([&] { return f(parsed(file)); });
    } catch (const FormatError& e) {
      std::throw_with_nested(told(e));
    } catch (const DataError& e) {
      // Targets that are no classes, or of another number than the items. Pictures are looked at too, and tell their name.
      if (dynamic_cast<const ImageError*>(&e)) throw;
      std::throw_with_nested(told(e));
    } catch (const ValueError& e) {
      // What the file says is missing, of another kind than expected, or out of range.
      std::throw_with_nested(told(e));
    }
  });
}

std::optional<Value> list_value(const LabelList& list, const Path& path) {
  auto y = targets_value(*list.y);
  if (!y) return std::nullopt;
  auto labels = recipe_value(*list.y);
  labels.set("y", std::move(*y));
  auto items = Value::list();
  for (const auto& item : list.items) {
    auto name = relative_below(item, path);
    // A relative path that does not lie below would be looked for there.
    if (!is_web_address(name) && (path / name).lexically_normal() != item.lexically_normal()) {
      name = std::filesystem::absolute(item).lexically_normal().generic_string();
    }
    items.append(std::move(name));
  }
  return Value::dict({{"items", std::move(items)}, {"labels", std::move(labels)}});
}

LabelList list_of(const Value& value, const Path& path) {
  Paths items;
  // An absolute path stays as it is.
  for (const auto& item : value.at("items").items()) {
    const auto& name = item.as_string();
    items.push_back(is_web_address(name) ? Path(name) : path / name);
  }
  return {std::move(items), labels_of(value.at("labels"))};
}

}  // namespace

void ImageDataBunch::save(const Path& file) const {
  boundary([&] {
    const auto& train = ds(DatasetType::Train);
    auto value =
        Value::dict({{"tfms", Value::dict({{"train", tfms_to_value(train.tfms())},
                                           {"valid", tfms_to_value(ds(DatasetType::Fix).tfms())}})},
                     {"apply", apply_to_value(train.options())}});
    const auto add = [&](const char* name, const LabelList& list) {
      auto part = list_value(list, path());
      if (!part) return false;
      value.set(name, std::move(*part));
      return true;
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
    write(path() / file, std::move(value));
  });
}

ImageDataBunch load_data(const Path& path, const Path& file, const DatabunchOptions& options) {
  return from_file(path / file, [&](const Value& value) {
    LabelLists lists{list_of(value.at("train"), path), list_of(value.at("valid"), path)};
    if (const auto* test = value.find("test")) lists.test = list_of(*test, path);
    ImageLabelLists labelled(ImageList({}, path), std::move(lists));
    labelled.set_transforms({tfms_from_value(value.at("tfms").at("train")),
                             tfms_from_value(value.at("tfms").at("valid"))},
                            apply_from_value(value.at("apply")));
    return labelled.databunch(options);
  });
}

void ImageDataBunch::export_data(const Path& file) const {
  boundary([&] {
    const auto& fix = ds(DatasetType::Fix);
    auto value = Value::dict({{"labels", recipe_value(*labels())},
                              {"tfms", tfms_to_value(fix.tfms())},
                              {"apply", apply_to_value(fix.options())}});
    if (stats()) {
      value.set("stats", Value::dict({{"mean", list_value(stats()->mean)},
                                      {"std", list_value(stats()->std)}}));
    }
    write(path() / file, std::move(value));
  });
}

ImageDataBunch ImageDataBunch::load_empty(const Path& path, const Path& fname,
                                          const DatabunchOptions& options) {
  return from_file(path / fname, [&](const Value& value) {
    const LabelList none({}, kind_of(value.at("labels")));
    ImageLabelLists labelled(ImageList({}, path), {none, none});
    const auto tfms = tfms_from_value(value.at("tfms"));
    labelled.set_transforms({tfms, tfms}, apply_from_value(value.at("apply")));
    auto data = labelled.databunch(options);
    if (const auto* stats = value.find("stats")) {
      data.normalize({numbers_of(stats->at("mean")), numbers_of(stats->at("std"))});
    }
    return data;
  });
}

}  // namespace fastcpp
