// A learner as a file: what predicts with it is what was exported.
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <opencv2/imgproc.hpp>

#include "deploy/small_learners.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/registry.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A model of one's own, of a width.
struct Tiny : nn::Cloneable<Tiny> {
  explicit Tiny(std::int64_t width_, std::int64_t c_ = 2) : width(width_), c(c_) { reset(); }
  void reset() override {
    conv = register_module("conv", nn::Conv2d(nn::Conv2dOptions(3, width, 3).stride(4)));
    head = register_module("head", nn::Linear(width, c));
  }
  torch::Tensor forward(const torch::Tensor& x) { return head(torch::relu(conv(x)).mean({2, 3})); }
  std::int64_t width, c;
  nn::Conv2d conv{nullptr};
  nn::Linear head{nullptr};
};

Model tiny(std::int64_t width, std::int64_t c = 2) {
  return Model(std::make_shared<Tiny>(width, c))
      .set_recipe({"tiny", Value::dict({{"width", width}, {"c", c}})});
}

// Known to this whole program.
void know_tiny() {
  static const bool done = [] {
    register_model("tiny", [](const Value& o) {
      return Model(std::make_shared<Tiny>(o.at("width").as_int(), o.at("c").as_int()));
    });
    return true;
  }();
  (void)done;
}

Learner tiny_learner(const DataBunch& data, std::int64_t width = 4) {
  know_tiny();
  torch::manual_seed(3);
  return Learner(data, tiny(width, data.c()), {.silent = true});
}

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
                          .label_from_func(
                              [&labels = labels, &files](const Path& file) {
                                const auto at = std::find(files.begin(), files.end(), file);
                                return labels[static_cast<std::size_t>(at - files.begin())];
                              },
                              options)
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
  CHECK(again.recorder().metrics().size() == 1);
  // The file is what it was.
  CHECK(torch::equal(Predictor(file).predict(files[2]).probabilities,
                     Predictor(learn).predict(files[2]).probabilities));
}

TEST_CASE(
    "files of other versions, kinds and models are refused in words; what is unknown is ignored") {
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
  std::ofstream(dir / "text.fastcpp") << "this is no model";
  CHECK(contains(caught([&] { Predictor(dir / "text.fastcpp"); }).code, "zip."));
  CHECK(caught([&] { Predictor(dir / "missing.fastcpp"); }).code == "io.cannot_read");
  CHECK(caught([&] { Predictor(good, {.bs = 0}); }).code == "value.predictor");
}

TEST_CASE("pixels, bytes and files give the same; the best classes come first") {
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
  CHECK(torch::equal(torch::cat({got.slice(0, 0, 4), got.slice(0, 5, -1)}), want));
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

TEST_CASE("mutated files are refused or predict the same") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  const auto good = read_file(learn.export_model());
  const auto picture = open_image(get_image_files(dir.path())[0]);
  const auto want = Predictor(dir / "export.fastcpp").predict(picture).probabilities;
  const auto other = read_file(tiny_learner(pictures(dir), 5).export_model("other.fastcpp"));
  std::mt19937 random(7);
  // FASTCPP_MUTATIONS=10000 for a long run.
  const char* wanted = std::getenv("FASTCPP_MUTATIONS");
  const int count = wanted ? std::atoi(wanted) : 300;
  int loaded = 0;
  for (int i = 0; i < count; ++i) {
    auto bytes = good;
    const auto at = [&](std::size_t size) { return random() % std::max<std::size_t>(1, size); };
    switch (i % 5) {
      case 0:
        for (int flips = 1 + static_cast<int>(at(4)); flips > 0; --flips) {
          bytes[at(bytes.size())] ^= static_cast<char>(1 << at(8));
        }
        break;
      case 1:
        bytes.resize(at(bytes.size()));
        break;
      case 2:
        bytes.erase(at(bytes.size()), 1 + at(64));
        break;
      case 3:
        bytes.insert(at(bytes.size()), std::string(1 + at(64), static_cast<char>(at(256))));
        break;
      default: {
        // A piece of another model's file.
        const auto from = at(std::min(other.size(), bytes.size()));
        const auto length = std::min({at(4096) + 1, other.size() - from, bytes.size() - from});
        bytes.replace(from, length, other, from, length);
      }
    }
    write_file(dir / "mutated.fastcpp", bytes);
    const auto error = caught([&] {
      const auto got = Predictor(dir / "mutated.fastcpp").predict(picture).probabilities;
      CHECK(torch::equal(got, want));
      ++loaded;
    });
    INFO(i << ' ' << error.code << ' ' << error.message);
    CHECK((error.code.empty() || contains(error.message, "mutated.fastcpp")));
  }
  CHECK(loaded < count / 2);
}
