#include "fastcpp/io/state_dict.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

void StateDict::insert(std::string name, torch::Tensor value) {
  boundary([&] {
    if (!value.defined()) {
      throw ValueError("value.undefined_tensor",
                       fmt::format("the tensor of '{}' is not defined; leave the name out", name));
    }
    if (const auto found = index_.find(name); found != index_.end()) {
      entries_[found->second].second = std::move(value);
      return;
    }
    // In an order that leaves both as they were when memory runs out.
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + 8);
    index_.emplace(name, entries_.size());
    entries_.emplace_back(std::move(name), std::move(value));
  });
}

const torch::Tensor* StateDict::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const torch::Tensor& StateDict::at(std::string_view name) const {
  return boundary([&]() -> const torch::Tensor& {
    if (const torch::Tensor* found = find(name)) return *found;
    throw WeightsError(
        "weights.missing_key",
        fmt::format("no weights are called '{}'; there are {} names, the first is '{}'", name,
                    size(), empty() ? "" : entries_[0].first));
  });
}

namespace {

void collect(const torch::nn::Module& module, const std::string& prefix, StateDict& into) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (item.value().defined()) into.insert(prefix + item.key(), item.value().detach());
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    if (item.value().defined()) into.insert(prefix + item.key(), item.value().detach());
  }
  for (const auto& child : module.named_children()) {
    collect(*child.value(), prefix + child.key() + ".", into);
  }
}

constexpr std::string_view kCounter = "num_batches_tracked";

bool is_counter(std::string_view name) {
  if (!name.ends_with(kCounter)) return false;
  return name.size() == kCounter.size() || name[name.size() - kCounter.size() - 1] == '.';
}

std::string shape(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", "));
}

// PyTorch before 0.4 had no tensors without dimensions; it wrote such a value as one element.
bool fits(const torch::Tensor& target, const torch::Tensor& source) {
  return target.sizes() == source.sizes() ||
         (target.dim() == 0 && source.dim() == 1 && source.numel() == 1);
}

void add_names(std::string& text, const char* title, const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 8;
  if (names.empty()) return;
  text += fmt::format("\n  {} ({}): ", title, names.size());
  text += fmt::format(
      "{}",
      fmt::join(names.begin(),
                names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kShown)), ", "));
  if (names.size() > kShown) text += fmt::format(", and {} more", names.size() - kShown);
}

[[noreturn]] void throw_mismatch(const LoadReport& report) {
  std::string text = "the weights do not fit the network; nothing was loaded";
  add_names(text, "missing from the weights", report.missing);
  add_names(text, "unknown to the network", report.unexpected);
  add_names(text, "of another shape", report.wrong_shape);
  throw WeightsError("weights.mismatch",
                     text +
                         "\n  Is it the same architecture and number of classes? With strict = "
                         "false, what fits is loaded.");
}

// Before anything is copied: half of the weights would be worse than none.
void check_copyable(const std::string& name, const torch::Tensor& source) {
  if (source.layout() == torch::kStrided && !source.is_quantized() && !source.is_meta()) return;
  throw WeightsError(
      "weights.cannot_copy",
      fmt::format("the weights '{}' are of the kind {}, which cannot be copied into a "
                  "network; convert them to a dense tensor first",
                  name, source.toString()));
}

LoadReport load(torch::nn::Module& module, const StateDict& weights,
                const LoadStateDictOptions& options) {
  const StateDict targets = state_dict(module);
  LoadReport report;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies;
  std::vector<torch::Tensor> counters;
  for (const auto& [name, target] : targets) {
    const torch::Tensor* source = weights.find(name);
    if (!source) {
      const std::string sibling =
          name.substr(0, name.size() - std::min(name.size(), kCounter.size())) + "running_mean";
      if (!is_counter(name)) {
        report.missing.push_back(name);
      } else if (weights.contains(sibling)) {
        counters.push_back(target);
      }
    } else if (!fits(target, *source)) {
      report.wrong_shape.push_back(
          fmt::format("{}: network {}, weights {}", name, shape(target), shape(*source)));
    } else {
      check_copyable(name, *source);
      copies.emplace_back(target, *source);
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!targets.contains(name)) report.unexpected.push_back(name);
  }
  if (options.strict && !report.ok()) throw_mismatch(report);
  try {
    boundary([&] {
      const torch::NoGradGuard no_grad;
      for (auto& [target, source] : copies) target.copy_(source.reshape(target.sizes()));
      for (auto& counter : counters) counter.zero_();
    });
  } catch (const MemoryError&) {
    throw;
  } catch (const TrainError& e) {
    std::throw_with_nested(WeightsError(
        "weights.cannot_copy",
        fmt::format("copying weights failed, and some may have been copied already: {}",
                    e.what())));
  }
  return report;
}

}  // namespace

StateDict state_dict(const torch::nn::Module& module) {
  return boundary([&] {
    StateDict weights;
    collect(module, "", weights);
    return weights;
  });
}

LoadReport load_state_dict(torch::nn::Module& module, const StateDict& weights,
                           const LoadStateDictOptions& options) {
  return boundary([&] { return load(module, weights, options); });
}

}  // namespace fastcpp
