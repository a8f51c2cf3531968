#include "fastcpp/data/item_reader.hpp"

#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/io/registry.hpp"

namespace fastcpp::inline v0 {
namespace {

detail::Registry<ItemReader>& item_registry() {
  static detail::Registry<ItemReader> registry("items", "register_items");
  return registry;
}

}  // namespace

void register_items(std::string name, ItemReaderMaker make) {
  boundary([&] {
    // Tables and ratings; the rooms above know how.
    if (name == "tabular" || name == "collab") detail::throw_bad_entry("items", name, true);
    item_registry().add(std::move(name), std::move(make));
  });
}

ItemReader make_item_reader(const Recipe& recipe) {
  return boundary([&] { return item_registry().make(recipe); });
}

}  // namespace fastcpp
