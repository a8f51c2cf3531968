#include "fastcpp/interpret/feature_importance.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::uint64_t kDrawRows = 0, kShuffle = 1;  // purposes of random numbers

// Places of one column of the given table in the two matrices.
struct ShuffledColumn {
  std::string name;
  std::vector<std::int64_t> cats = {}, conts = {};
};

// Whether FillMissing added the column of holes of `cont`.
bool adds_holes(const TabularProcessor& processor, const std::string& cont) {
  for (const auto& proc : processor.procs()) {
    const auto* fill = dynamic_cast<const tabular::FillMissing*>(proc.get());
    if (fill && fill->na_dict().contains(cont) && fill->state().at("add_col").as_bool()) {
      return true;
    }
  }
  return false;
}

std::vector<ShuffledColumn> columns_of(const TabularProcessor& processor) {
  const auto& cats = processor.cat_names();
  const auto& conts = processor.cont_names();
  std::vector<std::int64_t> holes(conts.size(), -1);
  std::vector<bool> taken(cats.size(), false);
  for (std::size_t c = 0; c < conts.size(); ++c) {
    const auto found = std::find(cats.begin(), cats.end(), conts[c] + "_na");
    if (found == cats.end() || !adds_holes(processor, conts[c])) continue;
    holes[c] = found - cats.begin();
    taken[static_cast<std::size_t>(holes[c])] = true;
  }
  std::vector<ShuffledColumn> columns;
  for (std::size_t c = 0; c < cats.size(); ++c) {
    if (!taken[c]) columns.push_back({.name = cats[c], .cats = {static_cast<std::int64_t>(c)}});
  }
  for (std::size_t c = 0; c < conts.size(); ++c) {
    columns.push_back({.name = conts[c], .conts = {static_cast<std::int64_t>(c)}});
    if (holes[c] >= 0) columns.back().cats.push_back(holes[c]);
  }
  return columns;
}

// The matrix with other rows in some of its columns.
torch::Tensor with_shuffled(const torch::Tensor& matrix, const std::vector<std::int64_t>& columns,
                            const torch::Tensor& order) {
  if (columns.empty()) return matrix;
  auto shuffled = matrix.clone();
  for (const auto c : columns) {
    shuffled.select(1, c).copy_(matrix.select(1, c).index_select(0, order));
  }
  return shuffled;
}

torch::Tensor tensor_of(const std::vector<std::int64_t>& positions) {
  return torch::tensor(positions, torch::kLong);
}

// Rows that are predicted again and again.
class ShuffledRows {
 public:
  ShuffledRows(Learner learn, const DataLoader& loader, const TabularDataset& set,
               const FeatureImportanceOptions& options, std::uint64_t seed)
      : learn_(std::move(learn)),
        options_(options),
        loader_(loader),
        processor_(set.processor()),
        input_(set.input()),
        codes_(set.codes()),
        conts_(set.conts()),
        y_(set.y()) {
    if (options.rows && *options.rows < set.size()) {
      auto drawn = Rng{seed, kDrawRows}.permutation(set.size());
      drawn.resize(static_cast<std::size_t>(*options.rows));
      std::sort(drawn.begin(), drawn.end());
      codes_ = codes_.index_select(0, tensor_of(drawn));
      conts_ = conts_.index_select(0, tensor_of(drawn));
      y_ = y_->take(drawn);
    }
    if (options.metric) figure_ = place_of(*options.metric);
  }

  std::int64_t size() const { return codes_.size(0); }

  // Loss or metric with the cells of some columns in another order.
  double figure(const ShuffledColumn& column, const torch::Tensor& order) {
    // Between shuffles too, where a set has one batch only.
    if (options_.stop.stop_requested()) {
      throw TrainError("train.stopped",
                       fmt::format("the importance of columns was stopped after {} of {} passes "
                                   "over the rows",
                                   done_, total_));
    }
    const auto set =
        std::make_shared<TabularDataset>(TabularItems{with_shuffled(codes_, column.cats, order),
                                                      with_shuffled(conts_, column.conts, order)},
                                         y_, processor_, input_);
    auto how = loader_.options();
    how.shuffle = how.drop_last = false;
    how.sampler = nullptr;
    // A metric may be another one of other batches; the loss is a mean over rows, which are small.
    if (options_.metric) {
      const auto figures = learn_.validate({.dl = DataLoader(set, how), .stop = options_.stop});
      ++done_;
      return figures.at(figure_);
    }
    constexpr std::int64_t kFewest = 1024;
    how.bs = std::max(how.bs, kFewest);
    const auto found = learn_.get_preds(
        options_.ds_type, {.with_loss = true, .dl = DataLoader(set, how), .stop = options_.stop});
    ++done_;
    return found.losses.to(torch::kFloat64).mean().item<double>();
  }

  void expect(std::int64_t figures) { total_ = figures; }

 private:
  std::size_t place_of(const std::string& metric) const {
    std::vector<std::string> names;
    for (const auto& one : learn_.options().metrics) names.push_back(one.name());
    const auto found = std::find(names.begin(), names.end(), metric);
    if (found == names.end()) {
      throw ValueError("value.metric", fmt::format("the learner has no metric '{}'; there are: {}",
                                                   metric, fmt::join(names, ", ")));
    }
    return static_cast<std::size_t>(found - names.begin()) + 1;  // the loss stands first
  }

  Learner learn_;
  const FeatureImportanceOptions& options_;
  DataLoader loader_;
  TabularProcessor processor_;
  TabularInput input_;
  torch::Tensor codes_, conts_;
  std::shared_ptr<const Labels> y_;
  std::size_t figure_ = 0;
  std::int64_t done_ = 0, total_ = 0;
};

// A long name would leave no room for its bar.
std::string short_name(const std::string& name) {
  constexpr std::size_t kMostLetters = 24;
  const auto text = clean_text(name);
  std::size_t end = 0;
  for (std::size_t letters = 0; end < text.size(); ++letters) {
    if (letters == kMostLetters) return text.substr(0, end) + "\u2026";
    end += utf8_length(std::string_view(text).substr(end));
  }
  return text;
}

// Their mean, and how far they lie apart.
ColumnImportance summed_up(const std::string& name, const std::vector<double>& growths) {
  const auto n = static_cast<double>(growths.size());
  ColumnImportance found{.column = name,
                         .importance = std::accumulate(growths.begin(), growths.end(), 0.0) / n};
  if (growths.size() == 1) return found;
  double squares = 0;
  for (const double growth : growths) squares += std::pow(growth - found.importance, 2);
  found.deviation = std::sqrt(squares / (n - 1));
  return found;
}

void check_importance(const FeatureImportanceOptions& options) {
  if (options.repeats < 1 || options.repeats > 1000) {
    throw ValueError("value.repeats", fmt::format("repeats: expected 1 to 1000 shuffles of a "
                                                  "column, found {}",
                                                  options.repeats));
  }
  if (options.rows && *options.rows < 1) {
    throw ValueError("value.rows",
                     fmt::format("rows: expected at least 1, found {}", *options.rows));
  }
}

const TabularDataset& rows_with_targets(const DataLoader& loader) {
  const auto* set = tabular_dataset(*loader.dataset());
  if (!set) {
    throw DataError(
        "data.no_table",
        "the importance of columns is asked of a table, but these items come from none");
  }
  if (set->size() == 0) {
    throw DataError("data.empty", "there is no row whose cells could be shuffled");
  }
  if (set->y()->kind() == LabelKind::kEmpty) {
    throw DataError("data.no_labels",
                    "the importance of columns needs rows with targets: these have none");
  }
  return *set;
}

}  // namespace

FeatureImportance FeatureImportance::from_learner(Learner learn,
                                                  const FeatureImportanceOptions& options) {
  check_importance(options);
  return boundary([&] {
    const auto data = learn.data();
    // The same rows in their order, without what is done to them for training only.
    const auto type = options.ds_type == DatasetType::Train    ? DatasetType::Fix
                      : options.ds_type == DatasetType::Single ? DatasetType::Valid
                                                               : options.ds_type;
    const auto loader = data.dl(type);
    const auto& set = rows_with_targets(loader);
    const auto seed = options.seed.value_or(default_seed());
    ShuffledRows rows(learn, loader, set, options, seed);
    const auto columns = columns_of(set.processor());
    rows.expect(1 + static_cast<std::int64_t>(columns.size()) * options.repeats);
    FeatureImportance found;
    found.repeats_ = options.repeats;
    found.measure_ = options.metric.value_or("loss");
    found.baseline_ = rows.figure({}, {});
    found.falls_ = options.metric && !options.lower_is_better;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      std::vector<double> growths;
      for (int repeat = 0; repeat < options.repeats; ++repeat) {
        Rng rng{seed, kShuffle, static_cast<std::uint64_t>(c), static_cast<std::uint64_t>(repeat)};
        const auto order = tensor_of(rng.permutation(rows.size()));
        const auto growth = rows.figure(columns[c], order) - found.baseline_;
        growths.push_back(found.falls_ ? -growth : growth);
      }
      found.columns_.push_back(summed_up(columns[c].name, growths));
    }
    // A network that broke gives no numbers: these stand last.
    const auto rank = [](const ColumnImportance& one) {
      return std::isnan(one.importance) ? -std::numeric_limits<double>::infinity() : one.importance;
    };
    std::stable_sort(found.columns_.begin(), found.columns_.end(),
                     [&](const auto& a, const auto& b) { return rank(a) > rank(b); });
    return found;
  });
}

Table FeatureImportance::table() const {
  return boundary([&] {
    std::vector<Cell> names, importances, deviations;
    for (const auto& one : columns_) {
      names.emplace_back(one.column);
      importances.emplace_back(one.importance);
      deviations.emplace_back(one.deviation);
    }
    std::vector<Column> columns{Column("column", names), Column("importance", importances)};
    if (repeats_ > 1) columns.emplace_back("deviation", deviations);
    return Table(std::move(columns));
  });
}

Figure FeatureImportance::plot(const FeatureImportancePlotOptions& options) const {
  if (options.k < 1) {
    throw ValueError("value.k", fmt::format("k must be at least 1, found {}", options.k));
  }
  return boundary([&] {
    const auto n = std::min(columns_.size(), static_cast<std::size_t>(options.k));
    std::vector<double> at, heights, stroke_x, stroke_y;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& one = columns_[i];
      const auto x = static_cast<double>(i);
      at.push_back(x);
      heights.push_back(one.importance);
      names.push_back(short_name(one.column));
      for (const double y : {one.importance - one.deviation, one.importance + one.deviation}) {
        stroke_x.push_back(x);
        stroke_y.push_back(y);
      }
      // A line has a gap there.
      stroke_x.push_back(x);
      stroke_y.push_back(std::numeric_limits<double>::quiet_NaN());
    }
    const auto size = options.figsize.value_or(
        std::pair{std::clamp(1.5 + 0.4 * static_cast<double>(n), 5.0, 40.0), 4.5});
    Figure figure({.width = size.first, .height = size.second, .dpi = options.dpi});
    auto axes = figure.add_axes();
    axes.bar(at, heights, {.color = colors::tab_blue, .names = names});
    if (repeats_ > 1) axes.plot(stroke_x, stroke_y, {.color = colors::black});
    axes.ylabel((falls_ ? "Fall of " : "Growth of ") + measure_);
    return figure;
  });
}

}  // namespace fastcpp
