#include "fastcpp/deploy/predictor.hpp"

#include <fmt/format.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <limits>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <system_error>
#include <thread>
#include <tuple>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/interpret/grad_cam.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/vision/models/fold.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr int kRowsAtOnce = 256;  // of a table

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

namespace {

// A part of the files of predict_batch.
struct Chunk {
  std::vector<Tensors> items;           // of those that can be read
  std::vector<std::int64_t> positions;  // theirs, from the start of the chunk
  std::vector<SkippedItem> skipped;
};

// The outputs of all n files, NaN where one was skipped.
torch::Tensor with_gaps(const std::vector<torch::Tensor>& results, const std::vector<Chunk>& chunks,
                        std::int64_t n, std::int64_t bs, std::int64_t c) {
  const auto some = std::find_if(results.begin(), results.end(),
                                 [](const auto& result) { return result.defined(); });
  std::vector<std::int64_t> shape{c};
  if (some != results.end()) shape = some->sizes().slice(1).vec();
  shape.insert(shape.begin(), n);
  auto all = torch::full(shape, std::numeric_limits<float>::quiet_NaN(), torch::kFloat32);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto& positions = chunks[i].positions;
    for (std::size_t row = 0; row < positions.size(); ++row) {
      all[static_cast<std::int64_t>(i) * bs + positions[row]] =
          results[i][static_cast<std::int64_t>(row)];
    }
  }
  return all;
}

bool is_bad_file(const Error& e) {
  if (e.code() == "io.out_of_memory") return false;
  return dynamic_cast<const DataError*>(&e) || dynamic_cast<const IoError*>(&e) ||
         dynamic_cast<const FormatError*>(&e);
}

}  // namespace

torch::Tensor Predictor::predict_batch(const std::vector<Path>& files,
                                       const PredictBatchOptions& options) const {
  if (files.empty()) throw DataError("data.empty", "there is no file to predict");
  if (options.on_error == OnError::kReplace) {
    throw ValueError("value.on_error",
                     "predict_batch raises on bad files or skips them: no other "
                     "file can stand in for one");
  }
  return guarded(impl_->bs, [&] {
    const auto n = static_cast<std::int64_t>(files.size());
    const std::int64_t chunks = (n + impl_->bs - 1) / impl_->bs;
    std::vector<torch::Tensor> results(static_cast<std::size_t>(chunks));
    std::vector<Chunk> read(static_cast<std::size_t>(chunks));
    ProgressBar bar(options.progress, {.phase = ProgressPhase::kPredict, .total = chunks});
    std::mutex telling;
    std::int64_t told = 0;
    // Each thread decodes and computes; together with LibTorch's own they fill the processors.
    const auto threads =
        std::min<std::int64_t>(chunks, std::max(1, available_cpus() / std::max(1, get_threads())));
    const auto done = in_threads(chunks, threads, options.stop, [&](std::int64_t c) {
      const auto first = c * impl_->bs;
      const auto count = std::min<std::int64_t>(impl_->bs, n - first);
      auto& chunk = read[static_cast<std::size_t>(c)];
      for (std::int64_t i = 0; i < count; ++i) {
        const auto& file = files[static_cast<std::size_t>(first + i)];
        try {
          chunk.items.push_back(impl_->one_item(std::any(file)));
          chunk.positions.push_back(i);
        } catch (const Error& e) {
          if (options.on_error == OnError::kRaise || !is_bad_file(e)) throw;
          chunk.skipped.push_back({first + i, file.string(), e.what()});
        }
      }
      if (!chunk.items.empty()) {
        results[static_cast<std::size_t>(c)] = impl_->chunk(chunk.items);
        chunk.items.clear();
      }
      const std::lock_guard lock(telling);
      bar.update(++told);
    });
    if (done < chunks) throw_stopped("predict_batch", done, chunks);
    std::vector<SkippedItem> skipped;
    for (const auto& chunk : read) {
      skipped.insert(skipped.end(), chunk.skipped.begin(), chunk.skipped.end());
    }
    auto outputs = skipped.empty() ? torch::cat(results)
                                   : with_gaps(results, read, n, impl_->bs, impl_->labels->c());
    if (options.skipped) *options.skipped = std::move(skipped);
    return outputs;
  });
}

torch::Tensor Predictor::predict_rows(const Table& rows, const PredictBatchOptions& options) const {
  if (rows.rows() == 0) throw DataError("data.empty", "there is no row to predict");
  return guarded(impl_->bs, [&] {
    const torch::NoGradGuard no_grad;
    ProgressBar bar(options.progress, {.phase = ProgressPhase::kPredict, .total = rows.rows()});
    std::vector<torch::Tensor> outputs;
    std::vector<Tensors> items;
    for (std::int64_t row = 0; row < rows.rows(); ++row) {
      if (options.stop.stop_requested()) throw_stopped("predict_rows", row, rows.rows());
      try {
        items.push_back(impl_->one_item(std::any(rows.row(row))));
      } catch (const DataError& e) {
        std::throw_with_nested(DataError(e.code(), fmt::format("row {}: {}", row, e.what())));
      }
      if (static_cast<int>(items.size()) == kRowsAtOnce || row + 1 == rows.rows()) {
        outputs.push_back(impl_->chunk(items));
        items.clear();
      }
      bar.update(row + 1);
    }
    return torch::cat(outputs);
  });
}

const std::vector<std::string>& Predictor::classes() const {
  return impl_->labels->classes();
}

bool Predictor::takes_rows() const {
  return impl_->input.rows;
}

const Labels& Predictor::labels() const {
  return *impl_->labels;
}

}  // namespace fastcpp
