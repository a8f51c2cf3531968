#include "fastcpp/vision/transform/recipes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr int kMaxSide = 8192;  // a file asks for no larger pictures

Value value_of(const TransformValue& value) {
  if (const auto* range = std::get_if<ParamRange>(&value)) {
    return Value::dict({{"low", range->low}, {"high", range->high}});
  }
  if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    return Value::list({numbers->begin(), numbers->end()});
  }
  return std::get<std::string>(value);
}

TransformValue param_of(const Value& value) {
  if (value.is_dict()) {
    return ParamRange(value.at("low").as_double(), value.at("high").as_double());
  }
  if (value.is_string()) return value.as_string();
  std::vector<double> numbers;
  for (const auto& one : value.items()) numbers.push_back(one.as_double());
  return numbers;
}

int int_of(const Value& value) {
  const auto number = value.as_int();
  if (number < std::numeric_limits<int>::min() || number > std::numeric_limits<int>::max()) {
    throw ValueError("value.wrong_kind", fmt::format("the number {} is too large", number));
  }
  return static_cast<int>(number);
}

}  // namespace

Value tfms_to_value(const TfmList& tfms) {
  return boundary([&] {
    auto list = Value::list();
    for (const auto& tfm : tfms) {
      auto params = Value::dict();
      for (const auto& [name, value] : tfm.params()) params.set(name, value_of(value));
      list.append(Value::dict({{"name", tfm.name()},
                               {"params", std::move(params)},
                               {"p", tfm.p()},
                               {"is_random", tfm.is_random()}}));
    }
    return list;
  });
}

TfmList tfms_from_value(const Value& value) {
  return boundary([&] {
    TfmList tfms;
    for (const auto& item : value.items()) {
      std::vector<TransformParam> params;
      for (const auto& [name, argument] : item.at("params").entries()) {
        params.push_back({name.as_string(), param_of(argument)});
      }
      tfms.emplace_back(item.at("name").as_string(), std::move(params),
                        TransformOptions{item.at("p").as_double(), item.at("is_random").as_bool()});
    }
    return tfms;
  });
}

Value apply_to_value(const ApplyTfmsOptions& options) {
  return boundary([&] {
    const auto& [size, resize_method, mult, padding_mode, mode] = options;
    auto value = Value::dict();
    if (size.is_pair()) {
      value.set("size", Value::list({size.value().rows, size.value().cols}));
    } else if (size) {
      value.set("size", size.value().rows);
    }
    if (resize_method) value.set("resize_method", static_cast<int>(*resize_method));
    if (mult) value.set("mult", *mult);
    value.set("padding_mode", to_string(padding_mode));
    value.set("mode", mode == SampleMode::kNearest ? "nearest" : "bilinear");
    return value;
  });
}

ApplyTfmsOptions apply_from_value(const Value& value) {
  return boundary([&] {
    ApplyTfmsOptions options;
    if (const auto* size = value.find("size")) {
      if (size->is_list() && size->size() != 2) {
        throw ValueError("value.wrong_kind", "a size is one number or two, rows and columns");
      }
      options.size = size->is_list() ? ImageSize(int_of(size->items()[0]), int_of(size->items()[1]))
                                     : ImageSize(int_of(*size));
    }
    if (const auto* method = value.find("resize_method")) {
      const auto number = int_of(*method);
      if (number < 1 || number > 4) {
        throw ValueError("value.resize_method",
                         fmt::format("no resize method is number {}", number));
      }
      options.resize_method = static_cast<ResizeMethod>(number);
    }
    if (const auto* mult = value.find("mult")) options.mult = int_of(*mult);
    const auto wanted = options.size.value();
    if (std::max({wanted.rows, wanted.cols, options.mult.value_or(0)}) > kMaxSide) {
      throw ValueError(
          "value.size",
          fmt::format("pictures of {} x {} pixels, rounded to {}: sides are at most {}",
                      wanted.rows, wanted.cols, options.mult.value_or(1), kMaxSide));
    }
    const auto& mode = value.at("mode").as_string();
    if (mode != "nearest" && mode != "bilinear") {
      throw ValueError("value.sample_mode", fmt::format("nothing is known of the mode '{}'", mode));
    }
    options.padding_mode = padding_mode_from(value.at("padding_mode").as_string());
    options.mode = mode == "nearest" ? SampleMode::kNearest : SampleMode::kBilinear;
    return options;
  });
}

}  // namespace fastcpp
