// c10d's groups of processes under one name for all versions of LibTorch. Needs the headers of gloo.
#pragma once

#include <torch/version.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

// Packages of LibTorch rarely have NCCL's own header, which theirs includes.
#if defined(USE_C10D_NCCL) && __has_include(<nccl.h>)
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#define FASTCPP_NCCL
#endif

namespace fastcpp::inline v0::compat {

using Store = c10::intrusive_ptr<c10d::Store>;
using Work = c10::intrusive_ptr<c10d::Work>;
// A subclass of c10d::ProcessGroup before LibTorch 2.0, of c10d::Backend since; what is used here did not change.
using Gloo = c10::intrusive_ptr<c10d::ProcessGroupGloo>;

// How a store listens: by threads, as all versions can. Later ones want libuv first, which not all are built with.
inline c10d::TCPStoreOptions store_options() {
  c10d::TCPStoreOptions options;
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
  options.useLibUV = false;
#endif
  return options;
}

#ifdef FASTCPP_NCCL
using Nccl = c10::intrusive_ptr<c10d::ProcessGroupNCCL>;

inline Nccl make_nccl(const Store& store, int rank, int size) {
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size);
}
#endif

}  // namespace fastcpp::compat
