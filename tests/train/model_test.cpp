#include "fastcpp/train/model.hpp"

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <stdexcept>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/prediction.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// Inherits `clone` from a class whose copies are no InheritsClone.
struct InheritsClone : nn::SequentialImpl {
  InheritsClone() : nn::SequentialImpl(nn::Linear(2, 2)) {}
};

struct NotCloneable : nn::Module {
  torch::Tensor forward(const torch::Tensor& x) { return x; }
};

struct Throwing : nn::Cloneable<Throwing> {
  void reset() override {}
  torch::Tensor forward(const torch::Tensor&) { throw std::runtime_error("no such view"); }
};

struct TwoInputs : nn::Module {
  torch::Tensor forward(const torch::Tensor& a, const torch::Tensor& b) { return a + b; }
};
struct NoTensor : nn::Module {
  int forward(const torch::Tensor&) { return 1; }
};

static_assert(fastcpp::detail::RunsOnTensors<nn::SequentialImpl>);
static_assert(fastcpp::detail::RunsOnTensors<InheritsClone>);
static_assert(fastcpp::detail::RunsOnTensors<NotCloneable>);
static_assert(fastcpp::detail::RunsOnTensors<TwoInputs>);
static_assert(!fastcpp::detail::RunsOnTensors<NoTensor>);
static_assert(!fastcpp::detail::RunsOnTensors<nn::Module>);

DataBunch bunch(const Path& path, LabelKind kind, std::vector<std::string> classes) {
  const auto set =
      std::make_shared<TensorDataset>(torch::rand({4, 2}), torch::zeros({4}, torch::kLong));
  return DataBunch::create({set, set, nullptr, nullptr}, path,
                           {.bs = 2,
                            .num_workers = 0,
                            .device = torch::kCPU,
                            .kind = kind,
                            .classes = std::move(classes)});
}

}  // namespace

TEST_CASE("a model is copied, or says why not") {
  const Model sequence{nn::Sequential(nn::Linear(2, 3))};
  const auto copy = sequence.clone();
  const auto x = torch::rand({4, 2});
  CHECK(torch::equal(copy(x), sequence(x)));
  CHECK(copy->parameters()[0].data_ptr() != sequence->parameters()[0].data_ptr());

  const Model inherits(std::make_shared<InheritsClone>());
  CHECK(torch::equal(inherits(x), inherits(x)));
  const auto error = caught([&] { inherits.clone(); });
  CHECK(error.code == "value.model");
  CHECK(error.message.find("InheritsClone") != std::string::npos);

  CHECK(caught([] { Model(std::make_shared<NotCloneable>()).clone(); }).code == "value.model");
  const Model own(std::make_shared<NotCloneable>(), [](const torch::Tensor& t) { return t; });
  CHECK(caught([&] { own.clone(); }).code == "value.model");
}

TEST_CASE("null modules are refused") {
  CHECK(caught([] { Model{std::shared_ptr<NotCloneable>()}; }).code == "value.model");
  CHECK(caught([] { Model{nn::Sequential(nullptr)}; }).code == "value.model");
  CHECK(caught([] { Model{std::make_shared<NotCloneable>(), nullptr}; }).code == "value.model");
  const Model none{};
  CHECK_FALSE(static_cast<bool>(none));
  CHECK(caught([&] { none(torch::rand({1})); }).code == "value.model");
  CHECK(caught([&] { none.clone(); }).code == "value.model");
}

TEST_CASE("what a module throws becomes ours") {
  const Model model(std::make_shared<Throwing>());
  const auto error = caught([&] {
    guarded(1, [&] { return forward(model, torch::rand({1, 2})); });
  });
  CHECK(error.code == "core.unexpected");
  CHECK(error.message.find("no such view") != std::string::npos);
}

TEST_CASE("one class for each place") {
  TempDir dir;
  const auto data = bunch(dir.path(), LabelKind::kCategory, {"sky", "road", "tree"});
  const auto one = to_prediction(*data.labels(), torch::tensor({0.1f, 0.2f, 0.7f}));
  CHECK(one.category == "tree");
  CHECK(one.index.item<std::int64_t>() == 2);

  const auto scores = torch::rand({3, 4, 5});  // classes first
  const auto places = to_prediction(*data.labels(), scores);
  CHECK(torch::equal(places.index, scores.argmax(0)));
  CHECK(torch::equal(places.probabilities, scores));
  CHECK(places.category.empty());
  // Where only the last dimension has as many numbers as there are classes, the classes are there.
  CHECK(to_prediction(*data.labels(), torch::rand({7, 3})).index.numel() == 7);
}

TEST_CASE("more outputs than names") {
  TempDir dir;
  const auto single = bunch(dir.path(), LabelKind::kCategory, {"a"});
  CHECK(to_prediction(*single.labels(), torch::tensor({0.1f, 0.9f})).category == "1");
  const auto multi = bunch(dir.path(), LabelKind::kMultiCategory, {"a", "b"});
  const auto labels = to_prediction(*multi.labels(), torch::tensor({0.9f, 0.1f, 0.8f}));
  CHECK(labels.category == "a;2");
  CHECK(torch::equal(labels.index, torch::tensor({1.0f, 0.0f, 1.0f})));
}

TEST_CASE("numbers and labels of several dimensions keep their shape") {
  TempDir dir;
  const auto numbers = bunch(dir.path(), LabelKind::kFloat, {});
  CHECK(to_prediction(*numbers.labels(), torch::tensor({0.5f, 2.5f})).category == "[0.5 2.5]");
  const auto boxes = torch::rand({2, 4});
  const auto result = to_prediction(*numbers.labels(), boxes);
  CHECK(torch::equal(result.index, boxes));
  CHECK(result.category.empty());
  const auto multi = bunch(dir.path(), LabelKind::kMultiCategory, {"a", "b"});
  const auto map = torch::rand({2, 3, 3});
  CHECK(torch::equal(to_prediction(*multi.labels(), map).index, map.ge(0.5).to(torch::kFloat32)));
}
