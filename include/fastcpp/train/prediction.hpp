/// \file
/// Outputs of a model in the words of its labels.
#pragma once

#include <torch/types.h>

#include <any>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Options of `predict`.
struct PredictOptions {
  std::optional<double> thresh = {};  ///< of several classes: those with at least this; absent: 0.5
};

/// What `predict` gives for one item.
struct Prediction {
  std::string category;         ///< class name; names joined by `;`; numbers as `[0.5]`
  torch::Tensor index;          ///< class index (scalar, int64), or what else the labels are
  torch::Tensor probabilities;  ///< c
};

namespace detail {
// What readers of items get: a text of any kind is a file.
template <typename Item>
std::any item_of(const Item& item) {
  if constexpr (std::is_convertible_v<const Item&, std::string_view>) {
    return Path(std::string_view(item));
  } else {
    return item;
  }
}
}  // namespace detail

/// The activated outputs of one item as its labels are: a class, several classes, or numbers. Outputs of more than one
/// dimension are a class (or what else) for each place: `index` has their shape without the classes, `category` is empty.
/// \param thresh        of several classes; absent: 0.5
/// \param probabilities on the CPU, without the batch's dimension
FASTCPP_API Prediction to_prediction(const Labels& labels, const torch::Tensor& probabilities,
                                     std::optional<double> thresh = {});

}  // namespace fastcpp
