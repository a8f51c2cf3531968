// What stands behind the public header, for tests.
#pragma once

#include "fastcpp/vision/transform/device.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0::detail {

// Writes picture and plan into `slot`, packed_size(out) floats.
void pack_for_device(const Plan& plan, const Source& source, Resolution out, float* slot);

}  // namespace fastcpp::detail
