#include "train/metrics/small_cross_entropy.hpp"

#include <ATen/EmptyTensor.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>
#include <vector>

#include "compat/autocast.hpp"
#include "compat/autograd_node.hpp"

namespace fastcpp::inline v0::losses {
namespace {

using torch::Tensor;
using torch::autograd::SavedVariable;
using Index = std::int64_t;
using Variables = torch::autograd::variable_list;

// Beyond, LibTorch's vectors are faster.
constexpr Index kMostOutputs = 1024;

Tensor empty(at::IntArrayRef sizes) {
  return Tensor(at::detail::empty_cpu(sizes, torch::kFloat32));
}

bool suits(const Tensor& outputs, const Tensor& targets) {
  const auto plain = [](const Tensor& t, torch::ScalarType type) {
    return t.device().is_cpu() && t.layout() == torch::kStrided && t.scalar_type() == type &&
           t.is_contiguous();
  };
  if (outputs.dim() != 2 || targets.dim() != 1 || outputs.size(0) != targets.size(0)) return false;
  if (outputs.numel() == 0 || outputs.numel() > kMostOutputs) return false;
  if (!plain(outputs, torch::kFloat32) || !plain(targets, torch::kInt64)) return false;
  if (compat::is_autocast_enabled(torch::kCPU) || at::tracer::impl::is_dispatch_enabled()) {
    return false;
  }
  const auto* const wanted = targets.data_ptr<Index>();
  return std::all_of(wanted, wanted + targets.size(0), [classes = outputs.size(1)](Index target) {
    return target >= 0 && target < classes;
  });
}

// Makes the gradient of a row's loss, the probabilities less the wanted ones, and returns the loss.
float row_loss(const float* row, Index classes, Index wanted, float* gradient) {
  const float most = *std::max_element(row, row + classes);
  float sum = 0;
  for (Index c = 0; c < classes; ++c) sum += gradient[c] = std::exp(row[c] - most);
  for (Index c = 0; c < classes; ++c) gradient[c] /= sum;
  gradient[wanted] -= 1;
  return std::log(sum) - (row[wanted] - most);
}

class CrossEntropyBackward : public compat::ChainNode {
 public:
  CrossEntropyBackward(const Tensor& outputs, const Tensor& targets, Tensor slope)
      : ChainNode(torch::autograd::collect_next_edges(outputs)),
        outputs_(outputs, false),
        targets_(targets, false),
        slope_(std::move(slope)) {}

  std::string name() const override { return "CrossEntropyBackward"; }
  void release_variables() override {
    const std::lock_guard lock(mutex_);
    outputs_.reset_data();
    targets_.reset_data();
    slope_.reset();
  }

  Variables apply(Variables&& gradients) override {
    const std::lock_guard lock(mutex_);
    TORCH_CHECK(slope_.defined(),
                "this graph was run backward and released; retain_graph keeps it for another time");
    const auto& gradient = gradients[0];
    if (!gradient.defined()) return Variables(1);
    if (torch::GradMode::is_enabled()) {  // of which a further derivative may be asked
      const auto outputs = outputs_.unpack();
      const auto wanted = torch::one_hot(targets_.unpack(), outputs.size(1));
      return {(outputs.softmax(1) - wanted) * (gradient / outputs.size(0))};
    }
    auto made = empty(slope_.sizes());
    const auto* const slope = slope_.data_ptr<float>();
    const auto by = *gradient.data_ptr<float>() / static_cast<float>(slope_.size(0));
    std::transform(slope, slope + slope_.numel(), made.data_ptr<float>(),
                   [by](float value) { return value * by; });
    return {std::move(made)};
  }

 private:
  SavedVariable outputs_, targets_;
  Tensor slope_;  // the gradients of the rows' losses
};

}  // namespace

std::optional<Tensor> small_cross_entropy(const Tensor& outputs, const Tensor& targets) {
  if (!suits(outputs, targets)) return {};
  const Index rows = outputs.size(0), classes = outputs.size(1);
  auto slope = empty(outputs.sizes()), mean = empty({});
  const auto* const row = outputs.data_ptr<float>();
  const auto* const wanted = targets.data_ptr<Index>();
  auto* const gradient = slope.data_ptr<float>();
  double sum = 0;
  for (Index r = 0; r < rows; ++r) {
    sum += static_cast<double>(
        row_loss(row + r * classes, classes, wanted[r], gradient + r * classes));
  }
  *mean.data_ptr<float>() = static_cast<float>(sum / static_cast<double>(rows));
  if (torch::GradMode::is_enabled() && outputs.requires_grad()) {
    torch::autograd::create_gradient_edge(
        mean, compat::make_node<CrossEntropyBackward>(outputs, targets, std::move(slope)));
  }
  return mean;
}

}  // namespace fastcpp::losses
