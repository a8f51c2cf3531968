// Samples of equal shapes as a batch.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "fastcpp/data/sample.hpp"

namespace fastcpp::inline v0 {

// data_collate with names of the samples for its messages.
Batch stack_samples(const std::vector<Sample>& samples,
                    const std::function<std::string(std::size_t)>& name);

}  // namespace fastcpp
