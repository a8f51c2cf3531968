#include "fastcpp/tabular/tabular_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::int64_t kShownItems = 5;  // in a printed form
constexpr std::int64_t kManyClasses = 50;

// The numbers that items are called by.
std::vector<std::int64_t> rows_of(const Paths& items) {
  std::vector<std::int64_t> rows(items.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto text = items.text(i);
    std::from_chars(text.data(), text.data() + text.size(), rows[i]);
  }
  return rows;
}

// Whole numbers are easily meant as numbers.
void tell_of_many_classes(const Labels& labels) {
  const auto* categories = dynamic_cast<const CategoryList*>(&labels);
  if (!categories || labels.c() <= kManyClasses) return;
  if (!std::holds_alternative<std::int64_t>(categories->class_cells().front())) return;
  log_info(
      fmt::format("the target is a whole number, so each of its {} values is a class of its "
                  "own; to predict it as a number give label_cls = LabelKind::kFloat",
                  labels.c()));
}

// fastai takes values that training never saw for missing, without a word.
void tell_of_unknown(const Table& table, const TabularDataset& set, const char* which) {
  std::string told;
  const auto& names = set.processor().cat_names();
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (!table.contains(names[c])) continue;  // a processor added it
    const auto& column = table[names[c]];
    const auto codes = set.codes().select(1, static_cast<std::int64_t>(c)).contiguous();
    const auto* code = codes.data_ptr<std::int64_t>();
    std::int64_t here = 0;
    for (std::int64_t row = 0; row < set.size(); ++row)
      here += code[row] == 0 && !column.missing(row);
    if (here > 0) told += fmt::format("{}'{}' {}", told.empty() ? "" : ", ", names[c], here);
  }
  if (told.empty()) return;
  log_info(fmt::format("the {} set has values that training never saw, which count as #na#: {}",
                       which, told));
}

}  // namespace

TabularList::TabularList(Paths items, const Table& df, const TabularListOptions& options)
    : ItemList(std::move(items), options.path, df),
      options_(std::make_shared<const TabularListOptions>(options)) {}

TabularList TabularList::from_df(const Table& df, const TabularListOptions& options) {
  return boundary([&] {
    if (df.rows() == 0) {
      throw DataError("data.empty", "the table has no rows: there is no item to make a list of");
    }
    for (const auto* names : {&options.cat_names, &options.cont_names}) {
      for (const auto& name : *names) df.position(name);
    }
    Paths items;
    items.reserve(static_cast<std::size_t>(df.rows()));
    for (std::int64_t row = 0; row < df.rows(); ++row) items.push_back_text(std::to_string(row));
    return TabularList(std::move(items), df, options);
  });
}

TabularList TabularList::from_csv(const Path& path, const Path& csv_name,
                                  const TabularListCsvOptions& options) {
  const auto df = Table::read_csv(path / csv_name, options.csv);
  return from_df(df, {options.cat_names, options.cont_names, options.procs, path});
}

TabularRow TabularList::get(std::int64_t i) const {
  const auto at = i < 0 ? i + size() : i;
  if (at < 0 || at >= size()) {
    throw ValueError("value.index", fmt::format("there is no item {} in a list of {}", i, size()));
  }
  return inner_df()->row(at);
}

std::string TabularList::str() const {
  return boundary([&] {
    std::vector<std::string> first;
    for (std::int64_t i = 0; i < std::min(kShownItems, size()); ++i) {
      std::string line;
      for (const auto& column : inner_df()->columns()) {
        line += column.name() + " " + column.text(i) + "; ";
      }
      first.push_back(std::move(line));
    }
    return described("TabularList", first);
  });
}

TabularLabelLists::TabularLabelLists(const TabularList& list, const fastcpp::LabelLists& lists)
    : path_(list.path()) {
  boundary([&] {
    const auto& df = *list.inner_df();
    const auto& options = list.options();
    const auto table = [&](const LabelList& part) {
      const auto rows = rows_of(part.items);
      return df.take(rows);
    };
    TabularItems items;
    const TabularProcessor processor(table(lists.train), options.cat_names, options.cont_names,
                                     options.procs, &items);
    train_ = std::make_shared<const TabularDataset>(std::move(items), lists.train.y, processor);
    const auto valid = table(lists.valid);
    valid_ =
        std::make_shared<const TabularDataset>(processor.process(valid), lists.valid.y, processor);
    tell_of_unknown(valid, *valid_, "valid");
    tell_of_many_classes(*lists.train.y);
  });
}

TabularLabelLists& TabularLabelLists::add_test(const Table& items,
                                               const std::optional<Label>& label) & {
  boundary([&] {
    std::shared_ptr<const Labels> y = std::make_shared<EmptyLabelList>(items.rows());
    if (label) {
      y = train_->y()->read(std::vector<Label>(static_cast<std::size_t>(items.rows()), *label));
    }
    test_ = std::make_shared<const TabularDataset>(processor().process(items), std::move(y),
                                                   processor());
    tell_of_unknown(items, *test_, "test");
  });
  return *this;
}

TabularDataBunch TabularLabelLists::databunch(const TabularDatabunchOptions& options) const {
  return boundary([&] {
    return TabularDataBunch::make_bunch(train_, valid_, test_, options.path.value_or(path_),
                                        options);
  });
}

std::string TabularLabelLists::str() const {
  return boundary([&] {
    return fmt::format("LabelLists;\n\nTrain: {};\n\nValid: {};\n\nTest: {}",
                       train_->describe(path_), valid_->describe(path_),
                       test_ ? test_->describe(path_) : "None");
  });
}

}  // namespace fastcpp
