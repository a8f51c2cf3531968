// Test-time augmentation and Monte Carlo dropout.
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <fmt/format.h>

#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/tta.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// What the network sees comes out.
const auto kAsItIs = [](const torch::Tensor& x) { return x; };

Learner seeing(const Path& folder, const std::vector<Path>& files, const ImageTransforms& tfms,
               const ApplyTfmsOptions& apply, int num_workers = 0) {
  const LabelList list(files, std::vector<std::int64_t>(files.size(), 1), {"cat", "dog"});
  const auto train = std::make_shared<ImageDataset>(list, tfms.train, apply);
  const auto valid = std::make_shared<ImageDataset>(list, tfms.valid, apply);
  const auto data = DataBunch::create({train, valid, valid, nullptr}, folder,
                                      {.bs = 2,
                                       .num_workers = num_workers,
                                       .device = torch::kCPU,
                                       .seed = 3,
                                       .classes = {"cat", "dog"}});
  return Learner(data, Model(nn::Sequential(nn::Identity())), {.silent = true});
}

std::vector<Path> draw(const Path& folder, int count = 3) {
  torch::manual_seed(4);
  std::vector<Path> files;
  for (int i = 0; i < count; ++i) {
    files.push_back(folder / fmt::format("{}.png", i));
    Image::from_tensor(torch::rand({3, 40, 50})).save(files.back());
  }
  return files;
}

double gap(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// A corner of a picture, mirrored or not, as one call of apply_tfms gives it.
torch::Tensor corner(const Path& file, int pass, double scale, const ApplyTfmsOptions& apply) {
  const double row = pass & 1, col = pass >> 1 & 1;
  TfmList tfms{zoom({.scale = scale, .row_pct = row, .col_pct = col}),
               crop_pad({.row_pct = row, .col_pct = col})};
  if (pass >= 4) tfms.push_back(flip_lr());
  Rng rng(0);
  return apply_tfms(open_image(file), tfms, apply, rng).tensor();
}

}  // namespace

TEST_CASE("eight passes see the four corners, and the four mirrored") {
  TempDir dir;
  const auto files = draw(dir.path());
  const ApplyTfmsOptions apply{.size = 32};
  // What TTA replaces is in the training transforms, and nothing else.
  auto learn = seeing(
      dir.path(), files,
      {{flip_lr({.p = 0.5}), rand_zoom({1, 1.5}), dihedral(), rand_crop()}, {crop_pad()}}, apply);
  const auto passes = learn.tta_only({.scale = 1.5, .activ = kAsItIs});
  REQUIRE(passes.size() == 8);
  for (int pass = 0; pass < 8; ++pass) {
    const auto& seen = passes[static_cast<std::size_t>(pass)];
    REQUIRE(seen.sizes() == torch::IntArrayRef({3, 3, 32, 32}));
    for (std::size_t i = 0; i < files.size(); ++i) {
      CHECK(gap(seen[static_cast<std::int64_t>(i)], corner(files[i], pass, 1.5, apply)) <= 1e-5);
    }
  }
  CHECK(gap(passes[0], passes[4]) > 0.1);
}

TEST_CASE("the corners are those of the reference", "[skips]") {
  const auto shared = shared_dir();
  const auto folder = shared ? *shared / "golden" : std::filesystem::path();
  if (!shared || !std::filesystem::exists(folder / "transforms.json")) {
    return skip("the complete golden files are not here");
  }
  const auto all = Json::parse(read_file(folder / "transforms.json"));
  Deviation deviation("tta/corners");
  int found = 0;
  for (const auto& item : all.at("cases")) {
    const auto name = item.at("name").get<std::string>();
    if (!name.starts_with("tta_")) continue;
    ++found;
    TempDir dir;
    const auto image = item.at("image").get<std::string>();
    auto learn =
        seeing(dir.path(), {folder / all.at("images").at(image).at("file").get<std::string>()},
               {{}, {crop_pad()}}, {.size = item.at("size").get<int>()});
    const auto pass = static_cast<std::size_t>(std::stoi(name.substr(4)));
    const auto want = array(item.at("out"), folder.string());
    const auto got = learn.tta_only({.activ = kAsItIs}).at(pass)[0].contiguous();
    REQUIRE(static_cast<std::size_t>(got.numel()) == want.values.size());
    for (std::size_t i = 0; i < want.values.size(); ++i) {
      REQUIRE(deviation(got.data_ptr<float>()[i], want.values[i]) <= 1e-4);
    }
  }
  CHECK(found == 8);
}

TEST_CASE("TTA mixes plain and augmented predictions") {
  TempDir dir;
  auto learn = seeing(dir.path(), draw(dir.path()), get_transforms(), {.size = 32});
  const auto first = learn.data().valid_dl().first_batch().x;
  const auto plain = learn.get_preds(DatasetType::Valid, {.activ = kAsItIs});
  const auto found = learn.TTA({.activ = kAsItIs});
  CHECK(torch::equal(found.plain, plain.preds));
  CHECK(torch::equal(found.targets, plain.targets));
  CHECK_FALSE(found.losses.defined());
  const auto passes = learn.tta_only({.activ = kAsItIs});
  const auto mean = torch::stack(passes).mean(0);
  CHECK(gap(found.average, mean) <= 1e-6);
  CHECK(gap(found.preds, 0.4 * plain.preds + 0.6 * mean) <= 1e-6);
  CHECK(torch::equal(learn.TTA({.beta = 1, .activ = kAsItIs}).preds, plain.preds));
  CHECK(torch::equal(learn.TTA({.beta = 0, .activ = kAsItIs}).preds, found.average));
  // What is random stays so, in each pass anew, but comes from the seed alone.
  CHECK(gap(passes[0], corner(dir.path() / "0.png", 0, 1.35, {.size = 32})) > 0.01);
  CHECK(torch::equal(learn.TTA({.activ = kAsItIs}).preds, found.preds));
  auto by_others =
      seeing(dir.path(), draw(dir.path()), get_transforms(), {.size = 32}, /*num_workers=*/2);
  CHECK(torch::equal(by_others.TTA({.activ = kAsItIs}).preds, found.preds));
  // The learner's own data stay as they were.
  CHECK(torch::equal(learn.data().valid_dl().first_batch().x, first));
}

TEST_CASE("losses with TTA are those of its probabilities, also in an interpretation") {
  TempDir dir;
  const auto seen = seeing(dir.path(), draw(dir.path()), get_transforms(), {.size = 32});
  torch::manual_seed(1);
  Learner learn(seen.data(), Model(nn::Sequential(nn::Flatten(), nn::Linear(3 * 32 * 32, 2))),
                {.silent = true});
  const auto found = learn.TTA({.with_loss = true});
  CHECK(gap(found.preds.sum(1), torch::ones(3)) <= 1e-5);
  const auto want = nn::functional::cross_entropy(
      found.preds, found.targets,
      nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone));
  CHECK(gap(found.losses, want) <= 1e-6);
  const auto interp = ClassificationInterpretation::from_learner(learn, {.tta = true});
  CHECK(torch::equal(interp.preds(), found.preds));
  CHECK(torch::equal(interp.losses(), found.losses));
  CHECK(ClassificationInterpretation::from_learner(learn).preds().equal(found.plain));
}

TEST_CASE("what TTA cannot do is refused before anything is computed") {
  TempDir dir;
  auto learn = seeing(dir.path(), draw(dir.path()), get_transforms(), {.size = 32});
  CHECK(caught([&] { learn.TTA({.beta = 1.5}); }).code == "value.tta");
  CHECK(caught([&] { learn.TTA({.beta = std::numeric_limits<double>::quiet_NaN()}); }).code ==
        "value.tta");
  CHECK(caught([&] { learn.TTA({.scale = 0}); }).code == "value.transform_argument");
  const auto shuffled = caught([&] { learn.tta_only({.ds_type = DatasetType::Train}); });
  CHECK(shuffled.code == "value.tta");
  CHECK(shuffled.message.find("DatasetType::Fix") != std::string::npos);
  CHECK(learn.TTA({.ds_type = DatasetType::Fix, .activ = kAsItIs}).preds.size(0) == 3);
  const auto set =
      std::make_shared<TensorDataset>(torch::rand({4, 2}), torch::zeros({4}, torch::kLong));
  const auto data = DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                                      {.bs = 2, .num_workers = 0, .device = torch::kCPU});
  Learner numbers(data, Model(nn::Sequential(nn::Linear(2, 2))), {.silent = true});
  CHECK(caught([&] { numbers.TTA(); }).code == "data.no_pictures");
  std::stop_source stop;
  stop.request_stop();
  CHECK(caught([&] { learn.TTA({.stop = stop.get_token()}); }).code == "train.stopped");
}

namespace {

Learner with_model(const Path& folder, const nn::Sequential& model) {
  const auto set =
      std::make_shared<TensorDataset>(torch::rand({8, 6}), torch::zeros({8}, torch::kLong));
  const auto data = DataBunch::create(
      {set, set, nullptr, nullptr}, folder,
      {.bs = 4, .num_workers = 0, .device = torch::kCPU, .seed = 1, .classes = {"cat", "dog"}});
  return Learner(data, Model(model), {.silent = true});
}

}  // namespace

TEST_CASE("Monte Carlo dropout draws a network for each prediction") {
  TempDir dir;
  torch::manual_seed(2);
  const nn::Sequential model(nn::BatchNorm1d(6), nn::Linear(6, 16), nn::ReLU(), nn::Dropout(0.5),
                             nn::Linear(16, 2));
  auto learn = with_model(dir.path(), model);
  learn.fit(1, 1e-3);
  learn.model()->train();
  const auto statistics = (*model)[0]->as<nn::BatchNorm1d>()->running_mean.clone();
  const auto item = torch::rand({6});
  torch::manual_seed(5);
  const auto found = learn.predict_with_mc_dropout(item);
  REQUIRE(found.size() == 10);
  int different = 0;
  for (const auto& one : found) {
    CHECK(std::abs(one.probabilities.sum().item<double>() - 1) <= 1e-5);
    CHECK(one.category == (one.index.item<std::int64_t>() ? "dog" : "cat"));
    different += !torch::equal(one.probabilities, found[0].probabilities);
  }
  CHECK(different >= 5);
  torch::manual_seed(5);
  const auto again = learn.predict_with_mc_dropout(item, {.n_times = 3});
  REQUIRE(again.size() == 3);
  CHECK(torch::equal(again[2].probabilities, found[2].probabilities));
  // Batch norms stand still, and every layer is in the mode it had.
  CHECK(torch::equal((*model)[0]->as<nn::BatchNorm1d>()->running_mean, statistics));
  for (const auto& module : learn.model()->modules()) CHECK(module->is_training());
  CHECK(torch::equal(learn.predict(item).probabilities, learn.predict(item).probabilities));
  CHECK(caught([&] { learn.predict_with_mc_dropout(item, {.n_times = 0}); }).code ==
        "value.n_times");
  CHECK(caught([&] { learn.predict_with_mc_dropout(std::string("no item")); }).code ==
        "value.item");
}

TEST_CASE("Monte Carlo dropout without dropout says so") {
  TempDir dir;
  auto learn = with_model(dir.path(), nn::Sequential(nn::Linear(6, 2)));
  CapturedLog log;
  const auto found = learn.predict_with_mc_dropout(torch::rand({6}), {.n_times = 2});
  CHECK(torch::equal(found[0].probabilities, found[1].probabilities));
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("no dropout layer") != std::string::npos);
}
