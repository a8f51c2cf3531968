// Automatic casting under one name for all versions of LibTorch.
#pragma once

#include <ATen/autocast_mode.h>
#include <torch/version.h>

#include <optional>

namespace fastcpp::inline v0::compat {

// Whether operations on that device are cast now.
inline bool is_autocast_enabled(c10::DeviceType device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::is_autocast_enabled(device);
#else
  return device == c10::DeviceType::CPU ? at::autocast::is_cpu_enabled()
                                        : at::autocast::is_enabled();
#endif
}

// What operations on that device are cast to, where they are.
inline at::ScalarType autocast_dtype(c10::DeviceType device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::get_autocast_dtype(device);
#else
  return device == c10::DeviceType::CPU ? at::autocast::get_autocast_cpu_dtype()
                                        : at::autocast::get_autocast_gpu_dtype();
#endif
}

// While it lives, operations that gain from it compute in the lower precision; nothing happens
// without one. Parameters stay as they are.
class Autocast {
 public:
  Autocast(c10::DeviceType device, std::optional<at::ScalarType> precision)
      : device_(device), on_(precision.has_value()) {
    if (!on_) return;
    was_on_ = is_autocast_enabled(device_);
    was_ = autocast_dtype(device_);
    enable(true);
    set_dtype(*precision);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    // The cast weights are kept until the outermost scope ends.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    set_dtype(was_);
    enable(was_on_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  void enable(bool on) const {
    at::autocast::set_autocast_enabled(device_, on);
  }
  void set_dtype(at::ScalarType type) const {
    at::autocast::set_autocast_dtype(device_, type);
  }
#else
  bool cpu() const {
    return device_ == c10::DeviceType::CPU;
  }
  void enable(bool on) const {
    cpu() ? at::autocast::set_cpu_enabled(on) : at::autocast::set_enabled(on);
  }
  void set_dtype(at::ScalarType type) const {
    cpu() ? at::autocast::set_autocast_cpu_dtype(type) : at::autocast::set_autocast_gpu_dtype(type);
  }
#endif

  c10::DeviceType device_;
  bool on_;
  bool was_on_ = false;
  at::ScalarType was_ = at::ScalarType::Float;
};

}  // namespace fastcpp::compat
