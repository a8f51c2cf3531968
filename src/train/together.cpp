#include "train/together.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::int64_t kMostDims = 8;

// What a share of a batch looks like: type, dimensions, sizes; -1 where there is none.
torch::Tensor head_of(const torch::Tensor& share) {
  auto head = torch::full({kMostDims + 2}, -1, torch::kLong);
  if (!share.defined()) return head;
  auto* numbers = head.data_ptr<std::int64_t>();
  numbers[0] = static_cast<std::int64_t>(share.scalar_type());
  numbers[1] = share.dim();
  for (std::int64_t i = 0; i < share.dim(); ++i) numbers[i + 2] = share.size(i);
  return head;
}

// Of two heads that are to be of one batch: all but the number of rows agrees.
bool of_one_batch(const torch::Tensor& a, const torch::Tensor& b) {
  return torch::equal(a.narrow(0, 0, 2), b.narrow(0, 0, 2)) &&
         torch::equal(a.narrow(0, 3, kMostDims - 1), b.narrow(0, 3, kMostDims - 1));
}

}  // namespace

void ProcessGroup::barrier() {
  all_reduce(torch::zeros({1}, torch::kLong))->wait();
}

Together::Together(std::shared_ptr<ProcessGroup> group, const DistributedOptions& options)
    : group_(group),
      gradients_(std::move(group), static_cast<std::int64_t>(options.bucket_mb * (1 << 20))) {}

void Together::expect_same(const torch::nn::Module& model, int epochs, std::int64_t batches,
                           std::size_t metrics) {
  constexpr std::array kWhat{"tensors of the model",
                             "numbers of the model",
                             "numbers of the model that are trained",
                             "epochs",
                             "batches an epoch",
                             "metrics"};
  std::int64_t tensors = 0, numbers = 0, trained = 0;
  for (const auto& parameter : model.parameters()) {
    ++tensors;
    numbers += parameter.numel();
    if (parameter.requires_grad()) trained += parameter.numel();
  }
  for (const auto& buffer : model.buffers()) {
    ++tensors;
    numbers += buffer.numel();
  }
  const std::vector<std::int64_t> mine{tensors, numbers, trained,
                                       epochs,  batches, static_cast<std::int64_t>(metrics)};
  const auto all = group_->all_gather(torch::tensor(mine, torch::kLong));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    for (std::size_t i = 0; i < kWhat.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const auto first = all[0][at].item<std::int64_t>(),
                 other = all[rank][at].item<std::int64_t>();
      if (first == other) continue;
      throw DistributedError(
          "distributed.differs",
          fmt::format("the processes do not train the same: {} are {} in process 0, but {} in "
                      "process {}; make data, model and fit alike in all of them",
                      kWhat[i], first, other, rank));
    }
  }
}

void Together::take(std::vector<torch::Tensor> tensors) {
  const torch::NoGradGuard no_grad;
  // One message for all of a type, not one for each tensor.
  std::map<std::pair<std::string, torch::ScalarType>, std::vector<torch::Tensor>> kinds;
  for (auto& tensor : tensors) {
    if (tensor.numel() == 0) continue;
    kinds[{tensor.device().str(), tensor.scalar_type()}].push_back(tensor.detach());
  }
  for (auto& [kind, of_kind] : kinds) {
    std::vector<torch::Tensor> parts;
    for (const auto& tensor : of_kind) parts.push_back(tensor.reshape(-1));
    const auto flat = torch::cat(parts);
    group_->broadcast(flat);
    std::int64_t first = 0;
    for (auto& tensor : of_kind) {
      tensor.copy_(flat.narrow(0, first, tensor.numel()).view(tensor.sizes()));
      first += tensor.numel();
    }
  }
}

void Together::take_weights(const torch::nn::Module& model) {
  take(model.parameters());
  take(model.buffers());
}

void Together::take_buffers(const torch::nn::Module& model) {
  take(model.buffers());
}

std::int64_t Together::take_number(std::int64_t number) {
  auto tensor = torch::full({1}, number, torch::kLong);
  group_->broadcast(tensor);
  return tensor.item<std::int64_t>();
}

void Together::sum(std::vector<double>& numbers) {
  auto tensor = torch::tensor(numbers, torch::kDouble);
  group_->all_reduce(tensor)->wait();
  const auto* sums = tensor.data_ptr<double>();
  numbers.assign(sums, sums + tensor.numel());
}

double Together::mean(double loss, std::int64_t items) {
  const auto n = static_cast<double>(items);
  std::vector<double> numbers{items > 0 ? loss * n : 0, n};
  sum(numbers);
  return numbers[0] / numbers[1];
}

torch::Tensor Together::gathered(const torch::Tensor& share) {
  const torch::Tensor own = share.defined() ? share.detach().cpu().contiguous() : share;
  if (own.defined() && (own.dim() == 0 || own.dim() > kMostDims)) {
    throw DistributedError("distributed.shape",
                           fmt::format("a metric in several processes takes tensors of 1 to {} "
                                       "dimensions, the first of them items; found {}",
                                       kMostDims, own.dim()));
  }
  const auto heads = group_->all_gather(head_of(own));
  torch::Tensor first;  // of the heads that are of something
  std::vector<std::int64_t> rows;
  for (std::size_t rank = 0; rank < heads.size(); ++rank) {
    const bool has = heads[rank][0].item<std::int64_t>() >= 0;
    rows.push_back(has ? heads[rank][2].item<std::int64_t>() : 0);
    if (!has) continue;
    if (!first.defined()) first = heads[rank];
    if (!of_one_batch(first, heads[rank])) {
      throw DistributedError(
          "distributed.shape",
          fmt::format("outputs or targets of one batch differ in shape or type over the processes: "
                      "process {} has another one; give all items one shape",
                      rank));
    }
  }
  if (!first.defined()) return {};
  // All send as many rows, and those that are too many are left out again.
  std::vector<std::int64_t> shape(
      first.data_ptr<std::int64_t>() + 2,
      first.data_ptr<std::int64_t>() + 2 + first[1].item<std::int64_t>());
  shape[0] = *std::max_element(rows.begin(), rows.end());
  const auto type = static_cast<torch::ScalarType>(first[0].item<std::int64_t>());
  auto sent = torch::zeros(shape, type);
  if (own.defined()) sent.narrow(0, 0, own.size(0)).copy_(own);
  const auto parts = group_->all_gather(sent);
  std::vector<torch::Tensor> all;
  std::vector<std::int64_t> places;
  for (std::size_t rank = 0; rank < parts.size(); ++rank) {
    all.push_back(parts[rank].narrow(0, 0, rows[rank]));
    for (std::int64_t i = 0; i < rows[rank]; ++i) {
      places.push_back(i * size() + static_cast<std::int64_t>(rank));
    }
  }
  return torch::cat(all).index_select(0, torch::tensor(places, torch::kLong).argsort());
}

}  // namespace fastcpp
