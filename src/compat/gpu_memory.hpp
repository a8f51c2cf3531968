// How much memory of a CUDA device is taken. Needs neither CUDA's headers nor its libraries: a LibTorch for CUDA has loaded
// them, and one for the CPU has not.
#pragma once

#include <c10/core/DeviceGuard.h>

#include <cstddef>
#include <optional>

#include <dlfcn.h>

namespace fastcpp::inline v0::compat {

// Bytes that all processes together have; nothing when CUDA does not tell.
inline std::optional<std::size_t> gpu_memory_used(c10::Device device) {
  using MemGetInfo = int (*)(std::size_t * free, std::size_t * total);
  static const auto ask = reinterpret_cast<MemGetInfo>(::dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
  if (!ask || !device.is_cuda()) return std::nullopt;
  const c10::DeviceGuard guard(device);
  std::size_t free = 0, total = 0;
  if (ask(&free, &total) != 0) return std::nullopt;
  return total - free;
}

}  // namespace fastcpp::compat
