// Many items at once: files, or rows of a table.
#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <any>
#include <atomic>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/train/threads.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr int kRowsAtOnce = 256;  // of a table

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

// A part of the items.
struct Chunk {
  std::vector<Tensors> items;           // of those that can be read
  std::vector<std::int64_t> positions;  // theirs, from the start of the chunk
  std::vector<SkippedItem> skipped;
};

// The outputs of all n items, NaN where one was skipped.
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

bool is_bad_item(const Error& e) {
  if (e.code() == "io.out_of_memory") return false;
  return dynamic_cast<const DataError*>(&e) || dynamic_cast<const IoError*>(&e) ||
         dynamic_cast<const FormatError*>(&e);
}

// Many items of one kind.
struct Many {
  const char* call;  // what the user asked for
  std::int64_t n;
  int at_once;                                // computed by one thread
  std::function<Tensors(std::int64_t)> item;  // called from several threads, as the next ones
  std::function<std::string(std::int64_t)> name;
  std::function<torch::Tensor(const std::vector<Tensors>&)> compute;
  std::int64_t outputs;  // of one item
};

torch::Tensor predict_many(const Many& many, const PredictBatchOptions& options) {
  if (options.on_error == OnError::kReplace) {
    throw ValueError(
        "value.on_error",
        fmt::format("{} raises on bad items or skips them: no other one can stand in", many.call));
  }
  const std::int64_t chunks = (many.n + many.at_once - 1) / many.at_once;
  std::vector<torch::Tensor> results(static_cast<std::size_t>(chunks));
  std::vector<Chunk> read(static_cast<std::size_t>(chunks));
  ProgressBar bar(options.progress, {.phase = ProgressPhase::kPredict, .total = chunks});
  std::mutex telling;
  std::int64_t told = 0;
  // Each thread reads and computes; together with LibTorch's own they fill the processors.
  const auto threads =
      std::min<std::int64_t>(chunks, std::max(1, available_cpus() / std::max(1, get_threads())));
  const auto done = in_threads(chunks, threads, options.stop, [&](std::int64_t c) {
    const auto first = c * many.at_once;
    const auto count = std::min<std::int64_t>(many.at_once, many.n - first);
    auto& chunk = read[static_cast<std::size_t>(c)];
    for (std::int64_t i = 0; i < count; ++i) {
      try {
        chunk.items.push_back(many.item(first + i));
        chunk.positions.push_back(i);
      } catch (const Error& e) {
        if (options.on_error == OnError::kRaise || !is_bad_item(e)) throw;
        chunk.skipped.push_back({first + i, many.name(first + i), e.what()});
      }
    }
    if (!chunk.items.empty()) {
      results[static_cast<std::size_t>(c)] = many.compute(chunk.items);
      chunk.items.clear();
    }
    const std::lock_guard lock(telling);
    bar.update(++told);
  });
  if (done < chunks) throw_stopped(many.call, done, chunks);
  std::vector<SkippedItem> skipped;
  for (const auto& chunk : read) {
    skipped.insert(skipped.end(), chunk.skipped.begin(), chunk.skipped.end());
  }
  auto outputs = skipped.empty() ? torch::cat(results)
                                 : with_gaps(results, read, many.n, many.at_once, many.outputs);
  if (options.skipped) *options.skipped = std::move(skipped);
  return outputs;
}

}  // namespace

torch::Tensor Predictor::predict_batch(const std::vector<Path>& files,
                                       const PredictBatchOptions& options) const {
  if (files.empty()) throw DataError("data.empty", "there is no file to predict");
  return guarded(impl_->bs, [&] {
    const auto file = [&](std::int64_t i) -> const Path& {
      return files[static_cast<std::size_t>(i)];
    };
    return predict_many(
        {.call = "predict_batch",
         .n = static_cast<std::int64_t>(files.size()),
         .at_once = impl_->bs,
         .item = [&](std::int64_t i) { return impl_->one_item(std::any(file(i))); },
         .name = [&](std::int64_t i) { return file(i).string(); },
         .compute = [&](const std::vector<Tensors>& items) { return impl_->chunk(items); },
         .outputs = impl_->labels->c()},
        options);
  });
}

torch::Tensor Predictor::predict_rows(const Table& rows, const PredictBatchOptions& options) const {
  if (rows.rows() == 0) throw DataError("data.empty", "there is no row to predict");
  return guarded(kRowsAtOnce, [&] {
    const auto name = [](std::int64_t row) { return fmt::format("row {}", row); };
    const auto item = [&](std::int64_t row) {
      try {
        return impl_->one_item(std::any(rows.row(row)));
      } catch (const DataError& e) {
        std::throw_with_nested(DataError(e.code(), fmt::format("{}: {}", name(row), e.what())));
      }
    };
    return predict_many(
        {.call = "predict_rows",
         .n = rows.rows(),
         .at_once = kRowsAtOnce,
         .item = item,
         .name = name,
         .compute = [&](const std::vector<Tensors>& items) { return impl_->chunk(items); },
         .outputs = impl_->labels->c()},
        options);
  });
}

}  // namespace fastcpp
