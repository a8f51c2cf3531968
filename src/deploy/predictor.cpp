#include "fastcpp/deploy/predictor.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/vision/models/fold.hpp"

namespace fastcpp {
namespace {

Model copied(const Model& model) {
  try {
    return model.clone();
  } catch (const ValueError& e) {
    std::throw_with_nested(ValueError("value.predictor", e.what()));
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

  torch::Tensor forward(const torch::Tensor& x) const {
    return fastcpp::forward(model, x, {.precision = type});
  }

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
  boundary([&] {
    if (options.bs < 1) {
      throw ValueError("value.predictor", fmt::format("bs must be >= 1, found {}", options.bs));
    }
    auto impl = std::make_shared<Impl>(Impl{
        .data = learn.data().copy(),
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
    if (options.pack && !impl->type) models::pack_convolutions(*impl->model);
    impl_ = std::move(impl);
  });
}

torch::Tensor Predictor::forward(const torch::Tensor& x) const {
  const auto items = x.defined() && x.dim() > 0 ? std::max<std::int64_t>(1, x.size(0)) : 1;
  return guarded(items, [&] {
    const torch::NoGradGuard no_grad;
    return impl_->forward(x);
  });
}

Prediction Predictor::predict_any(const std::any& item) const {
  return guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    const auto outputs = impl_->loss.activate(impl_->forward(impl_->data.one_item(item))).cpu();
    return to_prediction(impl_->data, outputs[0]);
  });
}

namespace {

// Does all pieces by several threads, this one among them. Throws what the first piece in order threw that failed.
// Returns how many were done; fewer than all once a stop is requested.
template <typename Work>
std::int64_t in_threads(std::int64_t pieces, std::int64_t threads, const std::stop_token& stop,
                        const Work& work) {
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(pieces));
  std::atomic<std::int64_t> next{0}, done{0};
  std::atomic<bool> failed{false};
  const auto loop = [&] {
    const torch::NoGradGuard no_grad;
    // After a failure only the pieces before it still matter; those are taken, and get finished.
    while (!failed && !stop.stop_requested()) {
      const auto piece = next++;
      if (piece >= pieces) return;
      try {
        work(piece);
        ++done;
      } catch (...) {
        errors[static_cast<std::size_t>(piece)] = std::current_exception();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    try {
      for (std::int64_t i = 1; i < threads; ++i) helpers.emplace_back(loop);
    } catch (const std::system_error&) {  // those that started do it, with this one
    }
    loop();
  }
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return done;
}

}  // namespace

torch::Tensor Predictor::predict_batch(const std::vector<Path>& files,
                                       const PredictBatchOptions& options) const {
  if (files.empty()) throw DataError("data.empty", "there is no file to predict");
  return guarded(impl_->bs, [&] {
    const auto n = static_cast<std::int64_t>(files.size());
    const std::int64_t chunks = (n + impl_->bs - 1) / impl_->bs;
    std::vector<torch::Tensor> results(static_cast<std::size_t>(chunks));
    // Each thread decodes and computes; together with LibTorch's own they fill the processors.
    const auto threads =
        std::min<std::int64_t>(chunks, std::max(1, available_cpus() / std::max(1, get_threads())));
    const auto done = in_threads(chunks, threads, options.stop, [&](std::int64_t c) {
      const auto first = c * impl_->bs;
      results[static_cast<std::size_t>(c)] = impl_->chunk(
          &files[static_cast<std::size_t>(first)], std::min<std::int64_t>(impl_->bs, n - first));
    });
    if (done < chunks) throw_stopped("predict_batch", done, chunks);
    return torch::cat(results);
  });
}

const std::vector<std::string>& Predictor::classes() const {
  return impl_->data.classes();
}

}  // namespace fastcpp
