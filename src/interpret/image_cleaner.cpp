#include "fastcpp/interpret/image_cleaner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/vision/image/image.hpp"

namespace fastcpp::inline v0 {
namespace {

std::size_t slot(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

void check_items(const LabelledFiles& items, const std::vector<std::int64_t>& indices) {
  const auto n = items.files.size();
  if (n != items.labels.size()) {
    throw DataError("data.length", fmt::format("{} files and {} labels: expected one label a file",
                                               n, items.labels.size()));
  }
  for (const auto index : indices) {
    if (index >= 0 && slot(index) < n) continue;
    throw ValueError("value.index", fmt::format("item {} of {}: indices count from 0", index, n));
  }
}

// A path below another as Python's `os.path.relpath` gives it.
std::string relative_name(const Path& file, const Path& folder) {
  const auto plain = [](const Path& path) {
    const auto whole = std::filesystem::absolute(path).lexically_normal();
    return whole.has_filename() ? whole : whole.parent_path();
  };
  return plain(file).lexically_relative(plain(folder)).generic_string();
}

void write_cleaned(const Path& path, const LabelledFiles& items,
                   const std::vector<std::int64_t>& rows) {
  boundary([&] {
    std::vector<std::string> names, labels;
    for (const auto row : rows) {
      names.push_back(relative_name(items.files[slot(row)], path));
      labels.push_back(items.labels[slot(row)]);
    }
    Table({{"name", names}, {"label", labels}})
        .to_csv(path / "cleaned.csv", {.line_end = LineEnd::kCrLf});
  });
}

}  // namespace

LabelledFiles labelled_files(const ImageDataset& dataset) {
  const auto& list = dataset.list();
  LabelledFiles found{list.items.to_vector(), {}, list.classes()};
  for (std::int64_t i = 0; i < list.size(); ++i) found.labels.push_back(list.label(i));
  return found;
}

BasicImageWidget::BasicImageWidget(LabelledFiles items, const std::vector<std::int64_t>& indices,
                                   std::int64_t batch_size, std::size_t group)
    : items_(std::move(items)), batch_size_(group == 1 ? slot(batch_size) : 1) {
  check_items(items_, indices);
  if (batch_size < 1) {
    throw ValueError("value.batch_size",
                     fmt::format("batch_size must be at least 1, found {}", batch_size));
  }
  if (indices.size() % group != 0) {
    throw ValueError(
        "value.pairs",
        fmt::format("duplicates are pairs of pictures, found {} indices", indices.size()));
  }
  deleted_.resize(items_.files.size());
  const auto is_there = [this](std::int64_t index) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(items_.files[slot(index)], ignored);
  };
  for (auto first = indices.begin(); first != indices.end();) {
    const auto last = first + static_cast<std::ptrdiff_t>(group);
    // A file that the data set holds twice is no pair.
    const bool distinct = std::adjacent_find(first, last) == last;
    if (distinct && std::all_of(first, last, is_there)) groups_.emplace_back(first, last);
    first = last;
  }
  fill();
}

const Path& BasicImageWidget::file(std::int64_t index) const {
  check_items(items_, {index});
  return items_.files[slot(index)];
}

const std::string& BasicImageWidget::label(std::int64_t index) const {
  check_items(items_, {index});
  return items_.labels[slot(index)];
}

BasicImageWidget::Shown& BasicImageWidget::at(std::size_t position) {
  if (position < shown_.size()) return shown_[position];
  throw ValueError(
      "value.index",
      fmt::format("there are {} pictures on the page, found position {}", shown_.size(), position));
}

void BasicImageWidget::relabel(std::size_t position, const std::string& name) {
  const auto& picture = at(position);
  if (std::find(items_.classes.begin(), items_.classes.end(), name) == items_.classes.end()) {
    throw ValueError("value.class_name", fmt::format("there is no class '{}'; there are: {}", name,
                                                     fmt::join(items_.classes, ", ")));
  }
  auto& label = items_.labels[slot(picture.index)];
  if (label == name) return;
  history_.push_back({.kind = Step::Kind::kRelabel, .position = position, .label = label});
  label = name;
}

void BasicImageWidget::toggle_mark(std::size_t position) {
  auto& picture = at(position);
  history_.push_back({.kind = Step::Kind::kMark, .position = position});
  picture.marked = !picture.marked;
}

void BasicImageWidget::next() {
  if (done()) return;
  history_.push_back(
      {.kind = Step::Kind::kNext, .shown = shown_, .next = next_, .skipped = skipped_});
  for (const auto& picture : shown_) {
    if (picture.marked) deleted_[slot(picture.index)] = true;
  }
  fill();
  ++page_;
  try {
    turned();
  } catch (...) {
    take_back();  // what could not be written can be tried again
    throw;
  }
}

bool BasicImageWidget::undo() {
  if (history_.empty()) return false;
  const bool page = history_.back().kind == Step::Kind::kNext;
  take_back();
  if (page) turned();
  return true;
}

void BasicImageWidget::take_back() {
  auto step = std::move(history_.back());
  history_.pop_back();
  switch (step.kind) {
    case Step::Kind::kRelabel:
      items_.labels[slot(at(step.position).index)] = std::move(step.label);
      return;
    case Step::Kind::kMark:
      at(step.position).marked = !at(step.position).marked;
      return;
    case Step::Kind::kNext:
      --page_;
      shown_ = std::move(step.shown);
      next_ = step.next;
      skipped_ = step.skipped;
      for (const auto& picture : shown_) {
        deleted_[slot(picture.index)] = false;
      }
  }
}

std::vector<std::string> BasicImageWidget::labels_when_shown() const {
  auto labels = items_.labels;
  for (auto step = history_.rbegin(); step != history_.rend(); ++step) {
    if (step->kind == Step::Kind::kNext) break;
    if (step->kind == Step::Kind::kRelabel)
      labels[slot(shown_[step->position].index)] = step->label;
  }
  return labels;
}

void BasicImageWidget::fill() {
  shown_.clear();
  for (std::size_t n = 0; n < batch_size_ && next_ < groups_.size(); ++next_) {
    const auto& group = groups_[next_];
    const auto gone = [this](std::int64_t index) { return deleted_[slot(index)]; };
    if (std::any_of(group.begin(), group.end(), gone)) {
      ++skipped_;
      continue;
    }
    for (const auto index : group) shown_.push_back({.index = index});
    ++n;
  }
}

std::int64_t BasicImageWidget::left() const {
  std::size_t n = 0;
  for (auto i = next_; i < groups_.size(); ++i) n += groups_[i].size();
  return static_cast<std::int64_t>(n);
}

std::string BasicImageWidget::message() const {
  return done() ? "No images to show :)" : "";
}

// Items and indices where a repeated file is its first item, with the last label.
struct ImageCleaner::Distinct {
  Distinct(LabelledFiles all, std::vector<std::int64_t> order)
      : items(std::move(all)), indices(std::move(order)) {
    check_items(items, indices);
    std::unordered_map<std::string, std::int64_t> first_of;
    std::vector<std::int64_t> first(items.files.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto index = static_cast<std::int64_t>(i);
      const auto [found, is_new] = first_of.emplace(items.files[i].string(), index);
      first[i] = found->second;
      if (is_new) rows.push_back(index);
      items.labels[slot(found->second)] = items.labels[i];
    }
    for (auto& index : indices) index = first[slot(index)];
  }

  LabelledFiles items;
  std::vector<std::int64_t> indices, rows;
};

ImageCleaner::ImageCleaner(Distinct distinct, Path path, const ImageCleanerOptions& options)
    : BasicImageWidget(std::move(distinct.items), distinct.indices, options.batch_size,
                       options.duplicates ? 2 : 1),
      path_(std::move(path)),
      rows_(std::move(distinct.rows)),
      duplicates_(options.duplicates) {
  ImageCleaner::turned();
}

ImageCleaner::ImageCleaner(LabelledFiles items, const std::vector<std::int64_t>& indices, Path path,
                           const ImageCleanerOptions& options)
    : ImageCleaner(Distinct(std::move(items), indices), std::move(path), options) {}

ImageCleaner::ImageCleaner(const FormattedDataset& pictures, Path path,
                           const ImageCleanerOptions& options)
    : ImageCleaner(labelled_files(*pictures.dataset), pictures.indices, std::move(path), options) {}

void ImageCleaner::turned() {
  std::vector<std::int64_t> rows;
  for (const auto row : rows_) {
    if (!deleted_[slot(row)]) rows.push_back(row);
  }
  write_cleaned(path_, {items_.files, labels_when_shown(), items_.classes}, rows);
}

std::string ImageCleaner::message() const {
  auto text = BasicImageWidget::message();
  if (text.empty() || !duplicates_ || skipped_ == 0) return text;
  return fmt::format(
      "{}. {} pairs were skipped since at least one of the images was deleted by the user.", text,
      skipped_);
}

void data_deleter(const Path& path, const LabelledFiles& items,
                  const std::vector<std::int64_t>& indices) {
  auto distinct = ImageCleaner::Distinct(items, indices);
  std::vector<bool> gone(distinct.items.files.size());
  for (const auto index : distinct.indices) gone[slot(index)] = true;
  std::erase_if(distinct.rows, [&](std::int64_t row) { return gone[slot(row)]; });
  write_cleaned(path, distinct.items, distinct.rows);
}

PredictionsCorrector::PredictionsCorrector(LabelledFiles items,
                                           const std::vector<std::int64_t>& indices,
                                           const PredictionsCorrectorOptions& options)
    : BasicImageWidget(std::move(items), indices, options.batch_size, 1),
      predicted_(items_.labels) {}

PredictionsCorrector::PredictionsCorrector(const UnsureDataset& pictures,
                                           const PredictionsCorrectorOptions& options)
    : PredictionsCorrector(LabelledFiles{pictures.dataset->list().items.to_vector(),
                                         pictures.labels, pictures.classes},
                           pictures.indices, options) {}

std::vector<std::int64_t> PredictionsCorrector::corrections() const {
  std::vector<std::int64_t> changed;
  for (std::size_t i = 0; i < predicted_.size(); ++i) {
    if (predicted_[i] != items_.labels[i]) changed.push_back(static_cast<std::int64_t>(i));
  }
  return changed;
}

Figure PredictionsCorrector::show_corrections(int ncols,
                                              const ShowCorrectionsOptions& options) const {
  if (ncols < 1) {
    throw ValueError("value.rows", fmt::format("ncols must be at least 1, found {}", ncols));
  }
  return boundary([&] {
    const auto changed = corrections();
    const auto n = static_cast<int>(changed.size());
    const int cols = std::min(ncols, std::max(n, 1)), rows = std::max(1, (n + cols - 1) / cols);
    Figure figure(
        {.width = options.cell * cols, .height = options.cell * rows, .dpi = options.dpi});
    auto cells = figure.subplots(rows, cols);
    for (auto& cell : cells) cell.axis_off();
    for (std::size_t i = 0; i < changed.size(); ++i) {
      const auto item = slot(changed[i]);
      cells[i].imshow(to_picture(open_image(items_.files[item]).tensor()));
      cells[i].title(
          fmt::format("{}: {} -> {}", changed[i], predicted_[item], items_.labels[item]));
    }
    return figure;
  });
}

}  // namespace fastcpp
