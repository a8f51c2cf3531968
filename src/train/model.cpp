#include "fastcpp/train/model.hpp"

#include <fmt/format.h>
#include <torch/nn/modules/container/sequential.h>

#include <exception>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/hooks/watched.hpp"
#include "fastcpp/io/recipe.hpp"

namespace fastcpp::inline v0 {
namespace {

// What `torch::nn::SequentialImpl::forward` does; hooks see every layer.
torch::Tensor run_in_turn(torch::nn::SequentialImpl& layers, const torch::Tensor& x) {
  torch::nn::AnyValue value(x);
  for (auto& layer : layers) {
    detail::RunningLayer running(*layer.ptr());
    value = layer.any_forward(std::move(value));
    const auto* output = value.try_get<torch::Tensor>();
    running.gave(output ? *output : torch::Tensor());
  }
  return std::move(value).get<torch::Tensor>();
}

}  // namespace

void detail::throw_no_module() {
  throw ValueError("value.model", "a Model needs a module and a way to run it, found none (null)");
}

void detail::throw_inputs(const torch::nn::Module& module, std::size_t found) {
  throw ValueError(
      "value.model",
      fmt::format("{} has no forward that takes {} tensors: give the samples as many as "
                  "it takes, or make the Model with a function of its own",
                  module.name(), found));
}

void detail::throw_no_copy(const torch::nn::Module& original) {
  throw ValueError(
      "value.model",
      fmt::format(
          "the model cannot be copied: {} inherits `clone` from another class, whose copies "
          "are of that class; override `clone`, or derive from torch::nn::Cloneable",
          original.name()));
}

Model::Model(std::shared_ptr<torch::nn::Module> module,
             std::function<Tensors(const Tensors&)> forward)
    : module_(std::move(module)), forward_(std::move(forward)) {
  if (!module_ || !forward_) detail::throw_no_module();
}

Tensors Model::operator()(const Tensors& x) const {
  if (!forward_) detail::throw_no_module();
  if (!detail::has_hooks()) return forward_(x);
  detail::RunningLayer running(*module_);
  auto* layers = in_turn_ ? dynamic_cast<torch::nn::SequentialImpl*>(module_.get()) : nullptr;
  const bool each = layers && !layers->is_empty() && x.count() == 1;
  auto output = each ? Tensors(run_in_turn(*layers, x.at(0))) : forward_(x);
  // Several outputs are no tensor, and seen by no hook.
  running.gave(output);
  return output;
}

Model Model::clone() const {
  if (!module_) detail::throw_no_module();
  if (!clone_) {
    throw ValueError("value.model",
                     "the model cannot be copied: it was made with a function of its own; make it "
                     "from a module with a forward method");
  }
  return boundary([&] {
    try {
      auto copy = clone_(*module_);
      copy.recipe_ = recipe_;
      return copy;
    } catch (const c10::Error& e) {
      try {
        rethrow_as_error();
      } catch (const MemoryError&) {
        throw;
      } catch (const Error&) {
        std::throw_with_nested(ValueError(
            "value.model", fmt::format("the model cannot be copied: {}; derive its modules from "
                                       "torch::nn::Cloneable",
                                       plain_message(e))));
      }
    }
  });
}

Model& Model::set_recipe(Recipe recipe) {
  if (recipe.name.empty()) {
    throw ValueError("value.recipe", "a recipe needs the name that register_model was given");
  }
  boundary([&] { recipe_ = std::make_shared<const Recipe>(std::move(recipe)); });
  return *this;
}

}  // namespace fastcpp
