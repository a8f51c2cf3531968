#include "fastcpp/interpret/dataset_formatter.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/utils.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "interpret/left_out.hpp"

namespace fastcpp::inline v0 {
namespace {

using Indices = std::vector<std::int64_t>;

Indices to_vector(const torch::Tensor& indices) {
  const auto whole = indices.contiguous();
  const auto* first = whole.data_ptr<std::int64_t>();
  return {first, first + whole.numel()};
}

void check_number(std::int64_t n) {
  if (n < 0) throw ValueError("value.k", fmt::format("{} pictures were asked for", n));
}

torch::Tensor cosine(const torch::Tensor& rows, const torch::Tensor& cols) {
  const auto norms = rows.norm(2, 1, true) * cols.norm(2, 1, true).t();
  return rows.mm(cols.t()) / norms.clamp_min(1e-8);
}

void check_rows(const torch::Tensor& activations) {
  if (activations.defined() && activations.dim() == 2) return;
  throw ValueError("value.tensor",
                   "similarities need one row of activations an item: a tensor n x d");
}

// The layer of a nested sequence and all that runs before it. LibTorch has no hooks on layers, and needs none here: where
// all that holds the layer is a sequence, its output is what the beginning of the model gives.
std::vector<torch::nn::AnyModule> until(const Model& model, const std::vector<int>& path) {
  const auto refuse = [&](const std::string& why) {
    throw ValueError("value.layer", fmt::format("layer_ls {{{}}}: {}", fmt::join(path, ", "), why));
  };
  if (path.empty()) refuse("names no layer");
  std::vector<torch::nn::AnyModule> steps;
  auto module = model.ptr();
  for (std::size_t depth = 0; depth < path.size(); ++depth) {
    auto* sequence = module->as<torch::nn::SequentialImpl>();
    if (!sequence) {
      refuse(fmt::format("what holds position {} is no sequence of layers", path[depth]));
    }
    const auto n = static_cast<int>(sequence->size());
    const int at = path[depth] < 0 ? path[depth] + n : path[depth];
    if (at < 0 || at >= n) {
      refuse(fmt::format("position {} in a sequence of {} layers", path[depth], n));
    }
    const auto layer = sequence->begin() + at;
    steps.insert(steps.end(), sequence->begin(), layer);
    if (depth + 1 == path.size()) steps.push_back(*layer);
    module = layer->ptr();
  }
  return steps;
}

torch::Tensor activations_of(const Learner& learn, const SimilarsOptions& options) {
  if (options.pool_dim < 1) {
    throw ValueError("value.pool_dim",
                     fmt::format("pool_dim must be at least 1, found {}", options.pool_dim));
  }
  const auto data = learn.data();
  const auto steps = until(learn.model(), options.layer_ls);
  const Model beginning(learn.model().ptr(), [&steps](const Tensors& x) -> Tensors {
    auto out = x.one("from_similars");
    for (auto step : steps) out = step.forward(out);
    return out;
  });
  AdaptiveConcatPool2d pool(options.pool_dim);
  return guarded(data.batch_size(), [&] {
    const torch::NoGradGuard no_grad;
    const EvaluationMode evaluation(learn.model());
    const auto loader = data.fix_dl();
    ProgressBar bar(learn.progress(), {.phase = ProgressPhase::kPredict, .total = loader.size()});
    std::vector<torch::Tensor> found;
    for (auto& batch : loader) {
      if (options.stop.stop_requested()) {
        const auto done = static_cast<std::int64_t>(found.size());
        throw_stopped("from_similars", done, loader.size());
      }
      auto out = forward(beginning, batch.x).one("from_similars");
      if (options.pool == SimilarPool::kConcat) {
        if (out.dim() != 4) {
          throw ValueError("value.layer",
                           fmt::format("the layer gives {} dimensions; pooling needs 4. Take "
                                       "another layer, or SimilarPool::kNone",
                                       out.dim()));
        }
        out = pool->forward(out);
      }
      found.push_back(out.flatten(1).to(torch::kFloat32).cpu());
      bar.update(static_cast<std::int64_t>(found.size()));
    }
    refuse_left_out(loader);
    return found.empty() ? torch::empty({0, 1}, torch::kFloat32) : torch::cat(found);
  });
}

}  // namespace

std::shared_ptr<const ImageDataset> DatasetFormatter::padded_ds(const ImageDataset& dataset,
                                                                const ImageSize& size) {
  return boundary([&] {
    return std::make_shared<const ImageDataset>(
        dataset.list(), TfmList{crop_pad()},
        ApplyTfmsOptions{.size = size,
                         .resize_method = ResizeMethod::kCrop,
                         .padding_mode = PaddingMode::kZeros},
        ImageLoading{.cache = dataset.loading().cache,
                     .scaled_decode = dataset.loading().scaled_decode,
                     .files = dataset.loading().files});
  });
}

FormattedDataset DatasetFormatter::from_toplosses(Learner learn,
                                                  std::optional<std::int64_t> n_imgs) {
  if (n_imgs) check_number(*n_imgs);
  auto dataset = padded_ds(image_dataset(learn.data(), DatasetType::Fix));
  const auto interp =
      ClassificationInterpretation::from_learner(std::move(learn), {.ds_type = DatasetType::Fix});
  return {std::move(dataset), interp.top_losses(n_imgs).indices};
}

FormattedDataset DatasetFormatter::from_similars(Learner learn, const SimilarsOptions& options) {
  auto dataset = padded_ds(image_dataset(learn.data(), DatasetType::Fix));
  Indices flat;
  for (const auto& [i, j] : similar_pairs(activations_of(learn, options))) {
    flat.push_back(i);
    flat.push_back(j);
  }
  return {std::move(dataset), std::move(flat)};
}

UnsureDataset DatasetFormatter::from_most_unsure(Learner learn, std::int64_t num) {
  check_number(num);
  const auto data = learn.data();
  auto dataset = padded_ds(image_dataset(data, DatasetType::Test));
  const auto preds = learn.get_preds(DatasetType::Test).preds;
  refuse_left_out(data.test_dl());
  if (data.label_kind() != LabelKind::kCategory || preds.dim() != 2 || preds.size(1) < 2) {
    throw DataError("data.not_classes",
                    "from_most_unsure compares the probabilities of classes: it needs items of "
                    "one class each and at least two classes");
  }
  return boundary([&]() -> UnsureDataset {
    const auto best = std::get<0>(preds.topk(2, 1));
    const auto order =
        std::get<1>((best.select(1, 0) - best.select(1, 1)).sort(/*stable=*/true, 0, false));
    std::vector<std::string> labels;
    for (const auto cls : to_vector(preds.argmax(1))) {
      labels.push_back(data.classes().at(static_cast<std::size_t>(cls)));
    }
    return {
        {std::move(dataset), to_vector(order.slice(0, 0, num))}, data.classes(), std::move(labels)};
  });
}

torch::Tensor DatasetFormatter::comb_similarity(const torch::Tensor& activations) {
  check_rows(activations);
  return boundary([&] { return cosine(activations, activations).tril(-1); });
}

std::vector<std::pair<std::int64_t, std::int64_t>> DatasetFormatter::similar_pairs(
    const torch::Tensor& activations) {
  check_rows(activations);
  return boundary([&] {
    const auto n = activations.size(0);
    // So many rows at a time that a block stays at 16 MB.
    const auto block = std::max<std::int64_t>(1, (4 << 20) / std::max<std::int64_t>(n, 1));
    const auto all = torch::arange(n, torch::kLong);
    auto values = torch::empty({0}, activations.options()),
         places = torch::empty({0}, torch::kLong);
    for (std::int64_t first = 0; first < n; first += block) {
      const auto end = std::min(first + block, n);
      const auto rows = all.slice(0, first, end).unsqueeze(1), cols = all.slice(0, 0, end);
      auto pair = cols < rows;
      const auto block_values =
          cosine(activations.slice(0, first, end), activations.slice(0, 0, end));
      if (values.numel() == n) pair = pair & (block_values > values[-1]);
      // What was found before stands first, so that equal ones keep the order of their indices.
      values = torch::cat({values, block_values.masked_select(pair)});
      places = torch::cat({places, (rows * n + cols).masked_select(pair)});
      const auto order = std::get<1>(values.sort(/*stable=*/true, 0, true)).slice(0, 0, n);
      values = values.index_select(0, order);
      places = places.index_select(0, order);
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
    for (const auto place : to_vector(places)) pairs.emplace_back(place / n, place % n);
    return pairs;
  });
}

}  // namespace fastcpp
