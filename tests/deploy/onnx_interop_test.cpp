// Exported files in the hands of other programs: ONNX Runtime, OpenCV, Python's onnx and PyTorch. What is not installed is
// skipped, visibly.
#include <fmt/format.h>
#include <torch/nn.h>  // every layer that can be exported
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "deploy/onnx_runtimes.hpp"
#include "deploy/small_learners.hpp"
#include "fastcpp/deploy/export_onnx.hpp"
#include "fastcpp/deploy/export_torchscript.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/python.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

torch::Tensor wanted_in_place(const Learner& learn, const torch::Tensor& x) {
  const torch::NoGradGuard no_grad;
  learn.model()->eval();
  const auto ready = learn.data().norm(x.permute({0, 3, 1, 2}).to(torch::kFloat32).div(255));
  return learn.loss_func().activate(learn.model()(ready));
}

// Makes the outputs small: probabilities of 0 and 1 would hide what another program computes wrongly.
void calm(const Learner& learn, const torch::Tensor& x) {
  const torch::NoGradGuard no_grad;
  learn.model()->eval();
  const auto ready = learn.data().norm(x.permute({0, 3, 1, 2}).to(torch::kFloat32).div(255));
  const torch::Tensor outputs = learn.model()(ready);
  auto parameters = learn.model()->parameters();
  for (auto last = parameters.end() - 2; last != parameters.end(); ++last) {
    last->div_(outputs.abs().max());
  }
}

void skip_without(const char* what) {
  skip(
      fmt::format("{} is not installed: scripts/setup --interop, and npm install onnxruntime-node "
                  "with NODE_PATH",
                  what));
}

// A layer, or a few, and the shape of a sample that they take.
struct Layers {
  std::string name;
  nn::Sequential layers;
  std::vector<std::int64_t> shape;
};

std::vector<Layers> all_layers() {
  const std::vector<std::int64_t> picture{3, 17, 19};
  const auto conv = [] { return nn::Conv2dOptions(3, 6, 3); };
  const auto one = [&](const char* name, auto layer) {
    return Layers{name, nn::Sequential(layer), picture};
  };
  const auto behind = [&](const char* name, auto layer) {
    return Layers{name, nn::Sequential(nn::Conv2d(conv().stride(2)), layer), picture};
  };
  std::vector<Layers> all{
      one("reflect", nn::Conv2d(conv().padding(1).padding_mode(torch::kReflect))),
      one("replicate", nn::Conv2d(conv().padding(1).padding_mode(torch::kReplicate))),
      one("same", nn::Conv2d(nn::Conv2dOptions(3, 6, {4, 3}).padding(torch::kSame))),
      one("valid", nn::Conv2d(conv().padding(torch::kValid))),
      one("dilated", nn::Conv2d(conv().dilation({2, 3}).padding({2, 1}).stride({1, 2}))),
      one("grouped", nn::Conv2d(conv().groups(3).bias(false))),
      one("transposed",
          nn::ConvTranspose2d(
              nn::ConvTranspose2dOptions(3, 4, 3).stride(2).padding(1).output_padding(1))),
      one("batch_norm", nn::BatchNorm2d(nn::BatchNorm2dOptions(3).affine(false).eps(1e-3))),
      one("instance_norm", nn::InstanceNorm2d(nn::InstanceNorm2dOptions(3).affine(true))),
      one("group_norm", nn::GroupNorm(nn::GroupNormOptions(1, 3))),
      behind("group_norm_3", nn::GroupNorm(nn::GroupNormOptions(3, 6))),
      one("layer_norm", nn::LayerNorm(nn::LayerNormOptions({17, 19}))),
      one("max_pool", nn::MaxPool2d(nn::MaxPool2dOptions(3).stride(2).padding(1))),
      one("max_pool_ceil", nn::MaxPool2d(nn::MaxPool2dOptions({2, 3}).stride(2).ceil_mode(true))),
      one("max_pool_ceil_padded",
          nn::MaxPool2d(nn::MaxPool2dOptions(3).stride({3, 2}).padding(1).ceil_mode(true))),
      one("max_pool_ceil_dropped",
          nn::MaxPool2d(nn::MaxPool2dOptions(2).stride({4, 5}).padding(1).ceil_mode(true))),
      one("max_pool_dilated", nn::MaxPool2d(nn::MaxPool2dOptions(2).dilation(2).stride(1))),
      one("avg_pool", nn::AvgPool2d(nn::AvgPool2dOptions(3).stride(2).padding(1))),
      one("avg_pool_inside",
          nn::AvgPool2d(nn::AvgPool2dOptions(3).stride(2).padding(1).count_include_pad(false))),
      one("avg_pool_ceil", nn::AvgPool2d(nn::AvgPool2dOptions(2).stride(2).ceil_mode(true))),
      one("adaptive_avg", nn::AdaptiveAvgPool2d(nn::AdaptiveAvgPool2dOptions({5, 30}))),
      one("adaptive_avg_1", nn::AdaptiveAvgPool2d(1)),
      one("adaptive_max_1", nn::AdaptiveMaxPool2d(1)),
      behind("adaptive_tiles", nn::AdaptiveAvgPool2d(nn::AdaptiveAvgPool2dOptions({4, 3}))),
      behind("adaptive_max_tiles", nn::AdaptiveMaxPool2d(nn::AdaptiveMaxPool2dOptions({2, 9}))),
      one("relu", nn::ReLU()),
      one("relu6", nn::ReLU6()),
      one("hardtanh", nn::Hardtanh(nn::HardtanhOptions().min_val(-0.3).max_val(0.7))),
      one("sigmoid", nn::Sigmoid()),
      one("tanh", nn::Tanh()),
      one("softplus", nn::Softplus()),
      one("softsign", nn::Softsign()),
      one("elu", nn::ELU(nn::ELUOptions().alpha(0.7))),
      one("celu", nn::CELU(nn::CELUOptions().alpha(0.6))),
      one("selu", nn::SELU()),
      one("leaky_relu", nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2))),
      one("prelu", nn::PReLU(nn::PReLUOptions().num_parameters(3))),
      one("gelu", nn::GELU()),
      one("gelu_tanh", nn::GELU(nn::GELUOptions().approximate("tanh"))),
      one("silu", nn::SiLU()),
      one("mish", nn::Mish()),
      one("softmax", nn::Softmax(1)),
      one("log_softmax", nn::LogSoftmax(1)),
      behind("dropout", nn::Dropout2d(0.4)),
      one("zero_pad", nn::ZeroPad2d(nn::ZeroPad2dOptions({1, 2, 3, 0}))),
      one("reflection_pad", nn::ReflectionPad2d(nn::ReflectionPad2dOptions({2, 1, 0, 3}))),
      one("linear_of_last", nn::Linear(19, 5)),
      one("linear_of_last_bare", nn::Linear(nn::LinearOptions(19, 5).bias(false))),
      one("unflatten", nn::Unflatten(nn::UnflattenOptions(3, {19, 1})))};
  const auto function = [&](const char* name, auto f) {
    all.push_back({name, nn::Sequential(nn::Functional(f)), picture});
  };
  using T = torch::Tensor;
  function("hardswish", [](const T& x) { return torch::hardswish(x); });
  function("hardsigmoid", [](const T& x) { return torch::hardsigmoid(x); });
  function("arithmetic", [](const T& x) {
    return (1 - x * 2).add(x, 0.5).sub(x / 3, 2).pow(2).abs().add(0.1).log().exp().sqrt();
  });
  function("minima", [](const T& x) {
    return torch::maximum(x, torch::minimum(-x, x.reciprocal())).clamp_min(-3).clamp(-2, 1.5);
  });
  function("means", [](const T& x) {
    return x.mean(3, true) + x.mean({1, -1}).unsqueeze(1).unsqueeze(3);
  });
  function("shapes", [](const T& x) {
    return x.permute({0, 2, 3, 1})
        .transpose(1, -1)
        .reshape({x.size(0), -1, 17})
        .select(1, -1)
        .unsqueeze(1)
        .squeeze(1);
  });
  function("parts", [](const T& x) {
    return torch::cat({x.slice(-1, 1, 18, 3), x.slice(-1, 0, 6).neg()}, -2).flatten(-2);
  });
  function("products", [](const T& x) {
    return torch::matmul(torch::matmul(x, x.transpose(2, 3)), torch::ones({17, 2}));
  });
  return all;
}

}  // namespace

TEST_CASE("every supported layer computes the same in ONNX Runtime") {
  if (!has_onnx_runtime() || !has_onnx_checker()) return skip_without("ONNX Runtime or onnx");
  TempDir dir;
  const auto data = pictures(dir);
  std::vector<OnnxCase> cases;
  std::vector<torch::Tensor> want;
  std::vector<std::string> names;
  std::vector<Path> files;
  auto all = all_layers();
  for (auto& [name, layers, shape] : all) {
    INFO(name);
    torch::manual_seed(5);
    for (const auto& parameter : layers->parameters()) {
      const torch::NoGradGuard no_grad;
      parameter.uniform_(-0.5, 0.7);
    }
    layers->eval();
    const Learner learn(data, Model(layers), {.silent = true});
    for (const int opset : {10, 13, 17, 20}) {
      if (name == "layer_norm" && opset < 17) continue;
      if ((name == "celu" || name == "softmax" || name == "log_softmax") && opset < 13) continue;
      const auto file = dir / fmt::format("{}_{}.onnx", name, opset);
      export_onnx(learn, file,
                  {.opset = opset, .softmax = false, .preprocessing = false, .shape = shape});
      if (opset <= 17) files.push_back(file);  // what Debian's onnx 1.12 knows
      for (const std::int64_t n : {1, 4}) {
        auto sizes = shape;
        sizes.insert(sizes.begin(), n);
        const auto x = torch::randn(sizes);
        const torch::NoGradGuard no_grad;
        cases.push_back({file, x});
        want.push_back(layers->forward(x.clone()));
        names.push_back(fmt::format("{} opset {} n {}", name, opset, n));
      }
    }
  }
  CHECK(check_onnx(dir, files) == "");
  const auto got = run_in_onnx_runtime(dir, cases);
  REQUIRE(got.size() == want.size());
  Deviation deviation("onnx_layers");
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(names[i]);
    REQUIRE(got[i].sizes() == want[i].sizes());
    CHECK(torch::allclose(got[i], want[i], 1e-4, 1e-4));
    deviation.add(gap(got[i], want[i]));
  }
}

namespace {

// Exports each architecture and compares what other programs compute with what the learner does. FASTCPP_ONNX_TABLE=FILE gets a
// line an architecture: the largest differences.
void check_architectures(const std::vector<std::string>& names) {
  TempDir dir;
  const auto data = pictures(dir);
  const char* table = std::getenv("FASTCPP_ONNX_TABLE");
  // Everything takes minutes: asked for by the table, or by ONNX Runtime being there.
  const bool whole = table || has_onnx_runtime();
  // The size that the networks were made for, and another whose last maps do not divide by their pools.
  for (const auto& name : names) {
    for (const std::int64_t side : {224, 128}) {
      if (side == 224 && !whole) continue;
      INFO(name << " " << side);
      const auto learn = learner(data, models::find(name));
      calm(learn, pixels(3, side, side));
      const auto file = dir / "model.onnx";
      std::string line = fmt::format("{} {}", name, side);
      for (const bool fold : {true, false}) {
        if (!fold && (side == 224 || !whole)) continue;
        export_onnx(learn, file, {.fold = fold, .shape = {3, side, side}});
        if (whole && has_onnx_checker()) CHECK(check_onnx(dir, {file}) == "");
        std::vector<OnnxCase> cases;
        std::vector<torch::Tensor> want;
        for (const std::int64_t n : {1, 3}) {
          cases.push_back({file, pixels(n, side, side)});
          want.push_back(wanted_in_place(learn, cases.back().input));
          CHECK(want.back().max().item<double>() < 0.9);
        }
        const auto tell = [&](const char* runtime, const std::vector<torch::Tensor>& got) {
          double widest = 0;
          for (std::size_t i = 0; i < want.size(); ++i) {
            const auto difference = gap(got[i], want[i]);
            CHECK(difference < kProbability);
            widest = std::max(widest, difference);
          }
          line += fmt::format(" {}{} {:.1e}", runtime, fold ? "" : "_unfolded", widest);
        };
        if (has_onnx_runtime()) tell("onnxruntime", run_in_onnx_runtime(dir, cases));
        if (has_opencv_dnn()) {
          // OpenCV 4.6 knows no later Clip, which mobilenet_v2 has.
          export_onnx(learn, file, {.opset = 10, .fold = fold, .shape = {3, side, side}});
          tell("opencv", {run_in_opencv(cases[0]), run_in_opencv(cases[1])});
        }
      }
      if (table) std::ofstream(table, std::ios::app) << line << '\n';
    }
  }
}

}  // namespace

TEST_CASE("an architecture of each kind computes the same everywhere") {
  if (!has_opencv_dnn() && !has_onnx_runtime())
    return skip_without("ONNX Runtime, or OpenCV's dnn,");
  check_architectures({"resnet18", "resnet50", "squeezenet1_1", "densenet121", "vgg11_bn",
                       "alexnet", "mobilenet_v2"});
}

// A minute: see "long" in CONTRIBUTING.md.
TEST_CASE("all architectures compute the same everywhere", "[.long]") {
  REQUIRE((has_opencv_dnn() || has_onnx_runtime()));
  REQUIRE(models::names().size() >= 17);
  check_architectures(models::names());
}

TEST_CASE("labels of every kind compute the same everywhere") {
  if (!has_onnx_runtime() || !has_onnx_checker()) return skip_without("ONNX Runtime or onnx");
  TempDir dir;
  const auto files = draw(dir);
  std::vector<Label> several, numbers;
  for (std::size_t i = 0; i < files.size(); ++i) {
    several.push_back(i % 2 ? Label(std::vector<Cell>{Cell("odd"), Cell("any")})
                            : Label(std::vector<Cell>{Cell("any")}));
    numbers.push_back(0.5 * static_cast<double>(i));
  }
  for (const auto& [kind, labels, options] :
       {std::tuple{"MultiCategoryList", several, LabelOptions{}},
        std::tuple{"FloatList", numbers, LabelOptions{.label_cls = LabelKind::kFloat}}}) {
    INFO(kind);
    const auto data = ImageList(files, dir.path())
                          .split_by_idx({1, 2, 3})
                          .label_from_func(labels_in_order(files, labels), options)
                          .transform(get_transforms(), {.size = {40, 56}})
                          .databunch({.bs = 2, .num_workers = 0, .device = torch::kCPU})
                          .normalize(imagenet_stats);
    const auto learn = learner(data, models::resnet18);
    const auto file = dir / "kind.onnx";
    export_onnx(learn, file);
    CHECK(check_onnx(dir, {file}) == "");
    CHECK(onnx_content(file).metadata["labels"] == fmt::format("\"{}\"", kind));
    CHECK(onnx_content(file).metadata["size"] == "[40, 56]");
    std::vector<OnnxCase> cases{{file, pixels(1, 40, 56)}, {file, pixels(3, 40, 56)}};
    const auto got = run_in_onnx_runtime(dir, cases);
    Deviation deviation(fmt::format("onnx_{}", kind));
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto want = wanted_in_place(learn, cases[i].input);
      CHECK(deviation.add(gap(got[i], want)) < kProbability);
      if (has_opencv_dnn()) {
        CHECK(deviation.add(gap(run_in_opencv(cases[i]), want)) < kProbability);
      }
    }
  }
}

TEST_CASE("Python's PyTorch loads the TorchScript file") {
  if (!python_has("torch, numpy")) return skip_without("Python's torch");
  TempDir dir;
  const auto learn = learner(pictures(dir), models::resnet18);
  export_torchscript(learn, dir / "a.pt");
  const auto x = pixels(2, 96, 80);
  std::ofstream(dir / "x.bin", std::ios::binary)
      .write(static_cast<const char*>(x.data_ptr()), static_cast<std::streamsize>(x.nbytes()));
  const auto said = run_python(dir, R"(
import json, numpy, torch
extra = {'fastcpp.json': ''}
model = torch.jit.load('a.pt', _extra_files=extra).eval()
x = torch.from_numpy(numpy.fromfile('x.bin', dtype='uint8').reshape(2, 96, 80, 3))
with torch.no_grad(): y = model(x)
y.numpy().tofile('y.bin')
print(json.loads(extra['fastcpp.json'])['classes'], len(model.state_dict()))
)");
  auto got = torch::empty({2, 2});
  std::ifstream(dir / "y.bin", std::ios::binary)
      .read(static_cast<char*>(got.data_ptr()), static_cast<std::streamsize>(got.nbytes()));
  CHECK(gap(got, wanted_in_place(learn, x)) < 1e-5);
  const auto count = learn.model()->parameters().size() + learn.model()->buffers().size();
  CHECK(said == fmt::format("['even', 'odd'] {}\n", count));
}
