#include "fastcpp/vision/models/cnn_model.hpp"

#include <fmt/format.h>
#include <torch/nn/modules/dropout.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "vision/models/cnn_parts.hpp"
#include "vision/models/layers.hpp"

namespace fastcpp::inline v0 {
namespace nn = torch::nn;
using models::Stack;

void AdaptiveConcatPool2dImpl::reset() {
  if (sz_ <= 0) {
    throw ValueError("value.head",
                     fmt::format("AdaptiveConcatPool2d({}): the side must be at least 1", sz_));
  }
  // Registered in fastai's order, the other one than that of the output.
  ap_ = register_module("ap", nn::AdaptiveAvgPool2d(sz_));
  mp_ = register_module("mp", nn::AdaptiveMaxPool2d(sz_));
}

torch::Tensor AdaptiveConcatPool2dImpl::forward(torch::Tensor x) {
  return torch::cat({mp_(x), ap_(x)}, 1);
}

namespace models {

nn::Sequential sequential(std::shared_ptr<nn::SequentialImpl> layers) {
  return nn::Sequential(std::move(layers));
}

nn::Sequential cut_body(const Network& network, const Arch& arch, const Cut& cut) {
  if (!cut.function()) {
    const auto end = cut.at() ? cut.at() : arch.cut;
    return network.body(end ? *end : network.default_cut());
  }
  const auto body = cut.function()(network);
  if (body.is_empty() || body->is_empty()) {
    throw ValueError("value.cut", fmt::format("{}: the function given as `cut` made no body, "
                                              "expected a sequence of at least one layer",
                                              arch.name));
  }
  return sequential(Stack::from(body));
}

nn::Sequential with_head(const nn::Sequential& body, std::int64_t nc,
                         const CreateCnnModelOptions& options) {
  auto head = options.custom_head;
  if (head.is_empty()) {
    // A field more in the options of the head does not compile here: it must be given.
    const CreateHeadOptions of_head{.lin_ftrs = options.lin_ftrs,
                                    .ps = options.ps,
                                    .concat_pool = options.concat_pool,
                                    .bn_final = options.bn_final,
                                    .seed = Rng{options.seed, 1}.next()};
    [[maybe_unused]] const auto& [h1, h2, h3, h4, h5] = of_head;
    const auto nf = num_features_model(body) * (options.concat_pool ? 2 : 1);
    head = create_head(nf, nc, of_head);
  }
  return sequential(stack(Stack::from(body), Stack::from(head)));
}

}  // namespace models

namespace {

std::vector<double> dropouts(const CreateHeadOptions& options) {
  const auto count = options.lin_ftrs.size() + 1;
  auto ps = options.ps;
  if (ps.size() == 1) ps.insert(ps.begin(), count - 1, ps[0] / 2);
  if (ps.size() != count) {
    throw ValueError("value.head", fmt::format("ps has {} values; expected one, or one for each of "
                                               "the {} linear layers",
                                               ps.size(), count));
  }
  for (const double p : ps) {
    if (!(p >= 0 && p < 1)) {
      throw ValueError("value.head", fmt::format("ps: {}, expected 0 <= p < 1", p));
    }
  }
  return ps;
}

std::vector<std::int64_t> widths(std::int64_t nf, std::int64_t nc,
                                 const CreateHeadOptions& options) {
  std::vector<std::int64_t> result{nf};
  result.insert(result.end(), options.lin_ftrs.begin(), options.lin_ftrs.end());
  result.push_back(nc);
  for (const auto width : result) {
    if (width <= 0) {
      throw ValueError(
          "value.head",
          fmt::format("a head cannot have a layer of width {} (nf = {}, nc = {})", width, nf, nc));
    }
  }
  return result;
}

}  // namespace

namespace {

// LibTorch's own type, by which users take the layers of a head out of it.
nn::Linear plain_linear(std::int64_t in, std::int64_t out) {
  nn::Linear layer(1, 1);
  layer->options.in_features(in).out_features(out);
  layer->weight.set_data(torch::empty({out, in}, torch::kFloat32));
  layer->bias.set_data(torch::empty({out}, torch::kFloat32));
  return layer;
}

}  // namespace

nn::Sequential create_head(std::int64_t nf, std::int64_t nc, const CreateHeadOptions& options) {
  return boundary([&] {
    const auto size = widths(nf, nc, options);
    const auto ps = dropouts(options);
    auto head = std::make_shared<Stack>();
    if (options.concat_pool) {
      head->push_back(AdaptiveConcatPool2d(1));
    } else {
      head->push_back(nn::AdaptiveAvgPool2d(1));
    }
    head->push_back(nn::Flatten());
    for (std::size_t i = 0; i < ps.size(); ++i) {
      head->push_back(models::single_precision(nn::BatchNorm1d(size[i])));
      if (ps[i] != 0) head->push_back(nn::Dropout(ps[i]));
      head->push_back(plain_linear(size[i], size[i + 1]));
      if (i + 1 < ps.size()) head->push_back(models::relu());
    }
    if (options.bn_final) {
      head->push_back(
          models::single_precision(nn::BatchNorm1d(nn::BatchNormOptions(nc).momentum(0.01))));
    }
    models::init_weights(*head, {}, options.seed);
    return models::sequential(head);
  });
}

namespace {

// Puts a network into evaluation mode and back to what every part was in.
class EvalMode {
 public:
  explicit EvalMode(nn::Module& module) {
    for (auto& part : module.modules()) modes_.emplace_back(part, part->is_training());
    module.eval();
  }
  ~EvalMode() {
    for (auto& [part, training] : modes_) {
      // train() goes down to the children; parents come first here, so each child has the last
      // word.
      part->train(training);
    }
  }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<nn::Module>, bool>> modes_;
};

}  // namespace

std::int64_t num_features_model(nn::Sequential body) {
  return boundary([&] {
    if (body.is_empty()) throw ValueError("value.body", "num_features_model got no body (null)");
    const torch::NoGradGuard no_grad;
    const EvalMode eval(*body);
    torch::TensorOptions where;
    const auto parameters = body->parameters();
    if (!parameters.empty()) where = parameters.front().options();
    auto random = models::generator(0);
    std::string reason = "it has no output of four dimensions";
    for (std::int64_t side = 64; side <= 2048; side *= 2) {
      try {
        auto x =
            torch::empty({1, 3, side, side}, torch::kFloat32).uniform_(-1, 1, random).to(where);
        const auto out = body->forward(x);
        if (out.dim() >= 2) return out.size(1);
      } catch (const c10::Error& e) {
        reason = e.what_without_backtrace();
      }
    }
    throw ValueError(
        "value.body",
        fmt::format("the body refuses pictures of 64 x 64 to 2048 x 2048: {}", reason));
  });
}

void kaiming_normal(torch::Tensor& weight, torch::Generator& generator) {
  const auto fan_in = static_cast<double>(weight.numel() / weight.size(0));
  weight.normal_(0, std::sqrt(2 / fan_in), generator);
}

void apply_init(nn::Module& module, const InitFunc& init, std::uint64_t seed) {
  if (!init) throw ValueError("value.init", "apply_init got an empty function");
  boundary([&] {
    const torch::NoGradGuard no_grad;
    auto random = models::generator(seed);
    for (const auto& layer : module.modules()) {
      if (!layer->children().empty()) continue;
      const auto own = layer->named_parameters(false);
      // One dimension: batch norms and the like keep what they have.
      const auto* weight = own.find("weight");
      if (!weight || weight->dim() < 2 || !weight->requires_grad()) continue;
      auto fresh = torch::empty(weight->sizes(), torch::kFloat32);
      init(fresh, random);
      weight->copy_(fresh);
      if (const auto* bias = own.find("bias")) bias->zero_();
    }
  });
}

}  // namespace fastcpp
