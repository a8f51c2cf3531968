// How the factories of callbacks are made.
#pragma once

#include <memory>

#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

// Makes a new callback at every call. Makes and drops one at once, which refuses wrong options where they are written.
template <typename C, typename Options>
CallbackFn factory_of(const Options& options) {
  static_cast<void>(C(options));
  return [options](Learner&) { return std::make_shared<C>(options); };
}

}  // namespace fastcpp
