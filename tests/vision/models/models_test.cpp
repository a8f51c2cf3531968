// Names, shapes, layer groups and heads of the architectures (models.json), initial weights, cuts
// and errors.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <fmt/format.h>

#include <map>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "support/weight_rule.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

using ModulePtr = std::shared_ptr<nn::Module>;
using State = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

State state_of(const nn::Module& module) {
  State state;
  walk_state(module, [&](const std::string& name, const torch::Tensor& value) {
    state.emplace_back(name, value.sizes().vec());
  });
  return state;
}

State state_in(const Json& list) {
  State state;
  for (const auto& entry : list) {
    state.emplace_back(entry[0].get<std::string>(), entry[1].get<std::vector<std::int64_t>>());
  }
  return state;
}

std::int64_t count(const std::vector<torch::Tensor>& parameters) {
  std::int64_t sum = 0;
  for (const auto& parameter : parameters) sum += parameter.numel();
  return sum;
}

void leaves_of(const ModulePtr& module, std::vector<ModulePtr>& leaves) {
  if (module->children().empty()) leaves.push_back(module);
  for (const auto& child : module->children()) leaves_of(child, leaves);
}

std::vector<ModulePtr> leaves_of(const ModulePtr& module) {
  std::vector<ModulePtr> leaves;
  leaves_of(module, leaves);
  return leaves;
}

// The leaves of a model, cut before the first leaf of each of the given modules.
std::vector<std::vector<ModulePtr>> groups_of(const nn::Sequential& model,
                                              const std::vector<ModulePtr>& starts) {
  std::vector<std::vector<ModulePtr>> groups(1);
  std::size_t next = 0;
  for (const auto& leaf : leaves_of(model.ptr())) {
    if (next < starts.size() && leaf == leaves_of(starts[next]).front()) {
      groups.emplace_back();
      ++next;
    }
    groups.back().push_back(leaf);
  }
  return groups;
}

std::string layer_name(const nn::Module& layer) {
  if (layer.as<AdaptiveConcatPool2d>()) return "AdaptiveConcatPool2d";
  if (layer.as<nn::AdaptiveAvgPool2d>()) return "AdaptiveAvgPool2d";
  if (layer.as<nn::Flatten>()) return "Flatten";
  if (layer.as<nn::BatchNorm1d>()) return "BatchNorm1d";
  if (layer.as<nn::Linear>()) return "Linear";
  if (layer.as<nn::ReLU>()) return "ReLU";
  if (const auto* dropout = layer.as<nn::Dropout>()) {
    return fmt::format("Dropout({})", dropout->options.p());
  }
  return layer.name();
}

bool same_weights(const nn::Module& a, const nn::Module& b) {
  std::vector<torch::Tensor> first, second;
  walk_state(a, [&](const std::string&, const torch::Tensor& t) { first.push_back(t); });
  walk_state(b, [&](const std::string&, const torch::Tensor& t) { second.push_back(t); });
  if (first.size() != second.size()) return false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!torch::equal(first[i], second[i])) return false;
  }
  return true;
}

double deviation(const torch::Tensor& weight) {
  return weight.std(false).item<double>();
}

const CreateCnnModelOptions kNoWeights{.pretrained = false, .seed = 1};

// The widths and dropouts of the head that the file shows.
CreateCnnModelOptions head_options(const Json& cnn) {
  auto options = kNoWeights;
  options.lin_ftrs.clear();
  options.ps.clear();
  std::int64_t former = 0;
  for (const auto& [name, shape] : state_in(cnn.at("head"))) {
    const auto index = std::stoll(name);
    if (shape.size() == 2) {
      options.lin_ftrs.push_back(shape[0]);
      // A dropout has no state, but a place between batch norm and linear layer; its probability does not show.
      options.ps.push_back(index - former > 1 ? 0.5 : 0);
    }
    former = index;
  }
  REQUIRE_FALSE(options.lin_ftrs.empty());
  options.lin_ftrs.pop_back();
  return options;
}

}  // namespace

TEST_CASE("names and shapes of the whole networks are torchvision's") {
  const auto golden_file = golden("models.json");
  Deviation unequal("models/full/state");
  for (const auto& [name, expected] : golden_file.at("arch").items()) {
    INFO(name);
    // The outputs are as many as the file's last bias has values.
    const auto outputs = expected.at("full").at("state").back()[1].at(0).get<std::int64_t>();
    const auto network = models::find(name).make(outputs);
    const auto state = state_of(*network);
    const bool same = state == state_in(expected.at("full").at("state"));
    CHECK(same);
    unequal.add(same ? 0 : 1, state.size());
    CHECK(count(network->parameters()) == expected.at("full").at("n_params"));
  }
}

TEST_CASE("names, shapes and layer groups of cnn models are fastai's") {
  const auto golden_file = golden("models.json");
  const auto classes = golden_file.at("classes").get<std::int64_t>();
  Deviation unequal("models/cnn/state"), unequal_groups("models/cnn/groups");
  for (const auto& [name, golden_arch] : golden_file.at("arch").items()) {
    INFO(name);
    const auto& expected = golden_arch.at("cnn");
    // Without the time that initial weights take.
    auto arch = models::find(name);
    arch.init = nullptr;
    const auto model = create_cnn_model(arch, classes, head_options(expected));
    const auto state = state_of(*model);
    const bool same = state == state_in(expected.at("state"));
    CHECK(same);
    unequal.add(same ? 0 : 1, state.size());
    CHECK(state_of(*model->children()[1]) == state_in(expected.at("head")));
    CHECK(count(model->parameters()) == expected.at("n_params"));

    std::map<void*, std::string> names;
    for (const auto& item : model->named_parameters()) {
      names[item.value().unsafeGetTensorImpl()] = item.key();
    }
    const auto groups = groups_of(model, arch.split(model));
    std::vector<std::size_t> group_leaves;
    std::vector<std::int64_t> group_params;
    std::vector<std::vector<std::string>> group_names;
    for (const auto& group : groups) {
      group_leaves.push_back(group.size());
      group_params.push_back(0);
      group_names.emplace_back();
      for (const auto& leaf : group) {
        for (const auto& parameter : leaf->parameters()) {
          group_params.back() += parameter.numel();
          group_names.back().push_back(names.at(parameter.unsafeGetTensorImpl()));
        }
      }
    }
    CHECK(group_leaves == expected.at("group_leaves").get<std::vector<std::size_t>>());
    CHECK(group_params == expected.at("group_params").get<std::vector<std::int64_t>>());
    const bool same_groups =
        group_names == expected.at("groups").get<std::vector<std::vector<std::string>>>();
    CHECK(same_groups);
    unequal_groups.add(same_groups ? 0 : 1, groups.size());
  }
}

TEST_CASE("architectures without golden numbers") {
  // Parameters of the whole network; leaves per group, total and head input for 37 classes.
  struct Row {
    std::string name;
    std::int64_t whole;
    std::vector<std::size_t> leaves;
    std::int64_t total;
  };
  const auto row = GENERATE(Row{"densenet161", 28681000, {116, 369, 10}, 28762341},
                            Row{"densenet169", 14149480, {116, 393, 10}, 14215589},
                            Row{"densenet201", 20013928, {116, 489, 10}, 20087205},
                            Row{"vgg11_bn", 132868840, {}, 0}, Row{"vgg13_bn", 133053736, {}, 0});
  INFO(row.name);
  auto arch = models::find(row.name);
  arch.init = nullptr;
  CHECK(count(arch.make(1000)->parameters()) == row.whole);
  const auto model = create_cnn_model(arch, 37, kNoWeights);
  const auto groups = groups_of(model, arch.split(model));
  REQUIRE(groups.size() == 3);
  if (row.leaves.empty()) return;
  for (std::size_t i = 0; i < 3; ++i) CHECK(groups[i].size() == row.leaves[i]);
  CHECK(count(model->parameters()) == row.total);
}

TEST_CASE("variants of the head") {
  Deviation unequal("models/head_variants");
  for (const auto& expected : golden("models.json").at("head_variants")) {
    INFO(expected.at("layers").dump());
    CreateHeadOptions options;
    if (expected.contains("lin_ftrs")) {
      options.lin_ftrs = expected["lin_ftrs"].get<std::vector<std::int64_t>>();
    }
    if (expected.contains("ps")) {
      const auto& ps = expected["ps"];
      options.ps = ps.is_array() ? numbers(ps) : std::vector<double>{number(ps)};
    }
    if (expected.contains("concat_pool")) options.concat_pool = expected["concat_pool"];
    if (expected.contains("bn_final")) options.bn_final = expected["bn_final"];
    const auto head = create_head(expected.at("nf"), expected.at("nc"), options);
    std::vector<std::string> layers;
    for (const auto& layer : head->children()) layers.push_back(layer_name(*layer));
    const bool same = layers == expected.at("layers").get<std::vector<std::string>>() &&
                      state_of(*head) == state_in(expected.at("state"));
    CHECK(same);
    unequal.add(same ? 0 : 1);
    if (options.bn_final) {
      const auto* last = head->children().back()->as<nn::BatchNorm1d>();
      CHECK(last->options.momentum().value() == Approx(0.01));
    }
  }
}

TEST_CASE("the concat pool puts maxima first") {
  Deviation gap("models/concat_pool");
  for (const auto& expected : golden("models.json").at("concat_pool")) {
    const auto x = sgn_tensor(expected.at("key"), expected.at("shape"), 2);
    const auto out = AdaptiveConcatPool2d()(x).flatten();
    const auto want = numbers(expected.at("out"));
    REQUIRE(static_cast<std::size_t>(out.numel()) == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      // Maxima are exact; averages of a few float32 values may differ in the last bits.
      CHECK(gap(out[static_cast<std::int64_t>(i)].item<double>(), want[i]) <= 1e-6);
    }
  }
  CHECK(gap.count() > 0);
  CHECK(AdaptiveConcatPool2d(3)(torch::rand({2, 5, 8, 8})).sizes() ==
        torch::IntArrayRef({2, 10, 3, 3}));
  CHECK(caught([] { AdaptiveConcatPool2d(0); }).code == "value.head");
}

TEST_CASE("the seed decides the initial weights") {
  const auto model = create_cnn_model(models::resnet18, 5, kNoWeights);
  CHECK(same_weights(*model, *create_cnn_model(models::resnet18, 5, kNoWeights)));
  auto other = kNoWeights;
  other.seed = 2;
  CHECK_FALSE(same_weights(*model, *create_cnn_model(models::resnet18, 5, other)));
  // A body is the front of the whole network of the same seed.
  const auto whole = models::resnet18.build({.seed = 3});
  CHECK(same_weights(*whole->body(-2),
                     *create_body(models::resnet18, {.pretrained = false, .seed = 3})));
}

TEST_CASE("initial weights follow torchvision's rules") {
  // Tolerances: the estimate of a deviation from n values scatters by 1/sqrt(2n), less than 0.4 %
  // here; 2 % allowed.
  const auto parameter = [](const nn::Module& m, const std::string& name) {
    const auto all = m.named_parameters();
    REQUIRE(all.contains(name));
    return all[name].detach();
  };
  SECTION("resnet") {
    const auto net = models::resnet50({.seed = 4});
    CHECK(deviation(parameter(*net, "layer4.1.conv2.weight")) ==
          Approx(std::sqrt(2.0 / (512 * 9))).epsilon(0.02));
    CHECK(deviation(parameter(*net, "layer4.1.conv3.weight")) ==
          Approx(std::sqrt(2.0 / 2048)).epsilon(0.02));
    const auto fc = parameter(*net, "fc.weight");
    CHECK(fc.abs().max().item<double>() <= 1 / std::sqrt(2048.0));
    CHECK(deviation(fc) == Approx(1 / std::sqrt(3 * 2048.0)).epsilon(0.02));
    CHECK(parameter(*net, "fc.bias").abs().max().item<double>() <= 1 / std::sqrt(2048.0));
    CHECK(parameter(*net, "fc.bias").abs().max().item<double>() > 0);
    CHECK(parameter(*net, "layer1.0.bn1.weight").eq(1).all().item<bool>());
    CHECK(parameter(*net, "layer1.0.bn1.bias").eq(0).all().item<bool>());
  }
  SECTION("squeezenet") {
    const auto net = models::squeezenet1_1({.seed = 4});
    const auto bound = std::sqrt(6.0 / (64 * 9));
    const auto weight = parameter(*net, "features.12.expand3x3.weight");
    CHECK(weight.abs().max().item<double>() <= bound);
    CHECK(deviation(weight) == Approx(bound / std::sqrt(3.0)).epsilon(0.02));
    CHECK(parameter(*net, "features.12.expand3x3.bias").eq(0).all().item<bool>());
    CHECK(deviation(parameter(*net, "classifier.1.weight")) == Approx(0.01).epsilon(0.02));
  }
  SECTION("densenet") {
    const auto net = models::densenet121({.seed = 4});
    CHECK(deviation(parameter(*net, "features.denseblock4.denselayer1.conv1.weight")) ==
          Approx(std::sqrt(2.0 / 512)).epsilon(0.02));
    CHECK(parameter(*net, "classifier.bias").eq(0).all().item<bool>());
    CHECK(deviation(parameter(*net, "classifier.weight")) ==
          Approx(1 / std::sqrt(3 * 1024.0)).epsilon(0.02));
  }
  SECTION("mobilenet") {
    const auto net = models::mobilenet_v2({.seed = 4});
    // Depthwise: each output channel goes to one place, so fan-out is 9.
    CHECK(deviation(parameter(*net, "features.17.conv.1.0.weight")) ==
          Approx(std::sqrt(2.0 / (960 * 9))).epsilon(0.02));
    CHECK(deviation(parameter(*net, "features.18.0.weight")) ==
          Approx(std::sqrt(2.0 / 1280)).epsilon(0.02));
    CHECK(deviation(parameter(*net, "classifier.1.weight")) == Approx(0.01).epsilon(0.02));
    CHECK(parameter(*net, "classifier.1.bias").eq(0).all().item<bool>());
  }
  SECTION("alexnet") {
    const auto net = models::alexnet({.num_classes = 10, .seed = 4});
    CHECK(deviation(parameter(*net, "features.3.weight")) ==
          Approx(1 / std::sqrt(3 * 64.0 * 25)).epsilon(0.02));
    CHECK(parameter(*net, "features.3.bias").abs().max().item<double>() > 0);
  }
  SECTION("vgg, body only") {
    const auto body = create_body(models::vgg11_bn, {.pretrained = false, .seed = 4});
    CHECK(deviation(parameter(*body, "0.25.weight")) ==
          Approx(std::sqrt(2.0 / (512 * 9))).epsilon(0.02));
    CHECK(parameter(*body, "0.25.bias").eq(0).all().item<bool>());
  }
}

TEST_CASE("apply_init draws Kaiming normal weights for the head") {
  auto head = create_head(1024, 37, {.seed = 1});
  const auto linear = [&](std::size_t i) { return head->ptr<nn::LinearImpl>(i); };
  CHECK(linear(4)->bias.abs().max().item<double>() > 0);
  apply_init(*head, kaiming_normal, 7);
  CHECK(deviation(linear(4)->weight) == Approx(0.0442).epsilon(0.01));
  CHECK(deviation(linear(8)->weight) == Approx(0.0625).epsilon(0.03));
  CHECK(linear(4)->bias.eq(0).all().item<bool>());
  CHECK(head->children()[2]->as<nn::BatchNorm1d>()->weight.eq(1).all().item<bool>());

  auto again = create_head(1024, 37, {.seed = 2});
  apply_init(*again, kaiming_normal, 7);
  CHECK(same_weights(*head, *again));

  // Frozen layers stay; the initialiser is replaceable.
  const auto before = linear(4)->weight.clone();
  linear(4)->weight.set_requires_grad(false);
  apply_init(*head, [](torch::Tensor& weight, torch::Generator&) { weight.fill_(2); });
  CHECK(torch::equal(before, linear(4)->weight));
  CHECK(linear(8)->weight.eq(2).all().item<bool>());
}

TEST_CASE("bodies and where they are cut") {
  SECTION("sizes of the output") {
    auto body = create_body(models::resnet18, {.pretrained = false, .seed = 1});
    body->eval();
    const torch::NoGradGuard no_grad;
    CHECK(body->size() == 8);
    CHECK(body->forward(torch::rand({1, 3, 224, 224})).sizes() ==
          torch::IntArrayRef({1, 512, 7, 7}));
    CHECK(body->forward(torch::rand({1, 3, 299, 299})).sizes() ==
          torch::IntArrayRef({1, 512, 10, 10}));
    CHECK(body->forward(torch::rand({1, 3, 26, 26})).sizes() == torch::IntArrayRef({1, 512, 1, 1}));
    body = create_body(models::squeezenet1_0, {.pretrained = false, .seed = 1});
    CHECK(body->forward(torch::rand({1, 3, 224, 224})).sizes() ==
          torch::IntArrayRef({1, 512, 13, 13}));
  }
  SECTION("by number and by function") {
    CHECK(create_body(models::resnet18, {.pretrained = false, .cut = 5})->size() == 5);
    CHECK(create_body(models::resnet18, {.pretrained = false, .cut = -4})->size() == 6);
    const auto half = [](const models::Network& net) { return net.body(6); };
    const auto body = create_body(models::resnet18, {.pretrained = false, .cut = half});
    CHECK(num_features_model(body) == 128);
    CHECK(caught([] { create_body(models::resnet18, {.pretrained = false, .cut = 0}); }).code ==
          "value.cut");
    CHECK(caught([] { create_body(models::resnet18, {.pretrained = false, .cut = 11}); }).code ==
          "value.cut");
    const auto nothing = [](const models::Network&) { return nn::Sequential(); };
    CHECK(caught([&] {
            create_body(models::resnet18, {.pretrained = false, .cut = nothing});
          }).code == "value.cut");
  }
  SECTION("without an entry: before the last child that pools") {
    CHECK(models::resnet18.make(10)->default_cut() == 8);
    CHECK(models::alexnet.make(10)->default_cut() == 1);
    CHECK(models::squeezenet1_1.make(10)->default_cut() == 1);
    models::Arch own{.name = "own", .make = [](std::int64_t classes) {
                       auto net = std::make_shared<models::Network>();
                       net->add("conv", nn::AnyModule(nn::Conv2d(3, 7, 3)));
                       net->add("pool", nn::AnyModule(nn::AdaptiveAvgPool2d(1)));
                       net->then([](torch::Tensor x) { return x.flatten(1); });
                       net->add("fc", nn::AnyModule(nn::Linear(7, classes)));
                       return net;
                     }};
    CHECK(own({.num_classes = 4})->forward(torch::rand({2, 3, 9, 9})).sizes() ==
          torch::IntArrayRef({2, 4}));
    const auto model = create_cnn_model(own, 2, {.pretrained = false, .concat_pool = false});
    CHECK(model->children()[0]->children().size() == 1);
    const auto starts = own.split(model);
    REQUIRE(starts.size() == 1);
    CHECK(starts[0] == model->children()[1]);
    CHECK(caught([&] { create_cnn_model(own, 2); }).code == "value.no_weights");
    models::Network flat;
    flat.add("fc", nn::AnyModule(nn::Linear(2, 2)));
    CHECK(caught([&] { flat.default_cut(); }).code == "value.cut");
  }
  SECTION("the search for the number of channels leaves the modes alone") {
    auto body = create_body(models::resnet18, {.pretrained = false, .seed = 1});
    body->children()[1]->eval();
    const auto mean = body->children()[1]->as<nn::BatchNorm2d>()->running_mean.clone();
    CHECK(num_features_model(body) == 512);
    CHECK(body->children()[0]->is_training());
    CHECK_FALSE(body->children()[1]->is_training());
    CHECK(torch::equal(mean, body->children()[1]->as<nn::BatchNorm2d>()->running_mean));
    CHECK(caught([] { num_features_model(nn::Sequential(nn::Conv2d(4, 4, 3))); }).code ==
          "value.body");
  }
  SECTION("a body that needs larger pictures") {
    nn::Sequential body(nn::Conv2d(nn::Conv2dOptions(3, 6, 100)));
    CHECK(num_features_model(body) == 6);
  }
}

TEST_CASE("own heads") {
  nn::Sequential head(nn::AdaptiveAvgPool2d(1), nn::Flatten());
  head->push_back("last", nn::Linear(512, 3));
  auto model = create_cnn_model(models::resnet18, 3, {.pretrained = false, .custom_head = head});
  CHECK(model->named_parameters().contains("1.last.weight"));
  CHECK(model->named_parameters()["1.last.weight"].is_same(head->ptr<nn::LinearImpl>(2)->weight));
  CHECK(model->forward(torch::rand({2, 3, 64, 64})).sizes() == torch::IntArrayRef({2, 3}));
}

TEST_CASE("networks can be copied") {
  for (const auto* name : {"resnet18", "squeezenet1_1", "densenet121", "mobilenet_v2"}) {
    INFO(name);
    const torch::NoGradGuard no_grad;
    auto network = models::find(name).build({.num_classes = 4, .seed = 1});
    network->eval();
    auto copy = std::dynamic_pointer_cast<models::Network>(network->clone());
    REQUIRE(copy);
    CHECK(state_of(*network) == state_of(*copy));
    CHECK(same_weights(*network, *copy));
    const auto x = torch::rand({1, 3, 64, 64});
    CHECK(torch::equal(network->forward(x), copy->forward(x)));
    for (auto& parameter : copy->parameters()) parameter.zero_();
    CHECK_FALSE(same_weights(*network, *copy));
  }
  auto model = create_cnn_model(models::resnet18, 3, kNoWeights);
  auto copy = std::dynamic_pointer_cast<nn::SequentialImpl>(model.ptr()->clone());
  REQUIRE(copy);
  CHECK(same_weights(*model, *copy));
  CHECK(copy->children()[1]->children().size() == 9);
}

TEST_CASE("networks train") {
  for (const auto* name :
       {"resnet18", "resnet50", "squeezenet1_0", "densenet121", "mobilenet_v2"}) {
    INFO(name);
    auto model = create_cnn_model(models::find(name), 3, kNoWeights);
    model->forward(torch::rand({2, 3, 64, 64})).square().sum().backward();
    for (const auto& item : model->named_parameters()) {
      INFO(item.key());
      REQUIRE(item.value().grad().defined());
    }
  }
}

TEST_CASE("wrong arguments of models") {
  const auto unknown = caught([] { models::find("resnet35"); });
  CHECK(unknown.code == "value.unknown_arch");
  CHECK(unknown.message.find("resnet34") != std::string::npos);
  CHECK(models::names().size() == 17);
  CHECK(caught([] { models::resnet18({.num_classes = 0}); }).code == "value.num_classes");
  CHECK(caught([] { create_head(0, 2); }).code == "value.head");
  CHECK(caught([] { create_head(8, 0); }).code == "value.head");
  CHECK(caught([] { create_head(8, 2, {.lin_ftrs = {4, -1}}); }).code == "value.head");
  CHECK(caught([] { create_head(8, 2, {.ps = {0.1, 0.2, 0.3}}); }).code == "value.head");
  CHECK(caught([] { create_head(8, 2, {.ps = {}}); }).code == "value.head");
  CHECK(caught([] { create_head(8, 2, {.ps = {1.0}}); }).code == "value.head");
  const auto model = create_cnn_model(models::resnet18, 2, {.cut = 3, .pretrained = false});
  CHECK(caught([&] { models::resnet18.split(model); }).code == "value.split");
  CHECK(caught([] { models::resnet18.split(nn::Sequential(nn::ReLU())); }).code == "value.split");
}
