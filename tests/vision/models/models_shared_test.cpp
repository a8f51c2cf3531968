// Real ImageNet weights (data/pretrained in FASTCPP_SHARED_DIR) against what torchvision computes.
#include <torch/utils.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "fastcpp/vision/models/cnn_model.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

torch::Tensor input(const std::string& kind) {
  auto x = torch::empty({1, 3, 224, 224}, torch::kFloat64);
  auto* out = x.data_ptr<double>();
  for (std::int64_t c = 0, i = 0; c < 3; ++c) {
    for (int h = 0; h < 224; ++h) {
      for (int w = 0; w < 224; ++w, ++i) {
        const auto mixed = static_cast<double>(static_cast<std::uint32_t>(i * 2654435761ll));
        out[i] = kind == "noise" ? mixed / 4294967296.0 * 4 - 2
                                 : std::sin(h / 17.0 + static_cast<double>(c)) +
                                       std::cos(w / 23.0 - static_cast<double>(c));
      }
    }
  }
  return x.to(torch::kFloat32);
}

// The weight file; a packed one is unpacked into the folder.
Path weights_of(const std::string& name, const Path& from, const Path& to) {
  if (std::filesystem::exists(from / (name + ".pth"))) return from / (name + ".pth");
  const auto archive = from / (name + ".pth.tar.xz");
  const auto command =
      "cmake -E chdir '" + to.string() + "' cmake -E tar xf '" + archive.string() + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  return to / (name + ".pth");
}

void check(const std::string& name) {
  const auto shared = shared_dir();
  if (!shared) return skip("no shared data");
  const auto folder = *shared / "data" / "pretrained";
  std::ifstream in(folder / "reference_outputs.json");
  if (!in) return skip("no pretrained weights in the shared data");
  const auto reference = Json::parse(in).at("models");
  CHECK(reference.size() == 5);
  const auto& expected = reference.at(name);
  TempDir dir;
  const auto weights = weights_of(name, folder, dir.path());

  const torch::NoGradGuard no_grad;
  auto network = models::find(name).build({.pretrained = true, .weights = weights});
  network->eval();
  for (const auto* kind : {"noise", "smooth"}) {
    INFO(name << " " << kind);
    const auto& want = expected.at(kind);
    const auto out = network->forward(input(kind))[0];
    // The tolerance that comes with the figures; 1000 of them are summed with errors of both signs.
    for (std::int64_t i = 0; i < 10; ++i) {
      CHECK(out[i].item<double>() ==
            Approx(number(want.at("logits_0_to_9")[static_cast<std::size_t>(i)]))
                .epsilon(0)
                .margin(1e-3));
    }
    CHECK(out.to(torch::kFloat64).sum().item<double>() ==
          Approx(number(want.at("sum"))).epsilon(0).margin(0.1));
    const auto top = std::get<1>(out.topk(5));
    for (std::int64_t i = 0; i < 5; ++i) {
      CHECK(top[i].item<std::int64_t>() == want.at("top5")[static_cast<std::size_t>(i)]);
    }
  }
  // The same weights as a body: 37 pet breeds, say.
  const auto body = create_body(models::find(name), {.weights = weights});
  CHECK(torch::equal(body->parameters().front(), network->parameters().front()));
}

}  // namespace

TEST_CASE("pretrained resnet18") {
  check("resnet18");
}
TEST_CASE("pretrained resnet50") {
  check("resnet50");
}
TEST_CASE("pretrained mobilenet_v2") {
  check("mobilenet_v2");
}
TEST_CASE("pretrained squeezenet1_0") {
  check("squeezenet1_0");
}
TEST_CASE("pretrained squeezenet1_1") {
  check("squeezenet1_1");
}
