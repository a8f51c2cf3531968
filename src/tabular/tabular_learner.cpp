#include "fastcpp/tabular/tabular_learner.hpp"

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"

namespace fastcpp::inline v0 {

Learner tabular_learner(const DataBunch& data, const TabularLearnerOptions& o) {
  return boundary([&] {
    const auto* rows = tabular_dataset(*data.fix_dl().dataset());
    if (!rows || rows->input() != TabularInput::kMatrices) {
      throw ValueError("value.tabular_data",
                       "tabular_learner needs a table: make its data by TabularDataBunch or "
                       "TabularList");
    }
    const auto& processor = rows->processor();
    const TabularModelOptions sizes{
        .emb_szs = get_emb_szs(processor, o.emb_szs),
        .n_cont = static_cast<std::int64_t>(processor.cont_names().size()),
        .out_sz = data.c(),
        .layers = o.layers,
        .ps = o.ps,
        .emb_drop = o.emb_drop,
        .y_range = o.y_range,
        .use_bn = o.use_bn,
        .seed = o.seed.value_or(data.seed())};
    const LearnerOptions train_with{o.opt_func,  o.loss_func,    o.metrics,   o.true_wd,
                                    o.bn_wd,     o.wd,           o.train_bn,  o.path,
                                    o.model_dir, o.callback_fns, o.callbacks, /*layer_groups=*/{},
                                    o.add_time,  o.silent,       o.progress};
    Model model(TabularModel{sizes});
    model.set_recipe(tabular_recipe(sizes));
    return Learner(data, model, train_with);
  });
}

}  // namespace fastcpp
