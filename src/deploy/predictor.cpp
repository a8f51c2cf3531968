#include "fastcpp/deploy/predictor.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/vision/models/fold.hpp"

namespace fastcpp {
namespace {

Model copied(const Model& model) {
  try {
    return model.clone();
  } catch (const c10::Error& e) {
    throw ValueError("value.predictor",
                     fmt::format("the model cannot be copied: {}; derive its modules from "
                                 "torch::nn::Cloneable",
                                 e.what_without_backtrace()));
  } catch (const std::bad_function_call&) {
    throw ValueError("value.predictor",
                     "the model cannot be copied: it was made with a function of its own; make it "
                     "from a module with a forward method");
  }
}

// oneDNN reads weights whose channels lie together without changing their order first.
void channels_together(torch::nn::Module& module) {
  for (auto& parameter : module.parameters()) {
    if (parameter.dim() == 4) {
      parameter.set_data(parameter.detach().contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

}  // namespace

struct Predictor::Impl {
  DataBunch data;
  Model model;
  Loss loss;
  ComputeType type;
  int bs;

  torch::Tensor forward(const torch::Tensor& x) const { return fastcpp::forward(model, x, {.precision = type}); }

  // Activated outputs of some files.
  torch::Tensor chunk(const Path* files, std::int64_t count) const {
    std::vector<torch::Tensor> items;
    for (std::int64_t i = 0; i < count; ++i) items.push_back(data.one_item(std::any(files[i])));
    const bool alike = std::all_of(items.begin(), items.end(), [&](const auto& item) {
      return item.sizes() == items.front().sizes();
    });
    if (alike) return loss.activate(forward(torch::cat(items))).cpu();
    for (auto& item : items) item = loss.activate(forward(item)).cpu();
    return torch::cat(items);
  }
};

Predictor::Predictor(const Learner& learn, const PredictorOptions& options) {
  if (options.bs < 1) {
    throw ValueError("value.predictor", fmt::format("bs must be >= 1, found {}", options.bs));
  }
  auto impl = std::make_shared<Impl>(Impl{
      .data = learn.data(),
      .model = copied(learn.model()),
      .loss = learn.loss_func(),
      .type = options.bf16 ? ComputeType(torch::kBFloat16) : ComputeType(),
      .bs = options.bs,
  });
  const torch::NoGradGuard no_grad;
  impl->model->eval();
  for (auto& parameter : impl->model->parameters()) parameter.set_requires_grad(false);
  if (options.fold) models::fold_batchnorm(*impl->model);
  channels_together(*impl->model);
  if (!impl->type) models::pack_convolutions(*impl->model);
  impl_ = std::move(impl);
}

torch::Tensor Predictor::forward(const torch::Tensor& x) const {
  torch::Tensor output;
  guarded(std::max<std::int64_t>(1, x.dim() > 0 ? x.size(0) : 1), [&] {
    const torch::NoGradGuard no_grad;
    output = impl_->forward(x);
  });
  return output;
}

Prediction Predictor::predict_any(const std::any& item) const {
  torch::Tensor probabilities;
  guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    probabilities = impl_->loss.activate(impl_->forward(impl_->data.one_item(item))).cpu()[0];
  });
  return to_prediction(impl_->data, probabilities);
}

torch::Tensor Predictor::predict_batch(const std::vector<Path>& files) const {
  if (files.empty()) throw DataError("data.empty", "there is no file to predict");
  const auto n = static_cast<std::int64_t>(files.size());
  const std::int64_t chunks = (n + impl_->bs - 1) / impl_->bs;
  std::vector<torch::Tensor> results(static_cast<std::size_t>(chunks));
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(chunks));
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    const torch::NoGradGuard no_grad;
    // After a failure only the chunks before it still matter; those are taken, and get finished.
    while (!failed) {
      const auto c = next++;
      if (c >= chunks) return;
      const auto at = static_cast<std::size_t>(c);
      const auto first = c * impl_->bs;
      try {
        results[at] = impl_->chunk(&files[static_cast<std::size_t>(first)],
                                   std::min<std::int64_t>(impl_->bs, n - first));
      } catch (...) {
        errors[at] = std::current_exception();
        failed = true;
      }
    }
  };
  // Each thread decodes and computes; together with LibTorch's own they fill the processors.
  const auto threads =
      std::min<std::int64_t>(chunks, std::max(1, available_cpus() / std::max(1, get_threads())));
  {
    std::vector<std::jthread> helpers;
    for (std::int64_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  guarded(impl_->bs, [&] {
    for (const auto& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  });
  return torch::cat(results);
}

const std::vector<std::string>& Predictor::classes() const {
  return impl_->data.classes();
}

}  // namespace fastcpp
