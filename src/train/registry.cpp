#include "fastcpp/train/registry.hpp"

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/registry.hpp"

namespace fastcpp::inline v0 {
namespace {

detail::Registry<Model>& model_registry() {
  static detail::Registry<Model> all("model", "register_model");
  return all;
}

}  // namespace

void register_model(std::string name, ModelMaker make) {
  boundary([&] {
    // What cnn_learner, tabular_learner and collab_learner make; the rooms above know how.
    if (name == "cnn" || name == "tabular" || name == "collab") {
      detail::throw_bad_entry("model", name, true);
    }
    model_registry().add(std::move(name), std::move(make));
  });
}

Model make_model(const Recipe& recipe) {
  return boundary([&] {
    auto model = model_registry().make(recipe);
    if (!model) detail::throw_no_module();
    return model.set_recipe(recipe);
  });
}

}  // namespace fastcpp
