// What came out: figures in short, the worst items, each class, numbers, calibration.
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/interpret/grad_cam.hpp"
#include "interpret/report_parts.hpp"

namespace fastcpp::inline v0::report_detail {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

bool several_labels(const Context& report) {
  return report.interp && report.data.label_kind() == LabelKind::kMultiCategory &&
         report.interp->preds().dim() == 2 &&
         report.interp->preds().sizes() == report.interp->y_true().sizes();
}

bool has_numbers(const Context& report) {
  return report.interp && report.data.label_kind() == LabelKind::kFloat &&
         report.interp->preds().size(0) > 0 &&
         report.interp->preds().numel() == report.interp->y_true().numel();
}

bool has_probabilities(const Context& report) {
  if (!report.interp || report.interp->preds().numel() == 0) return false;
  if (!report.interp->pred_class().defined() && !several_labels(report)) return false;
  // A loss of one's own may have no activation; a network that broke gives no numbers.
  const auto known = report.interp->preds().masked_select(report.interp->preds().isfinite());
  return known.numel() > 0 && known.min().item<double>() >= 0 && known.max().item<double>() <= 1;
}

double ratio(std::int64_t part, std::int64_t all) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : kNone;
}

struct ClassFigures {
  std::int64_t items = 0, predicted = 0, right = 0;
  double precision() const { return ratio(right, predicted); }
  double recall() const { return ratio(right, items); }
  double f1() const { return items + predicted > 0 ? ratio(2 * right, items + predicted) : kNone; }
};

std::vector<ClassFigures> figures_of(const Context& report) {
  torch::Tensor items, predicted, right;
  if (several_labels(report)) {
    const auto truth = report.interp->y_true().gt(0.5), found = report.interp->preds().ge(0.5);
    items = truth.sum(0);
    predicted = found.sum(0);
    right = truth.logical_and(found).sum(0);
  } else {
    const auto matrix = report.interp->confusion_matrix();
    items = matrix.sum(1);
    predicted = matrix.sum(0);
    right = matrix.diagonal();
  }
  std::vector<ClassFigures> all;
  for (std::int64_t i = 0; i < items.numel(); ++i) {
    all.push_back({items[i].item<std::int64_t>(), predicted[i].item<std::int64_t>(),
                   right[i].item<std::int64_t>()});
  }
  return all;
}

// Of numbers: n x k, predicted and actual.
std::pair<torch::Tensor, torch::Tensor> numbers_of(const Context& report) {
  const auto n = report.interp->preds().size(0);
  const auto flat = [n](const torch::Tensor& values) {
    return values.reshape({n, -1}).to(torch::kFloat64);
  };
  return {flat(report.interp->preds()), flat(report.interp->y_true())};
}

std::optional<GradCam> heat_of(Context& report, std::int64_t index) {
  constexpr std::int64_t kFewest = 16;  // places that a heat map needs to say anything
  if (!report.options.heatmaps || !report.interp->pred_class().defined()) return std::nullopt;
  const auto start = std::chrono::steady_clock::now();
  std::optional<GradCam> found;
  try {
    Rng rng(0);
    const auto pixels = report.pictures->get(index, rng).x.one("a picture");
    found = grad_cam(report.learn.model(),
                     report.data.norm(pixels).unsqueeze(0).to(report.data.device()),
                     report.interp->y_true()[index].item<std::int64_t>());
  } catch (const TrainError& e) {
    if (e.code() != "train.no_body") throw;
    report.options.heatmaps = false;  // nor for any other item
    return std::nullopt;
  } catch (const ValueError& e) {
    if (e.code() != "value.class_index") throw;
    return std::nullopt;
  }
  report.heat_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (found->places() < kFewest) return std::nullopt;
  return found;
}

// How often a number was missed by how much.
std::string errors_html(const torch::Tensor& gaps) {
  const auto known = gaps.masked_select(gaps.isfinite());
  if (known.numel() == 0) return {};
  constexpr double kFewest = 5, kMost = 30;
  const auto n_bins = static_cast<std::int64_t>(
      std::clamp(std::sqrt(static_cast<double>(known.numel())), kFewest, kMost));
  const double low = known.min().item<double>(), high = known.max().item<double>();
  if (!(high > low) || !std::isfinite(high - low)) return {};
  const double width = (high - low) / static_cast<double>(n_bins);
  const auto bins =
      ((known - low) / width).floor().clamp(0, static_cast<double>(n_bins - 1)).to(torch::kLong);
  const auto counts = torch::bincount(bins, {}, n_bins);
  std::vector<double> at, heights;
  for (std::int64_t i = 0; i < n_bins; ++i) {
    at.push_back(low + (static_cast<double>(i) + 0.5) * width);
    heights.push_back(static_cast<double>(counts[i].item<std::int64_t>()));
  }
  Figure figure({.width = 5, .height = 4});
  figure.add_axes()
      .bar(at, heights, {.color = colors::tab_blue, .width = width})
      .xlabel("Predicted minus actual")
      .ylabel("Items");
  return figure_html(
      figure, fmt::format("How often numbers were missed by how much: by {} to {}, {} on average.",
                          number(low), number(high), number(known.mean().item<double>())));
}

// What is said below an item.
std::string verdict_html(const Context& report, std::int64_t index) {
  const auto& interp = *report.interp;
  const auto bold = [](const std::string& text) { return "<b>" + html_text(text) + "</b>"; };
  const auto probability = [&](std::int64_t cls) {
    return number(interp.preds()[index][cls].item<double>(), 2);
  };
  std::string html;
  if (interp.pred_class().defined()) {
    const auto actual = interp.y_true()[index].item<std::int64_t>(),
               predicted = interp.pred_class()[index].item<std::int64_t>();
    html = actual == predicted
               ? fmt::format("<p>recognised as {} ({})</p>", bold(report.class_name(actual)),
                             probability(actual))
               : fmt::format("<p>taken for {} ({})</p><p>is {} ({})</p>",
                             bold(report.class_name(predicted)), probability(predicted),
                             bold(report.class_name(actual)), probability(actual));
  } else if (interp.preds().dim() == 2 || interp.preds().dim() == 1) {
    html = fmt::format("<p>predicted {}</p><p>is {}</p>", bold(report.prediction(index)),
                       bold(report.truth(index)));
  }
  return html + fmt::format("<p>loss {}</p><p class=\"name\">{}</p>",
                            number(interp.losses()[index].item<double>(), 2),
                            html_text(report.item_name(index)));
}

}  // namespace

std::string summary_html(const Context& report) {
  std::vector<Fact> facts;
  if (report.interp) {
    facts.push_back({"Items predicted", whole(report.interp->preds().size(0))});
  }
  if (report.interp && report.interp->pred_class().defined()) {
    std::int64_t right = 0, items = 0;
    for (const auto& figures : figures_of(report)) {
      right += figures.right;
      items += figures.items;
    }
    facts.push_back({"Accuracy", percent(ratio(right, items))});
    facts.push_back({"Errors", whole(items - right)});
  } else if (several_labels(report)) {
    ClassFigures all;
    for (const auto& one : figures_of(report)) {
      all.items += one.items;
      all.predicted += one.predicted;
      all.right += one.right;
    }
    facts.push_back({"Precision", percent(all.precision())});
    facts.push_back({"Recall", percent(all.recall())});
    facts.push_back({"F1", percent(all.f1())});
  } else if (has_numbers(report)) {
    const auto [found, truth] = numbers_of(report);
    const auto gap = found - truth;
    facts.push_back({"Mean absolute error", number(gap.abs().mean().item<double>())});
    facts.push_back({"Root mean square error", number(gap.pow(2).mean().sqrt().item<double>())});
  }
  if (report.interp && report.interp->losses().numel() > 0) {
    facts.push_back({"Mean loss", number(report.interp->losses().mean().item<double>())});
  }
  if (has_probabilities(report)) {
    facts.push_back({"Calibration error", percent(calibration(*report.interp).ece)});
  }
  if (!report.fits.empty()) {
    facts.push_back({"Epochs trained", whole(training_epochs(report))});
    facts.push_back({"Training time", duration(training_seconds(report))});
  }
  auto html = facts_html(facts);
  if (!report.interp) html += paragraph("Without results. " + report.why_no_results);
  if (report.fits.empty()) html += paragraph("No fit was recorded: the model is as it was given.");
  return html;
}

std::string top_losses_html(Context& report) {
  if (!report.interp || report.options.top_losses == 0) return {};
  const auto top = report.interp->top_losses(report.options.top_losses);
  if (top.indices.empty()) return {};
  if (report.rows) {
    report.look_for_stop();
    return paragraph("The rows with the largest losses: wrong targets and hard rows are here.") +
           worst_rows_html(report, top.indices);
  }
  std::string cards;
  bool heated = false;
  for (const auto index : top.indices) {
    report.look_for_stop();
    std::string images, nowhere;
    if (report.pictures) {
      const auto picture = report.picture(index);
      const auto name = report.item_name(index);
      images = image_html(picture, name, report.options.picture_size);
      const auto cam = heat_of(report, index);
      if (cam && cam->map.max().item<double>() <= 0) {
        nowhere = "<p class=\"note\">no place speaks for the actual class</p>";
      } else if (cam) {
        heated = true;
        images += image_html(with_heat(picture, cam->map),
                             "The same with the places that speak for " + report.truth(index),
                             report.options.picture_size);
      }
      images = "<div class=\"two\">" + images + "</div>";
    }
    cards += fmt::format("<li>{}{}{}</li>\n", images, verdict_html(report, index), nowhere);
  }
  std::string text = "The items with the largest losses: wrong labels and hard items are here.";
  if (report.interp->pred_class().defined()) text += " Probabilities in parentheses.";
  if (heated)
    text += " Beside a picture: bright where the network saw the actual class (Grad-CAM).";
  return paragraph(text) + "<ol class=\"cards\">\n" + cards + "</ol>\n";
}

std::string classes_html(const Context& report) {
  if (!report.interp || (!report.interp->pred_class().defined() && !several_labels(report))) {
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  const auto all = figures_of(report);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& one = all[i];
    rows.push_back({html_text(report.class_name(static_cast<std::int64_t>(i))), whole(one.items),
                    whole(one.predicted), percent(one.precision()), percent(one.recall()),
                    percent(one.f1())});
  }
  std::string text =
      "Precision is the share of what was called so and is; recall the share of what "
      "is and was called so; F1 lies between them.";
  if (several_labels(report)) text += " A label is predicted from a probability of 0.5 on.";
  return paragraph(text) +
         table_html("Precision and recall of each class",
                    {{"Class", false}, {"Items"}, {"Predicted"}, {"Precision"}, {"Recall"}, {"F1"}},
                    rows, Sortable::kYes);
}

std::string numbers_html(const Context& report) {
  if (!has_numbers(report)) return {};
  constexpr std::int64_t kMostNumbers = 6, kMostPoints = 1000;
  const auto [found, truth] = numbers_of(report);
  std::vector<std::vector<std::string>> rows;
  std::string plots;
  for (std::int64_t k = 0; k < found.size(1); ++k) {
    const auto x = truth.select(1, k).contiguous(), y = found.select(1, k).contiguous();
    const auto gap = y - x;
    const double spread = (x - x.mean()).pow(2).sum().item<double>(),
                 mae = gap.abs().mean().item<double>(),
                 rmse = gap.pow(2).mean().sqrt().item<double>(),
                 r2 = spread > 0 ? 1 - gap.pow(2).sum().item<double>() / spread : kNone;
    rows.push_back({std::to_string(k + 1), number(mae), number(rmse), number(r2, 3)});
    if (k >= kMostNumbers) continue;
    const auto step = std::max<std::int64_t>(1, x.numel() / kMostPoints);
    std::vector<double> xs, ys;
    for (std::int64_t i = 0; i < x.numel(); i += step) {
      xs.push_back(x.data_ptr<double>()[i]);
      ys.push_back(y.data_ptr<double>()[i]);
    }
    const double low = x.min().item<double>(), high = x.max().item<double>();
    Figure figure({.width = 5, .height = 4});
    auto axes = figure.add_axes();
    axes.plot({low, high}, {low, high}, {.label = "Exact", .color = colors::gray})
        .scatter(xs, ys, {.label = "Items", .color = colors::tab_blue, .size = 4})
        .xlabel("Actual")
        .ylabel("Predicted")
        .title(found.size(1) > 1 ? fmt::format("Number {}", k + 1) : "")
        .legend();
    plots += figure_html(figure, fmt::format("Predicted against actual numbers. Mean absolute "
                                             "error {}, R squared {}.",
                                             number(mae), number(r2, 3)));
    plots += errors_html(gap);
  }
  return table_html("Errors of each number",
                    {{"Number"}, {"Mean absolute error"}, {"Root mean square error"}, {"R\u00b2"}},
                    rows) +
         "<div class=\"plots\">" + plots + "</div>\n";
}

std::string calibration_html(const Context& report) {
  if (!has_probabilities(report)) return {};
  const auto found = calibration(*report.interp);
  if (found.count == 0) return {};
  const double gap = found.confidence - found.accuracy;
  constexpr double kEven = 0.02;
  const auto text = fmt::format(
      "The model gives {} a probability of {} on average, and {} of them are {}: it is {}. The "
      "expected calibration error is {}, the largest of a bin {}.",
      several_labels(report) ? "the labels of an item" : "its predictions",
      percent(found.confidence), percent(found.accuracy),
      several_labels(report) ? "there" : "right",
      gap > kEven    ? "too sure of itself"
      : gap < -kEven ? "better than it says"
                     : "about as sure as it should be",
      percent(found.ece), percent(found.mce));
  std::vector<std::vector<std::string>> rows;
  for (const auto& bin : found.bins) {
    if (bin.count == 0) continue;
    rows.push_back({fmt::format("{:.0f} to {:.0f} %", 100 * bin.low, 100 * bin.high),
                    whole(bin.count), percent(bin.confidence), percent(bin.accuracy)});
  }
  return paragraph(text) + "<div class=\"plots\">" +
         figure_html(plot_calibration(found), "Reliability diagram. " + text) +
         table_html("Accuracy by probability",
                    {{"Probability", false}, {"Predictions"}, {"Mean probability"}, {"Accuracy"}},
                    rows) +
         "</div>\n";
}

}  // namespace fastcpp::report_detail
