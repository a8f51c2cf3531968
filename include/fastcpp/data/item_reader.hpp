/// \file
/// How single items become samples, in this program and out of a file.
#pragma once

#include <any>
#include <functional>
#include <string>

#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class Value;    // io/value.hpp
struct Recipe;  // io/recipe.hpp

/// Gets an item, returns it as a sample (as tensors without the batch's dimension), or none for a kind that it does not know.
/// Called from several threads at once.
using ItemReader = std::function<Tensors(const std::any& item)>;

/// Makes a reader out of the options of its recipe.
using ItemReaderMaker = std::function<ItemReader(const Value& options)>;

/// Makes a reader of items of one's own known to files, for the life of the process. Thread-safe. The data name it by
/// `DataBunch::set_item_reader` with a recipe.
/// \throws ValueError `value.recipe` without a name or a maker, or when the name is taken
FASTCPP_API void register_items(std::string name, ItemReaderMaker make);

/// The reader of a recipe.
/// \throws ValueError `value.unknown_recipe` when nobody registered the name, or what its maker throws
FASTCPP_API ItemReader make_item_reader(const Recipe& recipe);

}  // namespace fastcpp
