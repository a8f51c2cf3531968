/// \file
/// Models that a file can make again.
#pragma once

#include <functional>
#include <string>

#include "fastcpp/export.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

/// Makes a model out of the options of its recipe; its weights are loaded afterwards.
using ModelMaker = std::function<Model(const Value& options)>;

/// Makes a model of one's own known to files, for the life of the process. Thread-safe.
/// \code
/// register_model("mine", [](const Value& o) { return Model(make_mine(o.at("width").as_int())); });
/// Learner learn(data, Model(make_mine(64)).set_recipe({"mine", Value::dict({{"width", 64}})}));
/// \endcode
/// \throws ValueError `value.recipe` without a name or a maker, or when the name is taken
FASTCPP_API void register_model(std::string name, ModelMaker make);

/// The model of a recipe, with weights of no meaning.
/// \throws ValueError `value.unknown_recipe` when nobody registered the name; `value.model` when the maker gave none; whatever
/// the maker throws
FASTCPP_API Model make_model(const Recipe& recipe);

}  // namespace fastcpp
