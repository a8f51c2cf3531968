/// \file
/// Making the loaders of a picture classifier.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/data/label_list.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/vision/image_dataset.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {

struct CheckPicturesOptions;
struct DataReport;
struct PrepareOptions;  // vision/prepare.hpp
struct PrepareReport;

/// Where pictures are resampled, flipped and lit.
enum class AugmentOn {
  kWorkers,  ///< by the loading threads
  kDevice    ///< a batch at a time on its device; the threads only decode
};

/// Options of the factories that split at random (fastai: their keyword arguments).
struct ImageDataBunchOptions {
  std::optional<ImageTransforms> ds_tfms =
      {};                ///< training and validation transforms; absent: none
  ImageSize size = {};   ///< a side: resize and crop; a pair: squish; absent: as the file is
  std::int64_t bs = 64;  ///< training batch size
  std::optional<std::int64_t> val_bs = {};   ///< absent: bs
  int num_workers = default_workers();       ///< loading threads; 0 loads in the calling thread
  std::vector<BatchTransform> dl_tfms = {};  ///< run on every batch
  std::optional<torch::Device> device = {};  ///< absent: CUDA if there is a device, else CPU
  std::optional<std::string> test = {};      ///< folder of test pictures below path
  bool no_check = false;  ///< open no picture: leave out the look at the first batch
  std::optional<ResizeMethod> resize_method = {};       ///< absent: by the kind of size
  std::optional<int> mult = {};                         ///< round sizes to a multiple
  PaddingMode padding_mode = PaddingMode::kReflection;  ///< what lies outside the picture
  SampleMode mode = SampleMode::kBilinear;              ///< what lies between pixels
  double valid_pct = 0.2;                               ///< share of the items that validate
  std::optional<std::uint64_t> seed =
      {};  ///< decides split, order and augmentation; absent: `set_seed`'s
  std::optional<std::vector<std::string>> classes = {};  ///< absent: sorted training labels
  /// Memory for decoded pictures: every later epoch takes them from there. The batches stay the
  /// same. Bytes; a picture takes 3 a pixel
  std::size_t cache_bytes = 0;
  bool scaled_decode = false;  ///< decode large JPEG files smaller (see `ImageLoading`)
  /// The draws are the same. On the device a picture that is shrunk by more than a half is rounded
  /// to levels of 255 in between; the rest differs by the rounding of single precision only
  AugmentOn augment_on = AugmentOn::kWorkers;
  OnError on_error = OnError::kRaise;  ///< what loaders do with pictures that cannot be loaded
};

/// Options of `ImageDataBunch::from_folder`.
struct FromFolderOptions {
  std::string train = "train";                  ///< folder of training pictures below path
  std::string valid = "valid";                  ///< folder of validation pictures below path
  std::optional<std::string> test = {};         ///< folder of test pictures below path
  std::optional<double> valid_pct = {};         ///< split everything found at random instead
  std::optional<ImageTransforms> ds_tfms = {};  ///< as in ImageDataBunchOptions
  ImageSize size = {};
  std::int64_t bs = 64;
  std::optional<std::int64_t> val_bs = {};
  int num_workers = default_workers();
  std::vector<BatchTransform> dl_tfms = {};
  std::optional<torch::Device> device = {};
  bool no_check = false;
  std::optional<ResizeMethod> resize_method = {};
  std::optional<int> mult = {};
  PaddingMode padding_mode = PaddingMode::kReflection;  ///< what lies outside the picture
  SampleMode mode = SampleMode::kBilinear;              ///< what lies between pixels
  std::optional<std::uint64_t> seed = {};
  std::optional<std::vector<std::string>> classes = {};
  std::size_t cache_bytes = 0;
  bool scaled_decode = false;
  AugmentOn augment_on = AugmentOn::kWorkers;
  OnError on_error = OnError::kRaise;
  bool followlinks = false;  ///< take pictures of linked folders too
};

/// How labelled pictures become loaders (fastai: the arguments of `databunch`).
struct DatabunchOptions {
  std::optional<Path> path = {};             ///< where models and logs go; absent: the list's
  std::int64_t bs = 64;                      ///< training batch size
  std::optional<std::int64_t> val_bs = {};   ///< absent: bs
  int num_workers = default_workers();       ///< loading threads; 0 loads in the calling thread
  std::vector<BatchTransform> dl_tfms = {};  ///< run on every batch
  std::optional<torch::Device> device = {};  ///< absent: CUDA if there is a device, else CPU
  Collate collate_fn = {};                   ///< puts samples together; absent: `data_collate`
  bool no_check = false;  ///< open no picture: leave out the look at the first batch
  std::optional<std::uint64_t> seed = {};  ///< decides order and augmentation; absent: `set_seed`'s
  std::size_t cache_bytes = 0;             ///< as in ImageDataBunchOptions, also below
  bool scaled_decode = false;
  AugmentOn augment_on = AugmentOn::kWorkers;
  std::shared_ptr<const Sampler> sampler = {};  ///< of the training items, instead of a shuffle
  OnError on_error = OnError::kRaise;  ///< what loaders do with pictures that cannot be loaded
};

/// Where the labels of a table stand (fastai: the arguments of `from_df`).
struct DfLabelsOptions {
  std::string folder = {};                      ///< of the pictures, below path
  std::optional<std::string> label_delim = {};  ///< splits a cell into several labels
  ColumnId fn_col = 0;                          ///< column of the file names
  ColumnIds label_col = 1;                      ///< column of the labels, or several
  std::string suffix = {};                      ///< appended to each name
};

/// Where the labels of a file of rows stand (fastai: the arguments of `from_csv`).
struct CsvLabelsOptions {
  std::string folder = {};  ///< as in DfLabelsOptions
  std::optional<std::string> label_delim = {};
  Path csv_labels = "labels.csv";  ///< the file, below path
  ColumnId fn_col = 0;
  ColumnIds label_col = 1;
  std::string suffix = {};
  char delimiter = ',';                    ///< between cells
  std::optional<std::int64_t> header = 0;  ///< line with the names; nothing: columns are 0, 1, ...
};

/// Options of `show_batch`.
struct ShowBatchOptions {
  int rows = 5;                              ///< rows^2 pictures, at most a batch
  DatasetType ds_type = DatasetType::Train;  ///< training pictures are shown augmented
  bool reverse = false;                      ///< from the end of the batch
  /// Width and height in inches; absent: 4 per cell.
  std::optional<std::pair<double, double>> figsize = {};
  double dpi = 100;  ///< pixels an inch
};

/// The loaders of a picture classifier (fastai: `ImageDataBunch`). Lifetime and threads as DataBunch.
///
/// All factories throw DataError `data.empty` without items, `data.no_match` where a label cannot be found,
/// `data.not_a_folder` and ValueError `value.folder` for a folder that is not there or is the data's own, IoError or
/// ImageError when the first picture of a set cannot be read or transformed (not with `no_check`), and ValueError as
/// DataLoader does. Pictures in the test folder are never trained or validated on.
class FASTCPP_API ImageDataBunch : public DataBunch {
 public:
  /// Labels by a regular expression on the path (fastai: `from_name_re`).
  /// \param path   where models and logs go
  /// \param fnames picture files
  /// \param pat    group 1 is the label
  static ImageDataBunch from_name_re(const Path& path, const std::vector<Path>& fnames,
                                     std::string_view pat,
                                     const ImageDataBunchOptions& options = {});

  /// Labels by a function of the path (fastai: `from_name_func`).
  static ImageDataBunch from_name_func(const Path& path, const std::vector<Path>& fnames,
                                       const std::function<Label(const Path&)>& label_func,
                                       const ImageDataBunchOptions& options = {});

  /// Files and their labels (fastai: `from_lists`).
  static ImageDataBunch from_lists(const Path& path, const std::vector<Path>& fnames,
                                   const std::vector<std::string>& labels,
                                   const ImageDataBunchOptions& options = {});

  /// The same with labels of any kind: whole numbers, numbers to predict, several classes. A template, so that texts in
  /// braces are class names.
  template <std::same_as<Label> L>
  static ImageDataBunch from_lists(const Path& path, const std::vector<Path>& fnames,
                                   const std::vector<L>& labels,
                                   const ImageDataBunchOptions& options = {}) {
    return of_lists(path, fnames, labels, options);
  }

  /// Files and labels in the rows of a table (fastai: `from_df`).
  /// \throws as ImageList::from_df and `label_from_df`
  static ImageDataBunch from_df(const Path& path, const Table& df,
                                const ImageDataBunchOptions& options = {});
  /// \overload
  static ImageDataBunch from_df(const Path& path, const Table& df, const DfLabelsOptions& labels,
                                const ImageDataBunchOptions& options = {});

  /// The same with the table in a file (fastai: `from_csv`).
  /// \throws as from_df and Table::read_csv
  static ImageDataBunch from_csv(const Path& path, const ImageDataBunchOptions& options = {});
  /// \overload
  static ImageDataBunch from_csv(const Path& path, const CsvLabelsOptions& labels,
                                 const ImageDataBunchOptions& options = {});

  /// No pictures, but classes and transforms, to predict with; warns that it is deprecated (fastai: `single_from_classes`).
  static ImageDataBunch single_from_classes(const Path& path,
                                            const std::vector<std::string>& classes,
                                            const ImageDataBunchOptions& options = {});

  /// One folder per class below `train` and `valid` (fastai: `from_folder`).
  static ImageDataBunch from_folder(const Path& path, const FromFolderOptions& options = {});

  /// Items that are already split and labelled (fastai: `create_from_ll`); `valid_pct` and
  /// `classes` have no effect.
  static ImageDataBunch create_from_ll(const LabelLists& lists, const Path& path,
                                       const ImageDataBunchOptions& options = {});

  /// Normalises with given statistics and returns the bunch (fastai: `normalize(stats)`).
  /// \throws ValueError `value.normalize_twice`, `value.stats`
  ImageDataBunch normalize(const Stats& stats);
  /// Normalises with the statistics of one training batch (fastai: `normalize()`).
  ImageDataBunch normalize();

  /// A grid of pictures with their labels (fastai: `show_batch`).
  Figure show_batch(const ShowBatchOptions& options = {}) const;

  /// What is wrong with the pictures of training and validation: damaged, doubled, odd, in both sets (`check_pictures` of
  /// vision/data_report.hpp). Reads every file.
  /// \throws as `check_pictures`
  DataReport report() const;
  /// \overload
  DataReport report(const CheckPicturesOptions& options) const;

  /// Writes the pictures of training and validation to one file, made small once, with their labels: `ImageList::from_pack`
  /// reads it, where `label` (a class as it is, a number, several classes joined by `;`; several numbers in `label_0`, `label_1`,
  /// ...) and `is_valid` are columns of the table. Training items come first, all in their order. For names and all else see
  /// `ImageList::prepare`.
  /// \throws as `ImageList::prepare`
  PrepareReport prepare(const Path& file) const;
  /// \overload
  PrepareReport prepare(const Path& file, const PrepareOptions& options) const;

  /// Writes what was labelled to `path() / file`: files (relative to path() where they lie below), labels, classes,
  /// transforms. Not batch size, workers and normalisation, as in fastai. Labels of a kind of the user's own give a warning
  /// and no file (fastai: `data.save`).
  /// \throws IoError `io.cannot_write`; FormatError `io.json` on a file name that is no UTF-8
  void save(const Path& file = "data_save.json") const;
  /// Writes what predicting needs to `path() / file`: labels without items, transforms of the validation set, normalisation
  /// (fastai: `data.export`, which C++ cannot call so).
  /// \throws DataError `data.cannot_export` on labels of the user's own; as save
  void export_data(const Path& file = "export.json") const;
  /// A bunch without items from what export_data wrote, normalised as it was (fastai: `DataBunch.load_empty`).
  /// \throws FormatError `data.bad_file`; IoError `io.cannot_read`
  static ImageDataBunch load_empty(const Path& path, const Path& fname = "export.json",
                                   const DatabunchOptions& options = {});

  /// The pictures behind a loader.
  const ImageDataset& ds(DatasetType type) const;

 private:
  friend class ImageLabelLists;
  static ImageDataBunch of_lists(const Path& path, const std::vector<Path>& fnames,
                                 const std::vector<Label>& labels,
                                 const ImageDataBunchOptions& options);
  static ImageDataBunch make(const LabelLists& lists, const Path& path, const ImageTransforms& tfms,
                             const ApplyTfmsOptions& apply, const DatabunchOptions& options,
                             std::shared_ptr<const FileSource> files);
  Figure grid_of(const Batch& batch, const ShowBatchOptions& options) const;
  static ImageDataBunch folders(const Path& path, const FromFolderOptions& options);
  explicit ImageDataBunch(DataBunch bunch) : DataBunch(std::move(bunch)) {}
};

/// The bunch that `ImageDataBunch::save` wrote: same items, order, classes, transforms (fastai: `load_data`).
/// \param path where files that were saved as relative lie now, and where models go
/// \throws FormatError `data.bad_file` naming the file; IoError `io.cannot_read`; as the factories of ImageDataBunch
FASTCPP_API ImageDataBunch load_data(const Path& path, const Path& file = "data_save.json",
                                     const DatabunchOptions& options = {});

/// The pictures behind one of a bunch's loaders.
/// \throws DataError `data.no_pictures` when its items are something else
FASTCPP_API const ImageDataset& image_dataset(const DataBunch& data, DatasetType type);

}  // namespace fastcpp
