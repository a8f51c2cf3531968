// Work queued on a device and waiting for it, under one name for all versions of LibTorch. Nothing
// here needs CUDA's headers.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <thread>

namespace fastcpp::inline v0::compat {

inline c10::Stream current_stream(c10::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

// A queue beside the current one.
inline c10::Stream side_stream(c10::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

// Until everything before the event is done. LibTorch 1.13 can only ask, and CUDA's own wait spins: after some questions
// this thread sleeps between them, so that the processor is a loading thread's meanwhile.
inline void wait(const c10::Event& event) {
  for (int asked = 0; !event.query(); ++asked) {
    if (asked < 32) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
}

}  // namespace fastcpp::compat
