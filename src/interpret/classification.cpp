#include "fastcpp/interpret/classification.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"

namespace fastcpp {

ClassificationInterpretation ClassificationInterpretation::from_learner(
    Learner learn, const InterpretationOptions& options) {
  auto found = learn.get_preds(options.ds_type, {.activ = options.activ, .with_loss = true});
  return {std::move(learn), found.preds, found.targets, found.losses, options.ds_type};
}

ClassificationInterpretation::ClassificationInterpretation(Learner learn, torch::Tensor preds,
                                                           torch::Tensor y_true,
                                                           torch::Tensor losses,
                                                           DatasetType ds_type)
    : learn_(std::move(learn)),
      preds_(std::move(preds)),
      y_true_(std::move(y_true)),
      losses_(std::move(losses)),
      ds_type_(ds_type) {
  if (preds_.dim() != 2 || preds_.size(0) != y_true_.numel() || preds_.size(0) != losses_.numel()) {
    throw ValueError(
        "value.length",
        fmt::format("expected one row of predictions, one target and one loss per item, "
                    "found {} rows, {} targets and {} losses",
                    preds_.size(0), y_true_.numel(), losses_.numel()));
  }
  pred_class_ = preds_.argmax(1);
}

TopLosses ClassificationInterpretation::top_losses(std::optional<std::int64_t> k,
                                                   bool largest) const {
  const auto n = losses_.numel();
  // A stable sort: equal losses keep the order of the items.
  const auto order = std::get<1>(losses_.sort(/*stable=*/true, 0, largest));
  const auto best = order.slice(0, 0, std::clamp<std::int64_t>(k.value_or(n), 0, n)).contiguous();
  const auto* data = best.data_ptr<std::int64_t>();
  return {losses_.index_select(0, best), {data, data + best.numel()}};
}

torch::Tensor ClassificationInterpretation::confusion_matrix() const {
  const auto c = learn_.data().c();
  const auto cells = y_true_.to(torch::kLong) * c + pred_class_;
  return torch::bincount(cells, {}, c * c).reshape({c, c});
}

std::vector<Confusion> ClassificationInterpretation::most_confused(std::int64_t min_val) const {
  const auto matrix = confusion_matrix().contiguous();
  const auto& names = learn_.data().classes();
  const auto c = matrix.size(0);
  const auto* counts = matrix.data_ptr<std::int64_t>();
  const auto name = [&](std::int64_t i) {
    return static_cast<std::size_t>(i) < names.size() ? names[static_cast<std::size_t>(i)]
                                                      : std::to_string(i);
  };
  std::vector<Confusion> pairs;
  for (std::int64_t i = 0; i < c; ++i) {
    for (std::int64_t j = 0; j < c; ++j) {
      const auto count = counts[i * c + j];
      if (i != j && count > 0 && count >= min_val) pairs.push_back({name(i), name(j), count});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return pairs;
}

Figure ClassificationInterpretation::plot_confusion_matrix(
    const ConfusionPlotOptions& options) const {
  auto matrix = confusion_matrix().to(torch::kFloat64);
  if (options.normalize) matrix = matrix / matrix.sum(1, /*keepdim=*/true);
  matrix = matrix.contiguous();
  const auto& names = learn_.data().classes();
  const auto c = static_cast<int>(matrix.size(0));
  std::vector<double> values(matrix.data_ptr<double>(), matrix.data_ptr<double>() + matrix.numel());
  std::vector<std::string> texts;
  if (options.plot_txt) {
    for (double value : values) {
      texts.push_back(options.normalize ? fmt::format("{:.{}f}", value, options.norm_dec)
                                        : fmt::format("{:.0f}", value));
    }
  }
  auto size = matrix_figure_options(names, options.dpi);
  if (options.figsize) {
    size.width = options.figsize->first;
    size.height = options.figsize->second;
  }
  Figure figure(size);
  figure.add_axes()
      .matrix(values, c, c,
              {.cmap = options.cmap,
               .row_labels = names,
               .col_labels = names,
               .texts = texts,
               .xlabel = "Predicted",
               .ylabel = "Actual"})
      .title(options.title);
  return figure;
}

Figure ClassificationInterpretation::plot_top_losses(std::int64_t k,
                                                     const TopLossesPlotOptions& options) const {
  if (k < 1) throw ValueError("value.k", fmt::format("k must be at least 1, found {}", k));
  const auto& data = learn_.data();
  const auto& set = image_dataset(data, ds_type_);
  const auto top = top_losses(k, options.largest);
  const auto n = static_cast<std::int64_t>(top.indices.size());
  const auto cols = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(n))));
  const auto rows = static_cast<int>((n + cols - 1) / cols);
  Figure figure({.width = options.figsize.first, .height = options.figsize.second});
  figure.suptitle("Prediction/Actual/Loss/Probability", {.size = 14, .bold = true});
  auto cells = figure.subplots(rows, cols);
  for (auto& cell : cells) cell.axis_off();
  const auto name = [&](std::int64_t cls) {
    return data.classes().at(static_cast<std::size_t>(cls));
  };
  for (std::int64_t i = 0; i < n; ++i) {
    const auto index = top.indices[static_cast<std::size_t>(i)];
    const auto actual = y_true_[index].item<std::int64_t>();
    Rng rng(0);
    const auto pixels = set.get(index, rng);
    auto& cell = cells[static_cast<std::size_t>(i)];
    cell.imshow(to_picture(pixels));
    if (options.show_text) {
      cell.title(fmt::format("{}/{} / {:.2f} / {:.2f}",
                             name(pred_class_[index].item<std::int64_t>()), name(actual),
                             top.losses[i].item<double>(), preds_[index][actual].item<double>()));
    }
    if (!options.heatmap) continue;
    const auto x = data.norm(pixels).unsqueeze(0).to(data.device());
    const auto map = grad_cam(learn_, x, actual, options.heatmap_thresh);
    if (!map.defined()) continue;
    const auto heat = map.to(torch::kFloat64).contiguous();
    cell.overlay({heat.data_ptr<double>(), heat.data_ptr<double>() + heat.numel()},
                 static_cast<int>(heat.size(0)), static_cast<int>(heat.size(1)),
                 {.alpha = options.alpha, .cmap = options.cmap});
  }
  return figure;
}

torch::Tensor grad_cam(const Learner& learn, const torch::Tensor& x, std::int64_t cls, int thresh) {
  auto* model = learn.model()->as<torch::nn::SequentialImpl>();
  if (!model || model->size() != 2) {
    throw TrainError("train.no_body",
                     "a heat map needs a model of body and head, as cnn_learner makes it");
  }
  learn.model()->eval();
  auto parts = model->begin();
  // Only the path from the body's output to the class needs a graph.
  auto acts = [&] {
    torch::NoGradGuard no_grad;
    return parts->any_forward(x).get<torch::Tensor>();
  }();
  if (acts.size(2) * acts.size(3) < thresh) return {};
  torch::AutoGradMode with_grad(true);
  acts = acts.detach().requires_grad_();
  const auto output = (parts + 1)->any_forward(acts).get<torch::Tensor>();
  const auto gradient = torch::autograd::grad({output[0][cls]}, {acts})[0][0];
  const auto weights = gradient.mean({1, 2}, /*keepdim=*/true);
  return (weights * acts[0].detach()).sum(0).relu().cpu();
}

}  // namespace fastcpp
