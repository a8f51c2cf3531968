#include "fastcpp/data/stats.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

const Stats& checked(const Stats& stats) {
  if (stats.mean.empty() || stats.mean.size() != stats.std.size() ||
      std::any_of(stats.std.begin(), stats.std.end(), [](float s) { return !(s > 0); })) {
    throw ValueError("value.stats",
                     fmt::format("expected as many means as standard deviations > 0, "
                                 "found means [{}] and deviations [{}]",
                                 fmt::join(stats.mean, ", "), fmt::join(stats.std, ", ")));
  }
  return stats;
}

}  // namespace

Normalize::Normalize(const Stats& stats, torch::Device device) {
  boundary([&] {
    mean_ = torch::tensor(checked(stats).mean, torch::kFloat32).to(device);
    std_ = torch::tensor(stats.std, torch::kFloat32).to(device);
  });
}

torch::Tensor Normalize::operator()(torch::Tensor x) const {
  return boundary([&] { return normalized(std::move(x)); });
}

torch::Tensor Normalize::normalized(torch::Tensor x) const {
  if (!x.defined() || x.dim() < 2 || x.size(1) != mean_.numel()) {
    throw ValueError(
        "value.stats",
        fmt::format("a batch of {} channels was expected, N x C x ..., found {}", mean_.numel(),
                    x.defined() ? fmt::format("{}", fmt::join(x.sizes(), " x ")) : "none"));
  }
  const bool plain = x.device().is_cpu() && x.scalar_type() == torch::kFloat32 && x.is_contiguous();
  if (!plain) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
    shape.at(1) = mean_.numel();
    if (!x.is_floating_point()) x = x.to(torch::kFloat32);
    return x.sub_(mean_.view(shape).to(x.dtype())).div_(std_.view(shape).to(x.dtype()));
  }
  // Once through memory instead of twice.
  const std::int64_t channels = mean_.numel(), planes = x.size(0) * channels;
  const std::int64_t area = planes > 0 ? x.numel() / planes : 0;
  float* const values = x.data_ptr<float>();
  const float *mean = mean_.data_ptr<float>(), *std = std_.data_ptr<float>();
  at::parallel_for(0, planes, 1, [=](std::int64_t first, std::int64_t last) {
    for (auto p = first; p < last; ++p) {
      const float m = mean[p % channels], s = std[p % channels];
      for (float *v = values + p * area, *end = v + area; v != end; ++v) *v = (*v - m) / s;
    }
  });
  return x;
}

}  // namespace fastcpp
