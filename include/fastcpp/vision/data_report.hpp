/// \file
/// Own pictures: what is wrong with a data set, told before a training.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/vision/find_duplicates.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image_fault.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `check_pictures`.
struct CheckPicturesOptions {
  std::string train = "train";  ///< of a folder: where training pictures are, if it is there
  std::string valid = "valid";  ///< of a folder: where validation pictures are, if it is there
  std::optional<std::string> label_delim =
      {};  ///< of lists: splits each label into several classes
  std::optional<int> max_distance =
      8;  ///< of near duplicates, as for `find_duplicates`; nothing: none are looked for
  std::int64_t huge_pixels = 50'000'000;  ///< pictures of more are huge, > 0
  int max_workers = 4;                    ///< threads, 0..1024; 0 counts as 1
  bool show_progress = true;              ///< tell `progress_sink()` of the files that are done
  std::stop_token stop = {};              ///< ends the work early, between two files
};

/// The pictures of one set. A plain value.
struct LabelledPictures {
  std::vector<Path> files;  ///< one that is named twice is looked at once
  std::vector<std::string> labels =
      {};  ///< in the order of `files`; empty when there are no classes
};

/// How many pictures a class has.
struct ClassCount {
  std::string name;       ///< the class
  std::size_t train = 0;  ///< in the training set
  std::size_t valid = 0;  ///< in the validation set
};

/// Sizes of the pictures that can be read, by their number of pixels; all 0 without any.
struct PictureSizes {
  Resolution smallest, median, largest;  ///< by number of pixels
  std::size_t different = 0;             ///< number of different sizes
};

/// A picture of the training set that is in the validation set too: what is measured on it says nothing.
struct LeakedPicture {
  Path train;          ///< the first file of equal bytes, else the one that looks most alike
  Path valid;          ///< the file in the validation set
  bool exact = false;  ///< of equal bytes
  int distance = 0;    ///< bits in which their hashes differ
};

/// Files of equal bytes whose labels differ.
struct LabelConflict {
  std::vector<Path> files;          ///< sorted by path
  std::vector<std::string> labels;  ///< of each file
};

/// What `check_pictures` found. A value: copies share nothing. Threads: const calls by any number at once. Lists of
/// files are sorted by path, lists of classes by name.
struct FASTCPP_API DataReport {
  Path folder;                      ///< what `str` leaves out of paths; empty for lists of files
  std::size_t train = 0;            ///< files of the training set
  std::size_t valid = 0;            ///< files of the validation set
  std::vector<ClassCount> classes;  ///< all classes
  PictureSizes sizes;               ///< of the pictures that can be read

  // What makes a training fail, or its figures wrong.
  std::vector<ImageFault> unreadable;    ///< damaged, cut off, or not to be read
  std::vector<ImageFault> empty_files;   ///< without a byte
  std::vector<ImageFault> not_pictures;  ///< called pictures, but are none
  std::vector<LeakedPicture>
      leaks;  ///< one entry for each validation picture that is in training too
  std::vector<LabelConflict> conflicts;       ///< equal files of different labels
  std::vector<std::string> missing_in_train;  ///< classes that validation has and training has not
  std::vector<std::string>
      missing_in_valid;  ///< the other way round; empty without a validation set

  // What is worth a look.
  std::vector<std::string> single_picture;  ///< classes of one training picture
  std::vector<Path> empty_folders;          ///< of a folder: class folders without a file
  std::vector<std::vector<std::string>>
      similar_names;  ///< classes that differ in upper and lower case only
  std::vector<DuplicateGroup> exact_duplicates;  ///< within one set, of one label
  std::vector<DuplicateGroup> near_duplicates;   ///< within one set
  std::vector<ImageFault>
      wrong_suffix;  ///< read all the same, or left out because the suffix is no picture's
  std::vector<ImageFault> huge;       ///< of more than `huge_pixels`, or refused for their size
  std::vector<ImageFault> one_pixel;  ///< a side of one pixel
  std::vector<ImageFault> odd_sizes;  ///< a side four times the other, or a quarter of the median's
  std::vector<Path> other_files;      ///< of a folder: beside the pictures, and left out

  /// Whether nothing was found that makes a training fail or its figures wrong.
  bool ok() const;
  /// A page to read: the worst first, at most five lines a finding, and what to do.
  std::string str() const;
  /// Everything that was found, one row each: `finding` (the name of the field here), `file`, `text`.
  Table table() const;
  friend std::ostream& operator<<(std::ostream& to, const DataReport& x) { return to << x.str(); }
};

/// Looks at every picture below a folder as `ImageDataBunch::from_folder` finds them: the class is the name of the
/// folder of a file. With folders `train` and `valid` the sets are compared too; otherwise all pictures are one set,
/// and pictures right in the folder, without any in folders below, have no class.
///
/// Every file is read whole and decoded. Of pictures that look alike see `find_duplicates`. Hidden files and the folder
/// `models` are left out. The result does not depend on the number of threads. No file is changed.
/// \throws DataError `data.not_a_folder`, `data.empty` without a picture
/// \throws ValueError `value.num_workers`, `value.distance`, `value.check_pictures` (huge_pixels)
/// \throws IoError `io.cancelled` (stop token); Error `core.system` where no thread can be started
FASTCPP_API DataReport check_pictures(const Path& folder, const CheckPicturesOptions& options = {});
/// The same for pictures whose sets and labels are known.
/// \param valid may be empty
/// \throws as above; DataError `data.length` when files and labels differ in number
FASTCPP_API DataReport check_pictures(const LabelledPictures& train, const LabelledPictures& valid,
                                      const CheckPicturesOptions& options = {});

}  // namespace fastcpp
