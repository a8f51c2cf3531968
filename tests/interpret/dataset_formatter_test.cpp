// Which pictures are suggested for cleaning, from a learner whose outputs are known.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <fmt/format.h>

#include <array>

#include "fastcpp/interpret/dataset_formatter.hpp"
#include "fastcpp/interpret/image_cleaner.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/models/models.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

using Indices = std::vector<std::int64_t>;

// Gives the mean of each channel, so that a picture of one colour decides the outputs.
struct MeansImpl : nn::Cloneable<MeansImpl> {
  void reset() override {}
  torch::Tensor forward(const torch::Tensor& x) { return 8 * x.mean({2, 3}); }
};
TORCH_MODULE(Means);

// Pictures of one colour each; training, and as many for testing.
Learner coloured(const Path& folder, const std::vector<std::array<float, 3>>& colours,
                 const Indices& y) {
  std::vector<Path> files;
  for (std::size_t i = 0; i < colours.size(); ++i) {
    const auto& c = colours[i];
    files.push_back(folder / fmt::format("{}.png", i));
    Image::from_tensor(
        torch::tensor({c[0], c[1], c[2]}).view({3, 1, 1}).expand({3, 8, 12}).contiguous())
        .save(files.back());
  }
  const LabelList list(files, y, {"red", "green", "blue"});
  const LabelList test(files, std::make_shared<EmptyLabelList>(list.size()));
  const auto set =
      std::make_shared<ImageDataset>(list, TfmList{crop_pad()}, ApplyTfmsOptions{.size = 8});
  const auto tests =
      std::make_shared<ImageDataset>(test, TfmList{crop_pad()}, ApplyTfmsOptions{.size = 8});
  const auto data = DataBunch::create(
      {set, set, nullptr, tests}, folder,
      {.bs = 2, .num_workers = 0, .device = torch::kCPU, .classes = list.classes()});
  const auto inner = std::make_shared<models::Stack>(nn::Identity());
  const auto body = std::make_shared<models::Stack>(nn::Identity(), inner);
  const nn::Sequential model(body, Means());
  return Learner(data, Model(model), {.silent = true});
}

const std::vector<std::array<float, 3>> kColours = {
    {1, 0, 0}, {.5f, .4f, 0}, {0, 1, 0}, {.9f, 0, .1f}, {0, 0, 1}};

}  // namespace

TEST_CASE("pictures with the largest losses come first, as a person looks at them") {
  TempDir dir;
  // Picture 2 is green but called red; 1 is nearly two colours.
  const auto learn = coloured(dir.path(), kColours, {0, 0, 0, 0, 2});
  const auto found = DatasetFormatter::from_toplosses(learn);
  REQUIRE(found.indices.size() == 5);
  CHECK(found.indices[0] == 2);
  CHECK(found.indices[1] == 1);
  CHECK(found.indices[2] == 3);
  CHECK(DatasetFormatter::from_toplosses(learn, 2).indices == Indices{2, 1});
  CHECK(DatasetFormatter::from_toplosses(learn, 0).indices.empty());
  CHECK(caught([&] { DatasetFormatter::from_toplosses(learn, -1); }).code == "value.k");
  Rng rng(0);
  CHECK(found.dataset->get(2, rng).x.one("x").sizes() == at::IntArrayRef({3, 250, 300}));
  CHECK(found.dataset->open(2).tensor().sizes() == at::IntArrayRef({3, 8, 12}));
  // The learner's own loader still gives what it gave.
  CHECK(learn.data().one_batch(DatasetType::Fix).x.one("x").sizes() ==
        at::IntArrayRef({2, 3, 8, 8}));

  // Straight into the cleaner.
  const ImageCleaner cleaner(found, dir.path());
  CHECK(cleaner.shown()[0].index == 2);
  CHECK(cleaner.label(2) == "red");
  CHECK(cleaner.classes() == std::vector<std::string>{"red", "green", "blue"});
}

TEST_CASE("similar pictures come in pairs") {
  TempDir dir;
  const auto learn = coloured(dir.path(), kColours, {0, 0, 1, 0, 2});
  const auto found = DatasetFormatter::from_similars(learn, {.layer_ls = {0, 1, 0}, .pool_dim = 2});
  REQUIRE(found.indices.size() == 10);
  CHECK(Indices(found.indices.begin(), found.indices.begin() + 4) == Indices{3, 0, 1, 0});
  for (std::size_t i = 0; i < 10; i += 2) CHECK(found.indices[i] > found.indices[i + 1]);
  // The means themselves, which have no places to pool.
  CHECK(DatasetFormatter::from_similars(learn, {.layer_ls = {-1}, .pool = SimilarPool::kNone})
            .indices[0] == 3);
  CHECK(learn.model()->is_training());

  const auto code = [&](const SimilarsOptions& options) {
    return caught([&] { DatasetFormatter::from_similars(learn, options); }).code;
  };
  CHECK(code({}) == "value.layer");  // {0, 7, 2} of a resnet
  CHECK(code({.layer_ls = {}}) == "value.layer");
  CHECK(code({.layer_ls = {1, 0}}) == "value.layer");
  CHECK(code({.layer_ls = {1}}) == "value.layer");
  CHECK(code({.layer_ls = {-3}}) == "value.layer");
  CHECK(code({.layer_ls = {0}, .pool_dim = 0}) == "value.pool_dim");
  std::stop_source stop;
  stop.request_stop();
  CHECK(code({.layer_ls = {0}, .stop = stop.get_token()}) == "train.stopped");
  CHECK(caught([&] {
          DatasetFormatter::from_similars(learn, {.layer_ls = {0, 7}});
        }).message.find("position 7 in a sequence of 2 layers") != std::string::npos);
}

TEST_CASE("test pictures that a model is unsure about come first") {
  TempDir dir;
  const auto learn = coloured(dir.path(), kColours, {0, 0, 1, 0, 2});
  const auto found = DatasetFormatter::from_most_unsure(learn, 2);
  CHECK(found.indices == Indices{1, 3});
  CHECK(found.classes == std::vector<std::string>{"red", "green", "blue"});
  CHECK(found.labels == std::vector<std::string>{"red", "red", "green", "red", "blue"});
  CHECK(DatasetFormatter::from_most_unsure(learn).indices.size() == 5);
  CHECK(caught([&] { DatasetFormatter::from_most_unsure(learn, -1); }).code == "value.k");

  PredictionsCorrector corrector(found);
  corrector.relabel(0, "green");
  CHECK(corrector.corrected_labels()[1] == "green");
}
