#include "fastcpp/interpret/show_graph.hpp"

#include <fmt/format.h>

#include <memory>

#include "fastcpp/core/error.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

ShowGraph::ShowGraph(const ShowGraphOptions& options) : options_(options) {
  const auto ending = options.file.extension().string();
  if (ending != ".png" && ending != ".svg") {
    throw ValueError("value.figure_format",
                     fmt::format("ShowGraph cannot draw into '{}': the file's ending must be .png "
                                 "or .svg",
                                 options.file.string()));
  }
  // Refuses a wrong size where it is written, not after an epoch.
  static_cast<void>(Figure({.width = 6, .height = 4, .dpi = options.dpi}));
}

void ShowGraph::on_epoch_end(TrainState& state) {
  const auto learner = learn();
  const auto& recorder = learner.recorder();
  if (recorder.losses.empty()) return;
  recorder.plot_losses({.dpi = options_.dpi})
      .save(learner.path() / (state.dry_run ? options_.file.filename() : options_.file));
}

CallbackFn show_graph(const ShowGraphOptions& options) {
  static_cast<void>(ShowGraph(options));
  return [options](Learner&) { return std::make_shared<ShowGraph>(options); };
}

}  // namespace fastcpp
