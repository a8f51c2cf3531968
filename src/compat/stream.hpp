// Work queued on a device and waiting for it, under one name for all versions of LibTorch. Nothing
// here needs CUDA's headers.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <thread>

namespace fastcpp::inline v0::compat {

inline c10::Stream current_stream(c10::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

// A queue beside the current one.
inline c10::Stream side_stream(c10::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

// Until everything before the event is done. LibTorch 1.13 can only ask.
inline void wait(const c10::Event& event) {
  while (!event.query()) std::this_thread::yield();
}

}  // namespace fastcpp::compat
