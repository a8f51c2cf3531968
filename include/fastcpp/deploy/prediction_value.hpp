/// \file
/// Predictions as values, to be written as JSON.
#pragma once

#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

/// `{"prediction": text, "top": [{"class", "index", "probability"}, …]}`; `"numbers"` instead of `"top"` where outputs are
/// no classes. Texts are valid UTF-8; a number that is not finite is None.
/// \param top_k most classes, >= 1
/// \throws ValueError `value.k`
FASTCPP_API Value prediction_value(const Predictor& predictor, const Prediction& prediction,
                                   int top_k = 5);

}  // namespace fastcpp
