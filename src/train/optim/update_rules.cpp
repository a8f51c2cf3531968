// Adam, SGD and RMSprop. On the CPU each is one pass over memory; elsewhere it is made of tensor
// operations.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/kernels/adam.hpp"
#include "fastcpp/train/optim/optimizer.hpp"
#include "train/optim/adam_many.hpp"

namespace fastcpp::inline v0 {
namespace {

torch::Tensor& buffer(ParamState& state, const char* name, const torch::Tensor& like) {
  auto& tensor = state.buffers[name];
  if (!tensor.defined()) tensor = torch::zeros_like(like, torch::MemoryFormat::Contiguous);
  return tensor;
}

bool one_pass(const torch::Tensor& parameter) {
  return parameter.device().is_cpu() && parameter.is_contiguous() &&
         (parameter.scalar_type() == torch::kFloat32 || parameter.scalar_type() == torch::kFloat64);
}

// Calls body(i0, i1) over all elements, in parallel for large tensors.
template <typename F>
void over(const torch::Tensor& tensor, F&& body) {
  at::parallel_for(0, tensor.numel(), 1 << 16, body);
}

// Decoupled decay, and L2 decay of the gradient: p *= decay; g' = g + l2 * p.
torch::Tensor decayed(torch::Tensor& p, const torch::Tensor& g, const HyperParams& h) {
  if (h.decay != 1) p.mul_(h.decay);
  return h.l2 != 0 ? g.add(p, h.l2) : g;
}

// Only where it is not what everyone takes.
std::string eps_text(double eps) {
  return eps == 1e-8 ? "" : fmt::format(", eps={}", eps);
}

Value common_group(const HyperParams& h, double eps) {
  auto group = Value::dict();
  group.set("lr", h.lr);
  group.set("weight_decay", h.l2 == 0 ? Value(0) : Value(h.l2));
  group.set("eps", eps);
  group.set("maximize", false);
  group.set("foreach", Value());
  group.set("differentiable", false);
  return group;
}

class Adam : public UpdateRule {
 public:
  explicit Adam(const AdamOptions& options) : options_(options) {}

  HyperParams defaults() const override { return {.mom = options_.beta1, .beta = options_.beta2}; }

  void update(torch::Tensor& p, const torch::Tensor& gradient, ParamState& state,
              const HyperParams& h) const override {
    auto& m = buffer(state, "exp_avg", p);
    auto& v = buffer(state, "exp_avg_sq", p);
    const auto t = static_cast<double>(++state.step);
    const double size = h.lr / (1 - std::pow(h.mom, t));
    const double root = std::sqrt(1 - std::pow(h.beta, t));
    if (!one_pass(p)) {
      const auto g = decayed(p, gradient, h);
      m.mul_(h.mom).add_(g, 1 - h.mom);
      v.mul_(h.beta).addcmul_(g, g, 1 - h.beta);
      p.addcdiv_(m, v.sqrt().div_(root).add_(options_.eps), -size);
      return;
    }
    const auto g = gradient.contiguous();
    AT_DISPATCH_FLOATING_TYPES(p.scalar_type(), "adam", [&] {
      auto* pp = p.data_ptr<scalar_t>();
      auto* mp = m.data_ptr<scalar_t>();
      auto* vp = v.data_ptr<scalar_t>();
      const auto* gp = g.data_ptr<scalar_t>();
      const AdamStep<scalar_t> by{.b1 = scalar_t(h.mom),
                                  .b2 = scalar_t(h.beta),
                                  .b1_rest = scalar_t(1 - h.mom),
                                  .b2_rest = scalar_t(1 - h.beta),
                                  .decay = scalar_t(h.decay),
                                  .l2 = scalar_t(h.l2),
                                  .step = scalar_t(size),
                                  .inv_root = scalar_t(1 / root),
                                  .eps = scalar_t(options_.eps)};
      over(p, [=](std::int64_t first, std::int64_t last) {
        adam_span(pp + first, mp + first, vp + first, gp + first, last - first, by);
      });
    });
  }

  void update_all(std::vector<torch::Tensor>& params, const std::vector<torch::Tensor>& gradients,
                  const std::vector<ParamState*>& states, const HyperParams& h) const override {
    if (!alike(states) || params.front().device().is_cpu()) {
      return UpdateRule::update_all(params, gradients, states, h);
    }
    auto [means, squares, by] = begin_all(params, states, h);
    adam_many(params, gradients, means, squares, by, h.l2);
  }

  bool update_all_unless(const torch::Tensor& overflow, const torch::Tensor& skipped,
                         std::vector<torch::Tensor>& params,
                         const std::vector<torch::Tensor>& gradients,
                         const std::vector<ParamState*>& states,
                         const HyperParams& h) const override {
    if (!alike(states) || h.l2 != 0 || !compat::has_fused_adamw(params.front(), h.lr)) return false;
    auto [means, squares, by] = begin_all(params, states, h);
    compat::fused_adamw(params, gradients, means, squares, by, overflow, skipped);
    return true;
  }

  Value group_value(const HyperParams& h) const override {
    auto group = common_group(h, options_.eps);
    group.set("betas", Value::tuple({h.mom, h.beta}));
    group.set("amsgrad", false);
    group.set("capturable", false);
    group.set("fused", Value());
    return group;
  }

  void read_group(const Value& group, HyperParams& h) const override {
    const auto& betas = group.at("betas").items();
    h.mom = betas.at(0).as_double();
    h.beta = betas.at(1).as_double();
  }

  std::string str() const override {
    return fmt::format("Adam(betas=({}, {}){})", options_.beta1, options_.beta2,
                       eps_text(options_.eps));
  }

 private:
  struct Many {
    std::vector<torch::Tensor> means, squares;
    compat::AdamStep by;
  };

  static bool alike(const std::vector<ParamState*>& states) {
    return !states.empty() && std::all_of(states.begin(), states.end(), [&](const auto* state) {
      return state->step == states.front()->step;
    });
  }

  // Counts a step of all.
  Many begin_all(const std::vector<torch::Tensor>& params, const std::vector<ParamState*>& states,
                 const HyperParams& h) const {
    Many many;
    for (std::size_t i = 0; i < params.size(); ++i) {
      many.means.push_back(buffer(*states[i], "exp_avg", params[i]));
      many.squares.push_back(buffer(*states[i], "exp_avg_sq", params[i]));
      ++states[i]->step;
    }
    many.by = {.lr = h.lr,
               .beta1 = h.mom,
               .beta2 = h.beta,
               .eps = options_.eps,
               .decay = h.decay,
               .step = states.front()->step};
    return many;
  }

  AdamOptions options_;
};

class Sgd : public UpdateRule {
 public:
  explicit Sgd(const SgdOptions& options) : options_(options) {}

  HyperParams defaults() const override { return {.mom = options_.momentum}; }

  void update(torch::Tensor& p, const torch::Tensor& gradient, ParamState& state,
              const HyperParams& h) const override {
    auto g = decayed(p, gradient, h);
    if (h.mom != 0) {
      // PyTorch starts the buffer with the first gradient, not with zero.
      const bool first = state.buffers.find("momentum_buffer") == state.buffers.end();
      auto& m = buffer(state, "momentum_buffer", p);
      if (first) {
        m.copy_(g);
      } else {
        m.mul_(h.mom).add_(g);
      }
      g = m;
    }
    p.add_(g, -h.lr);
  }

  Value group_value(const HyperParams& h) const override {
    auto group = common_group(h, 0);
    group.set("momentum", h.mom);
    group.set("dampening", 0);
    group.set("nesterov", false);
    return group;
  }

  void read_group(const Value& group, HyperParams& h) const override {
    h.mom = group.at("momentum").as_double();
  }

  std::string str() const override { return fmt::format("SGD(momentum={})", options_.momentum); }

 private:
  SgdOptions options_;
};

class RmsProp : public UpdateRule {
 public:
  explicit RmsProp(const RmsPropOptions& options) : options_(options) {}

  HyperParams defaults() const override { return {.beta = options_.alpha}; }

  void update(torch::Tensor& p, const torch::Tensor& gradient, ParamState& state,
              const HyperParams& h) const override {
    const auto g = decayed(p, gradient, h);
    auto& v = buffer(state, "square_avg", p);
    ++state.step;
    v.mul_(h.beta).addcmul_(g, g, 1 - h.beta);
    p.addcdiv_(g, v.sqrt().add_(options_.eps), -h.lr);
  }

  Value group_value(const HyperParams& h) const override {
    auto group = common_group(h, options_.eps);
    group.set("alpha", h.beta);
    group.set("momentum", h.mom);
    group.set("centered", false);
    return group;
  }

  void read_group(const Value& group, HyperParams& h) const override {
    h.beta = group.at("alpha").as_double();
  }

  std::string str() const override {
    return fmt::format("RMSprop(alpha={}{})", options_.alpha, eps_text(options_.eps));
  }

 private:
  RmsPropOptions options_;
};

}  // namespace

namespace {

void expect_below_one(const char* argument, double value) {
  if (value >= 0 && value < 1) return;
  throw ValueError("value.optimizer",
                   fmt::format("{0}: expected 0 <= {0} < 1, found {1}", argument, value));
}

void expect_eps(double eps) {
  if (std::isfinite(eps) && eps >= 0) return;
  throw ValueError("value.optimizer",
                   fmt::format("eps: expected a finite number >= 0, found {}", eps));
}

}  // namespace

OptFunc adam(const AdamOptions& options) {
  expect_below_one("beta1", options.beta1);
  expect_below_one("beta2", options.beta2);
  expect_eps(options.eps);
  return [options] { return std::make_shared<const Adam>(options); };
}

OptFunc sgd(const SgdOptions& options) {
  expect_below_one("momentum", options.momentum);
  return [options] { return std::make_shared<const Sgd>(options); };
}

OptFunc rmsprop(const RmsPropOptions& options) {
  expect_below_one("alpha", options.alpha);
  expect_eps(options.eps);
  return [options] { return std::make_shared<const RmsProp>(options); };
}

}  // namespace fastcpp
