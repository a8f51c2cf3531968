#include "fastcpp/collab/collab_learner.hpp"

#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <numeric>

#include "fastcpp/collab/model.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"

namespace fastcpp::inline v0 {
namespace {

const TabularDataset& ratings_of(const DataBunch& data) {
  const auto* rows = tabular_dataset(*data.fix_dl().dataset());
  if (!rows || rows->input() != TabularInput::kColumns) {
    throw ValueError("value.collab_data",
                     "these data are no ratings: make them by CollabDataBunch::from_df");
  }
  return *rows;
}

EmbeddingDotBiasImpl& product_of(const Learner& learn) {
  auto* model = dynamic_cast<EmbeddingDotBiasImpl*>(learn.model().ptr().get());
  if (model) return *model;
  throw ValueError("value.collab_data",
                   "only the product of factors (EmbeddingDotBias) has a bias and factors for each "
                   "user and item; the embeddings of a network are model->embeds()");
}

void check_rows(std::int64_t n) {
  if (n >= 1) return;
  throw ValueError("value.rows", fmt::format("n: expected at least 1, found {}", n));
}

// Some rows of a table of embeddings.
torch::Tensor rows_of(const torch::nn::Embedding& table, const std::vector<std::int64_t>& codes) {
  const torch::NoGradGuard no_grad;
  const auto at = torch::tensor(codes, torch::kLong).to(table->weight.device());
  return table->weight.detach().index_select(0, at).cpu();
}

Table named(const char* figure, const std::vector<std::string>& names,
            const std::vector<double>& figures) {
  return Table({Column("name", names), Column(figure, figures)});
}

}  // namespace

CollabLearner::CollabLearner(const Learner& learn) : Learner(learn) {
  boundary([&] {
    processor_ = std::make_shared<const TabularProcessor>(ratings_of(learn.data()).processor());
  });
}

std::vector<std::int64_t> CollabLearner::get_idx(const std::vector<Cell>& arr,
                                                 CollabSide side) const {
  return boundary([&] {
    const auto& column = processor_->cat_names()[side == CollabSide::kItem ? 1 : 0];
    std::vector<std::int64_t> codes;
    for (const auto& one : arr) {
      const auto code = processor_->code(column, one);
      if (!code) {
        throw DataError(
            "data.not_trained",
            fmt::format("You're trying to access {} that isn't in the training data.\nIf it was in "
                        "your original data, it may have been split such that it's only in the "
                        "validation set now. ('{}')",
                        side == CollabSide::kItem ? "an item" : "a user", cell_text(one)));
      }
      codes.push_back(*code);
    }
    return codes;
  });
}

torch::Tensor CollabLearner::bias(const std::vector<Cell>& arr, CollabSide side) const {
  return boundary([&] {
    const auto& model = product_of(*this);
    return rows_of(side == CollabSide::kItem ? model.i_bias : model.u_bias, get_idx(arr, side))
        .squeeze(1);
  });
}

torch::Tensor CollabLearner::weight(const std::vector<Cell>& arr, CollabSide side) const {
  return boundary([&] {
    const auto& model = product_of(*this);
    return rows_of(side == CollabSide::kItem ? model.i_weight : model.u_weight, get_idx(arr, side));
  });
}

std::vector<std::string> CollabLearner::names(CollabSide side) const {
  return boundary([&] {
    const auto& classes =
        processor_->classes(processor_->cat_names()[side == CollabSide::kItem ? 1 : 0]);
    return std::vector<std::string>(classes.begin() + 1, classes.end());
  });
}

namespace {

// The codes of all that were trained.
std::vector<std::int64_t> all_codes(std::size_t n) {
  std::vector<std::int64_t> codes(n);
  std::iota(codes.begin(), codes.end(), 1);
  return codes;
}

}  // namespace

Table CollabLearner::extremes(std::int64_t n, CollabSide side) const {
  return boundary([&] {
    check_rows(n);
    const auto& model = product_of(*this);
    const auto all = names(side);
    const auto figures =
        rows_of(side == CollabSide::kItem ? model.i_bias : model.u_bias, all_codes(all.size()))
            .squeeze(1)
            .to(torch::kFloat64);
    const auto order = figures.argsort();
    const auto count = figures.numel();
    std::vector<std::string> chosen;
    std::vector<double> biases;
    for (std::int64_t i = 0; i < count; ++i) {
      if (i >= n && i < count - n) continue;
      const auto at = order[i].item<std::int64_t>();
      chosen.push_back(all[static_cast<std::size_t>(at)]);
      biases.push_back(figures[at].item<double>());
    }
    return named("bias", chosen, biases);
  });
}

Table CollabLearner::nearest(const Cell& name, std::int64_t n, CollabSide side) const {
  return boundary([&] {
    check_rows(n);
    const auto code = get_idx({name}, side).front();
    const auto& model = product_of(*this);
    const auto all = names(side);
    const auto table =
        rows_of(side == CollabSide::kItem ? model.i_weight : model.u_weight, all_codes(all.size()))
            .to(torch::kFloat64);
    const auto own = weight({name}, side)[0].to(torch::kFloat64);
    const auto similarity = table.mv(own) / (table.norm(2, 1) * own.norm()).clamp_min(1e-30);
    const auto order = similarity.argsort(0, /*descending=*/true);
    std::vector<std::string> chosen;
    std::vector<double> figures;
    for (std::int64_t i = 0; i < order.numel(); ++i) {
      const auto at = order[i].item<std::int64_t>();
      if (at + 1 == code || static_cast<std::int64_t>(chosen.size()) == n) continue;
      chosen.push_back(all[static_cast<std::size_t>(at)]);
      figures.push_back(similarity[at].item<double>());
    }
    return named("similarity", chosen, figures);
  });
}

CollabLearner collab_learner(const DataBunch& data, const CollabLearnerOptions& o) {
  return boundary([&] {
    const auto& processor = ratings_of(data).processor();
    const auto seed = o.seed.value_or(data.seed());
    const LearnerOptions train_with{o.opt_func,  o.loss_func,    o.metrics,   o.true_wd,
                                    o.bn_wd,     o.wd,           o.train_bn,  o.path,
                                    o.model_dir, o.callback_fns, o.callbacks, /*layer_groups=*/{},
                                    o.add_time,  o.silent,       o.progress};
    const auto sizes = get_emb_szs(processor, o.emb_szs);
    if (o.use_nn) {
      const EmbeddingNN network(TabularModelOptions{.emb_szs = sizes,
                                                    .out_sz = 1,
                                                    .layers = o.layers,
                                                    .ps = o.ps,
                                                    .emb_drop = o.emb_drop,
                                                    .y_range = o.y_range,
                                                    .use_bn = o.use_bn,
                                                    .bn_final = o.bn_final,
                                                    .seed = seed});
      return CollabLearner(Learner(data, Model(network).set_recipe(network->recipe()), train_with));
    }
    if (!o.n_factors) {
      throw ValueError("value.collab_model",
                       "n_factors is missing: how many numbers stand for each user and item, for "
                       "example 50; or give use_nn = true and layers");
    }
    const EmbeddingDotBias product(*o.n_factors, sizes[0].first, sizes[1].first,
                                   EmbeddingDotBiasOptions{.y_range = o.y_range, .seed = seed});
    return CollabLearner(Learner(data, Model(product).set_recipe(product->recipe()), train_with));
  });
}

}  // namespace fastcpp
