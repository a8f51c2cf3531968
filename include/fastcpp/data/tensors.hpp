/// \file
/// One tensor, or several that belong together.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// What a model takes in or is compared with: usually one tensor, for example pictures, or several, for example the
/// categories and the numbers of a table.
///
/// Exactly one is that tensor itself, for every call of LibTorch. Several are no tensor (they are undefined as one), so
/// that code for a single tensor refuses them instead of taking the first; ask for them by `items` or `at`. A handle like
/// torch::Tensor: copies share memory. Threads: const calls by any number at once, while none writes to the memory.
class FASTCPP_API Tensors : public torch::Tensor {
 public:
  /// None.
  Tensors() = default;
  /// One.
  Tensors(torch::Tensor one) : torch::Tensor(std::move(one)) {}
  /// In this order; a list of one is one.
  Tensors(std::vector<torch::Tensor> items);
  /// \overload
  Tensors(std::initializer_list<torch::Tensor> items)
      : Tensors(std::vector<torch::Tensor>(items)) {}

  /// How many they are.
  std::size_t count() const { return defined() ? 1 : several_.size(); }
  /// \throws DataError `data.tensors` when there is no such one
  const torch::Tensor& at(std::size_t i) const;
  /// All of them, in order.
  std::vector<torch::Tensor> items() const;
  /// The one there is.
  /// \param what for the message: what wanted one
  /// \throws DataError `data.tensors` when there are several, or none
  const torch::Tensor& one(std::string_view what) const;
  /// First dimension of the first one: the items of a batch. 0 when there is none.
  std::int64_t length() const;

  /// `f` of each, in order.
  template <typename F>
  Tensors each(F&& f) const {
    if (defined()) return Tensors(torch::Tensor(f(static_cast<const torch::Tensor&>(*this))));
    std::vector<torch::Tensor> results;
    results.reserve(several_.size());
    for (const auto& tensor : several_) results.push_back(f(tensor));
    return Tensors(std::move(results));
  }

 private:
  std::vector<torch::Tensor> several_;  // empty when this is one
};

}  // namespace fastcpp
