#include "fastcpp/vision/image_data_bunch.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "vision/item_picture.hpp"

namespace fastcpp::inline v0 {
namespace {

std::uint64_t seed_of(const std::optional<std::uint64_t>& seed) {
  return seed.value_or(default_seed());
}

// `Options` is ImageDataBunchOptions or FromFolderOptions, here and below: what both have is read from either, and
// nothing is copied from one to the other.
template <typename Options>
ApplyTfmsOptions apply_options(const Options& o) {
  ApplyTfmsOptions apply{o.size, o.resize_method, o.mult, o.padding_mode, o.mode};
  // A field more in ApplyTfmsOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5] = apply;
  return apply;
}

// The device finishes batches of one known size, that of all loaders.
bool augments_on_device(const ImageTransforms& tfms, const ApplyTfmsOptions& apply,
                        AugmentOn where) {
  if (where != AugmentOn::kDevice) return false;
  const auto size = output_size(tfms.train, apply);
  return size && size == output_size(tfms.valid, apply);
}

// As fastai: the first item of every set is opened and transformed, so that a mistake shows at
// once.
void check_first(const ImageDataset& set, std::uint64_t seed) {
  if (set.size() == 0) return;
  Rng rng(seed);
  set.get(0, rng);
}

// Throws ValueError `value.folder`, DataError `data.not_a_folder`.
SubFolder folder_below(const Path& path, const std::string& name, const char* what) {
  SubFolder folder(path, name);
  if (folder.path() == SubFolder(path, "").path()) {
    throw ValueError("value.folder",
                     fmt::format("the {} folder is the folder of the data itself ('{}'): its "
                                 "pictures would be in every set; name a folder below it",
                                 what, path.string()));
  }
  std::error_code ec;
  if (!std::filesystem::is_directory(folder.path(), ec)) {
    throw DataError("data.not_a_folder",
                    fmt::format("the {} folder '{}' is not there; names are told apart by upper "
                                "and lower case",
                                what, folder.path().string()));
  }
  return folder;
}

// Test pictures are never trained on: the positions of the others.
std::vector<std::int64_t> outside(const Paths& files, SubFolder folder) {
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!folder.holds(files[i])) kept.push_back(static_cast<std::int64_t>(i));
  }
  return kept;
}

// Outputs of a model that is made for the training list are classes of the validation list too.
void check_lists(const LabelLists& lists) {
  const auto& classes = lists.train.classes();
  const auto* valid = dynamic_cast<const CategoryList*>(lists.valid.y.get());
  if (valid && lists.train.y->kind() == LabelKind::kCategory) {
    for (const auto y : valid->indices()) {
      if (static_cast<std::size_t>(y) < classes.size()) continue;
      throw DataError("data.unknown_label",
                      fmt::format("the validation list has the label {}, but there are {} classes, "
                                  "counted from 0",
                                  y, classes.size()));
    }
  }
  for (const auto* list : {&lists.train, &lists.valid}) {
    if (list->size() == list->y->size()) continue;
    throw DataError("data.length", fmt::format("the {} list has {} items and {} labels",
                                               list == &lists.train ? "training" : "validation",
                                               list->size(), list->y->size()));
  }
  if (lists.train.y->kind() == LabelKind::kCategory && lists.train.size() > 0 &&
      classes.size() == 1) {
    log_warning(
        fmt::format("All items have one class, '{}': every prediction is right, and nothing is "
                    "learned. Are the labels the right ones?",
                    classes.front()));
  }
}

// Reads what `predict` gets: a picture, or the path of one.
torch::Tensor read_item(const ImageDataset& set, const std::any& item) {
  Image image;
  const auto opened = [&](const Path& file) {
    return Image::from_rgb(detail::decode_item(file, set.loading().files.get()));
  };
  if (const auto* given = std::any_cast<Image>(&item)) {
    image = *given;
  } else if (const auto* file = std::any_cast<Path>(&item)) {
    image = opened(*file);
  } else if (const auto* name = std::any_cast<std::string>(&item)) {
    image = opened(*name);
  } else if (const auto* text = std::any_cast<const char*>(&item)) {
    image = opened(*text);
  } else {
    return {};
  }
  Rng rng(0);  // validation transforms draw nothing
  return set.transformed(image, rng).tensor();
}

}  // namespace

ImageDataBunch ImageDataBunch::make(const LabelLists& lists, const Path& path,
                                    const ImageTransforms& tfms, const ApplyTfmsOptions& apply,
                                    const DatabunchOptions& options,
                                    std::shared_ptr<const FileSource> files) {
  check_lists(lists);
  const auto seed = seed_of(options.seed);
  // One budget for all sets: training and fix hold the same files.
  const ImageLoading loading{
      .cache = options.cache_bytes > 0 ? std::make_shared<PictureCache>(options.cache_bytes)
                                       : std::shared_ptr<PictureCache>(),
      .scaled_decode = options.scaled_decode,
      .augment_on_device = augments_on_device(tfms, apply, options.augment_on),
      .files = std::move(files)};
  const auto dataset = [&](const LabelList& list, const TfmList& list_tfms) {
    return std::make_shared<const ImageDataset>(list, list_tfms, apply, loading);
  };
  const auto train = dataset(lists.train, tfms.train);
  const auto valid = dataset(lists.valid, tfms.valid);
  const auto fix = dataset(lists.train, tfms.valid);
  const auto test = lists.test ? dataset(*lists.test, tfms.valid) : nullptr;
  auto dl_tfms = options.dl_tfms;
  if (loading.augment_on_device) {
    // The sets differ in nothing that this needs, so one of them speaks for all.
    dl_tfms.insert(dl_tfms.begin(), [train](Batch& batch) { train->finish_batch(batch); });
  }
  if (!options.no_check && options.on_error == OnError::kRaise) {
    check_first(*train, seed);
    check_first(*valid, seed);
  }
  const DataBunchOptions made{.bs = options.bs,
                              .val_bs = options.val_bs,
                              .num_workers = options.num_workers,
                              .dl_tfms = dl_tfms,
                              .device = options.device,
                              .seed = seed,
                              .kind = lists.train.y->kind(),
                              .classes = lists.train.classes(),
                              .shuffle = !options.sampler,
                              .name = "ImageDataBunch",
                              .collate_fn = options.collate_fn,
                              .labels = lists.train.y->take({}),
                              .sampler = options.sampler,
                              .on_error = options.on_error};
  // A field more in DataBunchOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = made;
  ImageDataBunch bunch(
      DataBunch::create({train, valid, fix, test}, options.path.value_or(path), made));
  bunch.set_item_reader([fix](const std::any& item) { return read_item(*fix, item); });
  if (!options.no_check && train->size() > 0) bunch.sanity_check();
  return bunch;
}

namespace {

// What the factories do with labelled lists (fastai: `create_from_ll`).
template <typename Options>
ImageDataBunch bunch_of(ImageLabelLists lists, const Path& path, const Options& o) {
  if (o.test) {
    lists.add_test(get_image_files(folder_below(path, *o.test, "test").path(), {.recurse = true}));
  }
  const DatabunchOptions made{.path = path,
                              .bs = o.bs,
                              .val_bs = o.val_bs,
                              .num_workers = o.num_workers,
                              .dl_tfms = o.dl_tfms,
                              .device = o.device,
                              .collate_fn = {},
                              .no_check = o.no_check,
                              .seed = o.seed,
                              .cache_bytes = o.cache_bytes,
                              .scaled_decode = o.scaled_decode,
                              .augment_on = o.augment_on,
                              .sampler = {},
                              .on_error = o.on_error};
  // A field more in DatabunchOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = made;
  // The pictures are looked at once, by databunch.
  lists.set_transforms(o.ds_tfms.value_or(ImageTransforms{}), apply_options(o));
  return lists.databunch(made);
}

LabelOptions with_classes(const std::optional<std::vector<std::string>>& classes) {
  LabelOptions options;
  if (classes) options.classes.emplace(*classes);
  return options;
}

// A list without the pictures of the test folder, split at random.
ItemLists<ImageList> random_split_of(const ImageList& list, const ImageDataBunchOptions& o) {
  const auto seed = static_cast<std::uint32_t>(seed_of(o.seed));
  if (!o.test) return list.split_by_rand_pct(o.valid_pct, seed);
  const auto kept = outside(list.items(), folder_below(list.path(), *o.test, "test"));
  return list[kept].split_by_rand_pct(o.valid_pct, seed);
}

void check_folders(const Path& path, const FromFolderOptions& options) {
  folder_below(path, options.train, "training");
  std::error_code ec;
  // As in fastai a data set may lack the usual folder; one that was named must be there.
  if (options.valid != "valid") folder_below(path, options.valid, "validation");
  for (const auto& name : {options.train, options.valid}) {
    const auto link = SubFolder(path, name).path();
    if (!options.followlinks && std::filesystem::is_symlink(link, ec)) {
      log_warning(
          fmt::format("'{}' is a link, and links are not followed: give .followlinks = "
                      "true to use its pictures",
                      link.string()));
    }
  }
}

ImageDataBunch of_folder(const Path& path, const FromFolderOptions& o) {
  auto list = ImageList::from_folder(path, {.followlinks = o.followlinks});
  if (o.test) list = list[outside(list.items(), folder_below(path, *o.test, "test"))];
  if (!o.valid_pct) check_folders(path, o);
  const auto lists = o.valid_pct ? list.split_by_rand_pct(
                                       *o.valid_pct, static_cast<std::uint32_t>(seed_of(o.seed)))
                                 : list.split_by_folder(o.train, o.valid);
  if (lists.split().train.empty() && lists.split().valid.empty()) {
    throw DataError(
        "data.empty",
        fmt::format("found {} pictures below '{}', but none in the folders '{}' and '{}'; "
                    "give their names as train and valid, or split at random by valid_pct",
                    list.size(), path.string(), o.train, o.valid));
  }
  return bunch_of(lists.label_from_folder(with_classes(o.classes)), path, o);
}

void check_not_empty(const std::vector<Path>& fnames) {
  if (!fnames.empty()) return;
  throw DataError("data.empty",
                  "there is no item to train or validate on: the list of files is empty");
}

}  // namespace

ImageDataBunch ImageDataBunch::create_from_ll(const LabelLists& lists, const Path& path,
                                              const ImageDataBunchOptions& options) {
  return boundary(
      [&] { return bunch_of(ImageLabelLists(ImageList({}, path), lists), path, options); });
}

ImageDataBunch ImageDataBunch::from_lists(const Path& path, const std::vector<Path>& fnames,
                                          const std::vector<std::string>& labels,
                                          const ImageDataBunchOptions& options) {
  return of_lists(path, fnames, {labels.begin(), labels.end()}, options);
}

ImageDataBunch ImageDataBunch::of_lists(const Path& path, const std::vector<Path>& fnames,
                                        const std::vector<Label>& labels,
                                        const ImageDataBunchOptions& options) {
  return boundary([&] {
    if (fnames.size() != labels.size()) {
      throw DataError("data.length",
                      fmt::format("expected one label per item, found {} items and {} labels",
                                  fnames.size(), labels.size()));
    }
    check_not_empty(fnames);
    // The labels travel with the files as rows of their own: a list keeps items by position.
    const ImageList all(fnames, path);
    const auto kept = options.test ? outside(fnames, folder_below(path, *options.test, "test"))
                                   : split_none(all.size()).train;
    const auto lists = all[kept].split_by_rand_pct(
        options.valid_pct, static_cast<std::uint32_t>(seed_of(options.seed)));
    const auto labels_of = [&](const std::vector<std::int64_t>& indices) {
      std::vector<Label> some;
      for (const auto i : indices) {
        some.push_back(labels[static_cast<std::size_t>(kept[static_cast<std::size_t>(i)])]);
      }
      return some;
    };
    return bunch_of(
        lists.label_from_lists(labels_of(lists.split().train), labels_of(lists.split().valid),
                               with_classes(options.classes)),
        path, options);
  });
}

ImageDataBunch ImageDataBunch::from_name_re(const Path& path, const std::vector<Path>& fnames,
                                            std::string_view pat,
                                            const ImageDataBunchOptions& options) {
  return boundary([&] {
    check_not_empty(fnames);
    return bunch_of(random_split_of(ImageList(fnames, path), options)
                        .label_from_re(pat, {.labels = with_classes(options.classes)}),
                    path, options);
  });
}

ImageDataBunch ImageDataBunch::from_name_func(const Path& path, const std::vector<Path>& fnames,
                                              const std::function<Label(const Path&)>& label_func,
                                              const ImageDataBunchOptions& options) {
  return boundary([&] {
    check_not_empty(fnames);
    return bunch_of(random_split_of(ImageList(fnames, path), options)
                        .label_from_func(label_func, with_classes(options.classes)),
                    path, options);
  });
}

ImageDataBunch ImageDataBunch::from_df(const Path& path, const Table& df,
                                       const ImageDataBunchOptions& options) {
  return from_df(path, df, DfLabelsOptions{}, options);
}

ImageDataBunch ImageDataBunch::from_df(const Path& path, const Table& df,
                                       const DfLabelsOptions& labels,
                                       const ImageDataBunchOptions& options) {
  return boundary([&] {
    auto label_options = with_classes(options.classes);
    label_options.label_delim = labels.label_delim;
    return bunch_of(random_split_of(ImageList::from_df(df, path,
                                                       {.cols = labels.fn_col,
                                                        .folder = labels.folder,
                                                        .suffix = labels.suffix}),
                                    options)
                        .label_from_df(labels.label_col, label_options),
                    path, options);
  });
}

ImageDataBunch ImageDataBunch::from_csv(const Path& path, const ImageDataBunchOptions& options) {
  return from_csv(path, CsvLabelsOptions{}, options);
}

ImageDataBunch ImageDataBunch::from_csv(const Path& path, const CsvLabelsOptions& labels,
                                        const ImageDataBunchOptions& options) {
  const auto& [folder, label_delim, csv_labels, fn_col, label_col, suffix, delimiter, header] =
      labels;
  const auto df = Table::read_csv(path / csv_labels, {.delimiter = delimiter, .header = header});
  return from_df(path, df, {folder, label_delim, fn_col, label_col, suffix}, options);
}

ImageDataBunch ImageDataBunch::single_from_classes(const Path& path,
                                                   const std::vector<std::string>& classes,
                                                   const ImageDataBunchOptions& options) {
  log_warning(
      "This method is deprecated and will be removed in a future version, use `load_learner` after"
      "\n             `Learner.export()`");
  return boundary([&] {
    const LabelList none({}, std::vector<std::int64_t>{}, classes);
    return bunch_of(ImageLabelLists(ImageList({}, path), {none, none}), path, options);
  });
}

ImageDataBunch ImageDataBunch::from_folder(const Path& path, const FromFolderOptions& options) {
  return boundary([&] { return of_folder(path, options); });
}

ImageDataBunch ImageDataBunch::normalize(const Stats& stats) {
  normalize_with(stats);
  return *this;
}

ImageDataBunch ImageDataBunch::normalize() {
  normalize_with(std::nullopt);
  return *this;
}

const ImageDataset& image_dataset(const DataBunch& data, DatasetType type) {
  const auto* set = dynamic_cast<const ImageDataset*>(data.dl(type).dataset().get());
  if (!set) throw DataError("data.no_pictures", "the items of this data set are no picture files");
  return *set;
}

const ImageDataset& ImageDataBunch::ds(DatasetType type) const {
  return image_dataset(*this, type);
}

Figure ImageDataBunch::show_batch(const ShowBatchOptions& options) const {
  if (options.rows < 1) {
    throw ValueError("value.rows", fmt::format("rows must be at least 1, found {}", options.rows));
  }
  return boundary([&] { return grid_of(one_batch(options.ds_type), options); });
}

Figure ImageDataBunch::grid_of(const Batch& batch, const ShowBatchOptions& options) const {
  const auto n = std::min<std::int64_t>(std::int64_t{options.rows} * options.rows, batch.x.size(0));
  const auto side = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(n))));
  const auto size = options.figsize.value_or(std::pair{4.0 * side, 4.0 * side});
  Figure figure({.width = size.first, .height = size.second, .dpi = options.dpi});
  auto cells = figure.subplots(side, side);
  // Test items have labels of their own kind, or none.
  const auto& truth = *ds(options.ds_type).list().y;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(cells.size()); ++i) {
    auto& cell = cells[static_cast<std::size_t>(i)];
    cell.axis_off();
    if (i >= n) continue;
    const auto at = options.reverse ? batch.x.size(0) - 1 - i : i;
    cell.imshow(to_picture(batch.x[at])).title(truth.target_text(batch.y[at]));
  }
  return figure;
}

}  // namespace fastcpp
