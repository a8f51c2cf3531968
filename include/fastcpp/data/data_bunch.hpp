/// \file
/// The loaders of one training, together.
#pragma once

#include <any>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/data_loader.hpp"
#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/data/stats.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Which of the loaders (fastai: `DatasetType`).
enum class DatasetType { Train, Valid, Test, Single, Fix };

/// What a bunch is made of.
struct DataBunchOptions {
  std::int64_t bs = 64;                      ///< training batch size
  std::optional<std::int64_t> val_bs = {};   ///< other batch size; absent: bs
  int num_workers = default_workers();       ///< loading threads; 0 loads in the calling thread
  std::vector<BatchTransform> dl_tfms = {};  ///< run on every batch
  std::optional<torch::Device> device = {};  ///< absent: CUDA if there is a device, else CPU
  std::uint64_t seed = default_seed();       ///< decides order and augmentation
  LabelKind kind = LabelKind::kCategory;     ///< what the targets are
  std::vector<std::string> classes = {};     ///< class names, if the targets are classes
  bool shuffle = true;                       ///< a new order of the training items every epoch
  std::string name = "DataBunch";            ///< first word of the printed form
  Collate collate_fn = {};                   ///< puts samples together; absent: `data_collate`
  /// What targets and outputs mean, without items; absent: made of `kind` and `classes`
  std::shared_ptr<const Labels> labels = {};
  std::shared_ptr<const Sampler> sampler = {};  ///< of the training items, instead of `shuffle`
  OnError on_error = OnError::kRaise;  ///< what all loaders do with items that cannot be loaded
};

/// Train, validation, fix and optional test loader, with the classes and the folder they belong to
/// (fastai: `DataBunch`).
///
/// A cheap handle: copies share everything, and so do the loaders it gives (handles too). The training loader shuffles and
/// drops an incomplete last batch; `fix` walks the training items in order with validation transforms; all others neither
/// shuffle nor drop. Used from one thread at a time, but for loading.
class FASTCPP_API DataBunch {
 public:
  /// Data sets of a bunch; `fix` absent uses `train`.
  struct Datasets {
    /// train is required; those that are absent are null
    std::shared_ptr<const Dataset> train = {}, valid = {}, fix = {}, test = {};
  };

  /// Makes the loaders (fastai: `DataBunch.create`).
  /// \param sets train is required
  /// \param path folder that models and logs go below
  /// \throws ValueError as DataLoader does; DataError `data.empty` without a training set
  static DataBunch create(const Datasets& sets, const Path& path,
                          const DataBunchOptions& options = {});

  /// The loader that trains: shuffled, without an incomplete last batch.
  DataLoader train_dl() const;
  /// \throws DataError `data.no_valid` when there is no validation set
  DataLoader valid_dl() const;
  /// Training items with validation transforms, in order.
  DataLoader fix_dl() const;
  /// \throws DataError `data.no_test`
  DataLoader test_dl() const;
  /// The loader of a type; Single walks the validation set one by one.
  DataLoader dl(DatasetType type) const;
  /// All that there are: train, fix, valid, single, test (fastai: `dls`).
  std::vector<DataLoader> dls() const;
  /// What `train_dl` loads; lives as long as any copy of the bunch.
  const Dataset& train_ds() const { return *train_dl().dataset(); }
  /// What `valid_dl` loads; lives as long. Throws as `valid_dl`.
  const Dataset& valid_ds() const { return *valid_dl().dataset(); }

  /// True when there is no validation item.
  bool empty_val() const;
  /// True when there is no item at all, as in a bunch to predict with.
  bool is_empty() const;
  /// True when there are test items.
  bool has_test() const;
  /// Number of classes, or of target numbers.
  /// \throws DataError `data.no_targets` without names of classes when the data set does not tell its targets
  std::int64_t c() const;
  /// Class names in the order of their indices.
  const std::vector<std::string>& classes() const;
  /// What targets and outputs mean; has no items, is never null.
  const std::shared_ptr<const Labels>& labels() const;
  /// Class names as fastai prints them: `['cat', 'dog']`, `[0, 1]`.
  std::string classes_str() const;
  /// fastai's printed form: size, first items and labels of each set. Loads five pictures a set.
  /// \throws whatever loading them throws
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const DataBunch& x) { return to << x.str(); }
  /// The folder that models and logs go below.
  const Path& path() const;
  /// Where batches go.
  torch::Device device() const;
  /// What the targets are.
  LabelKind label_kind() const;
  /// Items of a training batch.
  std::int64_t batch_size() const { return train_dl().batch_size(); }
  /// What decides order and augmentation.
  std::uint64_t seed() const;

  /// Normalises every batch of every loader on the device: x = (x - mean) / std per channel.
  /// \param stats absent: measured on one training batch, unbiased
  /// \throws ValueError `value.normalize_twice` on a second call ("Can not call normalize twice"), `value.stats` when mean
  /// and std differ in length or a std is not > 0, or nothing can be measured
  void normalize_with(const std::optional<Stats>& stats);
  /// The statistics in use.
  const std::optional<Stats>& stats() const;
  /// Normalises a batch or a sample as the loaders do; a copy when there is something to do.
  torch::Tensor norm(const torch::Tensor& x) const;
  /// Undoes the normalisation on the CPU (fastai: `denorm`).
  torch::Tensor denorm(const torch::Tensor& x) const;

  /// The first batch of a loader, on the CPU, not normalised (fastai: `one_batch` with its
  /// defaults).
  Batch one_batch(DatasetType type = DatasetType::Train) const;

  /// Turns an item (a picture, a path, a tensor) into a normalised batch of one on the device (fastai: `one_item`).
  /// \throws ValueError `value.item` when the bunch does not know this kind of item
  Tensors one_item(const std::any& item) const;
  /// Teaches `one_item` other kinds. An export of the learner does without the reader.
  /// \param reader gets the item, returns the sample, or none for a kind it does not know
  void set_item_reader(ItemReader reader);
  /// The same of a reader that a file makes again.
  /// \param reader as above
  /// \param recipe how it is made (`register_items`)
  void set_item_reader(ItemReader reader, const Recipe& recipe);
  /// How a file makes the reader again; null where nobody said. Lives as long as any copy of the bunch.
  const Recipe* item_recipe() const;

  /// A bunch over the same data sets with settings of its own: what is normalised or taught to one later does not reach
  /// the other.
  DataBunch copy() const;

  /// A bunch like this one with another training loader; the other loaders are shared (fastai: `data.train_dl = ...`).
  DataBunch with_train_dl(const DataLoader& train_dl) const;

  /// A bunch like this one whose loaders have another batch size; only the single one keeps its own.
  /// \throws ValueError `value.batch_size`
  DataBunch with_batch_size(std::int64_t bs) const;

  /// A bunch that trains on `n` batches over and over, and validates on the same items: a network and a loss that are right
  /// learn these by heart (Lightning: `overfit_batches`). Drawn from the training set by the seed, with the transforms of the
  /// validation, always in the same order. Fewer batches where the set has fewer.
  /// \param n batches, >= 1
  /// \throws ValueError `value.n_batches`
  DataBunch overfit_batches(std::int64_t n = 1) const;

  /// What one of several processes trains and validates on: a share of the training loader, padded so that all have as many
  /// batches, and one of the validation loader, where each item goes to one process. The other loaders are whole.
  /// \param rank       0 <= rank < world_size
  /// \param world_size processes, >= 1
  /// \throws ValueError `value.rank`
  DataBunch share(int rank, int world_size) const;
  /// The bunch that this one is a share of; itself where it is none.
  DataBunch whole() const;

  /// fastai's warnings about a training set that cannot be batched (`sanity_check`).
  void sanity_check() const;

 protected:
  DataBunch() = default;
  static DataBunch make(const Datasets& sets, const Path& path, const DataBunchOptions& options);
  void add_normalization(const std::optional<Stats>& given);
  Tensors batch_of(const std::any& item) const;
  std::int64_t count() const;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fastcpp
