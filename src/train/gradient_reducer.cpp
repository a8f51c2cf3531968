#include "train/gradient_reducer.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <utility>

namespace fastcpp::inline v0 {
namespace {

// The first bucket is small, so that it leaves early.
constexpr std::int64_t kFirstBucket = 1 << 20;

// Narrow types would lose the sum.
torch::ScalarType sum_type(const torch::Tensor& parameter) {
  return parameter.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
}

bool goes_with(const torch::Tensor& parameter, const torch::Tensor& other) {
  return sum_type(parameter) == sum_type(other) && parameter.device() == other.device();
}

std::int64_t bytes_of(const torch::Tensor& parameter) {
  return parameter.numel() * static_cast<std::int64_t>(c10::elementSize(sum_type(parameter)));
}

}  // namespace

GradientReducer::GradientReducer(std::shared_ptr<ProcessGroup> group, std::int64_t bucket_bytes)
    : group_(std::move(group)), bucket_bytes_(bucket_bytes) {}

void GradientReducer::begin(const torch::nn::Module& model) {
  std::vector<torch::Tensor> trained;
  for (const auto& parameter : model.parameters()) {
    if (parameter.requires_grad()) trained.push_back(parameter);
  }
  std::reverse(trained.begin(), trained.end());
  const bool same =
      std::equal(trained.begin(), trained.end(), parameters_.begin(), parameters_.end(),
                 [](const torch::Tensor& a, const Parameter& b) { return a.is_same(b.tensor); });
  if (!same) arrange(std::move(trained));
  for (auto& parameter : parameters_) parameter.ready = false;
  for (auto& bucket : buckets_) {
    bucket.missing = bucket.parameters.size();
    bucket.work.reset();
  }
  sent_ = 0;
  again_ = false;
  active_ = true;
}

void GradientReducer::arrange(std::vector<torch::Tensor> trained) {
  parameters_.clear();
  buckets_.clear();
  std::int64_t bytes = 0;
  for (auto& tensor : trained) {
    const auto limit = buckets_.size() < 2 ? std::min(kFirstBucket, bucket_bytes_) : bucket_bytes_;
    const bool full = !buckets_.empty() && (bytes + bytes_of(tensor) > limit ||
                                            !goes_with(tensor, parameters_.back().tensor));
    if (buckets_.empty() || full) {
      buckets_.emplace_back();
      bytes = 0;
    }
    bytes += bytes_of(tensor);
    buckets_.back().parameters.push_back(parameters_.size());
    Parameter parameter;
    parameter.tensor = std::move(tensor);
    parameter.bucket = buckets_.size() - 1;
    parameters_.push_back(std::move(parameter));
  }
  for (auto& bucket : buckets_) make_flat(bucket);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].hook =
        std::make_unique<compat::GradientHook>(parameters_[i].tensor, [this, i] { ready(i); });
  }
}

void GradientReducer::make_flat(Bucket& bucket) {
  std::int64_t place = 0;
  for (const auto i : bucket.parameters) {
    parameters_[i].first = place;
    place += parameters_[i].tensor.numel();
  }
  for (const auto i : bucket.parameters) parameters_[i].flag = place++;
  const auto& tensor = parameters_[bucket.parameters.front()].tensor;
  bucket.flat =
      torch::zeros({place}, tensor.options().dtype(sum_type(tensor)).requires_grad(false));
}

// Called in the backward pass.
void GradientReducer::ready(std::size_t i) {
  if (!active_) return;
  auto& parameter = parameters_[i];
  if (parameter.ready) {
    // A second backward pass for one step: what has left already is exchanged once more at the end.
    again_ = true;
    return;
  }
  parameter.ready = true;
  take(parameter);
  --buckets_[parameter.bucket].missing;
  send_full();
}

void GradientReducer::take(Parameter& parameter) {
  const torch::NoGradGuard no_grad;
  const auto& flat = buckets_[parameter.bucket].flat;
  const auto place = flat.narrow(0, parameter.first, parameter.tensor.numel());
  const auto& gradient = parameter.tensor.grad();
  if (gradient.defined()) {
    place.copy_(gradient.reshape(-1));
  } else {
    place.zero_();
  }
  flat.narrow(0, parameter.flag, 1).fill_(gradient.defined() ? 1 : 0);
}

void GradientReducer::send_full() {
  while (sent_ < buckets_.size() && buckets_[sent_].missing == 0) send(buckets_[sent_++]);
}

void GradientReducer::send(Bucket& bucket) {
  bucket.work = group_->all_reduce(bucket.flat);
}

void GradientReducer::finish() {
  if (!std::exchange(active_, false)) return;
  // What this backward pass did not reach: it may have a gradient from an earlier one, or in another process.
  for (auto& parameter : parameters_) {
    if (!parameter.ready) take(parameter);
  }
  for (auto& bucket : buckets_) bucket.missing = 0;
  send_full();
  if (again_) {
    for (auto& bucket : buckets_) bucket.work->wait();
    for (auto& parameter : parameters_) take(parameter);
    for (auto& bucket : buckets_) send(bucket);
  }
  for (auto& bucket : buckets_) collect(bucket);
}

void GradientReducer::collect(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  bucket.work->wait();
  bucket.work.reset();
  const auto flags = bucket.flat.narrow(0, parameters_[bucket.parameters.front()].flag,
                                        static_cast<std::int64_t>(bucket.parameters.size()));
  const auto present = flags.gt(0).cpu();
  bucket.flat.div_(group_->world_size());
  std::int64_t at = 0;
  for (const auto i : bucket.parameters) {
    auto& tensor = parameters_[i].tensor;
    if (!present[at++].item<bool>()) continue;
    const auto mean =
        bucket.flat.narrow(0, parameters_[i].first, tensor.numel()).view(tensor.sizes());
    auto& gradient = tensor.mutable_grad();
    if (gradient.defined()) {
      gradient.copy_(mean);
    } else {
      gradient = torch::empty_like(tensor, tensor.options().requires_grad(false)).copy_(mean);
    }
  }
}

}  // namespace fastcpp
