/// \file
/// Transforms in words that a file can hold, and back.
#pragma once

#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {

/// Name, arguments, probability of each transform, in a form that JSON holds.
FASTCPP_API Value tfms_to_value(const TfmList& tfms);
/// The transforms again.
/// \throws ValueError `value.wrong_kind`, `value.missing_key` on another value; as Transform's constructor, `value.transform`
/// also where a transform of a user's own was not registered
FASTCPP_API TfmList tfms_from_value(const Value& value);

/// Size and the rest of what `apply_tfms` is told.
FASTCPP_API Value apply_to_value(const ApplyTfmsOptions& options);
/// \throws ValueError `value.wrong_kind`, `value.missing_key`, `value.resize_method`, `value.padding_mode`
FASTCPP_API ApplyTfmsOptions apply_from_value(const Value& value);

}  // namespace fastcpp
