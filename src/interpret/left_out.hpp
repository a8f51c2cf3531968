// Items that a loader left out, where results are told apart by item.
#pragma once

#include "fastcpp/data/data_loader.hpp"

namespace fastcpp::inline v0 {

// Throws DataError `data.left_out` when items were left out: rows of predictions are then no longer items.
void refuse_left_out(const DataLoader& loader);

}  // namespace fastcpp
