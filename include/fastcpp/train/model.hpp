/// \file
/// Any network, as the learner sees it.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"

namespace torch::nn {
class SequentialImpl;
}  // namespace torch::nn

namespace fastcpp::inline v0 {

struct Recipe;  // io/recipe.hpp

namespace detail {
// Whether a module can be run on so many tensors, or on all of them at once.
template <typename M, typename... T>
concept Runs = requires(M& module, const T&... x) {
  { module.forward(x...) } -> std::convertible_to<Tensors>;
};
template <typename M>
concept RunsOnTensors = Runs<M, torch::Tensor> || Runs<M, torch::Tensor, torch::Tensor> ||
    Runs<M, torch::Tensor, torch::Tensor, torch::Tensor> || Runs<M, Tensors>;

// Throw ValueError `value.model`.
[[noreturn]] FASTCPP_API void throw_no_module();
[[noreturn]] FASTCPP_API void throw_inputs(const torch::nn::Module& module, std::size_t found);

// Runs a module on as many tensors as there are.
template <typename M>
Tensors run(M& module, const Tensors& x) {
  if constexpr (Runs<M, torch::Tensor>) {
    if (x.count() == 1) return module.forward(x.at(0));
  }
  if constexpr (Runs<M, torch::Tensor, torch::Tensor>) {
    if (x.count() == 2) return module.forward(x.at(0), x.at(1));
  }
  if constexpr (Runs<M, torch::Tensor, torch::Tensor, torch::Tensor>) {
    if (x.count() == 3) return module.forward(x.at(0), x.at(1), x.at(2));
  }
  // A module that takes one tensor would take several for none.
  if constexpr (Runs<M, Tensors> && !Runs<M, torch::Tensor>) return module.forward(x);
  throw_inputs(module, x.count());
}

[[noreturn]] FASTCPP_API void throw_no_copy(const torch::nn::Module& original);
}  // namespace detail

/// A module and how to run it. A cheap handle: copies share the module, and the last one releases it. As safe in several
/// threads as the module is.
///
/// Made from any LibTorch module (holder or shared pointer) whose `forward` takes one, two or three tensors, or `Tensors`,
/// and gives a tensor or `Tensors`: for example `torch::nn::Sequential`.
class FASTCPP_API Model {
 public:
  /// No model: only for assigning another one.
  Model() = default;

  /// From a module holder such as `torch::nn::Sequential`.
  /// \throws ValueError `value.model` when it is empty
  template <typename Contained>
  Model(const torch::nn::ModuleHolder<Contained>& holder)
      : Model(holder.is_empty() ? std::shared_ptr<Contained>() : holder.ptr()) {}

  /// From a shared pointer to a module.
  /// \throws ValueError `value.model` when it is null
  template <typename M>
  Model(std::shared_ptr<M> module) {
    constexpr bool kIsModule = std::is_base_of_v<torch::nn::Module, M>;
    static_assert(kIsModule, "fastcpp::Model: the class must derive from torch::nn::Module");
    static_assert(!kIsModule || detail::RunsOnTensors<M>,
                  "fastcpp::Model: the module needs a public forward that takes one torch::Tensor, "
                  "two, three, or fastcpp::Tensors, and gives one; for "
                  "another forward use Model(module, function)");
    if constexpr (kIsModule && detail::RunsOnTensors<M>) {
      if (!module) detail::throw_no_module();
      forward_ = [raw = module.get()](const Tensors& x) { return detail::run(*raw, x); };
      in_turn_ = std::is_same_v<M, torch::nn::SequentialImpl>;
      clone_ = [](const torch::nn::Module& original) {
        // A class that inherits `clone` gives an object of the class that defines it.
        auto copy = std::dynamic_pointer_cast<M>(original.clone());
        if (!copy) detail::throw_no_copy(original);
        return Model(std::move(copy));
      };
      module_ = std::move(module);
    }
  }

  /// From a module and how to run it. Such a model cannot be copied by `clone`.
  /// \param forward called with a batch; gives the outputs
  /// \throws ValueError `value.model` when either is null
  Model(std::shared_ptr<torch::nn::Module> module, std::function<Tensors(const Tensors&)> forward);

  /// A deep copy that shares nothing.
  /// \throws ValueError `value.model` when the module cannot be cloned (it does not derive from `torch::nn::Cloneable`, or
  /// inherits `clone` from another class), when the model was made with a function of its own, or is none
  Model clone() const;

  /// Runs the network. Hooks of this thread see what its layers give (hooks/hook.hpp).
  /// \throws whatever the module throws (`guarded` of train/forward.hpp makes it an Error); ValueError `value.model` when
  /// there is none, or it takes another number of tensors
  Tensors operator()(const Tensors& x) const;

  /// How a file can make it again (`export_model`); null when it does not say. Lives as long as any copy of the model.
  const Recipe* recipe() const { return recipe_.get(); }
  /// Says how: by a maker that `register_model` made known. Copies made before do not know. Returns the model.
  /// \throws ValueError `value.recipe` without a name
  Model& set_recipe(Recipe recipe);

  /// The module; null without one.
  torch::nn::Module* operator->() const { return module_.get(); }
  /// The module; there must be one.
  torch::nn::Module& operator*() const { return *module_; }
  /// The module, shared.
  const std::shared_ptr<torch::nn::Module>& ptr() const { return module_; }
  /// Whether there is a module.
  explicit operator bool() const { return module_ != nullptr; }

 private:
  std::shared_ptr<torch::nn::Module> module_;
  std::function<Tensors(const Tensors&)> forward_;
  std::function<Model(const torch::nn::Module&)> clone_;
  std::shared_ptr<const Recipe> recipe_;
  bool in_turn_ = false;  // `forward_` is that of a torch::nn::Sequential
};

}  // namespace fastcpp
