// What went in: the data, a batch, the model.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/core/text.hpp"
#include "fastcpp/train/optim/layers.hpp"
#include "fastcpp/train/summary.hpp"
#include "interpret/report_parts.hpp"

namespace fastcpp::inline v0::report_detail {
namespace {

constexpr std::size_t kMostRows = 500;

// A name for people.
struct Set {
  const char* name;
  const Dataset* items;  // null: there is none
};

std::vector<Set> sets_of(const DataBunch& data) {
  return {{"Training", &data.train_ds()},
          {"Validation", data.empty_val() ? nullptr : &data.valid_ds()},
          {"Test", data.has_test() ? data.test_dl().dataset().get() : nullptr}};
}

// Items of each class; nothing where the targets are not known.
std::vector<std::int64_t> counts_of(const Dataset* items, const DataBunch& data) {
  if (!items || items->size() == 0) return {};
  const auto targets = items->targets();
  if (!targets || targets->numel() == 0) return {};
  const auto c = data.c();
  torch::Tensor counts;
  if (data.label_kind() == LabelKind::kMultiCategory) {
    counts = targets->gt(0.5).sum(0).to(torch::kLong);
  } else {
    const auto flat = targets->flatten().to(torch::kLong);
    if (flat.min().item<std::int64_t>() < 0) return {};
    counts = torch::bincount(flat, {}, c);
  }
  counts = counts.contiguous();
  return {counts.data_ptr<std::int64_t>(), counts.data_ptr<std::int64_t>() + counts.numel()};
}

std::string bar(std::int64_t count, std::int64_t most) {
  return fmt::format(R"(<span class="bar"><b>{}</b><i style="--v:{:.3f}"></i></span>)",
                     whole(count),
                     most > 0 ? static_cast<double>(count) / static_cast<double>(most) : 0.0);
}

std::string balance_html(const Context& report) {
  const auto& data = report.data;
  const auto sets = sets_of(data);
  const auto train = counts_of(sets[0].items, data), valid = counts_of(sets[1].items, data);
  if (train.empty() && valid.empty()) return {};
  const auto largest = [](const std::vector<std::int64_t>& counts) {
    return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  };
  const auto c = std::max(train.size(), valid.size());
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < std::min(c, kMostRows); ++i) {
    std::vector<std::string> row{html_text(report.class_name(static_cast<std::int64_t>(i)))};
    if (!train.empty()) row.push_back(bar(i < train.size() ? train[i] : 0, largest(train)));
    if (!valid.empty()) row.push_back(bar(i < valid.size() ? valid[i] : 0, largest(valid)));
    rows.push_back(std::move(row));
  }
  std::vector<Column> columns{{"Class", false}};
  if (!train.empty()) columns.push_back({"Training", false});
  if (!valid.empty()) columns.push_back({"Validation", false});
  std::string html = "<h3>Class balance</h3>\n";
  if (!train.empty() && c > 1) {
    const auto least = *std::min_element(train.begin(), train.end());
    html += paragraph(
        least == 0 ? "A class has no training item."
                   : fmt::format("Classes have {} to {} training items: the largest {:.1f} times "
                                 "those of the smallest.",
                                 whole(least), whole(largest(train)),
                                 static_cast<double>(largest(train)) / static_cast<double>(least)));
  }
  html += table_html("Items of each class", columns, rows);
  if (c > kMostRows) {
    html += paragraph(
        fmt::format("and {} classes more", whole(static_cast<std::int64_t>(c - kMostRows))));
  }
  return html;
}

// Where targets are numbers.
std::string ranges_html(const Context& report) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, items] : sets_of(report.data)) {
    const auto targets = items && items->size() > 0 ? items->targets() : std::nullopt;
    if (!targets || targets->numel() == 0) continue;
    const auto columns =
        targets->reshape({targets->size(0), -1}).to(torch::kFloat64).transpose(0, 1);
    constexpr std::int64_t kMost = 20;
    for (std::int64_t i = 0; i < std::min(columns.size(0), kMost); ++i) {
      const auto values = columns[i];
      rows.push_back({html_text(name), std::to_string(i + 1), number(values.min().item<double>()),
                      number(values.mean().item<double>()), number(values.max().item<double>())});
    }
  }
  if (rows.empty()) return {};
  return "<h3>Targets</h3>\n" +
         table_html("Ranges of the targets",
                    {{"Set", false}, {"Number"}, {"Least"}, {"Mean"}, {"Largest"}}, rows);
}

std::string shape_text(c10::IntArrayRef sizes) {
  return fmt::format("{}", fmt::join(sizes, " \u00d7 "));
}

}  // namespace

std::string data_html(const Context& report) {
  const auto& data = report.data;
  std::vector<Fact> facts;
  for (const auto& [name, items] : sets_of(data)) {
    if (items) facts.push_back({name, whole(items->size())});
  }
  switch (data.label_kind()) {
    case LabelKind::kCategory:
      facts.push_back({"Classes", whole(data.c())});
      break;
    case LabelKind::kMultiCategory:
      facts.push_back({"Labels, several an item", whole(data.c())});
      break;
    case LabelKind::kFloat:
      facts.push_back({"Numbers to predict", whole(data.c())});
      break;
    case LabelKind::kEmpty:
      break;
  }
  facts.push_back({"Batch size", whole(data.batch_size())});
  auto html = facts_html(facts);
  if (const auto* set = dynamic_cast<const ImageDataset*>(&data.train_ds())) {
    const auto list_of = [](const TfmList& tfms) {
      std::string items;
      for (const auto& tfm : tfms) items += fmt::format("<li>{}</li>", html_text(tfm.str()));
      return items.empty() ? std::string("<p>none</p>") : "<ul>" + items + "</ul>";
    };
    html += fmt::format("<details><summary>Transforms of training pictures</summary>{}</details>\n",
                        list_of(set->tfms()));
  }
  html += columns_html(report);
  html += data.label_kind() == LabelKind::kFloat ? ranges_html(report) : balance_html(report);
  return html;
}

std::string batch_html(const Context& report) {
  const auto& data = report.data;
  if (data.train_dl().size() == 0) return {};
  const auto batch = data.one_batch(DatasetType::Train);
  if (const auto* set = tabular_dataset(data.train_ds())) {
    return rows_of_batch_html(report, *set, batch);
  }
  std::string shapes;
  for (const auto& x : batch.x.items()) {
    shapes += (shapes.empty() ? "" : ", ") + shape_text(x.sizes());
  }
  std::string text = fmt::format("The first batch of training items, {}", shapes);
  const bool pictures = batch.x.count() == 1 && batch.x.at(0).dim() == 4 &&
                        (batch.x.at(0).size(1) == 3 || batch.x.at(0).size(1) == 1) &&
                        dynamic_cast<const ImageDataset*>(&data.train_ds());
  if (pictures) text += ", after transforms; shown before normalisation";
  if (const auto& stats = data.stats(); stats && stats->mean.size() <= 4) {
    text += fmt::format(" with mean {:.3f} and standard deviation {:.3f}",
                        fmt::join(stats->mean, ", "), fmt::join(stats->std, ", "));
  }
  auto html = paragraph(text + ".");
  if (!pictures) return html;
  const auto& labels = *dynamic_cast<const ImageDataset&>(data.train_ds()).list().y;
  constexpr std::int64_t kMost = 12;
  html += R"(<div class="pictures">)";
  for (std::int64_t i = 0; i < std::min(kMost, batch.x.at(0).size(0)); ++i) {
    const auto label = batch.y.count() == 1 ? labels.target_text(batch.y.at(0)[i]) : std::string();
    html += fmt::format("<figure>{}<figcaption>{}</figcaption></figure>",
                        image_html(to_picture(batch.x.at(0)[i]), "Training picture of " + label,
                                   report.options.picture_size),
                        html_text(label));
  }
  return html + "</div>\n";
}

std::string model_html(const Context& report) {
  const auto& learn = report.learn;
  std::int64_t all = 0, trainable = 0;
  for (const auto& parameter : learn.model()->parameters()) {
    all += parameter.numel();
    if (parameter.requires_grad()) trainable += parameter.numel();
  }
  auto html = facts_html(
      {{"Parameters", whole(all)},
       {"of them trainable", whole(trainable)},
       {"Layers", whole(static_cast<std::int64_t>(flatten_model(learn.model().ptr()).size()))},
       {"Layer groups", whole(static_cast<std::int64_t>(learn.layer_groups().size()))}});
  html +=
      paragraph(fmt::format("Loss: {}. Weight decay: {:g}. Device: {}.", learn.loss_func().name(),
                            learn.options().wd, report.data.device().str()));
  if (report.data.train_ds().size() > 0) {
    html += fmt::format("<details><summary>All layers</summary>{}</details>\n",
                        scroll_html("All layers", "<pre>" + html_text(learn.summary()) + "</pre>"));
  }
  return html;
}

}  // namespace fastcpp::report_detail
