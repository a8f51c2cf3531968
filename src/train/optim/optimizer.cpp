#include "fastcpp/train/optim/optimizer.hpp"

#include <fmt/format.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <cmath>
#include <set>
#include <unordered_map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// The state of PyTorch's own optimizers: `step` as a scalar tensor and the buffers by name. `skipped` of its steps were left
// out.
Value to_value(const ParamState& state, std::int64_t skipped) {
  auto value = Value::dict();
  if (state.step > skipped)
    value.set("step", torch::tensor(static_cast<float>(state.step - skipped), torch::kFloat32));
  for (const auto& [name, tensor] : state.buffers) value.set(name, tensor.detach().cpu());
  return value;
}

// False when the state is that of a parameter of another shape.
bool read_state(const Value& value, const torch::Tensor& parameter, ParamState& state) {
  for (const auto& [key, item] : value.entries()) {
    if (key.as_string() == "step") {
      state.step = item.is_tensor() ? item.as_tensor().item<std::int64_t>() : item.as_int();
    } else if (item.is_tensor()) {
      if (item.as_tensor().sizes() != parameter.sizes()) return false;
      state.buffers[key.as_string()] =
          item.as_tensor()
              .to(parameter.device(), parameter.scalar_type(), false, true)
              .contiguous();
    }
  }
  return true;
}

}  // namespace

void UpdateRule::update_all(std::vector<torch::Tensor>& parameters,
                            const std::vector<torch::Tensor>& gradients,
                            const std::vector<ParamState*>& states,
                            const HyperParams& hyper) const {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    update(parameters[i], gradients[i], *states[i], hyper);
  }
}

bool UpdateRule::update_all_unless(const torch::Tensor&, const torch::Tensor&,
                                   std::vector<torch::Tensor>&, const std::vector<torch::Tensor>&,
                                   const std::vector<ParamState*>&, const HyperParams&) const {
  return false;
}

namespace {

std::shared_ptr<const UpdateRule> not_null(std::shared_ptr<const UpdateRule> rule) {
  if (rule) return rule;
  throw ValueError("value.opt_func",
                   "opt_func: expected a function that makes an UpdateRule, such as adam(), found "
                   "one that makes none");
}

}  // namespace

OptimWrapper::OptimWrapper(std::shared_ptr<const UpdateRule> rule,
                           const std::vector<LayerGroup>& layer_groups,
                           const torch::nn::Module& model, const OptimWrapperOptions& options)
    : rule_(not_null(std::move(rule))), options_(options) {
  std::unordered_map<const void*, std::string> names;
  for (const auto& item : model.named_parameters()) {
    names.emplace(item.value().unsafeGetTensorImpl(), item.key());
  }
  std::int64_t index = 0;
  std::set<const void*> seen;
  for (std::size_t g = 0; g < layer_groups.size(); ++g) {
    Group plain{.layer_group = g}, norm{.layer_group = g, .normalisation = true};
    struct Found {
      Group* owner;
      torch::Tensor parameter;
      bool plain_bias;
    };
    std::vector<Found> found;
    for (const auto& layer : layer_groups[g]) {
      for (const auto& item : layer->named_parameters(/*recurse=*/false)) {
        const bool bias = item.key() == "bias" && has_plain_bias(*layer);
        found.push_back({is_normalisation(*layer) || bias ? &norm : &plain, item.value(), bias});
      }
    }
    for (Group* group : {&plain, &norm}) {
      for (auto& [owner, parameter, plain_bias] : found) {
        const void* id = parameter.unsafeGetTensorImpl();
        // The reference lists biases even when frozen: they count in saved indices, but do not
        // move.
        const bool counted = parameter.requires_grad() || plain_bias;
        if (owner != group || !counted || !seen.insert(id).second) continue;
        group->all_indices.push_back(index);
        if (parameter.requires_grad()) {
          group->params.push_back(parameter);
          group->names.push_back(names[id]);
          group->indices.push_back(index);
        }
        ++index;
      }
      group->states.resize(group->params.size());
      groups_.push_back(*group);
    }
  }
  skipped_.resize(groups_.size());
  const auto n = layer_groups.size();
  const auto start = rule_->defaults();
  lr_.assign(n, start.lr);
  mom_.assign(n, start.mom);
  beta_.assign(n, start.beta);
  wd_.assign(n, 0.0);
}

namespace {

void set_hyper(std::vector<double>& target, const std::vector<double>& values, const char* name,
               bool below_one) {
  if (values.size() != 1 && values.size() != target.size()) {
    throw ValueError("value.hyper_length",
                     fmt::format("{} needs one value or {} (one per layer group), found {}", name,
                                 target.size(), values.size()));
  }
  for (const double value : values) {
    if (std::isfinite(value) && value >= 0 && !(below_one && value >= 1)) continue;
    throw ValueError("value.hyper_range",
                     fmt::format("{}: expected {}, found {}", name,
                                 below_one ? "0 <= value < 1" : "a finite number >= 0", value));
  }
  if (values.size() == 1) {
    target.assign(target.size(), values.front());
  } else {
    target = values;
  }
}

std::shared_ptr<const UpdateRule> rule_of(const OptFunc& opt_func) {
  if (!opt_func) {
    throw ValueError("value.opt_func",
                     "opt_func: expected a function that makes an UpdateRule, such as adam(), "
                     "found an empty one");
  }
  return boundary([&] { return opt_func(); });
}

}  // namespace

OptimWrapper::OptimWrapper(const OptFunc& opt_func, const std::vector<LayerGroup>& layer_groups,
                           const torch::nn::Module& model, const OptimWrapperOptions& options)
    : OptimWrapper(rule_of(opt_func), layer_groups, model, options) {}

void OptimWrapper::set_lr(const std::vector<double>& values) {
  set_hyper(lr_, values, "lr", false);
}
void OptimWrapper::set_mom(const std::vector<double>& values) {
  set_hyper(mom_, values, "mom", true);
}
void OptimWrapper::set_beta(const std::vector<double>& values) {
  set_hyper(beta_, values, "beta", true);
}
void OptimWrapper::set_wd(const std::vector<double>& values) {
  set_hyper(wd_, values, "wd", false);
}

HyperParams OptimWrapper::hyper(const Group& group) const {
  const auto g = group.layer_group;
  HyperParams h{.lr = lr_[g], .mom = mom_[g], .beta = beta_[g]};
  const double wd = group.normalisation && !options_.bn_wd ? 0 : wd_[g];
  if (options_.true_wd) {
    h.decay = 1 - wd * h.lr;
  } else {
    h.l2 = wd;
  }
  return h;
}

std::int64_t OptimWrapper::skipped(std::size_t group) const {
  const auto& count = skipped_[group];
  return count.defined() ? static_cast<std::int64_t>(count.item<float>()) : 0;
}

void OptimWrapper::step(const torch::Tensor& overflow) {
  boundary([&] {
    torch::NoGradGuard no_grad;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      auto& group = groups_[g];
      std::vector<torch::Tensor> parameters, gradients;
      std::vector<ParamState*> states;
      for (std::size_t i = 0; i < group.params.size(); ++i) {
        const auto& gradient = group.params[i].grad();
        if (!gradient.defined()) continue;
        parameters.push_back(group.params[i]);
        gradients.push_back(gradient);
        states.push_back(&group.states[i]);
      }
      if (parameters.empty()) continue;
      // Left out by the device, a step is taken back from all counts of the group: so all must have counted it.
      if (overflow.defined() && parameters.size() == group.params.size() &&
          rule_->update_all_unless(overflow, skipped_[g], parameters, gradients, states,
                                   hyper(group))) {
        // Another tensor: copies of this optimizer keep theirs.
        skipped_[g] = skipped_[g].defined() ? skipped_[g] + overflow : overflow.clone();
        continue;
      }
      if (overflow.defined() && overflow.item<float>() != 0) continue;
      if (const auto n = skipped(g)) {
        for (auto& state : group.states) state.step -= n;
      }
      skipped_[g].reset();
      rule_->update_all(parameters, gradients, states, hyper(group));
    }
  });
}

void OptimWrapper::zero_grad() {
  for (auto& group : groups_) {
    for (auto& parameter : group.params) parameter.mutable_grad().reset();
  }
}

OptimWrapper OptimWrapper::snapshot() const {
  return boundary([&] {
    auto copy = *this;
    for (auto& group : copy.groups_) {
      for (auto& state : group.states) {
        for (auto& [name, tensor] : state.buffers) tensor = tensor.clone();
      }
    }
    return copy;
  });
}

void OptimWrapper::clear() {
  for (auto& group : groups_) group.states.assign(group.params.size(), {});
  skipped_.assign(groups_.size(), {});
}

Value OptimWrapper::state_dict() const {
  return boundary([&] {
    auto state = Value::dict();
    auto list = Value::list();
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto& group = groups_[g];
      const auto left_out = skipped(g);
      for (std::size_t i = 0; i < group.params.size(); ++i) {
        const auto& s = group.states[i];
        if (s.step > 0 || !s.buffers.empty()) state.set(group.indices[i], to_value(s, left_out));
      }
      auto entry = rule_->group_value(hyper(group));
      auto params = Value::list();
      for (auto index : group.all_indices) params.append(index);
      entry.set("params", params);
      list.append(entry);
    }
    return Value::dict({{"state", state}, {"param_groups", list}});
  });
}

OptimLoadReport OptimWrapper::load_state_dict(const Value& saved) {
  OptimLoadReport report;
  for (const auto& group : groups_) report.expected += group.params.size();
  // Everything is read into a copy first: a mismatch must leave no half-loaded optimizer.
  auto groups = groups_;
  auto mom = mom_, beta = beta_;
  try {
    boundary([&] { report.why = read(saved, groups, mom, beta, report.taken); });
  } catch (const MemoryError&) {
    throw;
  } catch (const Error& e) {
    report.why = fmt::format("it is no state of {}: {}", rule_->str(), e.what());
  }
  if (!report) {
    report.taken = 0;
    return report;
  }
  groups_ = std::move(groups);
  skipped_.assign(groups_.size(), {});
  mom_ = std::move(mom);
  beta_ = std::move(beta);
  return report;
}

std::string OptimWrapper::read(const Value& saved, std::vector<Group>& groups,
                               std::vector<double>& mom, std::vector<double>& beta,
                               std::size_t& taken) const {
  if (!saved.is_dict() || !saved.contains("state") || !saved.contains("param_groups") ||
      !saved.at("param_groups").is_list() || !saved.at("state").is_dict()) {
    return "it is no optimizer's state: expected a dictionary of state and param_groups";
  }
  const auto& list = saved.at("param_groups");
  const auto& state = saved.at("state");
  if (list.size() != groups.size()) {
    return fmt::format("it has {} parameter groups, the optimizer {} (two a layer group)",
                       list.size(), groups.size());
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto& entry = list.items()[g];
    const auto& params = entry.at("params").items();
    auto& group = groups[g];
    if (params.size() != group.all_indices.size()) {
      return fmt::format(
          "parameter group {} has {} parameters, the optimizer's {}: other layers were frozen when "
          "it "
          "was saved",
          g, params.size(), group.all_indices.size());
    }
    HyperParams h{.mom = mom[group.layer_group], .beta = beta[group.layer_group]};
    rule_->read_group(entry, h);
    if (!(h.mom >= 0 && h.mom < 1 && h.beta >= 0 && h.beta < 1)) {
      return fmt::format("its momenta are outside 0..1: {} and {}", h.mom, h.beta);
    }
    mom[group.layer_group] = h.mom;
    beta[group.layer_group] = h.beta;
    for (std::size_t i = 0, at = 0; i < params.size(); ++i) {
      if (at >= group.indices.size() || group.all_indices[i] != group.indices[at]) continue;
      group.states[at] = {};
      const auto* found = state.find(params[i]);
      if (found && !read_state(*found, group.params[at], group.states[at])) {
        return fmt::format("the state of '{}' has another shape", group.names[at]);
      }
      taken += found != nullptr;
      ++at;
    }
  }
  return {};
}

}  // namespace fastcpp
