#include "fastcpp/tabular/tabular_dataset.hpp"

#include <ATen/EmptyTensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstddef>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::int64_t kShownRows = 5;  // in a printed form

Tensors inputs_of(const torch::Tensor& codes, const torch::Tensor& conts, TabularInput input) {
  if (input == TabularInput::kMatrices) return {codes, conts};
  std::vector<torch::Tensor> columns;
  for (std::int64_t c = 0; c < codes.size(1); ++c) {
    columns.push_back(codes.select(1, c).contiguous());
  }
  return columns;
}

// As index_select of a contiguous tensor in memory, whose way through LibTorch takes longer than copying the few bytes of a batch.
torch::Tensor rows_of(const torch::Tensor& tensor, std::span<const std::int64_t> indices) {
  at::DimVector sizes(tensor.sizes());
  sizes[0] = static_cast<std::int64_t>(indices.size());
  torch::Tensor rows(at::detail::empty_cpu(sizes, tensor.scalar_type()));
  const auto bytes =
      tensor.nbytes() / std::max<std::size_t>(1, static_cast<std::size_t>(tensor.size(0)));
  const auto* const from = static_cast<const std::byte*>(tensor.data_ptr());
  auto* to = static_cast<std::byte*>(rows.data_ptr());
  for (const auto index : indices) {
    to = std::copy_n(from + static_cast<std::size_t>(index) * bytes, bytes, to);
  }
  return rows;
}

}  // namespace

TabularDataset::TabularDataset(TabularItems items, std::shared_ptr<const Labels> y,
                               TabularProcessor processor, TabularInput input,
                               std::string list_name)
    : codes_(std::move(items.codes)),
      conts_(std::move(items.conts)),
      y_(std::move(y)),
      processor_(std::move(processor)),
      input_(input),
      list_name_(std::move(list_name)) {
  boundary([&] {
    if (y_->size() != size() || conts_.size(0) != size()) {
      throw DataError("data.length",
                      fmt::format("expected one label per row, found {} rows and {} labels", size(),
                                  y_->size()));
    }
    const auto in_memory = [](const torch::Tensor& t) { return t.detach().cpu().contiguous(); };
    x_ = inputs_of(in_memory(codes_), in_memory(conts_), input_);
    targets_ = in_memory(y_->targets());
    if (targets_.dim() == 0 || targets_.size(0) != size()) {
      throw DataError("data.length",
                      fmt::format("expected one target per row, found {} rows and targets of {}",
                                  size(), fmt::join(targets_.sizes().vec(), " x ")));
    }
  });
}

std::optional<SampleLayout> TabularDataset::layout() const {
  SampleLayout layout{{}, {y_->layout()}};
  for (const auto& tensor : x_.items()) {
    layout.x.push_back({tensor.sizes().slice(1).vec(), tensor.scalar_type()});
  }
  return layout;
}

void TabularDataset::check(std::int64_t index) const {
  if (index >= 0 && index < size()) return;
  throw ValueError("value.index",
                   fmt::format("row {} of a data set of {}: rows count from 0", index, size()));
}

Sample TabularDataset::get(std::int64_t index, Rng&) const {
  check(index);
  const auto row = [&](const torch::Tensor& tensor) { return tensor[index].clone(); };
  return {x_.each(row), row(targets_)};
}

Sample TabularDataset::get_batch(std::span<const std::int64_t> indices) const {
  for (const auto index : indices) check(index);
  const auto taken = [&](const torch::Tensor& tensor) { return rows_of(tensor, indices); };
  return {x_.each(taken), taken(targets_)};
}

std::string TabularDataset::item_name(std::int64_t index) const {
  return fmt::format("row {}", index);
}

std::string TabularDataset::line(std::int64_t index) const {
  check(index);
  return processor_.line(codes_[index], conts_[index]);
}

std::string TabularDataset::describe(const Path& path) const {
  std::vector<std::string> lines, labels;
  for (std::int64_t i = 0; i < std::min(kShownRows, size()); ++i) {
    lines.push_back(line(i));
    labels.push_back(y_->text(i));
  }
  return fmt::format("LabelList ({} items)\nx: {}\n{}\ny: {}\n{}\nPath: {}", size(), list_name_,
                     fmt::join(lines, ","), y_->name(), fmt::join(labels, ","), path.string());
}

Table TabularDataset::in_words(const std::vector<std::int64_t>& rows,
                               const std::vector<Column>& before,
                               const std::vector<Column>& after) const {
  return boundary([&] {
    const auto names = processor_.col_names();
    std::vector<std::vector<Cell>> cells(names.size());
    for (const auto row : rows) {
      check(row);
      auto texts = processor_.cells(codes_[row], conts_[row]);
      for (std::size_t c = 0; c < texts.size(); ++c) cells[c].emplace_back(std::move(texts[c]));
    }
    std::vector<Column> columns;
    const auto add = [&](std::string name, const std::vector<Cell>& of) {
      const auto taken = [&] {
        return std::any_of(columns.begin(), columns.end(),
                           [&](const Column& column) { return column.name() == name; });
      };
      while (taken()) name += '_';
      columns.emplace_back(std::move(name), of);
    };
    const auto add_all = [&](const std::vector<Column>& others) {
      for (const auto& column : others) {
        std::vector<Cell> of;
        for (std::int64_t i = 0; i < column.size(); ++i) of.push_back(column.cell(i));
        add(column.name(), of);
      }
    };
    add_all(before);
    for (std::size_t c = 0; c < names.size(); ++c) add(names[c], cells[c]);
    add_all(after);
    return Table(std::move(columns));
  });
}

const TabularDataset* tabular_dataset(const Dataset& dataset) {
  return dynamic_cast<const TabularDataset*>(&dataset);
}

}  // namespace fastcpp
