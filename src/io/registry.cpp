#include "fastcpp/io/registry.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::detail {

void throw_bad_entry(const char* what, const std::string& name, bool is_taken) {
  throw ValueError(
      "value.recipe",
      is_taken ? fmt::format("a {} is called '{}' already; choose another name", what, name)
               : fmt::format("a {} is made known by a name and a function, found the name '{}' "
                             "and {} function",
                             what, name, name.empty() ? "a" : "no"));
}

void throw_unknown_recipe(const char* what, const std::string& name, const char* register_by) {
  throw ValueError("value.unknown_recipe",
                   fmt::format("no {} is called '{}': make it known by {} before it is loaded",
                               what, name, register_by));
}

}  // namespace fastcpp::detail
