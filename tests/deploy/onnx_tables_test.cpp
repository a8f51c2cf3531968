// Networks of several inputs as ONNX and TorchScript files: tables, ratings, and samples of two tensors.
#include <torch/csrc/jit/serialization/import.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <functional>

#include "deploy/onnx_runtimes.hpp"
#include "deploy/small_tables.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/data/dataset.hpp"
#include "fastcpp/deploy/export_onnx.hpp"
#include "fastcpp/deploy/export_torchscript.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

constexpr double kScript = 1e-6, kOtherProgram = 1e-5;

// A learner, and items for it under the names that an export gives them.
struct RowsCase {
  std::string name;
  Learner learn;
  std::function<std::map<std::string, torch::Tensor>(std::int64_t n)> inputs;
  std::vector<std::string> ports;
  std::map<std::string, int> operators;
};

torch::Tensor codes(std::int64_t n, std::int64_t columns) {
  return torch::arange(n * columns, torch::kInt64).view({n, columns}).remainder(2);
}
torch::Tensor numbers(std::int64_t n, std::int64_t columns) {
  return torch::arange(n * columns, torch::kFloat32).view({n, columns}).mul(0.3).sub(1);
}

std::vector<RowsCase> rows_cases(const Path& path) {
  // Of kind and age_na, age and weight.
  auto both = tabular_learner(
      animal_data(path),
      {.layers = {8, 6}, .ps = {0.1, 0.2}, .emb_drop = 0.1, .silent = true, .seed = 1});
  auto number = tabular_learner(animal_data(path, {"weight", {"kind", "asleep"}, {"age"}}),
                                {.layers = {5}, .y_range = {{-1.0, 7.0}}, .silent = true});
  auto cats = tabular_learner(animal_data(path, {"asleep", {"kind"}, {}}),
                              {.layers = {4}, .use_bn = false, .silent = true});
  auto conts = tabular_learner(animal_data(path, {"asleep", {}, {"weight"}}),
                               {.layers = {4}, .silent = true});
  const auto ratings = rating_data(path);
  Learner product =
      collab_learner(ratings, {.n_factors = 4, .y_range = {{0.0, 5.5}}, .silent = true, .seed = 1});
  Learner network = collab_learner(ratings, {.use_nn = true, .layers = {6}, .silent = true});
  for (auto* learn : {&both, &number, &cats, &conts, &product, &network}) learn->fit(2, 1e-2);
  const auto who = [](std::int64_t n) {
    return std::map<std::string, torch::Tensor>{{"users", torch::arange(n).remainder(9)},
                                                {"items", torch::arange(n).add(2).remainder(6)}};
  };
  const std::vector<std::string> who_ports{"users int64 N", "items int64 N"};
  return {{"both",
           both,
           [](auto n) {
             return std::map<std::string, torch::Tensor>{{"cats", codes(n, 2)},
                                                         {"conts", numbers(n, 2)}};
           },
           {"cats int64 N 2", "conts float32 N 2"},
           // Each column is taken out of the codes, then its embedding; drop-outs are gone.
           {{"Gather", 4},
            {"Concat", 2},
            {"BatchNormalization", 3},
            {"Gemm", 3},
            {"Relu", 2},
            {"Softmax", 1}}},
          {"number",
           number,
           [](auto n) {
             return std::map<std::string, torch::Tensor>{{"cats", codes(n, 3)},
                                                         {"conts", numbers(n, 1)}};
           },
           {"cats int64 N 3", "conts float32 N 1"},
           {{"Sigmoid", 1}, {"Mul", 1}, {"Add", 1}, {"Softmax", 0}}},
          {"cats",
           cats,
           [](auto n) {
             return std::map<std::string, torch::Tensor>{{"cats", codes(n, 1)}};
           },
           {"cats int64 N 1"},
           {{"Gather", 2}, {"BatchNormalization", 0}}},
          {"conts",
           conts,
           [](auto n) {
             return std::map<std::string, torch::Tensor>{{"conts", numbers(n, 1)}};
           },
           {"conts float32 N 1"},
           {{"Gather", 0}, {"BatchNormalization", 2}}},
          {"product", product, who, who_ports, {{"Gather", 4}, {"ReduceSum", 1}, {"Sigmoid", 1}}},
          {"network", network, who, who_ports, {{"Gather", 4}, {"Gemm", 2}}}};
}

// What the learner itself computes.
torch::Tensor rows_wanted(const Learner& learn, const std::map<std::string, torch::Tensor>& given) {
  const torch::NoGradGuard no_grad;
  const auto at = [&](const char* name, torch::ScalarType type) {
    const auto found = given.find(name);
    return found == given.end() ? torch::empty({given.begin()->second.size(0), 0}, type)
                                : found->second;
  };
  const Tensors x = given.count("users")
                        ? Tensors{at("users", torch::kInt64), at("items", torch::kInt64)}
                        : Tensors{at("cats", torch::kInt64), at("conts", torch::kFloat32)};
  const auto model = learn.model().clone();
  model->eval();
  return learn.loss_func().activate(model(x).one("a test"));
}

// Two tensors of different kinds, of a network that is no table's.
struct TwoInputs : nn::Cloneable<TwoInputs> {
  TwoInputs() { reset(); }
  void reset() override { layer = register_module("layer", nn::Linear(3, 2)); }
  torch::Tensor forward(const torch::Tensor& a, const torch::Tensor& b) {
    return layer(a) + b.sum(-1, /*keepdim=*/true) +
           torch::stack({a.select(1, 0), b.select(1, 1)}, 1);
  }
  nn::Linear layer{nullptr};
};

}  // namespace

TEST_CASE("tables and ratings as ONNX: inputs, operators, and what codes mean") {
  TempDir dir;
  for (const auto& one : rows_cases(dir.path())) {
    INFO(one.name);
    const auto file = dir / (one.name + ".onnx");
    export_onnx(one.learn, file);
    auto content = onnx_content(file);
    CHECK(content.inputs == one.ports);
    for (const auto& [op, count] : one.operators) {
      INFO(op);
      CHECK(content.operators[op] == count);
    }
    CHECK(content.metadata.at("items") ==
          to_json(one.learn.data().item_recipe()->options, {.indent = -1}));
    if (has_onnx_checker()) CHECK(check_onnx(dir, {file}) == "");
    // From the file that export_model wrote, without the data.
    const auto model = one.learn.export_model(std::filesystem::absolute(dir / "model.fastcpp"));
    export_onnx(Predictor(model, {.fold = false, .pack = false, .device = torch::kCPU}),
                dir / "again.onnx");
    const auto again = onnx_content(dir / "again.onnx");
    CHECK(again.inputs == content.inputs);
    CHECK(again.metadata == content.metadata);
    CHECK(again.constants == content.constants);
  }
}

TEST_CASE("tables and ratings as TorchScript compute what the learner computes") {
  TempDir dir;
  for (const auto& one : rows_cases(dir.path())) {
    INFO(one.name);
    export_torchscript(one.learn, dir / "model.pt");
    auto module = torch::jit::load((dir / "model.pt").string());
    for (const std::int64_t n : {1, 5}) {
      const auto given = one.inputs(n);
      std::vector<c10::IValue> inputs;
      for (const auto& port : one.ports) {
        inputs.emplace_back(given.at(port.substr(0, port.find(' '))));
      }
      CHECK(gap(module.forward(inputs).toTensor(), rows_wanted(one.learn, given)) < kScript);
    }
  }
}

TEST_CASE("ONNX Runtime computes tables and ratings as the learner does", "[skips]") {
  if (!has_onnx_runtime()) {
    return skip("ONNX Runtime is not installed: npm install onnxruntime-node with NODE_PATH");
  }
  TempDir dir;
  for (const int opset : {10, 13, 17, 18}) {
    std::vector<OnnxCase> cases;
    std::vector<torch::Tensor> want;
    for (const auto& one : rows_cases(dir.path())) {
      const auto file = dir / (one.name + std::to_string(opset) + ".onnx");
      export_onnx(one.learn, file, {.opset = opset});
      for (const std::int64_t n : {1, 5}) {
        cases.push_back({file, {}, one.inputs(n)});
        want.push_back(rows_wanted(one.learn, one.inputs(n)));
      }
    }
    const auto got = run_in_onnx_runtime(dir, cases);
    for (std::size_t i = 0; i < got.size(); ++i) {
      INFO(cases[i].model << " " << want[i].size(0));
      CHECK(gap(got[i], want[i]) < kOtherProgram);
    }
  }
}

TEST_CASE("OpenCV computes a table of numbers alone as the learner does", "[skips]") {
  // Its dnn takes no whole numbers, and looks up no rows by them.
  if (!has_opencv_dnn()) return skip("OpenCV has no dnn");
  TempDir dir;
  const auto all = rows_cases(dir.path());
  const auto one = std::find_if(all.begin(), all.end(), [](auto& c) { return c.name == "conts"; });
  REQUIRE(one != all.end());
  export_onnx(one->learn, dir / "model.onnx");
  for (const std::int64_t n : {1, 5}) {
    const auto given = one->inputs(n);
    CHECK(gap(run_in_opencv({dir / "model.onnx", given.at("conts")}),
              rows_wanted(one->learn, given)) < kOtherProgram);
  }
}

TEST_CASE("samples of two tensors leave for other programs as the data lay them out") {
  TempDir dir;
  const auto set = std::make_shared<TensorDataset>(Tensors{numbers(12, 3), numbers(12, 2)},
                                                   Tensors(numbers(12, 2)));
  const auto data = DataBunch::create({set, set, {}, {}}, dir.path(),
                                      {.bs = 4, .device = torch::kCPU, .kind = LabelKind::kFloat});
  torch::manual_seed(3);
  const Learner learn(data, Model(std::make_shared<TwoInputs>()),
                      {.loss_func = mse_loss(), .silent = true});
  export_onnx(learn, dir / "two.onnx");
  auto content = onnx_content(dir / "two.onnx");
  CHECK(content.inputs == std::vector<std::string>{"input_0 float32 N 3", "input_1 float32 N 2"});
  CHECK(content.operators["ReduceSum"] == 1);
  if (has_onnx_checker()) CHECK(check_onnx(dir, {dir / "two.onnx"}) == "");
  export_torchscript(learn, dir / "two.pt");
  auto module = torch::jit::load((dir / "two.pt").string());
  const auto a = numbers(5, 3), b = numbers(5, 2);
  const torch::NoGradGuard no_grad;
  const auto want = learn.model()(Tensors{a, b}).one("a test");
  CHECK(gap(module.forward({a, b}).toTensor(), want) < kScript);
  const auto shaped = caught([&] { export_onnx(learn, dir / "no.onnx", {.shape = {3}}); });
  CHECK(shaped.code == "value.export_options");
  CHECK_FALSE(std::filesystem::exists(dir / "no.onnx"));
}
