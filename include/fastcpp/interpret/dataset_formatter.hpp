/// \file
/// Which pictures a person should look at, and in which order, to clean a data set.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/image_dataset.hpp"

namespace fastcpp::inline v0 {

/// Pictures to look at. A copy shares the data set.
struct FormattedDataset {
  std::shared_ptr<const ImageDataset>
      dataset;  ///< all pictures, as they are shown: 250 x 300, padded with zeros
  std::vector<std::int64_t> indices;  ///< which of them, in which order
};

/// Pictures that a model is unsure about. A copy shares the data set.
struct UnsureDataset : FormattedDataset {
  std::vector<std::string> classes;  ///< class names
  std::vector<std::string> labels;   ///< predicted class of every item of `dataset`
};

/// How activations become numbers to compare.
enum class SimilarPool {
  kConcat,  ///< the largest and the mean value of each channel in `pool_dim` x `pool_dim` places (`AdaptiveConcatPool2d`)
  kNone,    ///< all of them
};

/// Options of `from_similars`.
struct SimilarsOptions {
  /// The layer: positions in nested sequences, negative ones from the end. The default is the last block of a resnet34 or
  /// a larger one; resnet18 has {0, 7, 1}.
  std::vector<int> layer_ls = {0, 7, 2};
  SimilarPool pool = SimilarPool::kConcat;  ///< what is done with a picture's activations
  std::int64_t pool_dim = 4;                ///< >= 1
  std::stop_token stop = {};                ///< ends it between two batches
};

/// Orders the pictures of a learner's data for `ImageCleaner` and `PredictionsCorrector` (fastai: `DatasetFormatter`).
///
/// The learner and its loaders stay as they are. Training pictures are looked at without augmentation. To look at all
/// pictures, give the learner data with everything in training. Holds nothing. Threads: functions that take a learner
/// use it, one at a time; the others by any number at once.
class FASTCPP_API DatasetFormatter {
 public:
  /// Training pictures with the largest losses first.
  /// \param learn  over picture files
  /// \param n_imgs so many, >= 0; absent: all
  /// \throws DataError `data.no_pictures`; ValueError `value.k`; as `Learner::get_preds`
  static FormattedDataset from_toplosses(Learner learn, std::optional<std::int64_t> n_imgs = {});

  /// The most similar pairs of training pictures, as many as there are pictures, most similar first: `indices` is
  /// i0, j0, i1, j1, ...
  ///
  /// Needs as many bytes as all pooled activations, 4 a number.
  /// \param learn   over picture files
  /// \param options layer and pooling
  /// \throws ValueError `value.layer` when there is no such layer, `value.pool_dim`; DataError `data.no_pictures`;
  ///         TrainError `train.stopped`; as `Learner::get_preds`
  static FormattedDataset from_similars(Learner learn, const SimilarsOptions& options = {});

  /// Test pictures whose two largest probabilities differ least, least first.
  /// \param learn over picture files with a test set
  /// \param num   at most so many, >= 0
  /// \throws DataError `data.no_test`, `data.no_pictures`, `data.not_classes`; ValueError `value.k`; as `Learner::get_preds`
  static UnsureDataset from_most_unsure(Learner learn, std::int64_t num = 50);

  /// Cosine similarity of each row with each row above it (fastai: `comb_similarity` of one tensor with itself). The product
  /// of two norms counts as at least 1e-8.
  /// \param activations n x d
  /// \return n x n; zero on and above the diagonal
  /// \throws ValueError `value.tensor` on another number of dimensions
  static torch::Tensor comb_similarity(const torch::Tensor& activations);

  /// The most similar pairs of different rows, best first; equal ones by their indices. Never holds all similarities at once.
  /// \param activations n x d
  /// \return n pairs (i, j) with i > j, or all n (n - 1) / 2 where there are fewer
  /// \throws ValueError `value.tensor` on another number of dimensions
  static std::vector<std::pair<std::int64_t, std::int64_t>> similar_pairs(
      const torch::Tensor& activations);

  /// The pictures of a data set as a person looks at them (fastai: `padded_ds`).
  /// \param dataset   whose files and labels
  /// \param size      height and width
  static std::shared_ptr<const ImageDataset> padded_ds(const ImageDataset& dataset,
                                                       const ImageSize& size = Resolution{250,
                                                                                          300});
};

}  // namespace fastcpp
