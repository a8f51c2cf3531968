// Predictors of files: what they take, and what they refuse.
#include <torch/nn/modules/conv.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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

TEST_CASE(
    "files of other versions, kinds and models are refused in words, what is unknown is ignored") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  const auto good = learn.export_model();
  const auto content = load_model_file(good);
  const auto picture = get_image_files(dir.path())[0];
  const auto changed = [&](auto&& change) {
    auto copy = content;
    change(copy);
    save_model_file(dir / "changed.fastcpp", copy);
    return caught([&] { Predictor(dir / "changed.fastcpp").predict(picture); });
  };
  using File = ModelFile;
  CHECK(changed([](File&) {}).code.empty());
  CHECK(changed([](File& f) { f.description.set("colour", "blue"); }).code.empty());
  const auto newer = changed([](File& f) {
    f.description.set("version", 2);
    f.description.set("fastcpp", "9.1.0");
  });
  CHECK(newer.code == "model.version");
  CHECK(contains(newer.message, "changed.fastcpp"));
  CHECK(contains(newer.message, "version 2"));
  CHECK(contains(newer.message, "written by fastcpp 9.1.0"));
  CHECK(changed([](File& f) { f.description.set("version", "1"); }).code == "model.bad_file");
  CHECK(changed([](File& f) { f.description.set("format", "other"); }).code == "model.bad_file");
  CHECK(changed([](File& f) { f.description = Value::dict(); }).code == "model.bad_file");
  const auto unknown = changed([](File& f) {
    f.description.set("model", Value::dict({{"name", "unheard"}, {"options", Value::dict()}}));
  });
  CHECK(unknown.code == "model.unknown_recipe");
  CHECK(contains(unknown.message, "'unheard'"));
  CHECK(contains(unknown.message, "register_model"));
  CHECK(changed([](File& f) {
          f.description.set("labels", Value::dict({{"name", "FloatList"}}));
        }).code == "model.bad_file");
  CHECK(changed([](File& f) {
          f.description.set(
              "model",
              Value::dict({{"name", "cnn"}, {"options", Value::dict({{"arch", "resnet99"}})}}));
        }).code == "model.bad_file");
  // Weights of another model: told before the model is made, and by name where only the shapes differ.
  CHECK(changed([](File& f) { f.weights.insert("extra", torch::zeros({3})); }).code ==
        "model.weights");
  CHECK(changed([](File& f) {
          const auto bias = f.weights.at("conv.bias");
          f.weights.insert("conv.bias", bias.reshape({2, 2}));
        }).code == "model.bad_file");
  // What a file says of its sizes is held against what it holds, before memory is taken.
  CHECK(changed([](File& f) {
          f.description.set(
              "model", Value::dict({{"name", "cnn"},
                                    {"options", Value::dict({{"arch", "resnet18"},
                                                             {"cut", Value()},
                                                             {"nf", 1 << 20},
                                                             {"nc", 2},
                                                             {"lin_ftrs", Value::list({1 << 20})},
                                                             {"ps", Value::list({0.5})},
                                                             {"concat_pool", true},
                                                             {"bn_final", false}})}}));
        }).code == "model.weights");
  CHECK(changed([](File& f) {
          auto pictures = f.description.at("pictures");
          auto apply = pictures.at("apply");
          apply.set("size", 100000);
          pictures.set("apply", apply);
          f.description.set("pictures", pictures);
        }).code == "model.bad_file");
  CHECK(changed([](File& f) {
          f.description.set("extra", Value::list(std::vector<Value>(1'000'000, Value(0))));
        }).code == "json.too_many");
  // A newer version is told as such whatever else it holds.
  CHECK(changed([](File& f) {
          f.description = Value::dict({{"format", "fastcpp learner"}, {"version", 7}});
        }).code == "model.version");
  std::ofstream(dir / "text.fastcpp") << "this is no model";
  CHECK(contains(caught([&] { Predictor(dir / "text.fastcpp"); }).code, "zip."));
  CHECK(caught([&] { Predictor(dir / "missing.fastcpp"); }).code == "io.cannot_read");
  CHECK(caught([&] { Predictor(good, {.bs = 0}); }).code == "value.predictor");
}

TEST_CASE("pixels, bytes and files give the same, and the best classes come first") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::resnet18);
  const Predictor predictor(learn.export_model());
  const auto file = get_image_files(dir.path())[1];
  const auto want = predictor.predict(file).probabilities;
  CHECK(torch::equal(predictor.predict_bytes(read_file(file)).probabilities, want));
  CHECK(torch::equal(predictor.predict(open_image(file)).probabilities, want));
  const auto rgb = decode_image(file);
  cv::Mat bgr, bgra, grey;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  cv::cvtColor(rgb, bgra, cv::COLOR_RGB2BGRA);
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  CHECK(torch::equal(predictor.predict(rgb, Channels::kRgb).probabilities, want));
  CHECK(torch::equal(predictor.predict(bgr, Channels::kBgr).probabilities, want));
  CHECK(torch::equal(predictor.predict(bgra, Channels::kBgr).probabilities, want));
  CHECK_FALSE(torch::equal(predictor.predict(bgr, Channels::kRgb).probabilities, want));
  CHECK(predictor.predict(grey, Channels::kGrey).probabilities.numel() == 2);
  CHECK(caught([&] { predictor.predict(grey, Channels::kBgr); }).code == "value.mat");
  CHECK(caught([&] { predictor.predict(cv::Mat(), Channels::kBgr); }).code == "value.mat");
  CHECK(caught([&] { predictor.predict_bytes("no picture", {}, "upload 7"); }).code ==
        "image.cannot_decode");
  const auto top = predictor.top_k(predictor.predict(file), 5);
  REQUIRE(top.size() == 2);
  CHECK(top[0].probability >= top[1].probability);
  CHECK(top[0].category == predictor.predict(file).category);
  CHECK(top[0].probability + top[1].probability == Approx(1).margin(1e-6));
  CHECK(caught([&] { predictor.top_k({}, 1); }).code == "value.top_k");
  CHECK(caught([&] { predictor.top_k(predictor.predict(file), 0); }).code == "value.k");
}

TEST_CASE("a text of any kind names a file") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  const Predictor predictor(learn.export_model(), {.fold = false, .pack = false});
  const auto file = get_image_files(dir.path())[1];
  auto text = file.string();
  const auto want = predictor.predict(file).probabilities;
  char* const in_place = text.data();
  CHECK(torch::equal(predictor.predict(in_place).probabilities, want));
  CHECK(torch::equal(predictor.predict(text.c_str()).probabilities, want));
  CHECK(torch::equal(predictor.predict(text).probabilities, want));
  CHECK(torch::equal(predictor.predict(std::string_view(text)).probabilities, want));
  CHECK(torch::equal(learn.predict(in_place).probabilities, learn.predict(file).probabilities));
  CHECK(caught([&] { predictor.predict("missing.png"); }).code == "io.cannot_read");
}

TEST_CASE("what treats pictures otherwise than the file would is named when it is exported") {
  TempDir dir;
  auto data = pictures(dir);
  auto learn = tiny_learner(data);
  data.set_item_reader([](const std::any&) { return torch::zeros({3, 64, 64}); });
  const auto reader = caught([&] { learn.export_model("bad.fastcpp"); });
  CHECK(reader.code == "value.cannot_export");
  CHECK(contains(reader.message, "item reader"));
  // The name of a known architecture, the weights of it, another activation.
  auto changed = models::resnet18;
  changed.make = [](std::int64_t classes) {
    auto network = models::resnet18.make(classes);
    network->named_children()["conv1"]->as<nn::Conv2dImpl>()->options.dilation(3);
    return network;
  };
  auto other = cnn_learner(pictures(dir), changed, {.pretrained = false, .silent = true});
  const auto error = caught([&] { other.export_model("bad.fastcpp"); });
  CHECK(error.code == "value.cannot_export");
  CHECK(contains(error.message, "computes something else"));
  CHECK_FALSE(std::filesystem::exists(dir / "bad.fastcpp"));
}

TEST_CASE("half precision keeps what it cannot hold") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  {
    const torch::NoGradGuard no_grad;
    learn.model()->named_parameters()["conv.bias"][0] = 1e6;
  }
  const auto file = load_model_file(learn.export_model("half.fastcpp", {.half = true}));
  CHECK(file.weights.at("conv.bias").scalar_type() == torch::kFloat32);
  CHECK(file.weights.at("conv.weight").scalar_type() == torch::kHalf);
}

TEST_CASE("bad files of a batch are left out where that is asked for") {
  struct Bars : ProgressSink {
    std::vector<std::int64_t> done;
    std::int64_t total = 0, ends = 0;
    void begin(const ProgressTask& task) override { total = task.total; }
    void update(std::int64_t n, std::string_view) override { done.push_back(n); }
    void end() override { ++ends; }
  };
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  const Predictor predictor(learn.export_model(), {.bs = 3});
  auto files = get_image_files(dir.path());
  const auto want = predictor.predict_batch(files);
  const auto bars = std::make_shared<Bars>();
  std::ofstream(dir / "bad.png") << "no picture";
  files.insert(files.begin() + 4, dir / "bad.png");
  files.push_back(dir / "gone.png");
  std::vector<SkippedItem> skipped;
  const auto got = predictor.predict_batch(
      files, {.progress = bars, .on_error = OnError::kSkip, .skipped = &skipped});
  REQUIRE(got.size(0) == static_cast<std::int64_t>(files.size()));
  CHECK(got[4].isnan().all().item<bool>());
  CHECK(got[-1].isnan().all().item<bool>());
  // The others share batches of another size now, for which a library may add in another order.
  CHECK(torch::allclose(torch::cat({got.slice(0, 0, 4), got.slice(0, 5, -1)}), want, 1e-5, 1e-6));
  REQUIRE(skipped.size() == 2);
  CHECK(skipped[0].index == 4);
  CHECK(skipped[1].name == (dir / "gone.png").string());
  CHECK(contains(skipped[0].why, "bad.png"));
  CHECK(bars->total == 5);
  CHECK(bars->ends == 1);
  REQUIRE_FALSE(bars->done.empty());
  CHECK(bars->done.back() == 5);
  const std::vector<Path> none(4, dir / "gone.png");
  CHECK(predictor.predict_batch(none, {.on_error = OnError::kSkip}).sizes() ==
        std::vector<std::int64_t>{4, 2});
  CHECK(caught([&] { predictor.predict_batch(files, {.on_error = OnError::kReplace}); }).code ==
        "value.on_error");
}

TEST_CASE("one predictor of a file serves many threads") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  const Predictor predictor(learn.export_model());
  const auto files = get_image_files(dir.path());
  const auto want = predictor.predict_batch(files);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const Predictor own = predictor;
        for (std::size_t i = 0; i < files.size(); ++i) {
          const auto at = (i + static_cast<std::size_t>(t)) % files.size();
          const auto got = t % 2 ? own.predict(files[at]).probabilities
                                 : own.predict_bytes(read_file(files[at])).probabilities;
          if (!torch::allclose(got, want[static_cast<std::int64_t>(at)], 1e-5, 1e-6)) ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
}

// For tests/consumer/predict.cmake, which lets another program predict with it.
TEST_CASE("writes a model for another process", "[.write]") {
  const char* folder = std::getenv("FASTCPP_WRITE_TO");
  REQUIRE(folder);
  TempDir dir;
  auto learn = learner(pictures(dir), models::resnet18);
  const auto picture = get_image_files(dir.path())[2];
  std::filesystem::copy_file(picture, Path(folder) / "picture.png");
  learn.export_model(Path(folder) / "model.fastcpp");
  const Predictor predictor(learn);
  const auto prediction = predictor.predict(picture);
  std::ofstream out(Path(folder) / "expected.txt");
  out.precision(9);
  out << "picture.png: " << prediction.category;
  for (const auto& one : predictor.top_k(prediction, 3)) {
    out << "  " << one.category << ' ' << one.probability;
  }
  out << '\n';
}
