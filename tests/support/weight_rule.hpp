// Weights and inputs by the formulas of the golden files (tests/golden/README.md): fast enough for
// whole networks.
#pragma once

#include <torch/nn/module.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fastcpp::test {

// sgn(key, i) with the key hashed once.
class SgnStream {
 public:
  explicit SgnStream(const std::string& key) {
    for (unsigned char byte : key) hash_ = (hash_ ^ byte) * 1099511628211ull;
  }
  double operator()(std::uint64_t i) const {
    std::uint64_t z = hash_ + (i + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return 2 * (static_cast<double>(z >> 11) * 0x1.0p-53) - 1;
  }

 private:
  std::uint64_t hash_ = 14695981039346656037ull;
};

// A float32 tensor of scale * sgn(key, i).
inline torch::Tensor sgn_tensor(const std::string& key, std::vector<std::int64_t> shape,
                                double scale = 1) {
  auto result = torch::empty(shape, torch::kFloat32);
  const SgnStream v(key);
  auto* out = result.data_ptr<float>();
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    out[i] = static_cast<float>(scale * v(static_cast<std::uint64_t>(i)));
  }
  return result;
}

// Parameters and buffers in the order of PyTorch's state_dict.
inline void walk_state(const torch::nn::Module& module,
                       const std::function<void(const std::string&, torch::Tensor)>& visit,
                       const std::string& prefix = "") {
  for (const auto& item : module.named_parameters(false)) visit(prefix + item.key(), item.value());
  for (const auto& item : module.named_buffers(false)) visit(prefix + item.key(), item.value());
  for (const auto& item : module.named_children()) {
    walk_state(*item.value(), visit, prefix + item.key() + ".");
  }
}

// Sets one float32 entry of a state dict.
inline void set_by_rule(torch::Tensor value, const std::string& name,
                        const std::string& weights_key, double bn_gain) {
  const SgnStream v(weights_key + "/" + name);
  const auto fill = [&](auto rule) {
    auto data = value.detach();
    auto* out = data.data_ptr<float>();
    for (std::int64_t i = 0; i < data.numel(); ++i) {
      out[i] = static_cast<float>(rule(v(static_cast<std::uint64_t>(i))));
    }
  };
  if (name.ends_with("num_batches_tracked")) return;
  if (name.ends_with("running_mean") || name.ends_with("bias")) {
    fill([](double x) { return 0.125 * x; });
  } else if (name.ends_with("running_var")) {
    fill([](double x) { return 1 + 0.25 * x; });
  } else if (value.dim() == 1) {
    fill([&](double x) { return bn_gain * (1 + 0.25 * x); });
  } else {
    const auto fan_in = static_cast<double>(value.numel() / value.size(0));
    const double bound = std::sqrt(6 / fan_in);
    fill([&](double x) { return bound * x; });
  }
}

// Sets every weight of a float32 network by the rule.
inline void set_weights_by_rule(torch::nn::Module& module, const std::string& weights_key,
                                double bn_gain) {
  walk_state(module, [&](const std::string& name, const torch::Tensor& value) {
    set_by_rule(value, name, weights_key, bn_gain);
  });
}

}  // namespace fastcpp::test
