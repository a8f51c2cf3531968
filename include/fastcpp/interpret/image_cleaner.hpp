/// \file
/// Cleaning a data set by hand, without an interface: which pictures to show, and what becomes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/interpret/dataset_formatter.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/vision/image_dataset.hpp"

namespace fastcpp::inline v0 {

/// Picture files with one label each. A value.
struct LabelledFiles {
  std::vector<Path> files;                ///< the pictures
  std::vector<std::string> labels;        ///< one a file, in words
  std::vector<std::string> classes = {};  ///< what a label may become
};

/// The files and labels of a data set.
FASTCPP_API LabelledFiles labelled_files(const ImageDataset& dataset);

/// Pictures shown a few at a time, each with a label that may be changed, until none is left (fastai: `BasicImageWidget`).
///
/// What an interface calls: it shows `shown()`, passes on what its user does, and tells `message()` at the end. Files that
/// are not there any more are left out. A copy goes its own way. Used from one thread at a time.
class FASTCPP_API BasicImageWidget {
 public:
  /// A picture on the page.
  struct Shown {
    std::int64_t index = 0;  ///< in the data set
    bool marked = false;     ///< to be deleted when the next ones are shown
  };

  virtual ~BasicImageWidget() = default;

  /// The pictures on the page; none at the end.
  const std::vector<Shown>& shown() const { return shown_; }
  /// The file of item `index`.
  /// \throws ValueError `value.index`
  const Path& file(std::int64_t index) const;
  /// The label of item `index` as it is now.
  /// \throws ValueError `value.index`
  const std::string& label(std::int64_t index) const;
  /// The labels of all items as they are now.
  const std::vector<std::string>& labels() const { return items_.labels; }
  /// What a label may become.
  const std::vector<std::string>& classes() const { return items_.classes; }

  /// Gives a picture on the page another label, at once.
  /// \param position on the page, from 0
  /// \param name     one of `classes()`
  /// \throws ValueError `value.index`, `value.class_name`
  void relabel(std::size_t position, const std::string& name);
  /// Shows the next pictures (fastai: the button `Next Batch`). Nothing happens when none are shown.
  void next();
  /// Takes back the last thing that was done; false when nothing was.
  bool undo();
  /// Whether there is anything to take back.
  bool can_undo() const { return !history_.empty(); }

  /// How often the page has turned.
  std::int64_t page() const { return page_; }
  /// Whether no pictures are left to show.
  bool done() const { return shown_.empty(); }
  /// Pictures that come after those on the page, unless they are skipped.
  std::int64_t left() const;
  /// At the end `No images to show :)` and what else there is to say; empty before.
  virtual std::string message() const;

 protected:
  BasicImageWidget(LabelledFiles items, const std::vector<std::int64_t>& indices,
                   std::int64_t batch_size, std::size_t group);
  BasicImageWidget(const BasicImageWidget&) = default;
  BasicImageWidget& operator=(const BasicImageWidget&) = default;

  void toggle_mark(std::size_t position);
  // The labels when the page was shown first: without what was changed on it.
  std::vector<std::string> labels_when_shown() const;
  // After the page has changed, by `next` or by taking it back.
  virtual void turned() {}

  LabelledFiles items_;
  std::vector<bool> deleted_;  // by item
  std::int64_t skipped_ = 0;   // groups

 private:
  // One thing that was done, with what it changed.
  struct Step {
    enum class Kind { kRelabel, kMark, kNext } kind;
    std::size_t position = 0;
    std::string label = {};
    std::vector<Shown> shown = {};
    std::size_t next = 0;
    std::int64_t skipped = 0;
  };

  Shown& at(std::size_t position);
  void fill();
  void take_back();

  std::vector<std::vector<std::int64_t>> groups_;  // shown together or not at all
  std::size_t batch_size_, next_ = 0;
  std::int64_t page_ = 0;
  std::vector<Shown> shown_;
  std::vector<Step> history_;
};

/// Options of `ImageCleaner`, in fastai's order.
struct ImageCleanerOptions {
  std::int64_t batch_size = 5;  ///< pictures on a page, >= 1; two with `duplicates`
  /// The indices are pairs; a pair is skipped when one of its pictures was deleted before.
  bool duplicates = false;
};

/// Lets a person delete pictures of a data set and change their labels (fastai: `ImageCleaner`).
///
/// Nothing on the disk is deleted or moved. `<path>/cleaned.csv` holds what is left, as columns `name` (relative to path)
/// and `label`: it is written at the beginning, and whenever the page turns, whole or not at all; an older one is
/// overwritten. `from_csv` reads it. A file that the data set holds twice is one picture, with its last label.
///
/// A copy goes its own way, but writes the same file. Used from one thread at a time.
class FASTCPP_API ImageCleaner : public BasicImageWidget {
 public:
  /// \param items   all pictures of the data set
  /// \param indices which ones to show, in this order
  /// \param path    folder of `cleaned.csv`
  /// \param options how many at a time
  /// \throws DataError `data.length` when files and labels differ in number; ValueError `value.index`,
  ///         `value.batch_size`, `value.pairs` when the indices are no pairs; IoError `io.cannot_write`, `io.cannot_create`
  ImageCleaner(LabelledFiles items, const std::vector<std::int64_t>& indices, Path path,
               const ImageCleanerOptions& options = {});
  /// The pictures of a data set, as `DatasetFormatter` orders them.
  /// \throws as above
  ImageCleaner(const FormattedDataset& pictures, Path path,
               const ImageCleanerOptions& options = {});

  /// Marks a picture on the page as to be deleted, or takes the mark away. It is deleted when the page turns.
  /// \throws ValueError `value.index`
  void toggle_delete(std::size_t position) { toggle_mark(position); }
  std::string message() const override;
  /// The file that is written.
  Path csv() const { return path_ / "cleaned.csv"; }

 private:
  friend FASTCPP_API void data_deleter(const Path& path, const LabelledFiles& items,
                                       const std::vector<std::int64_t>& indices);
  struct Distinct;
  ImageCleaner(Distinct distinct, Path path, const ImageCleanerOptions& options);
  void turned() override;

  Path path_;
  std::vector<std::int64_t> rows_;  // items of the file, in order
  bool duplicates_;
};

/// Writes `<path>/cleaned.csv` without some items, as `ImageCleaner` does when a person deletes them (fastai:
/// `data_deleter`).
/// \throws as the constructor of ImageCleaner
FASTCPP_API void data_deleter(const Path& path, const LabelledFiles& items,
                              const std::vector<std::int64_t>& indices);

/// Options of `PredictionsCorrector`.
struct PredictionsCorrectorOptions {
  std::int64_t batch_size = 5;  ///< pictures on a page, >= 1
};

/// Options of `show_corrections`.
struct ShowCorrectionsOptions {
  double cell = 3;   ///< inches a picture, > 0
  double dpi = 100;  ///< pixels an inch
};

/// Lets a person correct predicted labels (fastai: `PredictionsCorrector`). Writes nothing. A copy goes its own way. Used
/// from one thread at a time.
class FASTCPP_API PredictionsCorrector : public BasicImageWidget {
 public:
  /// \param items   files with predicted labels
  /// \param indices which ones to show, in this order
  /// \param options how many at a time
  /// \throws DataError `data.length`; ValueError `value.index`, `value.batch_size`
  PredictionsCorrector(LabelledFiles items, const std::vector<std::int64_t>& indices,
                       const PredictionsCorrectorOptions& options = {});
  /// The pictures that a model is unsure about.
  /// \throws as above
  explicit PredictionsCorrector(const UnsureDataset& pictures,
                                const PredictionsCorrectorOptions& options = {});

  /// The labels of all items with what was corrected.
  const std::vector<std::string>& corrected_labels() const { return items_.labels; }
  /// Items whose label was changed, ascending.
  std::vector<std::int64_t> corrections() const;
  /// The corrected pictures in a grid, titled `<index>: <old> -> <new>`, by index (fastai: `show_corrections`); an empty
  /// figure without any.
  /// \param ncols   pictures in a row, >= 1
  /// \param options size
  /// \throws ValueError `value.rows`; as `open_image`
  Figure show_corrections(int ncols, const ShowCorrectionsOptions& options = {}) const;

 private:
  std::vector<std::string> predicted_;
};

}  // namespace fastcpp
