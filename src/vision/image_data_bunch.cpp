#include "fastcpp/vision/image_data_bunch.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp {
namespace {

std::uint64_t seed_of(const std::optional<std::uint64_t>& seed) {
  return seed.value_or(default_seed());
}

ApplyTfmsOptions apply_options(const ImageDataBunchOptions& o) {
  return {o.size, o.resize_method, o.mult, o.padding_mode, o.mode};
}

std::shared_ptr<const ImageDataset> dataset(const LabelList& list, const TfmList& tfms,
                                            const ImageDataBunchOptions& o,
                                            const ImageLoading& loading) {
  return std::make_shared<const ImageDataset>(list, tfms, apply_options(o), loading);
}

// The device finishes batches of one known size, that of all loaders.
bool augments_on_device(const ImageTransforms& tfms, const ImageDataBunchOptions& o) {
  if (o.augment_on != AugmentOn::kDevice) return false;
  const auto size = output_size(tfms.train, apply_options(o));
  return size && size == output_size(tfms.valid, apply_options(o));
}

// As fastai: the first item of every set is opened and transformed, so that a mistake shows at
// once.
void check_first(const ImageDataset& set, std::uint64_t seed) {
  if (set.size() == 0) return;
  Rng rng(seed);
  set.get(0, rng);
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

ImageDataBunch ImageDataBunch::create_from_ll(const LabelLists& lists, const Path& path,
                                              const ImageDataBunchOptions& options) {
  const auto tfms = options.ds_tfms.value_or(ImageTransforms{});
  const auto seed = seed_of(options.seed);
  // One budget for all sets: training and fix hold the same files.
  const ImageLoading loading{.cache = options.cache_bytes > 0
                                          ? std::make_shared<PictureCache>(options.cache_bytes)
                                          : std::shared_ptr<PictureCache>(),
                             .scaled_decode = options.scaled_decode,
                             .augment_on_device = augments_on_device(tfms, options)};
  const auto train = dataset(lists.train, tfms.train, options, loading);
  const auto valid = dataset(lists.valid, tfms.valid, options, loading);
  const auto fix = dataset(lists.train, tfms.valid, options, loading);
  Datasets sets{train, nullptr, fix, nullptr};
  if (lists.valid.size() > 0) {
    sets.valid = valid;
  } else {
    log_warning(
        "Your validation set is empty. If this is by design, use `split_none()` or pass "
        "`ignore_empty=True` when labelling to remove this warning.");
  }
  if (options.test) {
    sets.test = dataset(test_items(path / *options.test, lists.train.classes), tfms.valid, options,
                        loading);
  }
  auto dl_tfms = options.dl_tfms;
  if (loading.augment_on_device) {
    // The sets differ in nothing that this needs, so one of them speaks for all.
    dl_tfms.insert(dl_tfms.begin(), [train](Batch& batch) { train->finish_batch(batch); });
  }
  check_first(*train, seed);
  check_first(*valid, seed);
  ImageDataBunch bunch(DataBunch::create(sets, path,
                                         {.bs = options.bs,
                                          .val_bs = options.val_bs,
                                          .num_workers = options.num_workers,
                                          .dl_tfms = dl_tfms,
                                          .device = options.device,
                                          .seed = seed,
                                          .classes = lists.train.classes,
                                          .name = "ImageDataBunch"}));
  bunch.set_item_reader([fix](const std::any& item) { return read_item(*fix, item); });
  if (!options.no_check) bunch.sanity_check();
  return bunch;
}

ImageDataBunch ImageDataBunch::from_lists(const Path& path, const std::vector<Path>& fnames,
                                          const std::vector<std::string>& labels,
                                          const ImageDataBunchOptions& options) {
  const auto split = split_by_rand_pct(static_cast<std::int64_t>(fnames.size()), options.valid_pct,
                                       static_cast<std::uint32_t>(seed_of(options.seed)));
  return create_from_ll(make_label_lists(fnames, labels, split, options.classes), path, options);
}

ImageDataBunch ImageDataBunch::from_name_re(const Path& path, const std::vector<Path>& fnames,
                                            std::string_view pat,
                                            const ImageDataBunchOptions& options) {
  return from_lists(path, fnames, label_from_re(fnames, pat), options);
}

ImageDataBunch ImageDataBunch::from_name_func(
    const Path& path, const std::vector<Path>& fnames,
    const std::function<std::string(const Path&)>& label_func,
    const ImageDataBunchOptions& options) {
  std::vector<std::string> labels;
  for (const auto& file : fnames) labels.push_back(label_func(file));
  return from_lists(path, fnames, labels, options);
}

ImageDataBunch ImageDataBunch::from_folder(const Path& path, const FromFolderOptions& options) {
  GetFilesOptions walk{.extensions = image_extensions(), .recurse = true};
  if (options.test) walk.exclude = {*options.test};
  const auto files = get_files(path, walk);
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
  return create_from_ll(make_label_lists(files, label_from_folder(files), split, options.classes),
                        path,
                        {.ds_tfms = options.ds_tfms,
                         .size = options.size,
                         .bs = options.bs,
                         .val_bs = options.val_bs,
                         .num_workers = options.num_workers,
                         .dl_tfms = options.dl_tfms,
                         .device = options.device,
                         .test = options.test,
                         .no_check = options.no_check,
                         .resize_method = options.resize_method,
                         .mult = options.mult,
                         .padding_mode = options.padding_mode,
                         .mode = options.mode,
                         .seed = options.seed,
                         .cache_bytes = options.cache_bytes,
                         .scaled_decode = options.scaled_decode,
                         .augment_on = options.augment_on});
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
  const auto batch = one_batch(options.ds_type);
  const auto n = std::min<std::int64_t>(std::int64_t{options.rows} * options.rows, batch.x.size(0));
  const auto side = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(n))));
  const auto size = options.figsize.value_or(std::pair{4.0 * side, 4.0 * side});
  Figure figure({.width = size.first, .height = size.second});
  auto cells = figure.subplots(side, side);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(cells.size()); ++i) {
    auto& cell = cells[static_cast<std::size_t>(i)];
    cell.axis_off();
    if (i >= n) continue;
    const auto at = options.reverse ? batch.x.size(0) - 1 - i : i;
    const auto label = static_cast<std::size_t>(batch.y[at].item<std::int64_t>());
    cell.imshow(to_picture(batch.x[at])).title(label < classes().size() ? classes()[label] : "");
  }
  return figure;
}

}  // namespace fastcpp
