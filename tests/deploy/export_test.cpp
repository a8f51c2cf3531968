// A learner as a file: what predicts with it is what was exported.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <opencv2/imgproc.hpp>

#include "deploy/tiny_model.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/registry.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

Path only_model(const Path& model, const TempDir& elsewhere) {
  const auto file = elsewhere / "model.fastcpp";
  std::filesystem::copy_file(model, file);
  return file;
}

}  // namespace

TEST_CASE("a file predicts to the bit what the learner's predictor does, without the pictures") {
  TempDir elsewhere;
  const auto picture = elsewhere / "picture.png";
  torch::Tensor want, direct;
  std::string category;
  Path file;
  {
    TempDir dir;
    auto learn = learner(pictures(dir), models::resnet18);
    std::filesystem::copy_file(get_image_files(dir.path())[3], picture);
    want = Predictor(learn).predict(picture).probabilities;
    const auto prediction = learn.predict(picture);
    direct = prediction.probabilities;
    category = prediction.category;
    const auto written = learn.export_model();
    CHECK(written == dir.path() / "export.fastcpp");
    file = only_model(written, elsewhere);
  }
  const Predictor predictor(file);
  const auto got = predictor.predict(picture);
  CHECK(torch::equal(got.probabilities, want));
  CHECK(got.category == category);
  CHECK(predictor.classes() == std::vector<std::string>{"even", "odd"});
  // Without folding and packing it is what the learner itself computes.
  auto again = load_learner(file);
  CHECK(torch::equal(again.predict(picture).probabilities, direct));
  CHECK(again.path() == elsewhere.path());
  CHECK(again.data().is_empty());
  CHECK(again.data().stats().has_value());
}

TEST_CASE("labels of every kind, sizes and losses travel") {
  TempDir dir;
  const auto files = draw(dir);
  std::vector<Label> several, numbers, pair;
  for (std::size_t i = 0; i < files.size(); ++i) {
    several.push_back(i % 2 ? Label(std::vector<Cell>{Cell("odd"), Cell("any")})
                            : Label(std::vector<Cell>{Cell("any")}));
    numbers.push_back(0.5 * static_cast<double>(i));
    pair.push_back(std::vector<Cell>{Cell(1.0 * static_cast<double>(i)), Cell(2.5)});
  }
  struct Kind {
    std::vector<Label> labels;
    LabelOptions options;
    Loss loss;
  };
  const auto weights = torch::tensor({1.0f, 2.0f});
  for (const auto& [labels, options, loss] :
       {Kind{several, {}, {}},
        Kind{several, {}, bce_with_logits({.pos_weight = weights, .eps = 0.1})},
        Kind{numbers, {.label_cls = LabelKind::kFloat}, {}},
        Kind{pair, {.label_cls = LabelKind::kFloat, .log = false}, {}},
        Kind{std::vector<Label>(files.size(), 7), {}, label_smoothing_cross_entropy(0.2)},
        Kind{std::vector<Label>(files.size(), true), {}, cross_entropy()}}) {
    const auto data = ImageList(files, dir.path())
                          .split_by_idx({1, 2, 3})
                          .label_from_func(labels_in_order(files, labels), options)
                          .transform(get_transforms(), {.size = {40, 48}})
                          .databunch({.bs = 2, .num_workers = 0, .device = torch::kCPU});
    auto learn = tiny_learner(data);
    if (loss) learn.set_loss_func(loss);
    const auto want = learn.predict(files[5]);
    learn.export_model("kind.fastcpp");
    const Predictor predictor(dir / "kind.fastcpp", {.fold = false, .pack = false});
    const auto got = predictor.predict(files[5]);
    INFO(data.labels()->name());
    CHECK(torch::allclose(got.probabilities, want.probabilities, 1e-6, 1e-7));
    CHECK(got.category == want.category);
    CHECK(predictor.labels().name() == data.labels()->name());
    CHECK(predictor.labels().classes_str() == data.labels()->classes_str());
    auto again = load_learner(dir / "kind.fastcpp");
    CHECK(again.loss_func().name() == learn.loss_func().name());
    CHECK(again.predict(files[5]).category == want.category);
  }
}

TEST_CASE("half precision halves the file") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::resnet18);
  const auto whole = learn.export_model("whole.fastcpp");
  const auto half = learn.export_model("half.fastcpp", {.half = true});
  const auto ratio = static_cast<double>(std::filesystem::file_size(half)) /
                     static_cast<double>(std::filesystem::file_size(whole));
  CHECK(ratio == Approx(0.5).margin(0.01));
  const auto file = get_image_files(dir.path())[0];
  CHECK(torch::allclose(Predictor(half).predict(file).probabilities,
                        Predictor(whole).predict(file).probabilities, 0.05, 0.02));
  // Equal learners make equal files.
  CHECK(read_file(learn.export_model("again.fastcpp")) == read_file(whole));
}

TEST_CASE("what no file can hold is named when it is exported") {
  TempDir dir;
  const auto data = pictures(dir);
  const auto refused = [&](const Learner& learn, const std::string& what) {
    const auto error = caught([&] { learn.export_model("bad.fastcpp"); });
    CHECK(error.code == "value.cannot_export");
    CHECK(contains(error.message, what));
    CHECK_FALSE(std::filesystem::exists(dir / "bad.fastcpp"));
  };
  refused(Learner(data, Model(std::make_shared<Tiny>(4)), {.silent = true}), "the model (");
  nn::Sequential head(nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(512, 2));
  refused(cnn_learner(data, models::resnet18,
                      {.pretrained = false, .custom_head = head, .silent = true}),
          "custom_head");
  // A name that nobody registered, and a maker that makes another model.
  refused(Learner(data, Model(std::make_shared<Tiny>(4)).set_recipe({"nobody", Value::dict()}),
                  {.silent = true}),
          "'nobody'");
  know_tiny();
  refused(Learner(data,
                  Model(std::make_shared<Tiny>(4))
                      .set_recipe({"tiny", Value::dict({{"width", 5}, {"c", 2}})}),
                  {.silent = true}),
          "'tiny'");
  auto own_loss = tiny_learner(data);
  own_loss.set_loss_func(Loss("mine", [](const Tensors& output, const Tensors&) {
    return static_cast<const torch::Tensor&>(output).sum(1);
  }));
  refused(own_loss, "the loss mine");
  const auto with_function = ImageDataBunch::from_name_re(
      dir.path(), get_image_files(dir.path()), R"(/([^/]+)_\d+.png$)",
      {.size = 32, .bs = 4, .num_workers = 0, .dl_tfms = {[](Batch&) {}}, .device = torch::kCPU});
  refused(tiny_learner(with_function), "dl_tfms");
  CHECK(caught([] { register_model("", nullptr); }).code == "value.recipe");
  CHECK(caught([] { register_model("tiny", [](const Value&) { return Model(); }); }).code ==
        "value.recipe");
  CHECK(caught([] { register_model("cnn", [](const Value&) { return Model(); }); }).code ==
        "value.recipe");
}

TEST_CASE("losses, labels and transforms of one's own travel by their names") {
  register_transform(
      {.name = "darken_for_export", .apply = [](const Image& img, const auto&, Rng&) {
         return Image::from_tensor(img.tensor() * 0.5);
       }});
  const auto twice = [](const Value& o) {
    const auto factor = o.at("factor").as_double();
    Loss loss(
        "twice",
        [factor](const Tensors& output, const Tensors& target) {
          return cross_entropy().unreduced(output, target) * factor;
        },
        [factor](const torch::Tensor& output) { return output * factor; });
    return loss.set_recipe({"twice", o});
  };
  register_loss("twice", twice);
  TempDir dir;
  const auto files = draw(dir);
  const auto data = ImageList(files, dir.path())
                        .split_none()
                        .label_from_func([](const Path& file) {
                          return Label(file.filename().string()[0] == 'o');
                        })
                        .transform({{}, {Transform("darken_for_export")}}, {.size = 32})
                        .databunch({.bs = 2, .num_workers = 0, .device = torch::kCPU});
  auto learn = tiny_learner(data);
  learn.set_loss_func(twice(Value::dict({{"factor", 3.0}})));
  const auto want = learn.predict(files[1]);
  const Predictor predictor(learn.export_model(), {.fold = false, .pack = false});
  const auto got = predictor.predict(files[1]);
  CHECK(torch::allclose(got.probabilities, want.probabilities, 1e-6, 1e-6));
  CHECK(got.category == want.category);
  CHECK(got.category == (got.index.item<std::int64_t>() == 1 ? "True" : "False"));
}

TEST_CASE("models of tensors export too") {
  const auto x = torch::randn({12, 3, 8, 8});
  const auto data = DataBunch::create(
      {std::make_shared<TensorDataset>(x, torch::arange(12).remainder(2)), {}, {}, {}}, ".",
      {.bs = 4, .num_workers = 0, .device = torch::kCPU, .classes = {"a", "b"}});
  TempDir dir;
  auto learn = tiny_learner(data);
  const auto file = learn.export_model(dir / "tensors.fastcpp");
  const Predictor predictor(file, {.fold = false, .pack = false});
  CHECK(torch::allclose(predictor.predict(x[3]).probabilities, learn.predict(x[3]).probabilities,
                        1e-6, 1e-7));
  CHECK(load_learner(file).predict(x[3]).category == learn.predict(x[3]).category);
  CHECK(caught([&] { predictor.predict(Path("a.png")); }).code == "value.item");
  CHECK(caught([&] { load_learner(file, {.test = Paths{"a.png"}}); }).code == "data.no_pictures");
}

TEST_CASE("a loaded learner trains on, and predicts test pictures") {
  TempDir dir;
  const auto data = pictures(dir);
  auto learn = tiny_learner(data);
  const auto file = learn.export_model();
  const auto files = get_image_files(dir.path());
  auto again = load_learner(
      file, {.test = files, .learner = {.metrics = {accuracy}, .silent = true}, .bs = 5});
  const auto preds = again.get_preds(DatasetType::Test).preds;
  REQUIRE(preds.size(0) == static_cast<std::int64_t>(files.size()));
  CHECK(torch::allclose(preds[2], learn.predict(files[2]).probabilities, 1e-5, 1e-6));
  again.set_data(data);
  CHECK(again.fit(1, 1e-3) == FitOutcome::kFinished);
  CHECK(again.recorder().metrics.size() == 1);
  // The file is what it was.
  CHECK(torch::equal(Predictor(file).predict(files[2]).probabilities,
                     Predictor(learn).predict(files[2]).probabilities));
}
