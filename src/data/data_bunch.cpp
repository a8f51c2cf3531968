#include "fastcpp/data/data_bunch.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include "data/data_bunch_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

// mean or std as a tensor that broadcasts over the channels of x (N x C x ... or C x ...).
torch::Tensor per_channel(const std::vector<float>& values, const torch::Tensor& x, bool batch) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape.at(batch ? 1 : 0) = static_cast<std::int64_t>(values.size());
  // Whole numbers become real ones.
  return torch::tensor(values, x.options().dtype(torch::kFloat32))
      .reshape(shape)
      .to(x.is_floating_point() ? x.scalar_type() : torch::kFloat32);
}

// Where only the kind is known.
std::shared_ptr<const Labels> labels_of(const DataBunchOptions& options, const Dataset& train) {
  switch (options.kind) {
    case LabelKind::kMultiCategory:
      return std::make_shared<MultiCategoryList>(std::vector<std::vector<std::int64_t>>{},
                                                 ClassNames(options.classes));
    case LabelKind::kFloat: {
      const auto layout = train.layout();
      const bool several = layout && layout->y.size() == 1 && layout->y[0].shape.size() == 1;
      return std::make_shared<FloatList>(
          std::vector<float>{}, several ? std::max<std::int64_t>(1, layout->y[0].shape[0]) : 1);
    }
    case LabelKind::kEmpty:
      return std::make_shared<EmptyLabelList>(0);
    case LabelKind::kCategory:
      break;
  }
  return std::make_shared<CategoryList>(std::vector<std::int64_t>{}, ClassNames(options.classes));
}

}  // namespace

DataBunch DataBunch::create(const Datasets& sets, const Path& path,
                            const DataBunchOptions& options) {
  return boundary([&] { return make(sets, path, options); });
}

DataBunch DataBunch::make(const Datasets& sets, const Path& path, const DataBunchOptions& options) {
  if (!sets.train) throw DataError("data.empty", "a DataBunch needs a training set");
  DataBunch bunch;
  bunch.impl_ = std::make_shared<Impl>();
  auto& impl = *bunch.impl_;
  impl.options = options;
  impl.path = path;
  impl.device = options.device.value_or(torch::cuda::is_available() ? torch::kCUDA : torch::kCPU);
  DataLoaderOptions train{.bs = options.bs,
                          .shuffle = options.shuffle && !options.sampler,
                          .drop_last = true,
                          .num_workers = options.num_workers,
                          .seed = options.seed,
                          .device = impl.device,
                          .tfms = options.dl_tfms,
                          .sampler = options.sampler,
                          .collate = options.collate_fn,
                          .on_error = options.on_error};
  // A field more in DataLoaderOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = train;
  impl.train.emplace(sets.train, train);
  DataLoaderOptions other = train;
  other.bs = options.val_bs.value_or(options.bs);
  other.shuffle = other.drop_last = false;
  other.sampler = nullptr;
  impl.fix.emplace(sets.fix ? sets.fix : sets.train, other);
  if (sets.test) impl.test.emplace(sets.test, other);
  impl.labels = options.labels ? options.labels : labels_of(options, *sets.train);
  if (sets.valid && sets.valid->size() == 0) {
    impl.empty_valid = sets.valid;
  } else if (sets.valid) {
    impl.valid.emplace(sets.valid, other);
    other.bs = 1;
    other.num_workers = 0;
    impl.single.emplace(sets.valid, other);
  }
  return bunch;
}

DataLoader DataBunch::train_dl() const {
  return *impl_->train;
}
DataLoader DataBunch::fix_dl() const {
  return *impl_->fix;
}

DataLoader DataBunch::valid_dl() const {
  if (!impl_->valid) throw DataError("data.no_valid", "this DataBunch has no validation set");
  return *impl_->valid;
}

DataLoader DataBunch::test_dl() const {
  if (!impl_->test) throw DataError("data.no_test", "this DataBunch has no test set");
  return *impl_->test;
}

DataLoader DataBunch::dl(DatasetType type) const {
  switch (type) {
    case DatasetType::Train:
      return train_dl();
    case DatasetType::Valid:
      return valid_dl();
    case DatasetType::Test:
      return test_dl();
    case DatasetType::Single:
      if (!impl_->single) throw DataError("data.no_valid", "this DataBunch has no validation set");
      return *impl_->single;
    case DatasetType::Fix:
      break;
  }
  return fix_dl();
}

std::vector<DataLoader> DataBunch::dls() const {
  std::vector<DataLoader> all;
  for (const auto* loader :
       {&impl_->train, &impl_->fix, &impl_->valid, &impl_->single, &impl_->test}) {
    if (*loader) all.push_back(**loader);
  }
  return all;
}

bool DataBunch::empty_val() const {
  return !impl_->valid;
}
bool DataBunch::is_empty() const {
  return train_ds().size() == 0 && empty_val();
}
const std::shared_ptr<const Labels>& DataBunch::labels() const {
  return impl_->labels;
}
bool DataBunch::has_test() const {
  return impl_->test.has_value();
}
const std::vector<std::string>& DataBunch::classes() const {
  return impl_->labels->classes();
}
std::string DataBunch::classes_str() const {
  return impl_->labels->classes_str();
}

std::string DataBunch::str() const {
  return boundary([&] {
    const auto part = [this](const std::optional<DataLoader>& loader) {
      return loader ? loader->dataset()->describe(path()) : std::string("None");
    };
    return fmt::format(
        "{};\n\nTrain: {};\n\nValid: {};\n\nTest: {}", impl_->options.name, part(impl_->train),
        impl_->empty_valid ? impl_->empty_valid->describe(path()) : part(impl_->valid),
        part(impl_->test));
  });
}

const Path& DataBunch::path() const {
  return impl_->path;
}
torch::Device DataBunch::device() const {
  return impl_->device;
}
LabelKind DataBunch::label_kind() const {
  return impl_->labels->kind();
}
std::uint64_t DataBunch::seed() const {
  return impl_->options.seed;
}
const std::optional<Stats>& DataBunch::stats() const {
  return impl_->stats;
}

std::int64_t DataBunch::c() const {
  return boundary([&] { return count(); });
}

std::int64_t DataBunch::count() const {
  if (impl_->options.labels || !classes().empty()) return impl_->labels->c();
  const auto targets = train_ds().targets();
  if (!targets) {
    throw DataError(
        "data.no_targets",
        "the number of classes is not known: the data set does not tell all its targets "
        "at once; give the names of the classes");
  }
  if (label_kind() == LabelKind::kCategory) {
    return targets->numel() ? targets->max().item<std::int64_t>() + 1 : 0;
  }
  return targets->dim() > 1 ? targets->size(1) : 1;
}

void DataBunch::normalize_with(const std::optional<Stats>& given) {
  boundary([&] { add_normalization(given); });
}

void DataBunch::add_normalization(const std::optional<Stats>& given) {
  if (impl_->stats) throw ValueError("value.normalize_twice", "Can not call normalize twice");
  Stats stats;
  if (given) {
    stats = *given;
  } else {
    const torch::Tensor first = train_dl().first_batch().x.one("normalize");
    if (first.dim() < 2 || !first.is_floating_point()) {
      throw ValueError(
          "value.stats",
          fmt::format("statistics are measured on samples of numbers by channel, found "
                      "batches of {} dimensions and type {}: give them, or do without",
                      first.dim(), c10::toString(first.scalar_type())));
    }
    const auto x = first.to(torch::kCPU, torch::kFloat32).transpose(0, 1).flatten(1);
    const auto mean = x.mean(1).contiguous(), std = x.std(1).contiguous();
    stats.mean.assign(mean.data_ptr<float>(), mean.data_ptr<float>() + mean.numel());
    stats.std.assign(std.data_ptr<float>(), std.data_ptr<float>() + std.numel());
  }
  const Normalize normalize(stats, device());
  impl_->stats = stats;
  for (auto* loader : impl_->loaders()) {
    loader->add_tfm([normalize](Batch& batch) { batch.x = normalize(batch.x.one("normalize")); });
  }
}

bool DataBunch::Impl::is_batch(const torch::Tensor& x) const {
  constexpr std::int64_t kPicture = 3;  // where samples differ in size, they are pictures
  const auto layout = train->dataset()->layout();
  const auto dims = layout && layout->x.size() == 1
                        ? static_cast<std::int64_t>(layout->x[0].shape.size())
                        : kPicture;
  // A transform of batches may make other samples of these: pictures that the device augments come packed.
  const bool as_told = x.dim() == dims || x.dim() == dims + 1;
  return x.dim() > (as_told ? dims : kPicture);
}

torch::Tensor DataBunch::norm(const torch::Tensor& x) const {
  if (!impl_->stats) return x;
  return boundary([&] {
    const bool batch = impl_->is_batch(x);
    return (x - per_channel(impl_->stats->mean, x, batch)) /
           per_channel(impl_->stats->std, x, batch);
  });
}

torch::Tensor DataBunch::denorm(const torch::Tensor& x) const {
  return boundary([&] {
    const auto cpu = x.detach().to(torch::kCPU);
    if (!impl_->stats) return cpu;
    const bool batch = impl_->is_batch(x);
    return cpu * per_channel(impl_->stats->std, cpu, batch) +
           per_channel(impl_->stats->mean, cpu, batch);
  });
}

Batch DataBunch::one_batch(DatasetType type) const {
  return boundary([&] {
    auto batch = dl(type).first_batch();
    const auto on_cpu = [](const torch::Tensor& tensor) { return tensor.to(torch::kCPU); };
    batch.x = batch.x.count() == 1 ? Tensors(denorm(batch.x)) : batch.x.each(on_cpu);
    batch.y = batch.y.each(on_cpu);
    return batch;
  });
}

Tensors DataBunch::one_item(const std::any& item) const {
  return boundary([&] { return batch_of(item); });
}

Tensors DataBunch::batch_of(const std::any& item) const {
  Tensors sample;
  if (impl_->reader) sample = impl_->reader(item);
  if (sample.count() == 0) {
    if (const auto* tensor = std::any_cast<torch::Tensor>(&item)) {
      sample = *tensor;
    } else if (const auto* tensors = std::any_cast<Tensors>(&item)) {
      sample = *tensors;
    } else {
      throw ValueError(
          "value.item",
          "this DataBunch cannot read such an item; give what its data set "
          "holds (for pictures an Image or a Path), or a sample as a tensor, or teach it "
          "by set_item_reader");
    }
  }
  const auto layout = train_ds().layout();
  const bool known = layout && layout->x.size() == sample.count();
  std::size_t i = 0;
  const auto one = [&](const torch::Tensor& tensor) {
    const auto typed = known ? tensor.to(layout->x[i++].dtype) : tensor;
    return typed.unsqueeze(0).clone().to(device());
  };
  Batch batch{sample.each(one), {}, {}};
  for (const auto& tfm : fix_dl().options().tfms) tfm(batch);
  return batch.x;
}

void DataBunch::set_item_reader(ItemReader reader) {
  impl_->reader = std::move(reader);
  impl_->reader_recipe = nullptr;
}

void DataBunch::set_item_reader(ItemReader reader, const Recipe& recipe) {
  boundary([&] {
    auto told = std::make_shared<const Recipe>(recipe);
    impl_->reader = std::move(reader);
    impl_->reader_recipe = std::move(told);
  });
}

const Recipe* DataBunch::item_recipe() const {
  return impl_->reader_recipe.get();
}

DataBunch DataBunch::copy() const {
  return boundary([&] {
    DataBunch result;
    result.impl_ = std::make_shared<Impl>(*impl_);
    // Handles share their loader.
    for (auto* loader : result.impl_->loaders()) *loader = loader->with({});
    return result;
  });
}

DataBunch DataBunch::with_train_dl(const DataLoader& train_dl) const {
  return boundary([&] {
    DataBunch result;
    result.impl_ = std::make_shared<Impl>(*impl_);
    result.impl_->train = train_dl;
    return result;
  });
}

namespace {

using Shapes = std::vector<std::vector<std::int64_t>>;  // of the tensors of x

// Of the first n items, none where one cannot be loaded. By as many threads as load batches.
std::vector<std::optional<Shapes>> shapes_of_first(std::int64_t n, const DataLoader& loader) {
  const auto& dataset = *loader.dataset();
  std::vector<std::optional<Shapes>> shapes(static_cast<std::size_t>(n));
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    const torch::NoGradGuard no_grad;
    for (std::int64_t i = next++; i < n; i = next++) {
      const auto at = static_cast<std::size_t>(i);
      try {
        Rng rng{loader.options().seed, 0, static_cast<std::uint64_t>(i)};
        Shapes of_item;
        for (const auto& x : dataset.get(i, rng).x.items()) of_item.push_back(x.sizes().vec());
        shapes[at] = std::move(of_item);
      } catch (...) {  // whatever a data set throws; loading its batch will tell
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    const auto threads = std::min<std::int64_t>(loader.options().num_workers, n);
    try {
      for (std::int64_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {  // those that started do it, with this one
    }
    work();
  }
  return shapes;
}

void look_at_first_batch(const DataLoader& loader) {
  const auto hint = "\nOption `.no_check = true` leaves this look out.";
  const auto& dataset = *loader.dataset();
  if (dataset.size() == 0) return;
  if (loader.size() == 0) {
    log_warning(
        fmt::format("Your training dataloader is empty, you have only {} items in your training "
                    "set and your batch size is {}: you should lower it (`.bs`).",
                    dataset.size(), loader.batch_size()));
    return;
  }
  const auto n = std::min(loader.batch_size(), dataset.size());
  const auto shapes = shapes_of_first(n, loader);
  std::vector<std::int64_t> faulty;
  bool equal = true;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& shape = shapes[static_cast<std::size_t>(i)];
    if (!shape) faulty.push_back(i);
    equal = equal && shape == shapes.front();
  }
  if (!faulty.empty()) {
    const bool all = static_cast<std::int64_t>(faulty.size()) == n;
    const auto shown = std::min<std::size_t>(5, faulty.size());
    log_warning(fmt::format(
        "There seems to be something wrong with your dataset, for example, in the first batch "
        "can't "
        "access {} the training set{} {}{}{}",
        all ? "any element of" : "these elements in", all ? ".\nTried:" : ":",
        fmt::join(faulty.begin(), faulty.begin() + static_cast<std::ptrdiff_t>(shown), ","),
        faulty.size() > shown ? "..." : "", hint));
  } else if (!equal && !loader.options().collate) {
    log_warning(
        fmt::format("It's not possible to collate samples of your dataset together in a "
                    "batch: their shapes differ.{}",
                    hint));
  }
}

}  // namespace

void DataBunch::sanity_check() const {
  boundary([&] { look_at_first_batch(train_dl()); });
}

}  // namespace fastcpp
