#include "fastcpp/interpret/classification.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/tta.hpp"
#include "interpret/left_out.hpp"

namespace fastcpp::inline v0 {
namespace {

// The map of a picture that is not normalised yet.
GradCam heat_of(const Learner& learn, const torch::Tensor& pixels, std::int64_t cls) {
  const auto& data = learn.data();
  return grad_cam(learn.model(), data.norm(pixels).unsqueeze(0).to(data.device()), cls);
}

struct Cells {
  std::vector<double> values;
  int rows, cols;
};

Cells cells_of(const torch::Tensor& map) {
  const auto heat = map.to(torch::kFloat64).contiguous();
  const auto* first = heat.data_ptr<double>();
  return {{first, first + heat.numel()},
          static_cast<int>(heat.size(0)),
          static_cast<int>(heat.size(1))};
}

void draw_heat(Axes& axes, const torch::Tensor& map, const OverlayOptions& options) {
  auto [values, rows, cols] = cells_of(map);
  axes.overlay(std::move(values), rows, cols, options);
}

}  // namespace

std::string to_string(const std::vector<Confusion>& pairs) {
  std::string text;
  for (const auto& pair : pairs) {
    text += fmt::format("{}({}, {}, {})", text.empty() ? "" : ", ", python_text(pair.actual),
                        python_text(pair.predicted), pair.count);
  }
  return "[" + text + "]";
}

ClassificationInterpretation ClassificationInterpretation::from_learner(
    Learner learn, const InterpretationOptions& options) {
  Predictions found =
      options.tta
          ? learn.TTA({.ds_type = options.ds_type,
                       .activ = options.activ,
                       .with_loss = true,
                       .stop = options.stop})
          : learn.get_preds(options.ds_type,
                            {.activ = options.activ, .with_loss = true, .stop = options.stop});
  refuse_left_out(learn.data().dl(options.ds_type));
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
  boundary([this] {
    for (auto* tensor : {&preds_, &y_true_, &losses_}) {
      if (!tensor->defined() || tensor->dim() == 0) {
        throw ValueError("value.undefined_tensor",
                         "predictions, targets and losses must be tensors with a row per item");
      }
      *tensor = tensor->detach().cpu();
    }
    if (preds_.dim() == 1) preds_ = preds_.unsqueeze(1);
    const auto n = preds_.size(0);
    if (n != y_true_.size(0) || n != losses_.size(0)) {
      throw ValueError(
          "value.length",
          fmt::format("expected one row of predictions, one target and one loss per item, "
                      "found {} rows, {} targets and {} losses",
                      n, y_true_.size(0), losses_.size(0)));
    }
    number_losses_ = losses_;
    if (losses_.dim() > 1) losses_ = losses_.reshape({n, -1}).mean(1);
    const bool one_each = y_true_.numel() == n && preds_.dim() == 2;
    if (learn_.data().label_kind() != LabelKind::kCategory || !one_each ||
        !at::isIntegralType(y_true_.scalar_type(), /*includeBool=*/true)) {
      return;
    }
    y_true_ = y_true_.reshape({n}).to(torch::kLong);
    const auto c = preds_.size(1);
    if (n > 0) {
      const auto low = y_true_.min().item<std::int64_t>(),
                 high = y_true_.max().item<std::int64_t>();
      if (low < 0 || high >= c) {
        throw ValueError(
            "value.class_index",
            fmt::format("the predictions are of {} classes, found a target of class {}", c,
                        low < 0 ? low : high));
      }
    }
    pred_class_ = n > 0 ? preds_.argmax(1) : torch::empty({0}, torch::kLong);
  });
}

void ClassificationInterpretation::need_classes(const char* what) const {
  if (pred_class_.defined()) return;
  throw DataError(
      "data.not_classes",
      fmt::format("{} needs items of one class each; these have {}. top_losses and "
                  "plot_top_losses work with them",
                  what,
                  learn_.data().label_kind() == LabelKind::kMultiCategory ? "several labels"
                                                                          : "numbers as targets"));
}

TopLosses ClassificationInterpretation::top_losses(std::optional<std::int64_t> k,
                                                   const TopLossesOptions& options) const {
  return boundary([&]() -> TopLosses {
    const auto n = losses_.numel();
    // A stable sort: equal losses keep the order of the items.
    const auto order = std::get<1>(losses_.sort(/*stable=*/true, 0, options.largest));
    const auto best = order.slice(0, 0, std::clamp<std::int64_t>(k.value_or(n), 0, n)).contiguous();
    const auto* data = best.data_ptr<std::int64_t>();
    return {losses_.index_select(0, best), {data, data + best.numel()}};
  });
}

torch::Tensor ClassificationInterpretation::confusion_matrix() const {
  need_classes("a confusion matrix");
  return boundary([&] {
    // A model may have more outputs than the data have classes.
    const auto c = std::max<std::int64_t>(learn_.data().c(), preds_.size(1));
    const auto cells = y_true_ * c + pred_class_;
    return torch::bincount(cells, {}, c * c).reshape({c, c});
  });
}

std::string ClassificationInterpretation::class_name(std::int64_t cls) const {
  const DataBunch data = learn_.data();
  const auto& names = data.classes();
  const auto i = static_cast<std::size_t>(cls);
  return i < names.size() ? names[i] : std::to_string(cls);
}

// What is written above an item's picture.
std::string ClassificationInterpretation::title_of(std::int64_t index) const {
  const auto loss = losses_[index].item<double>();
  if (pred_class_.defined()) {
    const auto actual = y_true_[index].item<std::int64_t>();
    return fmt::format("{}/{} / {:.2f} / {:.2f}",
                       class_name(pred_class_[index].item<std::int64_t>()), class_name(actual),
                       loss, preds_[index][actual].item<double>());
  }
  const bool labels = learn_.data().label_kind() == LabelKind::kMultiCategory;
  const auto text_of = [&](const torch::Tensor& row) {
    const auto values = row.reshape({-1}).to(torch::kFloat64);
    std::vector<std::string> parts;
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      const auto value = values[i].item<double>();
      if (!labels) parts.push_back(fmt::format("{:.2f}", value));
      if (labels && value >= 0.5) parts.push_back(class_name(i));
    }
    return fmt::format("{}", fmt::join(parts, ";"));
  };
  return fmt::format("{}/{} / {:.2f}", text_of(preds_[index]), text_of(y_true_[index]), loss);
}

std::vector<Confusion> ClassificationInterpretation::most_confused(std::int64_t min_val) const {
  need_classes("most_confused");
  return boundary([&] {
    const auto matrix = confusion_matrix().contiguous();
    const auto c = matrix.size(0);
    const auto* counts = matrix.data_ptr<std::int64_t>();
    std::vector<Confusion> pairs;
    for (std::int64_t i = 0; i < c; ++i) {
      for (std::int64_t j = 0; j < c; ++j) {
        const auto count = counts[i * c + j];
        if (i != j && count > 0 && count >= min_val)
          pairs.push_back({class_name(i), class_name(j), count});
      }
    }
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
    return pairs;
  });
}

Figure ClassificationInterpretation::plot_confusion_matrix(
    const ConfusionPlotOptions& options) const {
  need_classes("plot_confusion_matrix");
  if (options.norm_dec < 0 || options.norm_dec > 15) {
    throw ValueError("value.plot_option",
                     fmt::format("norm_dec is {}; it must lie in 0..15", options.norm_dec));
  }
  return boundary([&] {
    auto matrix = confusion_matrix().to(torch::kFloat64);
    if (options.normalize) matrix = matrix / matrix.sum(1, /*keepdim=*/true);
    matrix = matrix.contiguous();
    const auto c = static_cast<int>(matrix.size(0));
    std::vector<std::string> names;
    for (int i = 0; i < c; ++i) names.push_back(class_name(i));
    std::vector<double> values(matrix.data_ptr<double>(),
                               matrix.data_ptr<double>() + matrix.numel());
    std::vector<std::string> texts;
    if (options.plot_txt) {
      for (double value : values) {
        // 0 / 0 is a NaN with a sign, which would be written.
        texts.push_back(options.normalize
                            ? fmt::format("{:.{}f}", std::abs(value), options.norm_dec)
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
  });
}

Figure ClassificationInterpretation::plot_top_losses(std::int64_t k,
                                                     const TopLossesPlotOptions& options) const {
  if (k < 1) throw ValueError("value.k", fmt::format("k must be at least 1, found {}", k));
  if (options.heatmap) need_classes("a heat map");
  return boundary([&] {
    const auto& data = learn_.data();
    const auto& set = image_dataset(data, ds_type_);
    if (losses_.numel() == 0) {
      throw DataError("data.empty",
                      "there are no losses to plot: the interpreted set has no items");
    }
    const auto top = top_losses(k, {.largest = options.largest});
    const auto n = static_cast<std::int64_t>(top.indices.size());
    const auto cols = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(n))));
    const auto rows = static_cast<int>((n + cols - 1) / cols);
    Figure figure(
        {.width = options.figsize.first, .height = options.figsize.second, .dpi = options.dpi});
    figure.suptitle(
        pred_class_.defined() ? "Prediction/Actual/Loss/Probability" : "Prediction/Actual/Loss",
        {.size = 14, .bold = true});
    auto cells = figure.subplots(rows, cols);
    for (auto& cell : cells) cell.axis_off();
    for (std::int64_t i = 0; i < n; ++i) {
      const auto index = top.indices[static_cast<std::size_t>(i)];
      Rng rng(0);
      const auto pixels = set.get(index, rng).x.one("a picture");
      auto& cell = cells[static_cast<std::size_t>(i)];
      cell.imshow(to_picture(pixels));
      std::string title = options.show_text ? title_of(index) : "";
      if (options.show_names) {
        if (!title.empty()) title += '\n';
        title += Path(set.item_name(index)).filename().string();
      }
      if (!title.empty()) cell.title(title);
      if (!options.heatmap) continue;
      const auto cam = heat_of(learn_, pixels, y_true_[index].item<std::int64_t>());
      if (cam.places() < options.heatmap_thresh) continue;
      draw_heat(cell, cam.map, {.alpha = options.alpha, .cmap = options.cmap});
    }
    return figure;
  });
}

Figure ClassificationInterpretation::GradCAM(std::int64_t idx,
                                             const GradCamOptions& options) const {
  need_classes("GradCAM");
  return boundary([&] {
    const auto& data = learn_.data();
    const auto& set = image_dataset(data, options.ds_type.value_or(ds_type_));
    if (idx < 0 || idx >= set.size()) {
      throw ValueError("value.index",
                       fmt::format("the dataset has {} items, found index {}", set.size(), idx));
    }
    Rng rng(0);
    const auto pixels = set.get(idx, rng).x.one("a picture");
    const auto actual = set.list().y->encode(idx).item<std::int64_t>();
    const auto cam = heat_of(learn_, pixels, actual);
    Figure figure(
        {.width = options.figsize.first, .height = options.figsize.second, .dpi = options.dpi});
    auto axes = figure.add_axes();
    axes.axis_off().title(fmt::format("pred. class: {}, actual class: {}",
                                      class_name(cam.output.argmax().item<std::int64_t>()),
                                      class_name(actual)));
    if (options.image) axes.imshow(to_picture(pixels));
    if (cam.places() < options.heatmap_thresh) return figure;
    if (options.image) {
      draw_heat(axes, cam.map, {.alpha = 0.4});
    } else {
      const auto [values, rows, cols] = cells_of(cam.map);
      axes.imshow(colorize(values, rows, cols, Colormap::kMagma),
                  {.interpolation = Interpolation::kBilinear});
    }
    return figure;
  });
}

}  // namespace fastcpp
