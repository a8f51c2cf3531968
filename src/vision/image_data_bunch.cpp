#include "fastcpp/vision/image_data_bunch.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp {
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

// Test pictures are never trained on.
void leave_out(std::vector<Path>& files, std::vector<std::string>* labels, SubFolder folder) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (folder.holds(files[i])) continue;
    if (kept != i) {
      files[kept] = std::move(files[i]);
      if (labels) (*labels)[kept] = std::move((*labels)[i]);
    }
    ++kept;
  }
  files.resize(kept);
  if (labels) labels->resize(kept);
}

// Labels are classes of their list, and outputs of the model that is made for the training list.
void check_list(const LabelList& list, const char* set, std::size_t training_classes) {
  if (list.labelled && list.items.size() != list.y.size()) {
    throw DataError("data.length", fmt::format("the {} list has {} items and {} labels", set,
                                               list.items.size(), list.y.size()));
  }
  if (!list.labelled) return;
  const auto classes = std::min(list.classes.size(), training_classes);
  for (const auto y : list.y) {
    if (y >= 0 && static_cast<std::size_t>(y) < classes) continue;
    throw DataError("data.unknown_label",
                    fmt::format("the {} list has the label {}, but there are {} classes, counted "
                                "from 0",
                                set, y, classes));
  }
}

LabelList test_items(const Path& folder, const std::vector<std::string>& classes) {
  LabelList list;
  list.items = get_image_files(folder, {.recurse = true});
  list.y.assign(list.items.size(), 0);
  list.classes = classes;
  list.labelled = false;
  return list;
}

// Reads what `predict` gets: a picture, or the path of one.
torch::Tensor read_item(const ImageDataset& set, const std::any& item) {
  Image image;
  if (const auto* given = std::any_cast<Image>(&item)) {
    image = *given;
  } else if (const auto* file = std::any_cast<Path>(&item)) {
    image = open_image(*file);
  } else if (const auto* name = std::any_cast<std::string>(&item)) {
    image = open_image(*name);
  } else if (const auto* text = std::any_cast<const char*>(&item)) {
    image = open_image(*text);
  } else {
    return {};
  }
  Rng rng(0);  // validation transforms draw nothing
  return set.transformed(image, rng).tensor();
}

}  // namespace

template <typename Options>
ImageDataBunch ImageDataBunch::from_label_lists(const LabelLists& lists, const Path& path,
                                                const Options& options) {
  check_list(lists.train, "training", lists.train.classes.size());
  check_list(lists.valid, "validation", lists.train.classes.size());
  if (lists.train.labelled && lists.train.size() > 0 && lists.train.classes.size() == 1) {
    log_warning(
        fmt::format("All items have one class, '{}': every prediction is right, and nothing is "
                    "learned. Are the labels the right ones?",
                    lists.train.classes.front()));
  }
  const auto tfms = options.ds_tfms.value_or(ImageTransforms{});
  const auto apply = apply_options(options);
  const auto seed = seed_of(options.seed);
  // One budget for all sets: training and fix hold the same files.
  const ImageLoading loading{
      .cache = options.cache_bytes > 0 ? std::make_shared<PictureCache>(options.cache_bytes)
                                       : std::shared_ptr<PictureCache>(),
      .scaled_decode = options.scaled_decode,
      .augment_on_device = augments_on_device(tfms, apply, options.augment_on)};
  const auto dataset = [&](const LabelList& list, const TfmList& list_tfms) {
    return std::make_shared<const ImageDataset>(list, list_tfms, apply, loading);
  };
  const auto train = dataset(lists.train, tfms.train);
  const auto valid = dataset(lists.valid, tfms.valid);
  const auto fix = dataset(lists.train, tfms.valid);
  Datasets sets{train, nullptr, fix, nullptr};
  if (lists.valid.size() > 0) {
    sets.valid = valid;
  } else {
    log_warning(
        "The validation set is empty: no figures will tell how well the training goes. If that is "
        "not meant, look at valid_pct and at the names of the folders.");
  }
  if (options.test) {
    sets.test =
        dataset(test_items(folder_below(path, *options.test, "test").path(), lists.train.classes),
                tfms.valid);
  }
  auto dl_tfms = options.dl_tfms;
  if (loading.augment_on_device) {
    // The sets differ in nothing that this needs, so one of them speaks for all.
    dl_tfms.insert(dl_tfms.begin(), [train](Batch& batch) { train->finish_batch(batch); });
  }
  if (!options.no_check) {
    check_first(*train, seed);
    check_first(*valid, seed);
  }
  const DataBunchOptions made{.bs = options.bs,
                              .val_bs = options.val_bs,
                              .num_workers = options.num_workers,
                              .dl_tfms = dl_tfms,
                              .device = options.device,
                              .seed = seed,
                              .kind = LabelKind::kCategory,
                              .classes = lists.train.classes,
                              .shuffle = true,
                              .name = "ImageDataBunch",
                              .collate_fn = {}};
  // A field more in DataBunchOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = made;
  ImageDataBunch bunch(DataBunch::create(sets, path, made));
  bunch.set_item_reader([fix](const std::any& item) { return read_item(*fix, item); });
  if (!options.no_check) bunch.sanity_check();
  return bunch;
}

ImageDataBunch ImageDataBunch::create_from_ll(const LabelLists& lists, const Path& path,
                                              const ImageDataBunchOptions& options) {
  return boundary([&] { return from_label_lists(lists, path, options); });
}

ImageDataBunch ImageDataBunch::from_lists(const Path& path, const std::vector<Path>& fnames,
                                          const std::vector<std::string>& labels,
                                          const ImageDataBunchOptions& options) {
  return boundary([&] {
    if (fnames.size() != labels.size()) {
      throw DataError("data.length",
                      fmt::format("expected one label per item, found {} items and {} labels",
                                  fnames.size(), labels.size()));
    }
    auto files = fnames;
    auto names = labels;
    if (options.test) leave_out(files, &names, folder_below(path, *options.test, "test"));
    const auto split = split_by_rand_pct(static_cast<std::int64_t>(files.size()), options.valid_pct,
                                         static_cast<std::uint32_t>(seed_of(options.seed)));
    return create_from_ll(make_label_lists(files, names, split, options.classes), path, options);
  });
}

ImageDataBunch ImageDataBunch::from_name_re(const Path& path, const std::vector<Path>& fnames,
                                            std::string_view pat,
                                            const ImageDataBunchOptions& options) {
  return boundary([&] { return from_lists(path, fnames, label_from_re(fnames, pat), options); });
}

ImageDataBunch ImageDataBunch::from_name_func(
    const Path& path, const std::vector<Path>& fnames,
    const std::function<std::string(const Path&)>& label_func,
    const ImageDataBunchOptions& options) {
  if (!label_func) throw ValueError("value.label_func", "the function that labels is empty (null)");
  std::vector<std::string> labels;
  boundary([&] {
    for (const auto& file : fnames) labels.push_back(label_func(file));
  });
  return from_lists(path, fnames, labels, options);
}

ImageDataBunch ImageDataBunch::from_folder(const Path& path, const FromFolderOptions& options) {
  return boundary([&] { return folders(path, options); });
}

ImageDataBunch ImageDataBunch::folders(const Path& path, const FromFolderOptions& options) {
  auto files = get_files(
      path,
      {.extensions = image_extensions(), .recurse = true, .followlinks = options.followlinks});
  if (options.test) leave_out(files, nullptr, folder_below(path, *options.test, "test"));
  if (!options.valid_pct) {
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
  const auto split =
      options.valid_pct
          ? split_by_rand_pct(static_cast<std::int64_t>(files.size()), *options.valid_pct,
                              static_cast<std::uint32_t>(seed_of(options.seed)))
          : split_by_folder(files, path, options.train, options.valid);
  if (split.train.empty() && split.valid.empty()) {
    throw DataError(
        "data.empty",
        fmt::format("found {} pictures below '{}', but none in the folders '{}' and '{}'; "
                    "give their names as train and valid, or split at random by valid_pct",
                    files.size(), path.string(), options.train, options.valid));
  }
  return from_label_lists(make_label_lists(files, label_from_folder(files), split, options.classes),
                          path, options);
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
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(cells.size()); ++i) {
    auto& cell = cells[static_cast<std::size_t>(i)];
    cell.axis_off();
    if (i >= n) continue;
    const auto at = options.reverse ? batch.x.size(0) - 1 - i : i;
    const auto label = batch.y.dim() == 1
                           ? static_cast<std::size_t>(batch.y[at].item<std::int64_t>())
                           : classes().size();
    cell.imshow(to_picture(batch.x[at])).title(label < classes().size() ? classes()[label] : "");
  }
  return figure;
}

}  // namespace fastcpp
