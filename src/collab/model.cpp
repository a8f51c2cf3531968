#include "fastcpp/collab/model.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

EmbeddingDotBiasImpl::EmbeddingDotBiasImpl(std::int64_t n_factors, std::int64_t n_users,
                                           std::int64_t n_items,
                                           const EmbeddingDotBiasOptions& options)
    : n_factors_(n_factors), n_users_(n_users), n_items_(n_items), options_(options) {
  boundary([&] {
    if (n_factors < 1 || n_users < 1 || n_items < 1) {
      throw ValueError(
          "value.collab_model",
          fmt::format("n_factors, n_users and n_items must be at least 1, found {}, {} "
                      "and {}",
                      n_factors, n_users, n_items));
    }
    EmbeddingDotBiasImpl::reset();
  });
}

void EmbeddingDotBiasImpl::reset() {
  std::uint64_t next = 0;
  const auto table = [&](const char* name, std::int64_t rows, std::int64_t width) {
    return register_module(name, embedding(rows, width, Rng{options_.seed, next++}.next()));
  };
  u_weight = table("u_weight", n_users_, n_factors_);
  i_weight = table("i_weight", n_items_, n_factors_);
  u_bias = table("u_bias", n_users_, 1);
  i_bias = table("i_bias", n_items_, 1);
}

torch::Tensor EmbeddingDotBiasImpl::forward(const torch::Tensor& users,
                                            const torch::Tensor& items) {
  const auto products = u_weight->forward(users) * i_weight->forward(items);
  const auto rating =
      products.sum(1) + u_bias->forward(users).squeeze(1) + i_bias->forward(items).squeeze(1);
  if (!y_range()) return rating;
  const auto [low, high] = *y_range();
  return torch::sigmoid(rating) * (high - low) + low;
}

Recipe EmbeddingDotBiasImpl::recipe() const {
  return {"collab",
          Value::dict({{"kind", "dot"},
                       {"n_factors", n_factors_},
                       {"n_users", n_users_},
                       {"n_items", n_items_},
                       {"y_range", y_range() ? Value::list({y_range()->first, y_range()->second})
                                             : Value()}})};
}

EmbeddingNNImpl::EmbeddingNNImpl(const TabularModelOptions& options) : options_(options) {
  boundary([&] {
    if (options_.emb_szs.size() != 2 || options_.n_cont != 0 || options_.layers.empty()) {
      throw ValueError(
          "value.tabular_model",
          fmt::format("EmbeddingNN needs two embeddings, of users and of items, no "
                      "numbers, and hidden layers; found {} embeddings, {} numbers and "
                      "{} layers",
                      options_.emb_szs.size(), options_.n_cont, options_.layers.size()));
    }
    EmbeddingNNImpl::reset();
  });
}

void EmbeddingNNImpl::reset() {
  network_ = TabularModel(options_);
  for (const auto& part : network_->named_children()) register_module(part.key(), part.value());
}

torch::Tensor EmbeddingNNImpl::forward(const torch::Tensor& users, const torch::Tensor& items) {
  return network_->forward(torch::stack({users, items}, 1), {});
}

Recipe EmbeddingNNImpl::recipe() const {
  auto options = detail::tabular_value(options_);
  options.set("kind", "nn");
  return {"collab", std::move(options)};
}

Model make_collab(const Value& options) {
  return boundary([&] {
    const Recipe recipe{"collab", options};
    const auto& kind = options.at("kind").as_string();
    if (kind == "nn") {
      return Model(EmbeddingNN(detail::tabular_options(options))).set_recipe(recipe);
    }
    if (kind != "dot") {
      throw ValueError(
          "value.collab_model",
          fmt::format("a model of ratings has the kind 'dot' or 'nn', found '{}'", kind));
    }
    EmbeddingDotBiasOptions with{.seed = 0};
    if (const auto& range = options.at("y_range"); !range.is_none()) {
      with.y_range = {range.items().at(0).as_double(), range.items().at(1).as_double()};
    }
    const EmbeddingDotBias model(options.at("n_factors").as_int(), options.at("n_users").as_int(),
                                 options.at("n_items").as_int(), with);
    return Model(model).set_recipe(recipe);
  });
}

torch::Tensor pca(const torch::Tensor& rows, const PcaOptions& options) {
  return boundary([&] {
    if (!rows.defined() || rows.dim() != 2 || !rows.is_floating_point() || options.k < 1 ||
        options.k > std::min(rows.size(0), rows.size(1))) {
      throw ValueError(
          "value.pca",
          fmt::format("pca needs a matrix of floating-point numbers whose sides are at "
                      "least k = {}, found {}",
                      options.k,
                      rows.defined()
                          ? fmt::format("the shape ({})",
                                        fmt::join(rows.sizes().begin(), rows.sizes().end(), ", "))
                          : "none"));
    }
    const torch::NoGradGuard no_grad;
    const auto x = options.center ? rows - rows.mean(0) : rows;
    const auto directions = std::get<0>(torch::linalg_svd(x.t(), /*full_matrices=*/false));
    return x.mm(directions.slice(1, 0, options.k)).detach();
  });
}

}  // namespace fastcpp
