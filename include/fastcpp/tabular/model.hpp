/// \file
/// The network of tables.
#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/tabular/processor.hpp"

namespace fastcpp::inline v0 {

/// Width of an embedding by the number of its categories, with `#na#` (fastai: `emb_sz_rule`): min(600, round(1.6 n^0.56)).
/// \param n_cat >= 1
FASTCPP_API std::int64_t emb_sz_rule(std::int64_t n_cat);

/// Number of categories with `#na#`, and width, of the embedding of each column (fastai: `get_emb_szs`).
/// \param sz_dict widths that are not those of the rule, by column; names of no column are left out of account
/// \throws ValueError `value.emb_szs` on a width below 1
FASTCPP_API std::vector<std::pair<std::int64_t, std::int64_t>> get_emb_szs(
    const TabularProcessor& processor, const std::map<std::string, std::int64_t>& sz_dict = {});

/// An embedding with fastai's start values: a normal distribution whose values beyond two deviations are folded back, times
/// 0.01 (fastai: `embedding`).
/// \param ni rows, >= 1
/// \param nf width, >= 1
/// \param seed decides the start values
FASTCPP_API torch::nn::Embedding embedding(std::int64_t ni, std::int64_t nf, std::uint64_t seed);

/// Arguments of TabularModel, in fastai's order.
struct TabularModelOptions {
  std::vector<std::pair<std::int64_t, std::int64_t>> emb_szs = {};  ///< rows and width, by column
  std::int64_t n_cont = 0;                                          ///< columns of numbers
  std::int64_t out_sz = 1;                                          ///< outputs
  std::vector<std::int64_t> layers = {};                            ///< widths of hidden layers
  /// Dropout before each further layer; one for all, or as many as layers; none: no dropout
  std::vector<double> ps = {};
  double emb_drop = 0;  ///< dropout of the embeddings
  std::optional<std::pair<double, double>> y_range =
      {};                  ///< outputs lie between these: lo + (hi - lo) sigmoid
  bool use_bn = true;      ///< batch normalisation before each further layer
  bool bn_final = false;   ///< and behind the last
  std::uint64_t seed = 0;  ///< decides the start values
};

/// Embeddings and numbers, side by side, through linear layers (fastai: `TabularModel`). As safe in several threads as other
/// modules of LibTorch: in evaluation mode, forward may be called by any number.
class FASTCPP_API TabularModelImpl : public torch::nn::Cloneable<TabularModelImpl> {
 public:
  /// \throws ValueError `value.tabular_model` on dropouts that do not fit the layers, or sizes below 1
  explicit TabularModelImpl(const TabularModelOptions& options);
  /// Makes all layers anew, with start values.
  void reset() override;

  /// \param x_cat  bs x columns, int64 codes; of (bs, 0) without columns of categories
  /// \param x_cont bs x n_cont
  /// \return bs x out_sz
  torch::Tensor forward(const torch::Tensor& x_cat, const torch::Tensor& x_cont);

  torch::nn::ModuleList embeds = nullptr;    ///< an embedding for each column of categories
  torch::nn::Dropout emb_drop = nullptr;     ///< of all embeddings together
  torch::nn::BatchNorm1d bn_cont = nullptr;  ///< of the numbers
  torch::nn::Sequential layers = nullptr;    ///< linear, ReLU, batch norm, dropout, linear, ...
  /// What it was made of.
  const TabularModelOptions& options() const { return options_; }

 private:
  torch::Tensor by_layers(const torch::Tensor& x_cat, const torch::Tensor& x_cont);

  TabularModelOptions options_;
};
/// A TabularModelImpl, shared.
TORCH_MODULE(TabularModel);

/// How a file makes such a network again; the name is `tabular`.
FASTCPP_API Recipe tabular_recipe(const TabularModelOptions& options);
/// The network of the options of that recipe.
/// \throws ValueError as TabularModelImpl
FASTCPP_API TabularModel make_tabular(const Value& options);

namespace detail {
// What decides sizes as a file holds it, and back.
FASTCPP_API Value tabular_value(const TabularModelOptions& options);
FASTCPP_API TabularModelOptions tabular_options(const Value& value);
}  // namespace detail

}  // namespace fastcpp
