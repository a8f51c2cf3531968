#include "fastcpp/tabular/processor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <any>
#include <cmath>
#include <set>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/registry.hpp"

namespace fastcpp::inline v0 {
namespace {

using ProcPtr = std::shared_ptr<TabularProc>;

template <typename Proc>
ProcPtr made_from(const Value& state) {
  return std::make_shared<Proc>(Proc::from_state(state));
}

detail::Registry<ProcPtr>& proc_registry() {
  static detail::Registry<ProcPtr> all("processor of tables", "register_tabular_proc",
                                       {{"FillMissing", made_from<tabular::FillMissing>},
                                        {"Categorify", made_from<tabular::Categorify>},
                                        {"Normalize", made_from<tabular::Normalize>}});
  return all;
}

// FillMissing adds columns of categories, so it cannot stand behind what makes them categories.
void check_order(const std::vector<ProcPtr>& procs) {
  bool categorified = false;
  for (const auto& proc : procs) {
    if (!proc) throw ValueError("value.procs", "a processor is empty (null)");
    if (proc->name() == "FillMissing" && categorified) {
      throw ValueError("value.procs",
                       "FillMissing stands behind Categorify, which then cannot make categories of "
                       "the columns that FillMissing adds: give FillMissing first, then "
                       "Categorify");
    }
    categorified = categorified || proc->name() == "Categorify";
  }
}

void check_names(const std::vector<std::string>& cats, const std::vector<std::string>& conts) {
  std::set<std::string_view> names;
  for (const auto* list : {&cats, &conts}) {
    for (const auto& name : *list) {
      if (names.insert(name).second) continue;
      throw ValueError("value.names", fmt::format("the column '{}' is named twice: it is either a "
                                                  "category or a number, once",
                                                  name));
    }
  }
}

// Columns of a table that are needed, so that what else stands there costs nothing.
TabularFrame frame_of(const Table& table, const std::vector<std::string>& cats,
                      const std::vector<std::string>& conts) {
  std::vector<ColumnId> needed;
  for (const auto* list : {&cats, &conts}) needed.insert(needed.end(), list->begin(), list->end());
  return {table.select(needed), cats, conts};
}

Value list_of(const std::vector<std::string>& names) {
  return Value::list({names.begin(), names.end()});
}

std::vector<std::string> names_of(const Value& list) {
  std::vector<std::string> names;
  for (const auto& one : list.items()) names.push_back(one.as_string());
  return names;
}

TabularProcessor::Categories categories_of(const std::vector<Cell>& cells) {
  TabularProcessor::Categories made{cells, {"#na#"}};
  for (const auto& cell : cells) made.classes.push_back(cell_text(cell));
  return made;
}

bool same_value(const Cell& a, const Cell& b) {
  const auto number = [](const Cell& cell) -> std::optional<long double> {
    if (const auto* value = std::get_if<std::int64_t>(&cell)) return *value;
    if (const auto* value = std::get_if<std::uint64_t>(&cell)) return *value;
    if (const auto* value = std::get_if<double>(&cell)) return *value;
    return std::nullopt;
  };
  const auto x = number(a), y = number(b);
  return x && y ? *x == *y : a == b;
}

}  // namespace

void register_tabular_proc(std::string name, TabularProcMaker make) {
  boundary([&] { proc_registry().add(std::move(name), std::move(make)); });
}

TabularProcessor::TabularProcessor(const Table& train, std::vector<std::string> cat_names,
                                   std::vector<std::string> cont_names,
                                   const std::vector<TabularProcArg>& procs, TabularItems* items) {
  boundary([&] {
    check_names(cat_names, cont_names);
    auto learnt = std::make_shared<Learnt>();
    std::vector<ProcPtr> made;
    for (const auto& proc : procs) made.push_back(proc.make());
    check_order(made);
    auto frame = frame_of(train, cat_names, cont_names);
    for (const auto& proc : made) {
      proc->apply_train(frame);
      learnt->procs.push_back(proc);
    }
    learnt->given_cats = std::move(cat_names);
    learnt->given_conts = std::move(cont_names);
    learnt->cat_names = frame.cat_names;
    learnt->cont_names = frame.cont_names;
    for (const auto& name : frame.cat_names) {
      const auto* cells = frame.table()[name].categories();
      if (!cells) {
        throw DataError("data.not_categories",
                        fmt::format("the column '{}' holds values, not categories: give Categorify "
                                    "among the processors (procs), behind FillMissing",
                                    name));
      }
      learnt->categories.emplace(name, categories_of(*cells));
    }
    learnt_ = learnt;
    if (items) *items = gathered(frame);
  });
}

TabularItems TabularProcessor::process(const Table& table) const {
  return boundary([&] {
    auto frame = frame_of(table, learnt_->given_cats, learnt_->given_conts);
    for (const auto& proc : learnt_->procs) proc->apply_test(frame);
    return gathered(frame);
  });
}

TabularItems TabularProcessor::gathered(TabularFrame& frame) const {
  const auto rows = frame.rows();
  const auto cats = static_cast<std::int64_t>(cat_names().size());
  const auto conts = static_cast<std::int64_t>(cont_names().size());
  TabularItems items{torch::empty({rows, cats}, torch::kLong),
                     torch::empty({rows, conts}, torch::kFloat32)};
  auto* code = items.codes.data_ptr<std::int64_t>();
  for (std::int64_t c = 0; c < cats; ++c) {
    const auto& name = cat_names()[static_cast<std::size_t>(c)];
    auto column = frame.table()[name];
    // Categories that a column brought along, without Categorify.
    const auto& known = learnt_->categories.at(name).cells;
    if (!column.categories() || *column.categories() != known) {
      column = column.with_categories(known);
    }
    const auto codes = column.codes();
    for (std::int64_t row = 0; row < rows; ++row) {
      code[row * cats + c] = codes[static_cast<std::size_t>(row)] + 1;
    }
  }
  auto* number = items.conts.data_ptr<float>();
  for (std::int64_t c = 0; c < conts; ++c) {
    const auto& numbers = frame.numbers(cont_names()[static_cast<std::size_t>(c)]);
    for (std::int64_t row = 0; row < rows; ++row) {
      number[row * conts + c] = static_cast<float>(numbers[static_cast<std::size_t>(row)]);
    }
  }
  return items;
}

std::vector<TabularProcessor::Input> TabularProcessor::inputs() const {
  std::vector<Input> all;
  for (const auto& name : learnt_->given_cats) {
    all.push_back({.name = name, .categories = true, .cells = learnt_->categories.at(name).cells});
  }
  for (const auto& name : learnt_->given_conts) {
    Input input{.name = name};
    for (const auto& proc : learnt_->procs) {
      const auto* const normalize = dynamic_cast<const tabular::Normalize*>(proc.get());
      if (!normalize) continue;
      const auto found = normalize->means().find(name);
      if (found != normalize->means().end()) input.mean = found->second;
    }
    all.push_back(std::move(input));
  }
  return all;
}

Tensors TabularProcessor::process_one(const TabularRow& row) const {
  return boundary([&] {
    std::vector<Column> columns;
    for (const auto* list : {&learnt_->given_cats, &learnt_->given_conts}) {
      for (const auto& name : *list) {
        const auto found = row.find(name);
        if (found == row.end()) {
          throw DataError("data.no_column",
                          fmt::format("the row has no value for the column '{}'; give one, or a "
                                      "missing one ({{}})",
                                      name));
        }
        columns.emplace_back(name, std::vector<Cell>{found->second});
      }
    }
    if (columns.empty()) return Tensors{torch::empty({0}, torch::kLong), torch::empty({0})};
    const auto items = process(Table(std::move(columns)));
    return Tensors{items.codes[0], items.conts[0]};
  });
}

std::vector<std::string> TabularProcessor::col_names() const {
  auto names = cat_names();
  names.insert(names.end(), cont_names().begin(), cont_names().end());
  return names;
}

const std::vector<std::string>& TabularProcessor::classes(const std::string& name) const {
  const auto found = learnt_->categories.find(name);
  if (found != learnt_->categories.end()) return found->second.classes;
  throw DataError("data.no_column", fmt::format("no column of categories is called '{}'", name));
}

std::optional<std::int64_t> TabularProcessor::code(const std::string& name,
                                                   const Cell& value) const {
  const auto& texts = classes(name);
  const auto& cells = learnt_->categories.at(name).cells;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (same_value(cells[i], value)) return static_cast<std::int64_t>(i) + 1;
  }
  const auto found = std::find(texts.begin(), texts.end(), cell_text(value));
  if (found == texts.end()) return std::nullopt;
  return found - texts.begin();
}

std::vector<std::string> TabularProcessor::cells(const torch::Tensor& codes,
                                                 const torch::Tensor& conts) const {
  return boundary([&] {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < cat_names().size(); ++c) {
      cells.push_back(classes(cat_names()[c])
                          .at(static_cast<std::size_t>(
                              codes[static_cast<std::int64_t>(c)].item<std::int64_t>())));
    }
    for (std::size_t c = 0; c < cont_names().size(); ++c) {
      cells.push_back(fmt::format("{:.4f}", conts[static_cast<std::int64_t>(c)].item<double>()));
    }
    return cells;
  });
}

std::string TabularProcessor::line(const torch::Tensor& codes, const torch::Tensor& conts) const {
  const auto texts = cells(codes, conts);
  const auto names = col_names();
  std::string line;
  for (std::size_t i = 0; i < names.size(); ++i) line += names[i] + " " + texts[i] + "; ";
  return line;
}

Value TabularProcessor::state() const {
  return boundary([&] {
    auto procs = Value::list();
    for (const auto& proc : learnt_->procs) {
      procs.append(Value::dict({{"name", proc->name()}, {"state", proc->state()}}));
    }
    auto categories = Value::dict();
    for (const auto& [name, known] : learnt_->categories) {
      auto cells = Value::list();
      for (const auto& cell : known.cells) cells.append(to_value(cell));
      categories.set(name, std::move(cells));
    }
    return Value::dict({{"given_cats", list_of(learnt_->given_cats)},
                        {"given_conts", list_of(learnt_->given_conts)},
                        {"cat_names", list_of(learnt_->cat_names)},
                        {"cont_names", list_of(learnt_->cont_names)},
                        {"categories", std::move(categories)},
                        {"procs", std::move(procs)}});
  });
}

TabularProcessor TabularProcessor::from_state(const Value& state) {
  return boundary([&] {
    auto learnt = std::make_shared<Learnt>();
    learnt->given_cats = names_of(state.at("given_cats"));
    learnt->given_conts = names_of(state.at("given_conts"));
    learnt->cat_names = names_of(state.at("cat_names"));
    learnt->cont_names = names_of(state.at("cont_names"));
    check_names(learnt->cat_names, learnt->cont_names);
    for (const auto& [name, list] : state.at("categories").entries()) {
      std::vector<Cell> cells;
      for (const auto& one : list.items()) cells.push_back(to_cell(one));
      Column("", std::vector<Cell>()).with_categories(cells);  // checks them
      learnt->categories.emplace(name.as_string(), categories_of(cells));
    }
    for (const auto& name : learnt->cat_names) {
      if (learnt->categories.count(name) > 0) continue;
      throw FormatError("model.bad_file",
                        fmt::format("the column '{}' has no list of categories", name));
    }
    for (const auto& one : state.at("procs").items()) {
      auto proc = proc_registry().make({one.at("name").as_string(), one.at("state")});
      if (!proc) throw FormatError("model.bad_file", "a processor's maker gave none (null)");
      learnt->procs.push_back(std::move(proc));
    }
    TabularProcessor processor;
    processor.learnt_ = std::move(learnt);
    return processor;
  });
}

ItemReader tabular_reader(const TabularProcessor& processor, TabularInput input) {
  return [processor, input](const std::any& item) -> Tensors {
    const auto* row = std::any_cast<TabularRow>(&item);
    const auto* table = std::any_cast<Table>(&item);
    if (!row && !(table && table->rows() == 1)) return {};
    const auto sample = processor.process_one(row ? *row : table->row(0));
    if (input == TabularInput::kMatrices) return sample;
    return sample.at(0).unbind();
  };
}

}  // namespace fastcpp
