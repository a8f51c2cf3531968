// What was learnt of items as a picture.
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/collab/model.hpp"
#include "fastcpp/core/error.hpp"
#include "plot/layout.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Film i is rated by users 0..i, so that later films have more ratings.
CollabLearner films(int count) {
  std::vector<std::int64_t> users;
  std::vector<std::string> names;
  std::vector<double> ratings;
  for (int film = 0; film < count; ++film) {
    for (int user = 0; user <= film; ++user) {
      users.push_back(user);
      names.push_back("a film with number " + std::to_string(100 + film));
      ratings.push_back(1 + (user * film) % 5);
    }
  }
  const auto data = CollabDataBunch::from_df(
      Table({Column("user", users), Column("film", names), Column("rating", ratings)}),
      {.valid_pct = 0, .bs = 8, .device = torch::kCPU});
  return collab_learner(data, {.n_factors = 5, .silent = true, .seed = 3});
}

}  // namespace

TEST_CASE("the items with the most ratings come first") {
  const auto learn = films(12);
  CHECK(learn.most_rated(2) ==
        std::vector<std::string>{"a film with number 111", "a film with number 110"});
  CHECK(learn.most_rated(100).size() == 12);
  // User 0 rated all films; of equals the first code stands first.
  CHECK(learn.most_rated(3, CollabSide::kUser) == std::vector<std::string>{"0", "1", "2"});
  CHECK(caught([&] { learn.most_rated(0); }).code == "value.rows");
}

TEST_CASE("components of items are a picture with every name beside its point") {
  const auto learn = films(50);
  const auto figure = learn.plot_components();
  const auto layout = plot_detail::layout_of(figure);
  REQUIRE(layout.axes.size() == 1);
  const auto& axes = layout.axes[0];
  int names = 0;
  for (std::size_t i = 0; i < layout.texts.size(); ++i) {
    const auto& text = layout.texts[i];
    if (!text.text.starts_with("a film")) continue;
    ++names;
    CHECK(text.box.x >= axes.box.x);
    CHECK(text.box.right() <= axes.box.right());
    for (std::size_t j = 0; j < i; ++j) {
      const auto& other = layout.texts[j].box;
      const bool apart = text.box.x >= other.right() || other.x >= text.box.right() ||
                         text.box.y >= other.bottom() || other.y >= text.box.bottom();
      CHECK(apart);
    }
  }
  CHECK(names == 50);
  CHECK(figure.pixel_width() == 1200);
  CHECK(learn.plot_components().svg() == figure.svg());
  CHECK(learn.plot_components({.n = 10}).svg() != figure.svg());
  CHECK(learn.plot_components({.x = 1, .y = 0}).svg() != figure.svg());
  CHECK(learn.plot_components({.side = CollabSide::kUser, .n = 3, .width = 4, .height = 3})
            .pixel_width() == 400);

  // The places are those of the principal components, turned to the positive side.
  const std::vector<Cell> two{"a film with number 120", "a film with number 149"};
  const auto pair = plot_detail::layout_of(learn.plot_components({.names = two, .among = 1}));
  const auto& range = pair.axes[0].ranges.x;
  const auto want = pca(learn.weight(two).to(torch::kFloat64), {.k = 2}).select(1, 0).abs();
  const auto reach = want.max().item<double>();
  CHECK(range.hi == Approx(1.1 * reach).epsilon(1e-6));
  CHECK(range.lo == Approx(-1.1 * reach).epsilon(1e-6));

  const auto code = [&](const ComponentsPlotOptions& options) {
    return caught([&] { learn.plot_components(options); }).code;
  };
  CHECK(code({.n = 0}) == "value.rows");
  CHECK(code({.among = 0}) == "value.rows");
  CHECK(code({.x = -1}) == "value.pca");
  CHECK(code({.y = 5}) == "value.pca");
  CHECK(code({.names = {"nobody"}}) == "data.not_trained");
  CHECK(code({.width = -1}) == "value.figure_size");
  const CollabLearner network(
      collab_learner(learn.data(), {.use_nn = true, .layers = {4}, .silent = true}));
  CHECK(caught([&] { network.plot_components(); }).code == "value.collab_data");
}
