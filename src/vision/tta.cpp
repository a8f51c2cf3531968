// Test-time augmentation: the learner knows no pictures, so these members of Learner are defined here, above both rooms.
#include "fastcpp/vision/tta.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::uint64_t kPasses = 8;

void check(const TtaOptions& options) {
  if (!(options.beta >= 0 && options.beta <= 1)) {
    throw ValueError("value.tta", fmt::format("beta must lie in 0..1, found {}", options.beta));
  }
  if (options.ds_type == DatasetType::Train) {
    throw ValueError("value.tta",
                     "the training loader shuffles its items anew in every pass, so that passes "
                     "cannot be averaged; DatasetType::Fix has the same items in order");
  }
}

// The four corners, then the four corners mirrored. What else is random in the training transforms stays so.
TfmList transforms_of_pass(const TfmList& train, std::uint64_t pass, double scale) {
  constexpr std::array<std::string_view, 4> kReplaced{"crop_pad", "flip_lr", "dihedral", "zoom"};
  TfmList tfms;
  for (const auto& tfm : train) {
    if (std::find(kReplaced.begin(), kReplaced.end(), tfm.name()) == kReplaced.end()) {
      tfms.push_back(tfm);
    }
  }
  const auto bit = [&](int i) { return static_cast<double>(pass >> i & 1); };
  if (bit(2) > 0) tfms.push_back(flip_lr());
  tfms.push_back(zoom({.scale = scale, .row_pct = bit(0), .col_pct = bit(1)}));
  tfms.push_back(crop_pad({.row_pct = bit(0), .col_pct = bit(1)}));
  return tfms;
}

std::vector<torch::Tensor> augmented(Learner& learn, const TtaOptions& options) {
  const auto data = learn.data();
  const auto& set = image_dataset(data, options.ds_type);
  const auto& train = image_dataset(data, DatasetType::Train).tfms();
  auto loading = set.loading();
  loading.augment_on_device = false;  // what finishes packed batches leaves pictures as they are
  std::vector<torch::Tensor> all;
  for (std::uint64_t pass = 0; pass < kPasses; ++pass) {
    auto walk = data.dl(options.ds_type).options();
    walk.seed = Rng{walk.seed, kPasses + pass}.next();
    const DataLoader loader(
        std::make_shared<ImageDataset>(set.list(), transforms_of_pass(train, pass, options.scale),
                                       set.options(), loading),
        walk);
    all.push_back(learn
                      .get_preds(options.ds_type,
                                 {.activ = options.activ, .dl = loader, .stop = options.stop})
                      .preds);
  }
  return all;
}

}  // namespace

std::vector<torch::Tensor> Learner::tta_only() {
  return tta_only({});
}

std::vector<torch::Tensor> Learner::tta_only(const TtaOptions& options) {
  check(options);
  return boundary([&] { return augmented(*this, options); });
}

TtaPredictions Learner::TTA() {
  return TTA({});
}

TtaPredictions Learner::TTA(const TtaOptions& options) {
  check(options);
  return boundary([&] {
    TtaPredictions found;
    image_dataset(data(), options.ds_type);  // refused before anything is computed
    const auto plain = get_preds(options.ds_type, {.activ = options.activ, .stop = options.stop});
    found.plain = plain.preds;
    found.targets = plain.targets;
    const auto passes = augmented(*this, options);
    for (const auto& pass : passes) {
      if (pass.sizes() != found.plain.sizes()) {
        throw DataError("data.left_out",
                        fmt::format("one pass gave {} rows of predictions, another {}: items that "
                                    "cannot be loaded were left out of some; remove these files",
                                    found.plain.size(0), pass.size(0)));
      }
      found.average = found.average.defined() ? found.average + pass : pass;
    }
    found.average = found.average / static_cast<double>(passes.size());
    found.preds = options.beta * found.plain + (1 - options.beta) * found.average;
    if (options.with_loss) found.losses = loss_func().unreduced(found.preds, found.targets);
    return found;
  });
}

}  // namespace fastcpp
