/// \file
/// What targets are.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// What the targets are; decides loss and activation (fastai: the label list's class).
enum class LabelKind {
  kCategory,  ///< one class index, int64: cross-entropy, softmax (fastai: `CategoryList`)
  kMultiCategory,  ///< one 0/1 vector, float: binary cross-entropy with logits, sigmoid (`MultiCategoryList`)
  kFloat,  ///< numbers: mean squared error, as they are (`FloatList`)
  kEmpty,  ///< nothing is known; int64 zeros stand for it (`EmptyLabelList`)
};

}  // namespace fastcpp
