/// \file
/// A trained network, made fast for predicting.
#pragma once

#include <torch/types.h>

#include <any>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <opencv2/core/mat.hpp>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/data/on_error.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/vision/image/image.hpp"

namespace fastcpp::inline v0 {

class Learner;
struct Recipe;  // io/recipe.hpp

/// Options of Predictor.
struct PredictorOptions {
  bool fold = true;  ///< multiply batch norms into the convolutions before them
  bool pack =
      true;  ///< the library's own convolutions on the CPU where they are faster; false: always LibTorch's
  bool bf16 = false;  ///< compute convolutions and linear layers in bfloat16
  /// Pictures that a thread of `predict_batch` computes at once, >= 1.
  int bs = 8;
  /// Where it computes; absent: where the learner's data are; of a file: CUDA if there is a device, else CPU.
  std::optional<torch::Device> device = {};
};

/// What the channels of a matrix are.
enum class Channels {
  kBgr,  ///< three, or four with alpha, which is dropped: what OpenCV reads
  kRgb,  ///< three, or four with alpha, which is dropped
  kGrey  ///< one
};

/// Options of `predict_batch`.
struct PredictBatchOptions {
  std::stop_token stop = {};                    ///< ends it between two batches
  std::shared_ptr<ProgressSink> progress = {};  ///< told of every batch; null: nobody
  OnError on_error = OnError::kRaise;  ///< kSkip: the row of a bad item is NaN; not kReplace
  std::vector<SkippedItem>* skipped = nullptr;  ///< gets the items that kSkip left out, in order
};

/// One class and how probable it is.
struct ClassProbability {
  std::string category;    ///< its name
  std::int64_t index = 0;  ///< among the outputs
  double probability = 0;  ///< 0..1
};

/// Where a network looked, and at what.
struct HeatMap {
  torch::Tensor
      map;  ///< h x w, 0 to 1: how much each place speaks for the class; all 0 where none does
  cv::Mat picture;  ///< what the network saw, 8-bit RGB, H x W; the map lies over all of it
};

/// Predicts with a network of its own: batch norms folded into the convolutions, weights and inputs with their channels
/// together, no graph. Made of a file, or of a learner, whose network it copies; owns what it uses, classes, transforms and
/// statistics too: nothing that happens to the learner, its data or the file later changes it.
///
/// A cheap handle: copies share everything, which never changes, and the last one releases it. Every method may be called
/// from several threads at once.
class FASTCPP_API Predictor {
 public:
  /// \param file what `Learner::export_model` wrote; no picture is needed, nothing is fetched or written
  /// \throws FormatError naming the file when it is damaged, of a newer version, or names what is not registered; IoError
  /// `io.cannot_read`; ValueError `value.predictor` when `bs` is below 1; MemoryError
  explicit Predictor(const Path& file, const PredictorOptions& options = {});
  /// \overload
  explicit Predictor(const char* file, const PredictorOptions& options = {})
      : Predictor(Path(file), options) {}

  /// Defined in the room `deploy`.
  /// \param learn gives network, labels and validation transforms
  /// \throws ValueError `value.predictor` when the model cannot be copied, or `bs` is below 1
  explicit Predictor(const Learner& learn, const PredictorOptions& options = {});

  /// The prediction for one item: Path, Image, file name, a sample as a tensor, or what else the learner's `predict` takes.
  /// \throws as `Learner::predict`
  template <typename Item>
  Prediction predict(const Item& item, const PredictOptions& options = {}) const {
    return predict_any(detail::item_of(item), options);
  }
  /// The prediction for pixels of OpenCV, of 8 bits.
  /// \throws ValueError `value.mat` when the matrix is empty, or has other channels or another depth than said
  Prediction predict(const cv::Mat& pixels, Channels channels,
                     const PredictOptions& options = {}) const;
  /// A matrix does not tell the order of its channels: say it.
  Prediction predict(const cv::Mat& pixels, const PredictOptions& options = {}) const = delete;
  /// The prediction for the content of a picture file.
  /// \param name what messages call it
  /// \throws ImageError as `decode_image_bytes`
  Prediction predict_bytes(std::string_view bytes, const PredictOptions& options = {},
                           const std::string& name = "<memory>") const;

  /// The k classes with the highest outputs, best first, equal ones in the order of the classes; fewer where there are fewer.
  /// Outputs beyond the classes are called by their numbers.
  /// \throws ValueError `value.k` below 1, `value.top_k` where the labels are no classes
  std::vector<ClassProbability> top_k(const Prediction& prediction, int k = 5) const;

  /// Activated outputs for picture files, n x c, in the order of the files. Uses all processors.
  /// \throws what the first file in order that cannot be read throws, unless it is to be skipped
  /// \throws DataError `data.empty` without files; ValueError `value.on_error`; TrainError `train.stopped`
  torch::Tensor predict_batch(const std::vector<Path>& files,
                              const PredictBatchOptions& options = {}) const;

  /// Activated outputs for the rows of a table, n x c, in their order.
  /// \param rows as the model learnt them; columns beyond those are left out of account
  /// \throws DataError `data.empty` without rows; ValueError `value.on_error` for kReplace; as `predict`, naming the row;
  /// TrainError `train.stopped`
  torch::Tensor predict_rows(const Table& rows, const PredictBatchOptions& options = {}) const;

  /// Outputs of the network before the activation, float32, n x c.
  /// \param x normalised batch on the predictor's device: pictures as n x 3 x H x W
  /// \throws TrainError `train.failed` when it does not fit the network
  torch::Tensor forward(const Tensors& x) const;

  // The steps of `predict`, for who computes the items of several callers together, such as a server.

  /// An item as the network takes it: one picture is 1 x 3 x H x W, normalised, on the predictor's device; a row of a table is
  /// its codes and numbers.
  /// \throws as `predict`
  template <typename Item>
  Tensors prepare(const Item& item) const {
    return prepare_any(detail::item_of(item));
  }
  /// The content of a picture file as the network takes it.
  /// \throws as `predict_bytes`
  Tensors prepare_bytes(std::string_view bytes, const std::string& name = "<memory>") const;
  /// Activated outputs of items, n x c, on the CPU. At once where their shapes agree, else one by one.
  /// \param prepared what `prepare` gave, at least one
  /// \throws ValueError `value.predictor` without items; TrainError `train.failed` when they do not fit the network
  torch::Tensor compute(const std::vector<Tensors>& prepared) const;
  /// The outputs of one item, c, in the words of the labels.
  Prediction decode(const torch::Tensor& outputs, const PredictOptions& options = {}) const;
  /// How much each place of a picture speaks for a class (see grad_cam.hpp).
  /// \param prepared a picture as `prepare` gives it
  /// \param cls      class whose raw output is traced back, 0 .. c - 1
  /// \throws TrainError `train.no_body` when the network is not body and head; ValueError `value.class_index`,
  /// `value.predictor` when the item is no picture of three channels
  HeatMap heat_map(const Tensors& prepared, std::int64_t cls) const;

  /// Class names in the order of the outputs. The reference lives as long as any copy of the predictor.
  const std::vector<std::string>& classes() const;
  /// Whether it predicts from rows of a table (TabularRow) instead of pictures or tensors.
  bool takes_rows() const;
  /// How a file makes the reader of single items again: a table's has the state of its TabularProcessor as options. Null for
  /// pictures, and for tensors without a reader. Lives as long as any copy of the predictor.
  const Recipe* item_recipe() const;
  /// What outputs mean; without items. Lives as long.
  const Labels& labels() const;

 private:
  friend struct PredictorAccess;
  struct Impl;
  explicit Predictor(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  Prediction predict_any(const std::any& item, const PredictOptions& options) const;
  Tensors prepare_any(const std::any& item) const;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace fastcpp
