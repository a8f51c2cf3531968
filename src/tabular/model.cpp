#include "fastcpp/tabular/model.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/rng.hpp"
#include "tabular/fused_pass.hpp"

namespace fastcpp::inline v0 {

namespace nn = torch::nn;

namespace {

void check_model(const TabularModelOptions& options) {
  const auto need = [](bool fits, const std::string& what) {
    if (!fits) throw ValueError("value.tabular_model", what);
  };
  const auto count = options.layers.size();
  need(options.ps.size() <= 1 || options.ps.size() == count,
       fmt::format("List len mismatch ({} vs {}): ps is one dropout for all layers or one for each",
                   options.ps.size(), count));
  for (const auto p : options.ps) {
    need(p >= 0 && p < 1, fmt::format("ps: expected dropouts in [0, 1), found {}", p));
  }
  need(options.emb_drop >= 0 && options.emb_drop < 1,
       fmt::format("emb_drop: expected a dropout in [0, 1), found {}", options.emb_drop));
  for (const auto& [rows, width] : options.emb_szs) {
    need(rows >= 1 && width >= 1,
         fmt::format("emb_szs: expected sizes of at least 1, found {} x {}", rows, width));
  }
  for (const auto width : options.layers) {
    need(width >= 1, fmt::format("layers: expected widths of at least 1, found {}", width));
  }
  need(options.n_cont >= 0 && options.out_sz >= 1,
       fmt::format("expected n_cont >= 0 and out_sz >= 1, found {} and {}", options.n_cont,
                   options.out_sz));
  need(options.n_cont > 0 || !options.emb_szs.empty(),
       "there is no column: name columns of categories (cat_names) or numbers (cont_names)");
}

nn::Linear linear(std::int64_t in, std::int64_t out, torch::Generator& random) {
  nn::Linear layer(in, out);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  layer->weight.uniform_(-bound, bound, random);
  layer->bias.uniform_(-bound, bound, random);
  return layer;
}

}  // namespace

nn::Embedding embedding(std::int64_t ni, std::int64_t nf, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto random = at::make_generator<at::CPUGeneratorImpl>(seed);
  nn::Embedding made(ni, nf);
  made->weight.normal_(0, 1, random).fmod_(2).mul_(0.01);
  return made;
}

TabularModelImpl::TabularModelImpl(const TabularModelOptions& options) : options_(options) {
  boundary([&] {
    check_model(options_);
    TabularModelImpl::reset();
  });
}

void TabularModelImpl::reset() {
  const torch::NoGradGuard no_grad;
  embeds = register_module("embeds", nn::ModuleList());
  std::int64_t width = 0;
  std::uint64_t column = 0;
  for (const auto& [rows, columns] : options_.emb_szs) {
    embeds->push_back(embedding(rows, columns, Rng{options_.seed, 1, column++}.next()));
    width += columns;
  }
  emb_drop = register_module("emb_drop", nn::Dropout(options_.emb_drop));
  bn_cont = register_module("bn_cont", nn::BatchNorm1d(options_.n_cont));
  layers = register_module("layers", nn::Sequential());
  auto random = at::make_generator<at::CPUGeneratorImpl>(Rng{options_.seed, 2}.next());
  auto sizes = options_.layers;
  sizes.insert(sizes.begin(), width + options_.n_cont);
  sizes.push_back(options_.out_sz);
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    // What stands before a layer belongs to it; the first has neither.
    if (i > 0) {
      if (options_.use_bn) layers->push_back(nn::BatchNorm1d(sizes[i]));
      const auto& ps = options_.ps;
      const double p = ps.empty() ? 0 : ps.size() == 1 ? ps[0] : ps[i - 1];
      if (p != 0) layers->push_back(nn::Dropout(p));
    }
    layers->push_back(linear(sizes[i], sizes[i + 1], random));
    if (i + 2 < sizes.size()) layers->push_back(nn::ReLU(nn::ReLUOptions(true)));
  }
  if (options_.bn_final) layers->push_back(nn::BatchNorm1d(options_.out_sz));
}

torch::Tensor TabularModelImpl::forward(const torch::Tensor& x_cat, const torch::Tensor& x_cont) {
  const auto fused = fused_pass(*this, x_cat, x_cont);
  auto x = fused ? *fused : by_layers(x_cat, x_cont);
  if (const auto& range = options_.y_range) {
    x = (range->second - range->first) * torch::sigmoid(x) + range->first;
  }
  return x;
}

torch::Tensor TabularModelImpl::by_layers(const torch::Tensor& x_cat, const torch::Tensor& x_cont) {
  std::vector<torch::Tensor> parts;
  if (!options_.emb_szs.empty()) {
    for (std::size_t i = 0; i < embeds->size(); ++i) {
      auto& layer = *embeds->at<nn::EmbeddingImpl>(i).as<nn::EmbeddingImpl>();
      parts.push_back(layer.forward(x_cat.select(1, static_cast<std::int64_t>(i))));
    }
    parts = {emb_drop(torch::cat(parts, 1))};
  }
  if (options_.n_cont > 0) parts.push_back(bn_cont(x_cont));
  return layers->forward(parts.size() == 1 ? parts[0] : torch::cat(parts, 1));
}

namespace detail {

Value tabular_value(const TabularModelOptions& options) {
  auto emb_szs = Value::list(), layers = Value::list(), ps = Value::list();
  for (const auto& [rows, width] : options.emb_szs) emb_szs.append(Value::list({rows, width}));
  for (const auto width : options.layers) layers.append(width);
  for (const auto p : options.ps) ps.append(p);
  const auto& range = options.y_range;
  return Value::dict({{"emb_szs", emb_szs},
                      {"n_cont", options.n_cont},
                      {"out_sz", options.out_sz},
                      {"layers", layers},
                      {"ps", ps},
                      {"emb_drop", options.emb_drop},
                      {"y_range", range ? Value::list({range->first, range->second}) : Value()},
                      {"use_bn", options.use_bn},
                      {"bn_final", options.bn_final}});
}

TabularModelOptions tabular_options(const Value& value) {
  TabularModelOptions options{.n_cont = value.at("n_cont").as_int(),
                              .out_sz = value.at("out_sz").as_int(),
                              .emb_drop = value.at("emb_drop").as_double(),
                              .use_bn = value.at("use_bn").as_bool(),
                              .bn_final = value.at("bn_final").as_bool()};
  for (const auto& one : value.at("emb_szs").items()) {
    options.emb_szs.emplace_back(one.items().at(0).as_int(), one.items().at(1).as_int());
  }
  for (const auto& one : value.at("layers").items()) options.layers.push_back(one.as_int());
  for (const auto& one : value.at("ps").items()) options.ps.push_back(one.as_double());
  if (const auto& range = value.at("y_range"); !range.is_none()) {
    options.y_range = {range.items().at(0).as_double(), range.items().at(1).as_double()};
  }
  return options;
}

}  // namespace detail

Recipe tabular_recipe(const TabularModelOptions& options) {
  return boundary([&] { return Recipe{"tabular", detail::tabular_value(options)}; });
}

TabularModel make_tabular(const Value& options) {
  return boundary([&] { return TabularModel(detail::tabular_options(options)); });
}

std::int64_t emb_sz_rule(std::int64_t n_cat) {
  const double width = std::nearbyint(1.6 * std::pow(static_cast<double>(n_cat), 0.56));
  return std::min<std::int64_t>(600, static_cast<std::int64_t>(width));
}

std::vector<std::pair<std::int64_t, std::int64_t>> get_emb_szs(
    const TabularProcessor& processor, const std::map<std::string, std::int64_t>& sz_dict) {
  return boundary([&] {
    std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
    for (const auto& name : processor.cat_names()) {
      const auto rows = static_cast<std::int64_t>(processor.classes(name).size());
      const auto given = sz_dict.find(name);
      if (given != sz_dict.end() && given->second < 1) {
        throw ValueError("value.emb_szs", fmt::format("'{}': expected a width of at least 1, found "
                                                      "{}",
                                                      name, given->second));
      }
      sizes.emplace_back(rows, given == sz_dict.end() ? emb_sz_rule(rows) : given->second);
    }
    return sizes;
  });
}

}  // namespace fastcpp
