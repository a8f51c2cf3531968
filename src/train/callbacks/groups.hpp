// How schedules go on when a callback splits the model.
#pragma once

#include <vector>

#include "fastcpp/train/optim/optimizer.hpp"

namespace fastcpp::inline v0 {

// Scheduled values for the layer groups that the optimizer has now. A schedule is made for the groups at the start of a
// fit; where a callback has made another number of them since, all take what the last group was to have, as the
// optimizer does with its own values when it is rebuilt.
inline std::vector<double> for_groups(const std::vector<double>& scheduled,
                                      const OptimWrapper& opt) {
  return scheduled.size() == opt.lr().size() ? scheduled : std::vector<double>{scheduled.back()};
}

}  // namespace fastcpp
