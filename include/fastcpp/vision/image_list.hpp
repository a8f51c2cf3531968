/// \file
/// Picture files on their way to loaders: the data block for pictures.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "fastcpp/data/files.hpp"
#include "fastcpp/data/item_list.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/file_source.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {

class ImageLabelLists;
struct PrepareOptions;  // vision/prepare.hpp
struct PrepareReport;

/// How `ImageList::from_folder` walks.
struct ImageListFolderOptions {
  std::vector<std::string> extensions =
      image_extensions();                 ///< with the dot; none takes every file
  bool recurse = true;                    ///< descend into folders
  std::vector<std::string> exclude = {};  ///< folders below the top left out
  std::vector<std::string> include = {};  ///< if given, only these folders below the top
  bool presort = false;      ///< sort with `/` read as `.` (fastai's presort) instead of by path
  bool followlinks = false;  ///< descend into linked folders
  EmptyParts empty = EmptyParts::kWarn;  ///< after a split (fastai: `ignore_empty`)
};

/// How the rows of a table become files.
struct ImageListDfOptions {
  ColumnId cols = 0;        ///< the column with the names
  std::string folder = {};  ///< below the path
  std::string suffix = {};  ///< appended to each name
  EmptyParts empty = EmptyParts::kWarn;
};

/// How a file of rows becomes files.
struct ImageListCsvOptions {
  std::optional<std::int64_t> header =
      0;                 ///< line with the names; nothing: columns are called 0, 1, ...
  char delimiter = ',';  ///< between cells
  ColumnId cols = 0;     ///< as in ImageListDfOptions
  std::string folder = {};
  std::string suffix = {};
  EmptyParts empty = EmptyParts::kWarn;
};

/// How tar shards become items.
struct ImageListShardsOptions {
  std::vector<std::string> extensions = image_extensions();  ///< of pictures, with the dot
  /// What the numbers in `.cls` stand for, from 0; none: they stay numbers
  std::vector<std::string> class_names = {};
  std::shared_ptr<const FileSource> files = {};  ///< reads the shards; absent: `file_source()`
  EmptyParts empty = EmptyParts::kWarn;
};

/// How a pack becomes items.
struct ImageListPackOptions {
  std::optional<Path> path = {};  ///< where models go; absent: the folder that the pack lies in
  std::shared_ptr<const FileSource> files = {};  ///< reads the pack; absent: `file_source()`
  EmptyParts empty = EmptyParts::kWarn;
};

/// Picture files before the split (fastai: `ImageList`): filters, then one of `split_*`, then one of `label_*`, then
/// `transform` and `databunch`. Each of these gives a type that has only what may follow:
///
///     auto data = ImageList::from_csv(path, "labels.csv", {.folder = "train", .suffix = ".jpg"})
///                     .split_by_rand_pct(0.2, 42)
///                     .label_from_df({.label_delim = " "})
///                     .transform(get_transforms(), {.size = 128})
///                     .databunch({.bs = 64})
///                     .normalize(imagenet_stats);
///
/// A value; used from one thread at a time.
class FASTCPP_API ImageList : public ItemList<ImageList> {
 public:
  /// What labelling gives.
  using LabelLists = ImageLabelLists;
  using ItemList<ImageList>::ItemList;

  /// Pictures below a folder, sorted (fastai: `from_folder`).
  /// \throws DataError `data.not_a_folder`
  static ImageList from_folder(const Path& path, const ImageListFolderOptions& options = {});
  /// One picture a row of a table (fastai: `from_df`): `path/folder/` and the cell as it stood in its file and the suffix, put
  /// together as text; of a cell that is an address (`http://`, `https://`) that and the suffix. No file is asked for: one that
  /// is not there is told when it is opened.
  /// \throws DataError `data.no_column`, `data.missing_value`; ValueError `value.index`
  static ImageList from_df(const Table& df, const Path& path,
                           const ImageListDfOptions& options = {});
  /// The same for a table in `path / csv_name` (fastai: `from_csv`).
  /// \throws as from_df and Table::read_csv
  static ImageList from_csv(const Path& path, const Path& csv_name,
                            const ImageListCsvOptions& options = {});

  /// The pictures of tar shards in WebDataset's layout: members that share a name up to the first dot behind its folders are a
  /// sample. Its picture, named `shard/member`, is an item; its other members are cells of the list's table, in columns named
  /// after their extensions: `cls`, `id`, `index` and the like whole numbers, `txt` texts, `json` a column `json.key` for each
  /// key with a number, a text, or a list of texts (joined by `;`). The table's first column, `name`, is the member's name.
  ///
  /// Items stand in the order of shards and members. Each shard is read, or fetched, once for its list of members; split, labels
  /// and transforms follow as ever, and loaders read by index, so that the order of a pass is the one of the same items in a
  /// folder. `ShardSampler` keeps neighbours together where the cache cannot hold all shards.
  /// \param path   where models go, and what relative shards are below
  /// \param shards paths or addresses that end in `.tar`, or patterns of these (`expand_shards`)
  /// \throws ValueError `value.shards`; DataError `data.empty` without a picture, `data.unknown_label` on a number without a
  ///   class name; as FileSource::members; FormatError as `from_json`
  static ImageList from_shards(const Path& path, const std::vector<std::string>& shards,
                               const ImageListShardsOptions& options = {});

  /// The pictures of a pack that `prepare` wrote, in their order. An item is called as before, with the pack for its folder
  /// (`pets.pack/cat/7.jpg`), so that labels from folder, name and function stay what they were; `path()` is the pack, so that
  /// `split_by_folder` sees the folders in it; models go beside it. The table is the one that was prepared: `name`, `label` and
  /// `is_valid` of an ImageDataBunch, that of the list otherwise, or `name` alone.
  ///
  /// The pack is opened anew, and stays open. Any number of threads and processes may read it, and reading checks every
  /// picture's checksum.
  /// \param file path or address, ending in `.pack`
  /// \throws ValueError `value.pack`; DataError `data.empty`; IoError `io.cannot_read`; FormatError as PackReader,
  ///   `pack.bad_notes`; as FileSource::read on an address
  static ImageList from_pack(const Path& file, const ImageListPackOptions& options = {});

  /// Writes the pictures of the list to one file, made small once, with their names relative to `path()` and the list's table:
  /// `from_pack` reads it. The file appears whole or not at all, and its bytes depend on nothing but pictures and options. An item
  /// from elsewhere keeps its whole name, without `/` at the start; `https://host/a.jpg` becomes `https/host/a.jpg`.
  ///
  /// Pictures are decoded as `open_image` does and scaled with a triangle that takes every pixel into account.
  /// \param file as given, not below `path()`; ends in `.pack`
  /// \throws ValueError `value.prepare`, `value.pack`, `value.num_workers`, `value.pack_name` on two items of one name,
  ///   `value.json` on a table with texts that are not UTF-8; DataError `data.empty`; IoError `io.cannot_write`, `io.cannot_create`,
  ///   `io.cancelled`; as `open_image` without `skip_bad`
  PrepareReport prepare(const Path& file) const;
  /// \overload
  PrepareReport prepare(const Path& file, const PrepareOptions& options) const;

  /// Reads items that are addresses or in shards through `files`; what is made of this list keeps it.
  /// \param files null: `file_source()`
  ImageList& read_through(std::shared_ptr<const FileSource> files) & {
    files_ = std::move(files);
    return *this;
  }
  /// \overload
  ImageList read_through(std::shared_ptr<const FileSource> files) && {
    return std::move(read_through(std::move(files)));
  }
  /// What reads them; null: `file_source()`.
  const std::shared_ptr<const FileSource>& files() const { return files_; }

  /// The picture of item i as it lies in its file (fastai: `list[i]`, `get`); negative i count from the end.
  /// \throws ValueError `value.index`; ImageError as `open_image`
  Image get(std::int64_t i) const;
  /// fastai's printed form: how many, the first five opened, the folder.
  /// \throws as `get`
  std::string str() const;

 private:
  friend class ImageLabelLists;
  std::shared_ptr<const FileSource> files_;
  std::optional<Path> home_;  // where models go; absent: path()
};

/// Pictures that are split and labelled (fastai: `LabelLists`): `transform`, `add_test`, then `databunch`. A value; used from
/// one thread at a time.
class FASTCPP_API ImageLabelLists {
 public:
  /// Of a list that was split and labelled.
  ImageLabelLists(const ImageList& list, fastcpp::LabelLists lists)
      : lists_(std::move(lists)), path_(list.home_.value_or(list.path())), files_(list.files()) {}

  /// Items that train.
  const LabelList& train() const { return lists_.train; }
  /// Items that validate.
  const LabelList& valid() const { return lists_.valid; }
  /// Items to predict, if any.
  const std::optional<LabelList>& test() const { return lists_.test; }
  /// All of them.
  const fastcpp::LabelLists& lists() const { return lists_; }
  /// The folder that they belong to.
  const Path& path() const { return path_; }
  /// What targets are and which classes there are.
  const Labels& labels() const { return *lists_.train.y; }

  /// Transforms of training, and of validation and test items (fastai: `transform`). Opens the first picture of each set, so
  /// that a mistake shows at once.
  /// \throws ImageError `image.cannot_transform`, or as `open_image`, naming the picture
  ImageLabelLists& transform(const ImageTransforms& tfms = {},
                             const ApplyTfmsOptions& options = {}) &;
  /// \overload
  ImageLabelLists transform(const ImageTransforms& tfms = {},
                            const ApplyTfmsOptions& options = {}) && {
    return std::move(transform(tfms, options));
  }
  /// The same without opening any.
  void set_transforms(const ImageTransforms& tfms, const ApplyTfmsOptions& options);
  /// Test pictures, without labels, with one for all or with one each (fastai: `add_test`).
  /// \throws DataError `data.length`
  ImageLabelLists& add_test(Paths items, const std::vector<Label>& labels = {}) &;
  ImageLabelLists add_test(Paths items, const std::vector<Label>& labels = {}) && {
    return std::move(add_test(std::move(items), labels));
  }
  /// The pictures below `path() / test_folder`, without labels or with one for all (fastai: `add_test_folder`).
  /// \throws DataError `data.not_a_folder`
  ImageLabelLists& add_test_folder(const std::string& test_folder = "test",
                                   const std::optional<Label>& label = {}) &;
  /// \overload
  ImageLabelLists add_test_folder(const std::string& test_folder = "test",
                                  const std::optional<Label>& label = {}) && {
    return std::move(add_test_folder(test_folder, label));
  }
  /// Leaves out the pairs for which `drop` is true (fastai: `LabelLists.filter_by_func`, which drops too).
  ImageLabelLists& filter_by_func(const DropPair& drop) &;
  ImageLabelLists filter_by_func(const DropPair& drop) && {
    return std::move(filter_by_func(drop));
  }

  /// The loaders (fastai: `databunch`).
  /// \throws as the factories of ImageDataBunch
  ImageDataBunch databunch(const DatabunchOptions& options = {}) const;

  /// fastai's printed form. Opens the first pictures.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const ImageLabelLists& x) {
    return to << x.str();
  }

 private:
  fastcpp::LabelLists lists_;
  Path path_;
  ImageTransforms tfms_;
  ApplyTfmsOptions apply_;
  std::shared_ptr<const FileSource> files_;
};

}  // namespace fastcpp
