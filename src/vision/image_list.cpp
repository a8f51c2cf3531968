#include "fastcpp/vision/image_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image_dataset.hpp"
#include "vision/item_picture.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::int64_t kShown = 5;  // items in a printed form

}  // namespace

ImageList ImageList::from_folder(const Path& path, const ImageListFolderOptions& options) {
  return boundary([&] {
    return ImageList(get_files(path, {.extensions = options.extensions,
                                      .recurse = options.recurse,
                                      .exclude = options.exclude,
                                      .include = options.include,
                                      .presort = options.presort,
                                      .followlinks = options.followlinks}),
                     path, {}, options.empty);
  });
}

ImageList ImageList::from_df(const Table& df, const Path& path, const ImageListDfOptions& options) {
  return boundary([&] {
    const auto& names = df[options.cols];
    if (df.rows() == 0) {
      throw DataError("data.empty", "the table has no rows: there is no item to make a list of");
    }
    // Text is put together, so that a name beginning with / stays below the path.
    auto before = path.string() + "/";
    if (!options.folder.empty()) before += options.folder + "/";
    Paths files;
    files.reserve(static_cast<std::size_t>(df.rows()));
    for (std::int64_t row = 0; row < df.rows(); ++row) {
      if (names.missing(row)) {
        throw DataError("data.missing_value",
                        fmt::format("You have NaN values in column(s) {} of your dataframe, please "
                                    "fix it. (row {} has no file name)",
                                    options.cols.text(), row));
      }
      if (is_web_address(names.raw(row))) {
        files.push_back_text(names.raw(row), options.suffix);
      } else {
        files.push_back_text(before, names.raw(row), options.suffix);
      }
    }
    return ImageList(std::move(files), path, df, options.empty);
  });
}

ImageList ImageList::from_csv(const Path& path, const Path& csv_name,
                              const ImageListCsvOptions& options) {
  const auto df =
      Table::read_csv(path / csv_name, {.delimiter = options.delimiter, .header = options.header});
  return from_df(df, path, {options.cols, options.folder, options.suffix, options.empty});
}

Image ImageList::get(std::int64_t i) const {
  const auto at = i < 0 ? i + size() : i;
  if (at < 0 || at >= size()) {
    throw ValueError("value.index", fmt::format("there is no item {} in a list of {}", i, size()));
  }
  return Image::from_rgb(detail::decode_item(items()[static_cast<std::size_t>(at)], files_.get()));
}

std::string ImageList::str() const {
  return boundary([&] {
    std::vector<std::string> first;
    for (std::int64_t i = 0; i < std::min(kShown, size()); ++i) first.push_back(get(i).str());
    return described("ImageList", first);
  });
}

ImageLabelLists& ImageLabelLists::transform(const ImageTransforms& tfms,
                                            const ApplyTfmsOptions& options) & {
  boundary([&] {
    const auto look = [&](const LabelList& list, const TfmList& list_tfms) {
      if (list.size() == 0) return;
      Rng rng(0);
      ImageDataset(list.take({0}), list_tfms, options, {.files = files_}).get(0, rng);
    };
    look(lists_.train, tfms.train);
    look(lists_.valid, tfms.valid);
    if (lists_.test) look(*lists_.test, tfms.valid);
    set_transforms(tfms, options);
  });
  return *this;
}

void ImageLabelLists::set_transforms(const ImageTransforms& tfms, const ApplyTfmsOptions& options) {
  tfms_ = tfms;
  apply_ = options;
}

ImageLabelLists& ImageLabelLists::add_test(Paths items, const std::vector<Label>& labels) & {
  boundary([&] {
    if (labels.empty()) {
      lists_.add_test(std::move(items));
    } else {
      lists_.add_test(std::move(items), labels);
    }
  });
  return *this;
}

ImageLabelLists& ImageLabelLists::add_test_folder(const std::string& test_folder,
                                                  const std::optional<Label>& label) & {
  auto files = get_image_files(path_ / test_folder, {.recurse = true});
  return add_test(std::move(files), label ? std::vector<Label>{*label} : std::vector<Label>{});
}

ImageLabelLists& ImageLabelLists::filter_by_func(const DropPair& drop) & {
  lists_.filter_by_func(drop);
  return *this;
}

ImageDataBunch ImageLabelLists::databunch(const DatabunchOptions& options) const {
  return boundary(
      [&] { return ImageDataBunch::make(lists_, path_, tfms_, apply_, options, files_); });
}

std::string ImageLabelLists::str() const {
  return boundary([&] {
    const auto part = [&](const LabelList& list, const TfmList& tfms) {
      return ImageDataset(list, tfms, apply_, {.files = files_}).describe(path_);
    };
    return fmt::format("LabelLists;\n\nTrain: {};\n\nValid: {};\n\nTest: {}",
                       part(lists_.train, tfms_.train), part(lists_.valid, tfms_.valid),
                       lists_.test ? part(*lists_.test, tfms_.valid) : "None");
  });
}

}  // namespace fastcpp
