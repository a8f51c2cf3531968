// Reading a learning rate off an LR finder's curve, in the four ways of fastai's second version.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "fastcpp/train/recorder.hpp"
#include "train/slope.hpp"

namespace fastcpp::inline v0 {
namespace {

// Two thirds down the longest row of ever smaller losses, which need not be neighbours.
std::optional<double> valley(const std::vector<double>& lrs, const std::vector<double>& losses) {
  std::vector<std::ptrdiff_t> length(losses.size(), 1);  // of the longest row that ends here
  std::size_t last = 0;
  std::ptrdiff_t first = 0;
  for (std::size_t i = 1; i < losses.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (losses[i] < losses[j]) length[i] = std::max(length[i], length[j] + 1);
      if (length[i] <= length[last]) continue;
      // The reference takes the length at this moment, as if the row had no gaps.
      last = i;
      first = static_cast<std::ptrdiff_t>(i) - length[i];
    }
  }
  if (length[last] < 2) return std::nullopt;
  const double third = static_cast<double>(static_cast<std::ptrdiff_t>(last) - first) / 3;
  const auto at =
      first + static_cast<std::ptrdiff_t>(third) + static_cast<std::ptrdiff_t>(third / 2);
  return lrs[static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, at))];
}

std::optional<double> slide(const std::vector<double>& lrs, const std::vector<double>& losses) {
  constexpr std::size_t kWidth = 15;
  constexpr double kThreshold = 0.005;
  const auto slope = slope_of(losses);
  if (losses.size() <= kWidth) return std::nullopt;
  // A window of fixed width moves down from the end, until the slopes at its two sides are alike.
  std::size_t right = losses.size() - 1, left = right - kWidth;
  double rate = lrs[left];
  while (std::abs(slope[right] - slope[left]) > kThreshold) {
    rate = lrs[left];
    if (left == 0) break;
    --right;
    --left;
  }
  return rate;
}

std::optional<double> steep(const std::vector<double>& lrs, const std::vector<double>& losses) {
  std::size_t best = 0;
  double fall = 0;
  for (std::size_t i = 0; i + 1 < losses.size(); ++i) {
    const double slope = (losses[i + 1] - losses[i]) / (std::log(lrs[i + 1]) - std::log(lrs[i]));
    if (slope < fall) fall = slope, best = i;
  }
  if (fall == 0) return std::nullopt;
  return lrs[best];
}

}  // namespace

SuggestedLRs suggested_lrs(const std::vector<double>& lrs, const std::vector<double>& losses) {
  if (lrs.size() != losses.size() || lrs.size() < 2) return {};
  if (!std::all_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); })) {
    // What comes behind a loss that is no number says nothing.
    const auto first = std::find_if(losses.begin(), losses.end(),
                                    [](double loss) { return !std::isfinite(loss); });
    const auto n = first - losses.begin();
    return suggested_lrs({lrs.begin(), lrs.begin() + n}, {losses.begin(), first});
  }
  const auto lowest = std::min_element(losses.begin(), losses.end()) - losses.begin();
  return {.valley = valley(lrs, losses),
          .slide = slide(lrs, losses),
          .steep = steep(lrs, losses),
          .minimum = lrs[static_cast<std::size_t>(lowest)] / 10};
}

SuggestedLRs Recorder::suggested_lrs() const {
  const int skip_start = static_cast<int>(losses.size() / 10);
  return fastcpp::suggested_lrs(trimmed(rates(), skip_start, 5), trimmed(losses, skip_start, 5));
}

}  // namespace fastcpp
