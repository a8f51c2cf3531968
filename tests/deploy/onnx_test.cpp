// A learner as an ONNX file, run by OpenCV, and as a TorchScript file, run by LibTorch.
#include <torch/csrc/jit/serialization/import.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <fstream>
#include <thread>

#include "deploy/onnx_runtimes.hpp"
#include "deploy/small_learners.hpp"
#include "deploy/tiny_model.hpp"
#include "fastcpp/deploy/export_onnx.hpp"
#include "fastcpp/deploy/export_torchscript.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

torch::Tensor normalized(const Learner& learn, const torch::Tensor& x) {
  return learn.data().norm(x.permute({0, 3, 1, 2}).to(torch::kFloat32).div(255));
}

// What the learner itself gives for pixels; leaves its modes as they were.
torch::Tensor wanted(const Learner& learn, const torch::Tensor& x) {
  const torch::NoGradGuard no_grad;
  const auto model = learn.model().clone();
  model->eval();
  return learn.loss_func().activate(model(normalized(learn, x)));
}

constexpr double kOfScript = 1e-5;
constexpr int kOpencvOpset = 10;  // OpenCV 4.6 knows no later Clip, which is ReLU6

// A convolution, and then anything.
struct Then : nn::Cloneable<Then> {
  using Function = std::function<torch::Tensor(const torch::Tensor&)>;
  explicit Then(Function f_) : f(std::move(f_)) { reset(); }
  void reset() override {
    layer = register_module("layer", nn::Conv2d(nn::Conv2dOptions(3, 4, 3).padding(1).stride(4)));
  }
  torch::Tensor forward(const torch::Tensor& x) { return f(layer(x)); }
  Function f;
  nn::Conv2d layer{nullptr};
};

Learner then(const DataBunch& data, Then::Function f) {
  torch::manual_seed(4);
  return Learner(data, Model(std::make_shared<Then>(std::move(f))), {.silent = true});
}

}  // namespace

TEST_CASE("OpenCV computes what the learner computes, for any number of items", "[skips]") {
  if (!has_opencv_dnn()) return skip("OpenCV has no dnn");
  TempDir dir;
  const auto data = pictures(dir);
  for (const char* name : {"resnet18", "squeezenet1_1", "mobilenet_v2"}) {
    INFO(name);
    const auto learn = learner(data, models::find(name));
    export_onnx(learn, dir / "folded.onnx", {.opset = kOpencvOpset});
    export_onnx(learn, dir / "plain.onnx", {.opset = kOpencvOpset, .fold = false});
    for (const std::int64_t n : {1, 5}) {
      const auto x = pixels(n);
      const auto want = wanted(learn, x);
      CHECK(gap(run_in_opencv({dir / "folded.onnx", x}), want) < kProbability);
      CHECK(gap(run_in_opencv({dir / "plain.onnx", x}), want) < kProbability);
    }
  }
}

TEST_CASE("batch norms are folded or not, and parameters keep their names") {
  TempDir dir;
  const auto learn = learner(pictures(dir), models::resnet18);
  export_onnx(learn, dir / "folded.onnx");
  export_onnx(learn, dir / "plain.onnx", {.fold = false});
  auto folded = onnx_content(dir / "folded.onnx");
  auto plain = onnx_content(dir / "plain.onnx");
  // The pixels', and two of the head that stand before linear layers.
  CHECK(folded.operators["BatchNormalization"] == 3);
  CHECK(plain.operators["BatchNormalization"] == 3 + 20);
  CHECK(folded.operators["Conv"] == 20);
  CHECK(folded.operators["Gemm"] == 2);
  const auto has = [](const OnnxContent& content, const std::string& name) {
    return std::find(content.constants.begin(), content.constants.end(), name) !=
           content.constants.end();
  };
  CHECK(has(folded, "0.0.weight"));
  CHECK(has(folded, "0.0.bias"));
  CHECK(has(folded, "0.4.0.conv1.weight"));
  CHECK_FALSE(has(folded, "0.4.0.bn1.running_mean"));
  CHECK(has(plain, "0.4.0.bn1.running_mean"));
  CHECK_FALSE(has(plain, "0.0.bias"));
  CHECK(has(plain, "1.8.weight"));
}

TEST_CASE("the file says what its outputs mean") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::squeezenet1_1);
  export_onnx(learn, dir / "a.onnx");
  const std::map<std::string, std::string> want{
      {"classes", R"(["even","odd"])"},
      {"labels", R"("CategoryList")"},
      {"loss", R"x("FlattenedLoss of CrossEntropyLoss()")x"},
      {"mean", "[0.485, 0.456, 0.406]"},
      {"size", "[64, 64]"},
      {"std", "[0.229, 0.224, 0.225]"}};
  CHECK(onnx_content(dir / "a.onnx").metadata == want);
}

TEST_CASE("pixels and activation are left to the caller where that is asked for", "[skips]") {
  if (!has_opencv_dnn()) return skip("OpenCV has no dnn");
  TempDir dir;
  auto learn = learner(pictures(dir), models::squeezenet1_1);
  const auto x = pixels(2);
  const auto ready = normalized(learn, x);
  const auto raw = [&] {
    const auto probabilities = wanted(learn, x);
    learn.set_loss_func(mse_loss());
    return std::pair{probabilities, wanted(learn, x)};
  }();
  export_onnx(learn, dir / "numbers.onnx");  // mean squared error has no activation
  CHECK(gap(run_in_opencv({dir / "numbers.onnx", x}), raw.second) < kProbability);
  learn.set_loss_func(cross_entropy());
  export_onnx(learn, dir / "raw.onnx", {.softmax = false, .preprocessing = false});
  CHECK(gap(run_in_opencv({dir / "raw.onnx", ready}), raw.second) < kProbability);
  export_onnx(learn, dir / "ready.onnx", {.preprocessing = false});
  CHECK(gap(run_in_opencv({dir / "ready.onnx", ready}), raw.first) < kProbability);
  // Several classes an item.
  learn.set_loss_func(bce_with_logits());
  export_onnx(learn, dir / "several.onnx");
  CHECK(gap(run_in_opencv({dir / "several.onnx", x}), raw.second.sigmoid()) < kProbability);
  // Another size than the data's.
  export_onnx(learn, dir / "wide.onnx", {.shape = {3, 70, 90}});
  CHECK(gap(run_in_opencv({dir / "wide.onnx", pixels(2, 70, 90)}),
            wanted(learn, pixels(2, 70, 90))) < kProbability);
}

TEST_CASE("a predictor exports like its learner, from a file too", "[skips]") {
  if (!has_opencv_dnn()) return skip("OpenCV has no dnn");
  TempDir dir;
  const auto learn = learner(pictures(dir), models::resnet18);
  const auto x = pixels(2);
  const auto want = wanted(learn, x);
  learn.export_model(dir / "model.fastcpp");
  const Predictor file(dir / "model.fastcpp"), plain(learn, {.fold = false, .pack = false});
  export_onnx(file, dir / "file.onnx");
  export_onnx(Predictor(learn), dir / "learner.onnx");
  export_onnx(plain, dir / "plain.onnx", {.fold = false});
  for (const char* name : {"file.onnx", "learner.onnx", "plain.onnx"}) {
    INFO(name);
    CHECK(gap(run_in_opencv({dir / name, x}), want) < kProbability);
    CHECK(onnx_content(dir / name).metadata["classes"] == R"(["even","odd"])");
  }
  CHECK(onnx_content(dir / "plain.onnx").operators["BatchNormalization"] == 23);
  const auto folded = caught([&] { export_onnx(file, dir / "no.onnx", {.fold = false}); });
  CHECK(folded.code == "value.export_options");
  CHECK(contains(folded.message, ".fold = false"));
  // While others predict.
  const auto before = file.forward(normalized(learn, x));
  int equal = 0;
  const auto ready = normalized(learn, x);
  {
    std::jthread predicting([&] {
      for (int i = 0; i < 5; ++i) equal += torch::equal(file.forward(ready), before) ? 1 : 0;
    });
    for (int i = 0; i < 3; ++i) export_onnx(file, dir / "again.onnx");
  }
  CHECK(equal == 5);
}

TEST_CASE("a network of one's own exports, as long as its shapes leave the items free", "[skips]") {
  if (!has_opencv_dnn()) return skip("OpenCV has no dnn");
  TempDir dir;
  const auto data = pictures(dir);
  torch::manual_seed(4);
  nn::Sequential own(nn::Conv2d(nn::Conv2dOptions(3, 6, 3).padding(torch::kSame)),
                     nn::BatchNorm2d(6), nn::LeakyReLU(),
                     nn::AvgPool2d(nn::AvgPool2dOptions(3).stride(4)),
                     nn::Conv2d(nn::Conv2dOptions(6, 6, 3).groups(3).dilation(2)), nn::ReLU6(),
                     nn::AdaptiveAvgPool2d(5), nn::Dropout(0.3), nn::Flatten(), nn::Linear(150, 8),
                     nn::Tanh(), nn::BatchNorm1d(8), nn::Linear(8, 2));
  live(*own);
  Learner sequential(data, Model(own), {.silent = true});
  auto viewed = then(data, [](const torch::Tensor& x) {
    auto y = torch::adaptive_avg_pool2d(x, {3, 7});
    y.relu_();
    y = torch::cat({y, x.slice(2, 2, 5).slice(3, 0, 7)}, 1);
    return (y * 2 + y.sigmoid()).reshape({x.size(0), -1}).slice(1, 3, 40);
  });
  int i = 0;
  for (const auto* learn : {&sequential, &viewed}) {
    const auto file = dir / ("own" + std::to_string(i++) + ".onnx");
    export_onnx(*learn, file, {.opset = kOpencvOpset});
    for (const std::int64_t n : {1, 5}) {
      CHECK(gap(run_in_opencv({file, pixels(n)}), wanted(*learn, pixels(n))) < kProbability);
    }
  }
}

TEST_CASE("what ONNX cannot hold is named with its layer") {
  TempDir dir;
  const auto data = pictures(dir);
  const auto refused = [&](Then::Function f) {
    const auto learn = then(data, std::move(f));
    const auto error = caught([&] { export_onnx(learn, dir / "no.onnx"); });
    CHECK_FALSE(std::filesystem::exists(dir / "no.onnx"));
    return error;
  };
  const auto unknown = refused([](const torch::Tensor& x) { return x.cumsum(1).mean({2, 3}); });
  CHECK(unknown.code == "value.onnx_operation");
  CHECK(contains(unknown.message, "aten::cumsum behind 'layer.weight'"));
  CHECK(contains(unknown.message, "export_torchscript"));
  const auto overwritten = refused([](const torch::Tensor& x) {
    const auto flat = x.flatten(1);
    x.relu_();
    return flat;
  });
  CHECK(overwritten.code == "value.onnx_operation");
  const auto stale = refused([](const torch::Tensor& x) {
    const auto flat = x.flatten(1);
    x.relu_();
    return flat.sigmoid();
  });
  CHECK(stale.code == "value.onnx_operation");
  CHECK(contains(stale.message, "changed in place"));
  const auto windows = refused([](const torch::Tensor& x) {
    return std::get<0>(torch::adaptive_max_pool2d(x, {3, 3}));
  });
  CHECK(windows.code == "value.onnx_operation");
  CHECK(contains(windows.message, "16 x 16 does not divide by 3 x 3"));
  const auto batch = refused([](const torch::Tensor& x) {
    return x.mean({2, 3}) + torch::arange(x.size(0), torch::kFloat32).unsqueeze(1);
  });
  CHECK(batch.code == "value.export_batch");
  const auto summed = refused([](const torch::Tensor& x) { return x.mean({2, 3}).mean({0}); });
  CHECK(summed.code == "value.export_batch");
  const auto nothing = refused([](const torch::Tensor& x) { return torch::ones({x.size(0), 2}); });
  CHECK(nothing.code == "value.onnx_operation");
  const auto statistics = refused([](const torch::Tensor& x) {
    return torch::batch_norm(x, {}, {}, {}, {}, true, 0.1, 1e-5, false).mean({2, 3});
  });
  CHECK(statistics.code == "value.onnx_operation");
  CHECK(contains(statistics.message, "statistics"));
}

TEST_CASE("options that do not fit are refused in words") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::squeezenet1_1);
  const auto file = dir / "no.onnx";
  const auto error = [&](const Learner& of, const ExportOnnxOptions& options) {
    return caught([&] { export_onnx(of, file, options); });
  };
  CHECK(error(learn, {.opset = 9}).code == "value.export_options");
  CHECK(error(learn, {.opset = 21}).code == "value.export_options");
  CHECK(error(learn, {.shape = {1, 64, 64}}).code == "value.export_options");
  CHECK(error(learn, {.shape = {3, 64, 0}}).code == "value.export_options");
  CHECK(error(learn, {.shape = {3, 64}}).code == "value.export_options");
  CHECK(error(learn, {.shape = {3, 4, 4}}).code == "train.failed");  // too small for its pools
  const auto sets =
      std::make_shared<TensorDataset>(torch::rand({4, 7}), torch::zeros({4}, torch::kLong));
  const auto tensors =
      DataBunch::create({sets, sets, {}, {}}, dir.path(),
                        {.bs = 2, .num_workers = 0, .device = torch::kCPU, .classes = {"a", "b"}});
  const Learner rows(tensors, Model(nn::Sequential(nn::Linear(7, 2))), {.silent = true});
  CHECK(contains(error(rows, {}).message, ".preprocessing = false"));
  CHECK(contains(error(rows, {.preprocessing = false}).message, ".shape"));
  CHECK(error(rows, {.preprocessing = false, .shape = {7}}).code == "");
  const auto lost = caught([&] { export_onnx(learn, dir / "0/x.onnx"); });
  CHECK(lost.code == "");  // the folder is made
  std::ofstream(dir / "plain_file") << "x";
  CHECK(caught([&] { export_onnx(learn, dir / "plain_file/x.onnx"); }).code == "io.cannot_create");
}

TEST_CASE("an export leaves the learner as it is") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::resnet18);
  learn.freeze();
  learn.model()->train();
  learn.model()->children()[0]->eval();
  const auto state = [&] {
    std::string text;
    for (const auto& part : learn.model()->modules()) text += part->is_training() ? '1' : '0';
    for (const auto& one : learn.model()->parameters()) text += one.requires_grad() ? 'g' : '.';
    return text;
  };
  std::vector<torch::Tensor> numbers;
  for (const auto& one : learn.model()->parameters()) numbers.push_back(one.detach().clone());
  for (const auto& one : learn.model()->buffers()) numbers.push_back(one.clone());
  const auto before = state();
  torch::manual_seed(9);
  const auto random = torch::rand({4});
  torch::manual_seed(9);
  export_onnx(learn, dir / "a.onnx");
  export_torchscript(learn, dir / "a.pt");
  CHECK(torch::equal(torch::rand({4}), random));
  CHECK(state() == before);
  std::size_t i = 0;
  for (const auto& one : learn.model()->parameters()) CHECK(torch::equal(one, numbers[i++]));
  for (const auto& one : learn.model()->buffers()) CHECK(torch::equal(one, numbers[i++]));
}

TEST_CASE("LibTorch loads the TorchScript file, also for pictures of another size") {
  TempDir dir;
  const auto data = pictures(dir);
  for (const char* name : {"resnet18", "squeezenet1_1", "mobilenet_v2"}) {
    INFO(name);
    const auto learn = learner(data, models::find(name));
    export_torchscript(learn, dir / "a.pt");
    torch::jit::ExtraFilesMap extra{{"fastcpp.json", ""}};
    auto module = torch::jit::load((dir / "a.pt").string(), torch::nullopt, extra);
    CHECK(contains(extra["fastcpp.json"], R"("classes": ["even","odd"])"));
    const torch::NoGradGuard no_grad;
    for (const auto& x : {pixels(1), pixels(4, 96, 80)}) {
      CHECK(gap(module.forward({x}).toTensor(), wanted(learn, x)) < kOfScript);
    }
    std::vector<std::string> names, want;
    for (const auto& one : module.named_parameters()) names.push_back(one.name);
    for (const auto& one : learn.model()->named_parameters()) want.push_back(one.key());
    std::sort(names.begin(), names.end());
    std::sort(want.begin(), want.end());
    CHECK(names == want);
  }
}

TEST_CASE(
    "TorchScript of a predictor, of normalised pictures, and of what does not leave the items "
    "free") {
  TempDir dir;
  const auto data = pictures(dir);
  const auto learn = learner(data, models::resnet18);
  const auto x = pixels(2);
  const torch::NoGradGuard no_grad;
  export_torchscript(Predictor(learn), dir / "predictor.pt");
  auto module = torch::jit::load((dir / "predictor.pt").string());
  CHECK(gap(module.forward({x}).toTensor(), wanted(learn, x)) < kOfScript);
  export_torchscript(learn, dir / "raw.pt", {.softmax = false, .preprocessing = false});
  module = torch::jit::load((dir / "raw.pt").string());
  const auto raw = module.forward({normalized(learn, x)}).toTensor();
  CHECK(gap(raw.softmax(-1), wanted(learn, x)) < kOfScript);
  const auto fixed = then(data, [](const torch::Tensor& y) {
    return y.mean({2, 3}) + torch::arange(y.size(0), torch::kFloat32).unsqueeze(1);
  });
  const auto error = caught([&] { export_torchscript(fixed, dir / "no.pt"); });
  CHECK(error.code == "value.export_batch");
  const auto viewed = then(data, [](const torch::Tensor& y) { return y.reshape({y.size(0), -1}); });
  const auto view = caught([&] { export_torchscript(viewed, dir / "no.pt"); });
  CHECK(view.code == "value.export_batch");
  CHECK(contains(view.message, "flatten(1)"));
  CHECK_FALSE(std::filesystem::exists(dir / "no.pt"));
}

#ifdef FASTCPP_EXAMPLE_ONNX
TEST_CASE("the example without LibTorch predicts the same") {
  TempDir dir;
  const auto learn = learner(pictures(dir), models::squeezenet1_1);
  export_onnx(learn, dir / "model.onnx");
  const auto x = pixels(1);
  Image::from_tensor(x[0].permute({2, 0, 1}).to(torch::kFloat32).div(255))
      .save(dir / "picture.png");
  const auto run = [&](const std::string& arguments) {
    return std::system(("cd '" + dir.path().string() + "' && " FASTCPP_EXAMPLE_ONNX " " +
                        arguments + " > out.txt 2> err.txt")
                           .c_str());
  };
  REQUIRE(run("model.onnx picture.png") == 0);
  std::ifstream out(dir / "out.txt");
  std::string file, first, second;
  double p = 0, q = 0;
  out >> file >> first >> p >> second >> q;
  CHECK(file == "picture.png:");
  const auto want = wanted(learn, x)[0];
  const auto best = want.argmax().item<std::int64_t>();
  CHECK(first == learn.data().classes()[static_cast<std::size_t>(best)]);
  CHECK(second == learn.data().classes()[static_cast<std::size_t>(1 - best)]);
  CHECK(p == Approx(want.max().item<double>()).margin(2e-5));
  CHECK(q == Approx(want.min().item<double>()).margin(2e-5));
  CHECK(run("missing.onnx picture.png") != 0);
  CHECK(run("picture.png picture.png") != 0);
}
#endif
