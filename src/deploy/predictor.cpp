#include "fastcpp/deploy/predictor.hpp"

#include <fmt/format.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <tuple>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/interpret/grad_cam.hpp"
#include "fastcpp/vision/models/fold.hpp"

namespace fastcpp::inline v0 {
namespace {

// oneDNN reads weights whose channels lie together without changing their order first.
void channels_together(torch::nn::Module& module) {
  for (auto& parameter : module.parameters()) {
    if (parameter.dim() == 4) {
      parameter.set_data(parameter.detach().contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

// 8-bit RGB in memory of its own.
cv::Mat rgb_of(const cv::Mat& pixels, Channels channels) {
  const int n = pixels.channels();
  const bool fits = channels == Channels::kGrey ? n == 1 : n == 3 || n == 4;
  if (pixels.empty() || pixels.dims != 2 || pixels.depth() != CV_8U || !fits) {
    throw ValueError(
        "value.mat",
        fmt::format("expected a matrix of 8 bits with {}, found {}",
                    channels == Channels::kGrey ? "one channel" : "three or four channels",
                    pixels.empty() ? std::string("an empty one")
                                   : fmt::format("{} channels of type {}", n, pixels.depth())));
  }
  if (channels == Channels::kRgb && n == 3) return pixels.clone();
  cv::Mat rgb;
  cv::cvtColor(pixels, rgb,
               channels == Channels::kGrey  ? cv::COLOR_GRAY2RGB
               : channels == Channels::kRgb ? cv::COLOR_RGBA2RGB
               : n == 3                     ? cv::COLOR_BGR2RGB
                                            : cv::COLOR_BGRA2RGB);
  return rgb;
}

}  // namespace

torch::Tensor Predictor::Impl::forward(const Tensors& x) const {
  return fastcpp::forward(model, x, {.precision = type});
}

Prediction Predictor::Impl::predict(const Tensors& x, const PredictOptions& options) const {
  const auto outputs = loss.activate(fastcpp::forward(model, x, {.precision = type})).cpu();
  return to_prediction(*labels, outputs[0], options.thresh);
}

torch::Tensor Predictor::Impl::chunk(const std::vector<Tensors>& items) const {
  const auto& first = items.front();
  const bool alike = std::all_of(items.begin(), items.end(), [&](const Tensors& item) {
    if (item.count() != first.count()) return false;
    for (std::size_t i = 0; i < item.count(); ++i) {
      if (item.at(i).sizes() != first.at(i).sizes()) return false;
    }
    return true;
  });
  if (alike) {
    std::vector<torch::Tensor> together;
    for (std::size_t i = 0; i < first.count(); ++i) {
      std::vector<torch::Tensor> parts;
      for (const auto& item : items) parts.push_back(item.at(i));
      together.push_back(torch::cat(parts));
    }
    return loss.activate(forward(Tensors(std::move(together)))).cpu();
  }
  std::vector<torch::Tensor> outputs;
  for (const auto& item : items) outputs.push_back(loss.activate(forward(item)).cpu());
  return torch::cat(outputs);
}

void PredictorAccess::check(const PredictorOptions& options) {
  if (options.bs < 1) {
    throw ValueError("value.predictor", fmt::format("bs must be >= 1, found {}", options.bs));
  }
}

std::shared_ptr<const Predictor::Impl> PredictorAccess::make(Predictor::Impl parts,
                                                             const PredictorOptions& options) {
  check(options);
  const torch::NoGradGuard no_grad;
  parts.type = options.bf16 ? ComputeType(torch::kBFloat16) : ComputeType();
  parts.bs = options.bs;
  parts.folded = options.fold;
  parts.model->eval();
  for (auto& parameter : parts.model->parameters()) parameter.set_requires_grad(false);
  if (options.fold) models::fold_batchnorm(*parts.model);
  channels_together(*parts.model);
  if (options.pack && !parts.type) models::pack_convolutions(*parts.model);
  return std::make_shared<const Predictor::Impl>(std::move(parts));
}

torch::Tensor Predictor::forward(const Tensors& x) const {
  const auto items = std::max<std::int64_t>(1, x.length());
  return guarded(items, [&] {
    const torch::NoGradGuard no_grad;
    return impl_->forward(x);
  });
}

Prediction Predictor::predict_any(const std::any& item, const PredictOptions& options) const {
  return guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    return impl_->predict(impl_->one_item(item), options);
  });
}

Prediction Predictor::predict(const cv::Mat& pixels, Channels channels,
                              const PredictOptions& options) const {
  return boundary([&] { return predict(Image::from_rgb(rgb_of(pixels, channels)), options); });
}

Prediction Predictor::predict_bytes(std::string_view bytes, const PredictOptions& options,
                                    const std::string& name) const {
  return boundary(
      [&] { return predict(Image::from_rgb(decode_image_bytes(bytes, name)), options); });
}

Tensors Predictor::prepare_any(const std::any& item) const {
  return guarded(1, [&] {
    const torch::NoGradGuard no_grad;
    return impl_->one_item(item);
  });
}

Tensors Predictor::prepare_bytes(std::string_view bytes, const std::string& name) const {
  return boundary([&] { return prepare(Image::from_rgb(decode_image_bytes(bytes, name))); });
}

torch::Tensor Predictor::compute(const std::vector<Tensors>& prepared) const {
  if (prepared.empty()) throw ValueError("value.predictor", "there is no item to compute");
  return guarded(static_cast<std::int64_t>(prepared.size()), [&] {
    const torch::NoGradGuard no_grad;
    return impl_->chunk(prepared);
  });
}

Prediction Predictor::decode(const torch::Tensor& outputs, const PredictOptions& options) const {
  return boundary([&] { return to_prediction(*impl_->labels, outputs, options.thresh); });
}

HeatMap Predictor::heat_map(const Tensors& prepared, std::int64_t cls) const {
  return guarded(1, [&] {
    if (!prepared.defined() || prepared.dim() != 4 || prepared.size(0) != 1 ||
        prepared.size(1) != 3) {
      throw ValueError("value.predictor", "a heat map needs one picture of three channels");
    }
    const torch::NoGradGuard no_grad;
    HeatMap found{.map = grad_cam(impl_->model, prepared, cls).map, .picture = {}};
    const auto most = found.map.max().item<double>();
    if (most > 0) found.map = found.map / most;
    auto picture = prepared[0].to(torch::kCPU, torch::kFloat32);
    if (const auto& stats = impl_->input.stats) {
      const auto channel = [](const std::vector<float>& of) {
        return torch::tensor(of, torch::kFloat32).view({-1, 1, 1});
      };
      picture = picture * channel(stats->std) + channel(stats->mean);
    }
    found.picture = to_mat(picture.mul(255).clamp(0, 255).to(torch::kUInt8));
    return found;
  });
}

std::vector<ClassProbability> Predictor::top_k(const Prediction& prediction, int k) const {
  return boundary([&] {
    if (k < 1) throw ValueError("value.k", fmt::format("k must be >= 1, found {}", k));
    const auto& p = prediction.probabilities;
    const auto& names = classes();
    if (!p.defined() || p.dim() != 1 || names.empty()) {
      throw ValueError("value.top_k",
                       "only the outputs of one item that are a number for each "
                       "class have highest classes");
    }
    const auto numbers = p.to(torch::kFloat64).contiguous();
    std::vector<ClassProbability> all;
    for (std::int64_t i = 0; i < numbers.numel(); ++i) {
      // A model may have more outputs than there are names.
      const auto at = static_cast<std::size_t>(i);
      all.push_back(
          {at < names.size() ? names[at] : std::to_string(i), i, numbers.data_ptr<double>()[i]});
    }
    const auto count = std::min(all.size(), static_cast<std::size_t>(k));
    // What is no number comes last.
    const auto key = [](const auto& one) {
      const bool is_nan = std::isnan(one.probability);
      return std::tuple(is_nan, is_nan ? 0 : -one.probability, one.index);
    };
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                      [&](const auto& a, const auto& b) { return key(a) < key(b); });
    all.resize(count);
    return all;
  });
}

const std::vector<std::string>& Predictor::classes() const {
  return impl_->labels->classes();
}

bool Predictor::takes_rows() const {
  return impl_->input.rows;
}

const Recipe* Predictor::item_recipe() const {
  const auto& items = impl_->input.items;
  return items ? &*items : nullptr;
}

const Labels& Predictor::labels() const {
  return *impl_->labels;
}

}  // namespace fastcpp
