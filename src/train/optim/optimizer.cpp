#include "fastcpp/train/optim/optimizer.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <set>
#include <unordered_map>

#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace {

// The state of PyTorch's own optimizers: `step` as a scalar tensor and the buffers by name.
Value to_value(const ParamState& state) {
  auto value = Value::dict();
  if (state.step > 0) value.set("step", torch::tensor(static_cast<float>(state.step)));
  for (const auto& [name, tensor] : state.buffers) value.set(name, tensor.detach().cpu());
  return value;
}

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

OptimWrapper::OptimWrapper(std::shared_ptr<const UpdateRule> rule,
                           const std::vector<LayerGroup>& layer_groups,
                           const torch::nn::Module& model, bool true_wd, bool bn_wd)
    : rule_(std::move(rule)), true_wd_(true_wd), bn_wd_(bn_wd) {
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
  const auto n = layer_groups.size();
  const auto start = rule_->defaults();
  lr_.assign(n, start.lr);
  mom_.assign(n, start.mom);
  beta_.assign(n, start.beta);
  wd_.assign(n, 0.0);
}

void OptimWrapper::set(std::vector<double>& target, const std::vector<double>& values,
                       const char* name) {
  if (values.size() == 1) {
    target.assign(target.size(), values.front());
  } else if (values.size() == target.size()) {
    target = values;
  } else {
    throw ValueError("value.hyper_length",
                     fmt::format("{} needs one value or {} (one per layer group), found {}", name,
                                 target.size(), values.size()));
  }
}

HyperParams OptimWrapper::hyper(const Group& group) const {
  const auto g = group.layer_group;
  HyperParams h{.lr = lr_[g], .mom = mom_[g], .beta = beta_[g]};
  const double wd = group.normalisation && !bn_wd_ ? 0 : wd_[g];
  if (true_wd_) {
    h.decay = 1 - wd * h.lr;
  } else {
    h.l2 = wd;
  }
  return h;
}

void OptimWrapper::step() {
  torch::NoGradGuard no_grad;
  for (auto& group : groups_) {
    std::vector<torch::Tensor> parameters, gradients;
    std::vector<ParamState*> states;
    for (std::size_t i = 0; i < group.params.size(); ++i) {
      const auto& gradient = group.params[i].grad();
      if (!gradient.defined()) continue;
      parameters.push_back(group.params[i]);
      gradients.push_back(gradient);
      states.push_back(&group.states[i]);
    }
    rule_->update_all(parameters, gradients, states, hyper(group));
  }
}

void OptimWrapper::zero_grad() {
  for (auto& group : groups_) {
    for (auto& parameter : group.params) parameter.mutable_grad().reset();
  }
}

void OptimWrapper::clear() {
  for (auto& group : groups_) group.states.assign(group.params.size(), {});
}

Value OptimWrapper::state_dict() const {
  auto state = Value::dict();
  auto list = Value::list();
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group.params.size(); ++i) {
      const auto& s = group.states[i];
      if (s.step > 0 || !s.buffers.empty()) state.set(group.indices[i], to_value(s));
    }
    auto entry = rule_->group_value(hyper(group));
    auto params = Value::list();
    for (auto index : group.all_indices) params.append(index);
    entry.set("params", params);
    list.append(entry);
  }
  return Value::dict({{"state", state}, {"param_groups", list}});
}

bool OptimWrapper::load_state_dict(const Value& saved) {
  if (!saved.is_dict() || !saved.contains("state") || !saved.contains("param_groups")) return false;
  const auto& list = saved.at("param_groups");
  const auto& state = saved.at("state");
  if (!list.is_list() || !state.is_dict() || list.size() != groups_.size()) return false;
  // Everything is read into a copy first: a mismatch must leave no half-loaded optimizer.
  auto groups = groups_;
  auto mom = mom_, beta = beta_;
  try {
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto& entry = list.items()[g];
      const auto& params = entry.at("params").items();
      auto& group = groups[g];
      if (params.size() != group.all_indices.size()) return false;
      HyperParams h{.mom = mom[group.layer_group], .beta = beta[group.layer_group]};
      rule_->read_group(entry, h);
      mom[group.layer_group] = h.mom;
      beta[group.layer_group] = h.beta;
      for (std::size_t i = 0, at = 0; i < params.size(); ++i) {
        if (at >= group.indices.size() || group.all_indices[i] != group.indices[at]) continue;
        group.states[at] = {};
        const auto* found = state.find(params[i]);
        if (found && !read_state(*found, group.params[at], group.states[at])) return false;
        ++at;
      }
    }
  } catch (const Error&) {
    return false;
  }
  groups_ = std::move(groups);
  mom_ = std::move(mom);
  beta_ = std::move(beta);
  return true;
}

}  // namespace fastcpp
