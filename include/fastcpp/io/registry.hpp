/// \file
/// What makes things again by the name in their recipe.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "fastcpp/export.hpp"
#include "fastcpp/io/recipe.hpp"

namespace fastcpp::inline v0::detail {

// \throws ValueError
[[noreturn]] FASTCPP_API void throw_bad_entry(const char* what, const std::string& name,
                                              bool is_taken);
[[noreturn]] FASTCPP_API void throw_unknown_recipe(const char* what, const std::string& name,
                                                   const char* register_by);

// Makers by name. Thread-safe.
template <typename T>
class Registry {
 public:
  using Maker = std::function<T(const Value&)>;

  // `what` is made, in words; `register_by` names the function that adds makers.
  Registry(const char* what, const char* register_by, std::map<std::string, Maker> known = {})
      : what_(what), register_by_(register_by), makers_(std::move(known)) {}

  void add(std::string name, Maker make) {
    if (name.empty() || !make) throw_bad_entry(what_, name, false);
    const std::lock_guard lock(mutex_);
    const auto [at, is_new] = makers_.try_emplace(std::move(name), std::move(make));
    if (!is_new) throw_bad_entry(what_, at->first, true);
  }

  T make(const Recipe& recipe) const {
    Maker maker;
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = makers_.find(recipe.name); found != makers_.end()) {
        maker = found->second;
      }
    }
    if (!maker) throw_unknown_recipe(what_, recipe.name, register_by_);
    return maker(recipe.options);
  }

 private:
  const char *what_, *register_by_;
  mutable std::mutex mutex_;
  std::map<std::string, Maker> makers_;
};

}  // namespace fastcpp::detail
