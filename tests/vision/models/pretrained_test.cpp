// Weight files of whole networks: round trips, old key names, files that do not fit.
#include <torch/nn/module.h>

#include <functional>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"
#include "support/weight_rule.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Saves the weights of a network, each under the name that `rename` gives it; an empty name leaves
// it out.
void save(const Path& file, const torch::nn::Module& module,
          const std::function<std::string(const std::string&)>& rename) {
  StateDict weights;
  for (const auto& [name, tensor] : state_dict(module)) {
    const auto other = rename(name);
    if (!other.empty()) weights.insert(other, tensor);
  }
  save_checkpoint(file, to_value(weights));
}
std::string same(const std::string& name) {
  return name;
}

bool equal(const torch::nn::Module& a, const torch::nn::Module& b) {
  const auto first = state_dict(a), second = state_dict(b);
  auto other = second.begin();
  if (first.size() != second.size()) return false;
  for (const auto& entry : first) {
    if (!torch::equal(entry.second, (other++)->second)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("pretrained weights come from a file") {
  TempDir dir;
  const auto network = models::squeezenet1_1({.seed = 5});
  save(dir / "w.pth", *network, same);
  const auto loaded = models::squeezenet1_1({.pretrained = true, .weights = dir / "w.pth"});
  CHECK(equal(*network, *loaded));
  CHECK(loaded->is_training());
  const auto body = create_body(models::squeezenet1_1, {.weights = dir / "w.pth"});
  CHECK(equal(*network->body(-1), *body));
  const auto model = create_cnn_model(models::squeezenet1_1, 4, {.weights = dir / "w.pth"});
  CHECK(equal(*body, *model->children()[0]));
  CHECK(model->parameters().front().requires_grad());
}

TEST_CASE("pretrained weights come from a training script's file") {
  TempDir dir;
  const auto network = models::squeezenet1_1({.seed = 5});
  for (const std::string wrapper : {"module.", "model."}) {
    INFO(wrapper);
    StateDict wrapped;
    for (const auto& [name, tensor] : state_dict(*network)) wrapped.insert(wrapper + name, tensor);
    save_checkpoint(dir / "w.pth", Value::dict({{"epoch", 3}, {"state_dict", to_value(wrapped)}}));
    const auto loaded = models::squeezenet1_1({.pretrained = true, .weights = dir / "w.pth"});
    CHECK(equal(*network, *loaded));
  }
}

TEST_CASE("old DenseNet files have dots in their names and no counters") {
  TempDir dir;
  auto network = models::densenet121({.seed = 5});
  set_weights_by_rule(*network, "old", 1);
  std::size_t renamed = 0, dropped = 0;
  save(dir / "old.pth", *network, [&](std::string name) -> std::string {
    if (name.ends_with("num_batches_tracked")) return ++dropped, "";
    if (name.find(".denselayer") == std::string::npos) return name;
    for (const char* part : {".norm1.", ".norm2.", ".conv1.", ".conv2."}) {
      const auto at = name.find(part);
      if (at != std::string::npos) ++renamed, name.insert(at + 5, 1, '.');
    }
    return name;
  });
  // 58 dense layers with two convolutions and two batch norms of four entries; 121 batch norms in
  // all.
  CHECK(renamed == 58 * (2 + 2 * 4));
  CHECK(dropped == 121);
  CHECK(equal(*network, *models::densenet121({.pretrained = true, .weights = dir / "old.pth"})));
}

TEST_CASE("weight files that do not fit") {
  TempDir dir;
  const auto network = models::squeezenet1_1({.num_classes = 7, .seed = 5});
  save(dir / "seven.pth", *network, same);
  const auto load = [&](const char* file, const models::Arch& arch) {
    return caught([&] { create_body(arch, {.weights = dir / file}); });
  };
  const auto other_size = load("seven.pth", models::squeezenet1_1);
  CHECK(other_size.code == "weights.mismatch");
  CHECK(other_size.message.find("seven.pth") != std::string::npos);
  CHECK(other_size.message.find("classifier.1.weight") != std::string::npos);
  CHECK(equal(*network, *models::squeezenet1_1(
                            {.pretrained = true, .num_classes = 7, .weights = dir / "seven.pth"})));

  save(dir / "body.pth", *network,
       [](const std::string& name) { return name.starts_with("classifier") ? "" : name; });
  const auto body_only = load("body.pth", models::squeezenet1_1);
  CHECK(body_only.code == "weights.mismatch");
  CHECK(body_only.message.find("classifier.1.weight") != std::string::npos);

  CHECK(load("seven.pth", models::squeezenet1_0).code == "weights.mismatch");
  CHECK(load("none.pth", models::squeezenet1_1).code == "io.cannot_read");
}
