#include "fastcpp/interpret/show_graph.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("the losses are drawn anew after each epoch") {
  TempDir dir;
  Learner learn(bunch_of_points(dir.path()), Model(torch::nn::Sequential(torch::nn::Linear(2, 2))),
                {.silent = true});
  std::vector<std::string> drawn;
  const auto look = make_callback(
      {.on_epoch_end = [&](Learner&,
                           TrainState&) { drawn.push_back(read_file(dir / "curves/losses.png")); },
       .order = 10});
  learn.fit(3, 1e-2,
            {.callbacks = {show_graph({.file = "curves/losses.png", .dpi = 50}),
                           show_graph({.file = "losses.svg"}), look}});
  REQUIRE(drawn.size() == 3);
  for (const auto& png : drawn) CHECK(png.starts_with("\x89PNG"));
  CHECK(drawn[0] != drawn[1]);
  CHECK(drawn[1] != drawn[2]);
  CHECK(drawn[2] == learn.recorder().plot_losses({.dpi = 50}).png());
  CHECK(read_file(dir / "losses.svg").find("<svg") != std::string::npos);
  // Nothing lies beside it.
  CHECK(ls(dir / "curves").size() == 1);
}

TEST_CASE("a graph that cannot be drawn is refused at once") {
  CHECK(caught([] { show_graph({.file = "losses.pdf"}); }).code == "value.figure_format");
  CHECK(caught([] { show_graph({.dpi = 0}); }).code == "value.figure_size");
}
