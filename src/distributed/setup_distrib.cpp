#include "fastcpp/distributed/setup_distrib.hpp"

#include <fmt/format.h>

#include <memory>
#include <string_view>
#include <utility>

#include "distributed/make_group.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

// One process: all sums are there already.
class AloneGroup : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  std::unique_ptr<Work> all_reduce(const torch::Tensor&) override {
    return std::make_unique<Done>();
  }
  void broadcast(const torch::Tensor&, int) override {}
  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) override {
    return {tensor.detach().cpu().clone()};
  }
  void abort(const std::string&) noexcept override {}

 private:
  class Done : public Work {
   public:
    void wait() override {}
  };
};

void expect_launch(const Launch& launch) {
  if (launch.world_size < 1 || launch.rank < 0 || launch.rank >= launch.world_size) {
    throw ValueError("value.rank", fmt::format("rank: expected 0 <= rank < world_size, found rank "
                                               "{} of {}",
                                               launch.rank, launch.world_size));
  }
}

// Information comes from the first process alone; warnings say whose they are.
void log_as(int rank) {
  auto former = std::make_shared<LogSink>();
  *former = set_log_sink([former, rank](LogLevel level, std::string_view message) {
    if (level == LogLevel::kWarning && *former) {
      (*former)(level, fmt::format("process {}: {}", rank, message));
    }
  });
}

}  // namespace

std::shared_ptr<ProcessGroup> setup_distrib(const ProcessGroupOptions& options) {
  return boundary([&]() -> std::shared_ptr<ProcessGroup> {
    const auto launch = options.launch ? *options.launch : launch_from_environment();
    expect_launch(launch);
    if (options.timeout < std::chrono::seconds(1) || options.timeout > std::chrono::hours(24 * 7)) {
      throw ValueError(
          "value.timeout",
          fmt::format("timeout: expected 1 to 604800 seconds, found {}", options.timeout.count()));
    }
    if (launch.world_size == 1) return std::make_shared<AloneGroup>();
    auto group = make_group(launch, options);
    if (options.quiet && launch.rank > 0) log_as(launch.rank);
    return group;
  });
}

}  // namespace fastcpp
