#include "tabular/fused_pass.hpp"

#include <ATen/EmptyTensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "compat/autocast.hpp"
#include "compat/autograd_node.hpp"
#include "fastcpp/hooks/watched.hpp"
#include "fastcpp/kernels/dense_layers.hpp"

namespace fastcpp::inline v0 {

namespace nn = torch::nn;
using torch::Tensor;

namespace {

using models::DenseKernels, models::Floats, models::padded;
using Index = std::int64_t;
using Variables = torch::autograd::variable_list;

// --- What is to be run ------------------------------------------------------------------------------------------------------

// Batch norm and dropout, where there are any, a linear layer and ReLU.
struct Layer {
  nn::BatchNorm1dImpl* norm = nullptr;
  nn::DropoutImpl* drop = nullptr;
  nn::LinearImpl* linear = nullptr;
  bool relu = false;

  Index in() const { return linear->weight.size(1); }
  Index out() const { return linear->weight.size(0); }
};

struct Plan {
  std::vector<nn::EmbeddingImpl*> embeds = {};
  nn::DropoutImpl* emb_drop = nullptr;
  nn::BatchNorm1dImpl* bn_cont = nullptr;  // null without numbers
  std::vector<Layer> layers = {};
  bool training = false;
  Index embedded = 0, n_cont = 0;  // columns that the embeddings give, and of numbers

  Index width() const { return embedded + n_cont; }
};

bool plain(const Tensor& t, at::IntArrayRef sizes) {
  return t.defined() && t.device().is_cpu() && t.layout() == torch::kStrided &&
         t.scalar_type() == torch::kFloat32 && t.sizes() == sizes && t.is_contiguous();
}

bool plain(const nn::BatchNorm1dImpl& norm, Index width) {
  const auto& o = norm.options;
  return o.affine() && o.eps() > 0 && o.track_running_stats() && o.momentum() &&
         plain(norm.weight, {width}) && plain(norm.bias, {width}) &&
         plain(norm.running_mean, {width}) && plain(norm.running_var, {width}) &&
         norm.num_batches_tracked.defined() && norm.num_batches_tracked.device().is_cpu() &&
         norm.num_batches_tracked.scalar_type() == torch::kInt64;
}

// Null for a class derived from it, whose `forward` may do something else.
template <typename T>
T* exactly(nn::Module* layer) {
  return typeid(*layer) == typeid(T) ? dynamic_cast<T*>(layer) : nullptr;
}

// The layers in groups; false when another layer or another order is among them.
bool group(const nn::Sequential& layers, Index width, Plan& plan) {
  Layer next;
  for (const auto& any : *layers) {
    auto* const layer = any.ptr().get();
    if (auto* norm = exactly<nn::BatchNorm1dImpl>(layer)) {
      if (next.norm || next.drop || !plain(*norm, width)) return false;
      next.norm = norm;
    } else if (auto* drop = exactly<nn::DropoutImpl>(layer)) {
      if (next.drop) return false;
      next.drop = drop;
    } else if (auto* linear = exactly<nn::LinearImpl>(layer)) {
      if (!linear->weight.defined() || linear->weight.dim() != 2) return false;
      const Index out = linear->weight.size(0);
      if (!plain(linear->weight, {out, width}) || !plain(linear->bias, {out})) return false;
      next.linear = linear;
      plan.layers.push_back(std::exchange(next, {}));
      width = out;
    } else if (exactly<nn::ReLUImpl>(layer) && !plan.layers.empty() && !next.norm && !next.drop) {
      plan.layers.back().relu = true;
    } else {
      return false;
    }
  }
  // A norm or dropout at the end is LibTorch's, and so is a last layer that ReLU follows.
  return !next.norm && !next.drop && !plan.layers.empty() && !plan.layers.back().relu;
}

std::optional<Plan> plan_of(TabularModelImpl& network) {
  Plan plan{.training = network.is_training(), .n_cont = network.options().n_cont};
  const auto same_mode = [&](const nn::Module& layer) {
    return layer.is_training() == plan.training;
  };
  for (const auto& any : *network.embeds) {
    auto* const table = dynamic_cast<nn::EmbeddingImpl*>(any.get());
    if (!table || !table->weight.defined() || table->weight.dim() != 2) return {};
    const auto& o = table->options;
    if (!plain(table->weight, table->weight.sizes()) || o.padding_idx() || o.max_norm() ||
        o.scale_grad_by_freq() || o.sparse()) {
      return {};
    }
    plan.embeds.push_back(table);
    plan.embedded += table->weight.size(1);
  }
  plan.emb_drop = network.emb_drop.get();
  if (!plan.embeds.empty() && !same_mode(*plan.emb_drop)) return {};
  if (plan.n_cont > 0) {
    plan.bn_cont = network.bn_cont.get();
    if (!plain(*plan.bn_cont, plan.n_cont) || !same_mode(*plan.bn_cont)) return {};
  }
  if (!group(network.layers, plan.width(), plan)) return {};
  for (const auto& layer : plan.layers) {
    if ((layer.norm && !same_mode(*layer.norm)) || (layer.drop && !same_mode(*layer.drop))) {
      return {};
    }
  }
  return plan;
}

bool suits(const Plan& plan, const Tensor& x_cat, const Tensor& x_cont) {
  const bool cat = !plan.embeds.empty(), cont = plan.n_cont > 0;
  if (cat &&
      !(x_cat.defined() && x_cat.dim() == 2 && x_cat.scalar_type() == torch::kInt64 &&
        x_cat.device().is_cpu() && x_cat.size(1) >= static_cast<Index>(plan.embeds.size()))) {
    return false;
  }
  if (cont && !(x_cont.defined() && x_cont.dim() == 2 && x_cont.size(1) == plan.n_cont &&
                plain(x_cont, x_cont.sizes()) &&
                !(x_cont.requires_grad() && torch::GradMode::is_enabled()))) {
    return false;
  }
  if (cat && cont && x_cat.size(0) != x_cont.size(0)) return false;
  // The variance of one row: LibTorch says what is wrong.
  return (cat ? x_cat : x_cont).size(0) > (plan.training ? 1 : 0);
}

// In the order of the gradients.
Variables parameters(const Plan& plan) {
  Variables all;
  const auto take = [&](const auto& layer) {
    all.push_back(layer.weight);
    all.push_back(layer.bias);
  };
  for (const auto* table : plan.embeds) all.push_back(table->weight);
  if (plan.bn_cont) take(*plan.bn_cont);
  for (const auto& layer : plan.layers) {
    if (layer.norm) take(*layer.norm);
    take(*layer.linear);
  }
  return all;
}

// Past LibTorch's dispatcher, which takes longer than a small tensor needs.
Tensor empty(at::IntArrayRef sizes) {
  return Tensor(at::detail::empty_cpu(sizes, torch::kFloat32));
}

// Of contiguous codes.
Tensor copied(const Tensor& codes) {
  Tensor copy(at::detail::empty_cpu(codes.sizes(), codes.scalar_type()));
  std::copy_n(codes.data_ptr<Index>(), codes.numel(), copy.data_ptr<Index>());
  return copy;
}

// As LibTorch draws it; undefined where there is nothing to drop.
Tensor drop_mask(const nn::DropoutImpl* drop, bool training, Index rows, Index cols) {
  const double p = drop && training ? drop->options.p() : 0;
  if (p == 0) return {};
  if (p == 1) return torch::zeros({rows, cols}, torch::kFloat32);
  return torch::empty({rows, cols}, torch::kFloat32).bernoulli_(1 - p).div_(1 - p);
}

// --- Forward ----------------------------------------------------------------------------------------------------------------

// What the backward pass needs of the forward pass. Matrices have a padded line for each row of the batch.
struct Pass {
  struct Of {  // a layer
    models::LinearLayer linear;
    // The weight's: what replaces its memory leaves this one, what writes into it makes another version.
    c10::Storage pinned;
    c10::VariableVersion version;
    bool normed;
    const float *before, *input;  // of batch norm, of the linear layer
    models::NormStatistics norm = {};
    Tensor mask = {};
  };
  const DenseKernels* kernels;
  Index rows;
  Floats memory = {};
  Tensor codes = {};               // int64, rows x columns, contiguous
  std::vector<Index> widths = {};  // of the embeddings
  Index embedded = 0, n_cont = 0;
  Tensor emb_mask = {};
  const float* cont = nullptr;
  models::NormStatistics cont_norm = {};
  std::vector<Of> layers = {};

  Index width() const { return embedded + n_cont; }
};

models::LinearLayer linear_of(const Layer& layer, Index rows) {
  return {rows, layer.in(), layer.out(), layer.linear->weight.data_ptr<float>(), layer.relu};
}

models::NormStatistics normalise(nn::BatchNorm1dImpl& norm, const float* x, float* y, bool training,
                                 Pass& pass) {
  if (training) *norm.num_batches_tracked.data_ptr<Index>() += 1;
  return models::normalise(*pass.kernels,
                           {.rows = pass.rows,
                            .cols = norm.weight.numel(),
                            .weight = norm.weight.data_ptr<float>(),
                            .bias = norm.bias.data_ptr<float>(),
                            .running_mean = norm.running_mean.data_ptr<float>(),
                            .running_var = norm.running_var.data_ptr<float>(),
                            .eps = norm.options.eps(),
                            .momentum = *norm.options.momentum(),
                            .training = training},
                           x, y, pass.memory);
}

bool codes_have_rows(const Plan& plan, const Tensor& codes) {
  const Index columns = codes.size(1);
  const Index* code = codes.data_ptr<Index>();
  for (Index r = 0; r < codes.size(0); ++r, code += columns) {
    for (std::size_t i = 0; i < plan.embeds.size(); ++i) {
      if (code[i] < 0 || code[i] >= plan.embeds[i]->weight.size(0)) return false;
    }
  }
  return true;
}

// Embeddings and numbers side by side.
void join_columns(const Plan& plan, const Tensor& x_cont, float* joined, Pass& pass) {
  const Index line = padded(plan.width());
  Index at = 0;
  for (std::size_t i = 0; i < plan.embeds.size(); at += pass.widths[i++]) {
    const auto& table = plan.embeds[i]->weight;
    const Index width = table.size(1), columns = pass.codes.size(1);
    const float* const from = table.data_ptr<float>();
    const Index* code = pass.codes.data_ptr<Index>() + i;
    float* to = joined + at;
    for (Index r = 0; r < pass.rows; ++r, code += columns, to += line) {
      std::copy_n(from + *code * width, width, to);
    }
    pass.widths.push_back(width);
  }
  pass.emb_mask = drop_mask(plan.emb_drop, plan.training, pass.rows, plan.embedded);
  if (pass.emb_mask.defined()) models::times(joined, line, pass.emb_mask);
  const float* ready = nullptr;
  const Index cont_line = padded(plan.n_cont);
  if (plan.n_cont > 0) {
    float *const raw = pass.memory.take(pass.rows * cont_line), *const made = pass.memory.take(
                                                                    pass.rows * cont_line);
    models::copy_padded(x_cont.data_ptr<float>(), pass.rows, plan.n_cont, raw, cont_line);
    pass.cont_norm = normalise(*plan.bn_cont, raw, made, plan.training, pass);
    pass.cont = raw;
    ready = made;
  }
  for (Index r = 0; r < pass.rows; ++r) {
    models::copy_padded(ready + r * cont_line, 1, plan.n_cont, joined + r * line + plan.embedded,
                        line - plan.embedded);
  }
}

Tensor run_layers(const Plan& plan, const float* x, Pass& pass, Floats& passing) {
  for (const auto& layer : plan.layers) {
    const auto linear = linear_of(layer, pass.rows);
    const Index size = pass.rows * padded(linear.in);
    const auto& weight = layer.linear->weight;
    Pass::Of made{.linear = linear,
                  .pinned = weight.storage(),
                  .version = weight.unsafeGetTensorImpl()->version_counter(),
                  .normed = layer.norm != nullptr,
                  .before = x,
                  .input = x};
    made.mask = drop_mask(layer.drop, plan.training, pass.rows, linear.in);
    if (layer.norm || made.mask.defined()) {
      float* const input = pass.memory.take(size);
      if (layer.norm) {
        made.norm = normalise(*layer.norm, x, input, plan.training, pass);
      } else {
        std::copy_n(x, size, input);
      }
      if (made.mask.defined()) models::times(input, padded(linear.in), made.mask);
      made.input = input;
    }
    const auto* const bias = layer.linear->bias.data_ptr<float>();
    const auto run = [&](float* y, Index line) {
      models::linear(*pass.kernels, linear, made.input, bias, y, line, passing);
    };
    if (&layer == &plan.layers.back()) {
      auto y = empty({pass.rows, linear.out});
      run(y.data_ptr<float>(), linear.out);
      pass.layers.push_back(std::move(made));
      return y;
    }
    float* const y = pass.memory.take(pass.rows * padded(linear.out));
    run(y, padded(linear.out));
    pass.layers.push_back(std::move(made));
    x = y;
  }
  return {};
}

Tensor forward(const Plan& plan, const Tensor& x_cont, Pass& pass) {
  const Index rows = pass.rows, line = padded(plan.width());
  Index kept = rows * (line + 2 * padded(plan.n_cont)) + models::normalise_memory(plan.n_cont);
  Index passing = 0;
  for (const auto& layer : plan.layers) {
    kept +=
        rows * (padded(layer.in()) + padded(layer.out())) + models::normalise_memory(layer.in());
    passing += models::linear_memory(linear_of(layer, rows));
  }
  pass.memory = Floats(kept);
  Floats once(passing);
  float* const joined = pass.memory.take(rows * line);
  join_columns(plan, x_cont, joined, pass);
  return run_layers(plan, joined, pass, once);
}

// --- Backward ---------------------------------------------------------------------------------------------------------------

// Keeps what the pass made until the graph is released.
class TabularBackward : public compat::ChainNode {
 public:
  TabularBackward(Pass pass, const Variables& parameters)
      : ChainNode(torch::autograd::collect_next_edges(parameters)),
        pass_(std::make_unique<Pass>(std::move(pass))) {
    for (const auto& p : parameters) shapes_.emplace_back(p.sizes());
    for (const auto& layer : pass_->layers) versions_.push_back(layer.version.current_version());
  }

  std::string name() const override { return "TabularBackward"; }
  void release_variables() override {
    const std::lock_guard lock(mutex_);
    pass_.reset();
  }

  Variables apply(Variables&& gradients) override {
    const std::lock_guard lock(mutex_);
    TORCH_CHECK(pass_,
                "this graph was run backward and released; retain_graph keeps it for another time");
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "create_graph: second derivatives of a table's network are LibTorch's; train in "
                "double precision, or set the environment variable FASTCPP_PROCESSOR to plain");
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      const auto& layer = pass_->layers[i];
      TORCH_CHECK(layer.version.current_version() == versions_[i], "a weight of ", layer.linear.out,
                  " x ", layer.linear.in, " was changed between the forward and the backward pass");
    }
    if (!gradients[0].defined()) return Variables(shapes_.size());
    Variables made;
    made.reserve(shapes_.size());
    for (const auto& shape : shapes_) made.push_back(empty(shape));
    run(gradients[0].contiguous(), made);
    return made;
  }

 private:
  void run(const Tensor& gradient, Variables& made) const {
    const auto& pass = *pass_;
    const Index rows = pass.rows, line = padded(pass.width()), cont_line = padded(pass.n_cont);
    const Index out = pass.layers.back().linear.out;
    Index needed = rows * (padded(out) + cont_line) + models::normalise_back_memory(pass.n_cont);
    for (const auto& layer : pass.layers) {
      needed +=
          models::linear_back_memory(layer.linear) + models::normalise_back_memory(layer.linear.in);
    }
    Floats once(needed);
    float* dy = once.take(rows * padded(out));
    models::copy_padded(gradient.data_ptr<float>(), rows, out, dy, padded(out));
    auto next = made.end();  // from the last to the first, weight before bias
    models::relu_back(*pass.kernels, pass.layers.back().linear, nullptr, dy,
                      next[-1].data_ptr<float>(), once);
    for (auto layer = pass.layers.rbegin(); layer != pass.layers.rend(); ++layer) {
      const auto before = std::next(layer);
      const auto* const linear = before == pass.layers.rend() ? nullptr : &before->linear;
      next -= 2;
      dy = models::linear_back(*pass.kernels, layer->linear, layer->input, dy,
                               next[0].data_ptr<float>(), once);
      if (layer->mask.defined()) models::times(dy, padded(layer->linear.in), layer->mask);
      if (layer->normed) {
        next -= 2;
        normalise_back(layer->linear.in, layer->norm, layer->before, linear, dy, next, once);
      } else if (linear) {
        models::relu_back(*pass.kernels, *linear, layer->before, dy, next[-1].data_ptr<float>(),
                          once);
      }
    }
    if (pass.n_cont > 0) {
      float* const dcont = once.take(rows * cont_line);
      for (Index r = 0; r < rows; ++r) {
        models::copy_padded(dy + r * line + pass.embedded, 1, pass.n_cont, dcont + r * cont_line,
                            cont_line);
      }
      next -= 2;
      normalise_back(pass.n_cont, pass.cont_norm, pass.cont, nullptr, dcont, next, once);
    }
    if (pass.emb_mask.defined()) models::times(dy, line, pass.emb_mask);
    for (std::size_t i = 0; i < pass.widths.size(); dy += pass.widths[i++]) {
      embedding_back(static_cast<Index>(i), dy, line, made[i]);
    }
  }

  // `made`: gradients of weight and bias, behind that of the bias before, where there is a layer before.
  void normalise_back(Index cols, const models::NormStatistics& norm, const float* x,
                      const models::LinearLayer* before, float* dy, Variables::iterator made,
                      Floats& once) const {
    models::normalise_back(*pass_->kernels, pass_->rows, cols, norm, x, before, dy,
                           made[0].data_ptr<float>(), made[1].data_ptr<float>(),
                           before ? made[-1].data_ptr<float>() : nullptr, once);
  }

  void embedding_back(Index column, const float* dy, Index line, Tensor& made) const {
    const Index width = made.size(1), columns = pass_->codes.size(1);
    const Index* code = pass_->codes.data_ptr<Index>() + column;
    float* const rows = made.data_ptr<float>();
    std::fill_n(rows, made.numel(), 0.0f);
    for (Index r = 0; r < pass_->rows; ++r, code += columns, dy += line) {
      float* const to = rows + *code * width;
      for (Index c = 0; c < width; ++c) to[c] += dy[c];
    }
  }

  std::unique_ptr<Pass> pass_;
  std::vector<at::DimVector> shapes_;    // of the parameters
  std::vector<std::uint32_t> versions_;  // of the layers' weights
};

}  // namespace

std::optional<Tensor> fused_pass(TabularModelImpl& network, const Tensor& x_cat,
                                 const Tensor& x_cont) {
  const auto* const kernels = models::dense_kernels();
  if (!kernels || detail::has_hooks() || compat::is_autocast_enabled(torch::kCPU) ||
      at::tracer::impl::is_dispatch_enabled()) {
    return {};
  }
  const auto plan = plan_of(network);
  if (!plan || !suits(*plan, x_cat, x_cont)) return {};
  Variables params;
  if (torch::GradMode::is_enabled()) params = parameters(*plan);
  const bool graph =
      std::any_of(params.begin(), params.end(), [](const Tensor& p) { return p.requires_grad(); });
  if (graph && !plan->training) return {};

  Pass pass{.kernels = kernels,
            .rows = (plan->embeds.empty() ? x_cont : x_cat).size(0),
            .embedded = plan->embedded,
            .n_cont = plan->n_cont};
  if (!plan->embeds.empty()) {
    pass.codes = x_cat.contiguous();
    // The backward pass writes where they point: they must not change meanwhile.
    if (graph && pass.codes.is_same(x_cat)) pass.codes = copied(x_cat);
    if (!codes_have_rows(*plan, pass.codes)) return {};
  }
  const torch::NoGradGuard no_grad;
  auto y = forward(*plan, x_cont, pass);
  if (graph) {
    const auto node = compat::make_node<TabularBackward>(std::move(pass), std::move(params));
    torch::autograd::create_gradient_edge(y, node);
  }
  return y;
}

}  // namespace fastcpp
