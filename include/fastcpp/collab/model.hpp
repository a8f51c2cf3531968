/// \file
/// Networks that guess how a user would rate an item.
#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/tabular/model.hpp"

namespace fastcpp::inline v0 {

class Model;  // train/model.hpp

/// Options of EmbeddingDotBias, in fastai's order.
struct EmbeddingDotBiasOptions {
  std::optional<std::pair<double, double>> y_range = {};  ///< outputs lie between these
  std::uint64_t seed = default_seed();                    ///< decides the initial weights
};

/// Product of a user's and an item's factors, and a bias of each (fastai: `EmbeddingDotBias`; Koren, Bell and Volinsky 2009,
/// doi:10.1109/MC.2009.263). Row 0 of each table stands for users and items that training had not.
///
/// Children `u_weight`, `i_weight`, `u_bias`, `i_bias`. A LibTorch module: used by shared pointer, and `clone` shares nothing.
/// Threads: `forward` by any number at once in evaluation mode, while none changes it.
class FASTCPP_API EmbeddingDotBiasImpl : public torch::nn::Cloneable<EmbeddingDotBiasImpl> {
 public:
  /// \param n_factors numbers for each user and item, >= 1
  /// \param n_users   with `#na#`, >= 1
  /// \param n_items   with `#na#`, >= 1
  /// \param options   range and seed
  /// \throws ValueError `value.collab_model`
  EmbeddingDotBiasImpl(std::int64_t n_factors, std::int64_t n_users, std::int64_t n_items,
                       const EmbeddingDotBiasOptions& options = {});
  /// Makes the tables, with initial weights.
  void reset() override;

  /// \param users n, int64, codes from 0
  /// \param items n, likewise
  /// \return n ratings
  torch::Tensor forward(const torch::Tensor& users, const torch::Tensor& items);

  torch::nn::Embedding u_weight{nullptr};  ///< n_users x n_factors
  torch::nn::Embedding i_weight{nullptr};  ///< n_items x n_factors
  torch::nn::Embedding u_bias{nullptr};    ///< n_users x 1
  torch::nn::Embedding i_bias{nullptr};    ///< n_items x 1

  /// Between which outputs lie, if so.
  const std::optional<std::pair<double, double>>& y_range() const { return options_.y_range; }
  /// How a file makes such a model again: the options of "collab", see `Model::set_recipe`.
  Recipe recipe() const;

 private:
  std::int64_t n_factors_, n_users_, n_items_;
  EmbeddingDotBiasOptions options_;
};
/// An EmbeddingDotBiasImpl, shared.
TORCH_MODULE(EmbeddingDotBias);

/// The parts of a TabularModel for users and items, without continuous columns and with one output (fastai: `EmbeddingNN`;
/// He et al. 2017, arXiv:1708.05031).
///
/// Children as TabularModel's. A LibTorch module: used by shared pointer, and `clone` shares nothing. Threads: `forward` by
/// any number at once in evaluation mode, while none changes it.
class FASTCPP_API EmbeddingNNImpl : public torch::nn::Cloneable<EmbeddingNNImpl> {
 public:
  /// \param options two embeddings, of users and of items, and no numbers; one output
  /// \throws ValueError `value.tabular_model`
  explicit EmbeddingNNImpl(const TabularModelOptions& options);
  /// Makes the layers, with initial weights.
  void reset() override;

  /// \param users n, int64, codes from 0
  /// \param items n, likewise
  /// \return n x 1 ratings
  torch::Tensor forward(const torch::Tensor& users, const torch::Tensor& items);

  /// The embeddings: users, items.
  const torch::nn::ModuleList& embeds() const { return network_->embeds; }
  /// How a file makes such a model again: the options of "collab", see `Model::set_recipe`.
  Recipe recipe() const;

 private:
  TabularModelOptions options_;
  TabularModel network_ = nullptr;  // its children are this one's
};
/// An EmbeddingNNImpl, shared.
TORCH_MODULE(EmbeddingNN);

/// The model of the recipe "collab", an EmbeddingDotBias or an EmbeddingNN, with weights of no meaning; it keeps the recipe.
/// \param options of the recipe
/// \throws ValueError `value.collab_model`, `value.tabular_model`, and as Value
FASTCPP_API Model make_collab(const Value& options);

/// Options of `pca`, in fastai's order.
struct PcaOptions {
  std::int64_t k = 2;  ///< directions, 1 to the smaller side of the matrix
  bool center = true;  ///< take the mean of each column away first
};

/// The rows along the directions in which they differ most (fastai: `Tensor.pca`; Pearson 1901, doi:10.1080/14786440109462720).
/// The sign of each direction is arbitrary.
/// \param rows n x m, floating point
/// \param options how many directions
/// \return n x k, without gradient
/// \throws ValueError `value.pca`
FASTCPP_API torch::Tensor pca(const torch::Tensor& rows, const PcaOptions& options = {});

}  // namespace fastcpp
