#include "fastcpp/tabular/tabular_data_bunch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/tabular_list.hpp"

namespace fastcpp::inline v0 {

TabularDataBunch TabularDataBunch::make_bunch(std::shared_ptr<const TabularDataset> train,
                                              std::shared_ptr<const TabularDataset> valid,
                                              std::shared_ptr<const TabularDataset> test,
                                              const Path& path,
                                              const TabularDatabunchOptions& options) {
  return boundary([&] {
    const DataBunchOptions made{.bs = options.bs,
                                .val_bs = options.val_bs,
                                .num_workers = 0,
                                .dl_tfms = options.dl_tfms,
                                .device = options.device,
                                .seed = options.seed.value_or(default_seed()),
                                .kind = train->y()->kind(),
                                .classes = train->y()->classes(),
                                .shuffle = options.shuffle && !options.sampler,
                                .name = "TabularDataBunch",
                                .collate_fn = options.collate_fn,
                                .labels = train->y()->take({}),
                                .sampler = options.sampler};
    TabularDataBunch bunch(make({.train = train, .valid = valid, .test = test}, path, made));
    const auto& processor = train->processor();
    const bool matrices = train->input() == TabularInput::kMatrices;
    bunch.set_item_reader(tabular_reader(processor, train->input()),
                          {matrices ? "tabular" : "collab", processor.state()});
    return bunch;
  });
}

TabularDataBunch TabularDataBunch::from_df(const Path& path, const Table& df,
                                           const ColumnIds& dep_var,
                                           const std::vector<std::int64_t>& valid_idx,
                                           const TabularDataBunchOptions& options) {
  return boundary([&] {
    auto cont_names = options.cont_names;
    if (!cont_names) {
      std::set<std::string> taken(options.cat_names.begin(), options.cat_names.end());
      for (const auto& id : dep_var.ids()) taken.insert(df[id].name());
      cont_names.emplace();
      for (const auto& name : df.names()) {
        if (taken.count(name) == 0) cont_names->push_back(name);
      }
    }
    auto labels = options.labels;
    if (options.classes) labels.classes = options.classes;
    auto lists = TabularList::from_df(df, {options.cat_names, *cont_names, options.procs, path})
                     .split_by_idx(valid_idx)
                     .label_from_df(dep_var, labels);
    if (options.test_df) lists.add_test(*options.test_df);
    return lists.databunch({.bs = options.bs,
                            .val_bs = options.val_bs,
                            .dl_tfms = options.dl_tfms,
                            .device = options.device,
                            .collate_fn = options.collate_fn,
                            .seed = options.seed});
  });
}

const TabularDataset& TabularDataBunch::train() const {
  return *tabular_dataset(*fix_dl().dataset());
}

std::vector<std::pair<std::int64_t, std::int64_t>> TabularDataBunch::get_emb_szs(
    const std::map<std::string, std::int64_t>& sz_dict) const {
  return fastcpp::get_emb_szs(processor(), sz_dict);
}

Table TabularDataBunch::show_batch(std::int64_t rows, DatasetType ds_type) const {
  return show_rows(*this, rows, ds_type);
}

Table show_rows(const DataBunch& data, std::int64_t rows, DatasetType ds_type) {
  return boundary([&] {
    if (rows < 1) {
      throw ValueError("value.rows", fmt::format("rows: expected at least 1, found {}", rows));
    }
    const auto loader = data.dl(ds_type);
    const auto* table = tabular_dataset(*loader.dataset());
    if (!table) throw ValueError("value.tabular_data", "these data are no table");
    const auto& set = *table;
    auto indices = loader.first_batch().indices;
    indices.resize(std::min(indices.size(), static_cast<std::size_t>(rows)));
    std::vector<Cell> targets;
    for (const auto index : indices) targets.emplace_back(set.y()->text(index));
    return set.in_words(indices, {}, {Column("target", targets)});
  });
}

}  // namespace fastcpp
