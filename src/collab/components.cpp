// What was learnt of items as a picture.
#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/collab/model.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"

namespace fastcpp::inline v0 {
namespace {

// A column of numbers, turned so that the one farthest from 0 is positive: decompositions leave the sign open.
std::vector<double> turned(const torch::Tensor& column) {
  const auto numbers = column.to(torch::kFloat64).contiguous();
  const auto farthest = numbers[numbers.abs().argmax()].item<double>();
  const auto positive = farthest < 0 ? -numbers : numbers;
  const auto* data = positive.data_ptr<double>();
  return {data, data + positive.numel()};
}

}  // namespace

std::vector<std::string> CollabLearner::most_rated(std::int64_t n, CollabSide side) const {
  return boundary([&] {
    if (n < 1) throw ValueError("value.rows", fmt::format("n: expected at least 1, found {}", n));
    const auto all = names(side);
    const auto& rows = *tabular_dataset(*data().fix_dl().dataset());
    // Of each code, 0 being `#na#`.
    const auto counts = rows.codes()
                            .select(1, side == CollabSide::kItem ? 1 : 0)
                            .bincount({}, static_cast<std::int64_t>(all.size()) + 1);
    const auto* count = counts.data_ptr<std::int64_t>();
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return count[a + 1] > count[b + 1]; });
    order.resize(std::min(order.size(), static_cast<std::size_t>(n)));
    std::vector<std::string> first;
    for (const auto at : order) first.push_back(all[at]);
    return first;
  });
}

Figure CollabLearner::plot_components(const ComponentsPlotOptions& options) const {
  return boundary([&] {
    const auto side = options.side;
    std::vector<Cell> shown = options.names;
    if (shown.empty()) {
      const auto most = most_rated(options.n, side);
      shown.assign(most.begin(), most.end());
    }
    if (options.among < 1) {
      throw ValueError("value.rows",
                       fmt::format("among: expected at least 1, found {}", options.among));
    }
    if (options.x < 0 || options.y < 0) {
      throw ValueError("value.pca", fmt::format("components count from 0, found {} and {}",
                                                options.x, options.y));
    }
    // Those that are shown, then others that have a say in what differs the most.
    auto together = shown;
    const auto codes = get_idx(shown, side);
    const std::set<std::int64_t> known(codes.begin(), codes.end());
    for (const auto& name : most_rated(options.among, side)) {
      if (known.count(get_idx({name}, side).front()) == 0) together.emplace_back(name);
    }
    const auto components =
        pca(weight(together, side).to(torch::kFloat64), {.k = std::max(options.x, options.y) + 1});
    const auto along = [&](std::int64_t component) {
      return turned(
          components.slice(0, 0, static_cast<std::int64_t>(shown.size())).select(1, component));
    };
    const auto x = along(options.x), y = along(options.y);
    std::vector<std::string> texts;
    for (const auto& cell : shown) texts.push_back(cell_text(cell));
    Figure figure({.width = options.width, .height = options.height, .dpi = options.dpi});
    figure.axes()
        .scatter(x, y)
        .annotate(x, y, texts)
        .xlabel(fmt::format("Component {}", options.x))
        .ylabel(fmt::format("Component {}", options.y));
    return figure;
  });
}

}  // namespace fastcpp
