#include "distributed/c10d_group.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "distributed/make_group.hpp"
#include "distributed/own_address.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// How long the processes that are left listen for what became of the others.
constexpr auto kListen = std::chrono::seconds(2);
constexpr auto kBetweenLooks = std::chrono::milliseconds(20);
// What a process says that found the group broken, but goes on itself.
constexpr const char* kHere = "here";

std::vector<std::uint8_t> bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

// The same memory as bytes: c10d does not know all types.
torch::Tensor as_bytes(const torch::Tensor& flat) {
  return flat.reshape(-1).view(torch::kByte);
}

// Without the place in Gloo's sources.
std::string without_place(const std::string& message) {
  const auto end = message.find("] ");
  if (!message.starts_with('[') || end == std::string::npos) return message;
  return message.substr(end + 2);
}

bool is_set(const char* name, const std::string& value) {
  const char* const found = std::getenv(name);
  return found && value == found;
}

}  // namespace

bool distributed_available() {
  return true;
}

std::shared_ptr<ProcessGroup> make_group(const Launch& launch, const ProcessGroupOptions& options) {
  return std::make_shared<C10dGroup>(launch, options);
}

// A sum under way.
class C10dGroup::Sum : public ProcessGroup::Work {
 public:
  // \param target where the sum goes that comes about in `host`; undefined: it comes about in place
  Sum(C10dGroup& group, compat::Work work, torch::Tensor host, torch::Tensor target)
      : group_(group), work_(std::move(work)), host_(std::move(host)), target_(std::move(target)) {}
  void wait() override {
    group_.exchange([&] { work_->wait(); });
    if (target_.defined()) target_.copy_(host_);
  }

 private:
  C10dGroup& group_;
  compat::Work work_;
  torch::Tensor host_, target_;
};

C10dGroup::C10dGroup(const Launch& launch, const ProcessGroupOptions& options)
    : launch_(launch), timeout_(options.timeout) {
  try {
    meet();
    connect(options);
  } catch (const std::exception& e) {
    std::throw_with_nested(DistributedError(
        "distributed.cannot_connect",
        fmt::format("process {} of {} could not connect with the others at {}:{} within {} s: {}; "
                    "are all of them started, is the port free, and can their machines reach each "
                    "other?",
                    rank(), world_size(), launch_.master_addr, launch_.master_port,
                    options.timeout.count(), plain_message(e))));
  }
}

C10dGroup::~C10dGroup() = default;

void C10dGroup::meet() {
  auto options = compat::store_options();
  options.port = static_cast<std::uint16_t>(launch_.master_port);
  options.timeout = timeout_;
  // torchrun keeps the store itself, for all attempts to start.
  const bool of_agent = is_set("TORCHELASTIC_USE_AGENT_STORE", "True");
  serves_ = !of_agent && rank() == 0;
  options.isServer = serves_;
  if (of_agent) {
    options.waitWorkers = false;
  } else {
    options.numWorkers = static_cast<std::size_t>(world_size());
  }
  store_ = c10::make_intrusive<c10d::TCPStore>(launch_.master_addr, options);
  const char* const attempt = std::getenv("TORCHELASTIC_RESTART_COUNT");
  store_ = c10::make_intrusive<c10d::PrefixStore>(
      fmt::format("fastcpp/{}/", of_agent && attempt ? attempt : "0"), store_);
}

void C10dGroup::connect(const ProcessGroupOptions& options) {
  auto gloo = c10d::ProcessGroupGloo::Options::create(timeout_);
  const char* const named = std::getenv("GLOO_SOCKET_IFNAME");
  const auto interface = options.interface.value_or(named ? named : "");
  if (!interface.empty()) {
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(interface));
  } else {
    const auto address = own_address(launch_.master_addr, launch_.master_port);
    gloo->devices.push_back(address.empty()
                                ? c10d::ProcessGroupGloo::createDefaultDevice()
                                : c10d::ProcessGroupGloo::createDeviceForHostname(address));
  }
  gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo/", store_), rank(), world_size(), gloo);
#ifdef FASTCPP_NCCL
  if (torch::cuda::is_available()) {
    nccl_ = compat::make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl/", store_), rank(),
                              world_size());
  }
#endif
  // Nobody leaves, and takes the store along, before all are connected.
  auto ready = torch::zeros({1}, torch::kLong);
  std::vector<torch::Tensor> tensors{ready};
  gloo_->allreduce(tensors)->wait();
}

compat::Gloo C10dGroup::gloo() const {
  if (!gloo_) {
    throw DistributedError("distributed.ended",
                           fmt::format("these processes no longer train together, because a "
                                       "training failed before: {}; start the program again",
                                       ended_));
  }
  return gloo_;
}

template <typename F>
auto C10dGroup::exchange(F&& f) -> decltype(f()) {
  std::string cause;
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    cause = without_place(plain_message(e));
  }
  lost(cause);
}

std::unique_ptr<ProcessGroup::Work> C10dGroup::all_reduce(const torch::Tensor& tensor) {
  return exchange([&]() -> std::unique_ptr<Work> {
    const auto all = gloo();
    const torch::NoGradGuard no_grad;
#ifdef FASTCPP_NCCL
    if (nccl_ && tensor.is_cuda()) {
      std::vector<torch::Tensor> on_device{tensor};
      return std::make_unique<Sum>(*this, nccl_->allreduce(on_device), tensor, torch::Tensor());
    }
#endif
    const auto host = tensor.cpu();
    std::vector<torch::Tensor> tensors{host};
    return std::make_unique<Sum>(*this, all->allreduce(tensors), host,
                                 tensor.is_cpu() ? torch::Tensor() : tensor);
  });
}

void C10dGroup::broadcast(const torch::Tensor& tensor, int from) {
  exchange([&] {
    const auto all = gloo();
    const torch::NoGradGuard no_grad;
    const auto host = tensor.cpu();
    c10d::BroadcastOptions options;
    options.rootRank = from;
    std::vector<torch::Tensor> tensors{as_bytes(host)};
    all->broadcast(tensors, options)->wait();
    if (!tensor.is_cpu()) tensor.copy_(host);
  });
}

std::vector<torch::Tensor> C10dGroup::all_gather(const torch::Tensor& tensor) {
  return exchange([&] {
    const auto all = gloo();
    const torch::NoGradGuard no_grad;
    const auto own = tensor.detach().cpu().contiguous();
    std::vector<torch::Tensor> inputs{as_bytes(own)};
    std::vector<torch::Tensor> parts;
    std::vector<std::vector<torch::Tensor>> outputs(1);
    for (int i = 0; i < world_size(); ++i) {
      parts.push_back(torch::empty_like(own));
      outputs[0].push_back(as_bytes(parts.back()));
    }
    if (own.numel() > 0) all->allgather(outputs, inputs)->wait();
    return parts;
  });
}

std::string C10dGroup::key(int rank) const {
  return fmt::format("state/{}", rank);
}

// Only the first word of a process counts.
void C10dGroup::say(const std::string& text) {
  if (!std::exchange(spoke_, true)) store_->set(key(rank()), bytes(text));
}

bool C10dGroup::all_others_spoke() {
  for (int other = 0; other < world_size(); ++other) {
    if (other != rank() && !store_->check({key(other)})) return false;
  }
  return true;
}

// Listens for a while to what the others say.
std::string C10dGroup::who_is_missing(const std::string& cause) {
  std::vector<int> silent;
  std::string failed;
  bool looked = false;
  try {
    say(kHere);
    const auto until = std::chrono::steady_clock::now() + kListen;
    for (;;) {
      std::vector<int> now;
      for (int other = 0; other < world_size() && failed.empty(); ++other) {
        if (other == rank()) continue;
        if (!store_->check({key(other)})) {
          now.push_back(other);
          continue;
        }
        const auto said = store_->get(key(other));
        const std::string text(said.begin(), said.end());
        if (text != kHere) failed = fmt::format("process {} failed: {}", other, text);
      }
      silent = std::move(now);
      looked = true;
      if (silent.empty() || !failed.empty() || std::chrono::steady_clock::now() > until) break;
      std::this_thread::sleep_for(kBetweenLooks);
    }
  } catch (const std::exception&) {
    // The store is gone, and with it who kept it.
    if (!looked) return "process 0 is gone, or the launcher, where all of them met";
  }
  if (!failed.empty()) return failed;
  if (silent.empty()) return fmt::format("an exchange failed: {}", cause);
  return fmt::format("process{} {} of {} {} not answer ({})", silent.size() > 1 ? "es" : "",
                     fmt::join(silent, ", "), world_size(), silent.size() > 1 ? "do" : "does",
                     cause);
}

void C10dGroup::lost(const std::string& cause) {
  const auto what = who_is_missing(cause);
  throw DistributedError(
      "distributed.lost",
      fmt::format(
          "process {} lost the others: {}; see what that process says itself, and start all "
          "again: a training that saved goes on from there",
          rank(), what));
}

void C10dGroup::abort(const std::string& why) noexcept {
  try {
    if (!gloo_) return;
    ended_ = why;
    const bool found_out = spoke_;
    say(why);
    // Closes the connections, which wakes the others.
    gloo_.reset();
#ifdef FASTCPP_NCCL
    nccl_.reset();
#endif
    if (!serves_ || found_out) return;
    // The store goes with this process: the others shall read it first.
    const auto until = std::chrono::steady_clock::now() + kListen;
    while (!all_others_spoke() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(kBetweenLooks);
    }
  } catch (...) {  // others find out by themselves
    gloo_.reset();
  }
}

}  // namespace fastcpp
