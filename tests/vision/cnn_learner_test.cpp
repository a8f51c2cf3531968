#include <ATen/Context.h>
#include <torch/utils.h>

#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Two colours of noise: a network from scratch learns them in an epoch or two.
ImageDataBunch colours(const TempDir& dir, int per_class = 24) {
  torch::manual_seed(1);
  for (int i = 0; i < per_class; ++i) {
    for (int c : {0, 2}) {
      auto pixels = torch::rand({3, 40, 40}) * 0.4;
      pixels[c] += 0.5;
      Image::from_tensor(pixels).save(dir.path() /
                                      ((c ? "blue_" : "red_") + std::to_string(i) + ".png"));
    }
  }
  return ImageDataBunch::from_name_re(dir.path(), get_image_files(dir.path()),
                                      R"(/([^/]+)_\d+.png$)",
                                      {.ds_tfms = get_transforms(),
                                       .size = 32,
                                       .bs = 8,
                                       .num_workers = 1,
                                       .device = torch::kCPU,
                                       .seed = 1})
      .normalize(imagenet_stats);
}

std::vector<std::string> trainable(const Learner& learn) {
  std::vector<std::string> names;
  for (const auto& item : learn.model()->named_parameters()) {
    if (item.value().requires_grad()) names.push_back(item.key());
  }
  return names;
}

}  // namespace

TEST_CASE("a network from scratch learns colours, and predicts a file") {
  TempDir dir;
  auto data = colours(dir);
  auto learn = cnn_learner(data, models::resnet18,
                           {.pretrained = false, .metrics = {error_rate}, .silent = true});
  CHECK(learn.layer_groups().size() == 3);
  CHECK_FALSE(at::globalContext().benchmarkCuDNN());  // of CUDA alone
  CHECK(trainable(learn).size() == learn.model()->parameters().size());
  learn.fit_one_cycle(8, {.max_lr = 1e-2});
  CHECK(learn.validate()[1] <= 0.25);
  const auto red = data.ds(DatasetType::Valid).list().items[0];
  const auto by_path = learn.predict(red);
  const auto by_image = learn.predict(open_image(red));
  CHECK(torch::allclose(by_path.probabilities, by_image.probabilities));
  CHECK(torch::allclose(by_path.probabilities, learn.get_preds().preds[0], 1e-4, 1e-5));
}

TEST_CASE("one seed gives one learner") {
  TempDir dir;
  auto data = colours(dir, 8);
  const auto make = [&](std::uint64_t seed) {
    auto learn =
        cnn_learner(data, models::resnet18, {.pretrained = false, .silent = true, .seed = seed});
    return learn.model()->parameters();
  };
  const auto a = make(1), b = make(1), c = make(2);
  CHECK(torch::equal(a.front(), b.front()));
  CHECK(torch::equal(a.back(), b.back()));
  CHECK_FALSE(torch::equal(a.front(), c.front()));
  // The last linear layer: kaiming normal with fan-in 512, bias 0.
  CHECK(a.back().abs().max().item<float>() == 0);
  CHECK(a[a.size() - 2].std().item<double>() == Approx(std::sqrt(2.0 / 512)).epsilon(0.1));
}

TEST_CASE("freezing leaves trainable what it leaves in the reference") {
  TempDir dir;
  auto data = colours(dir, 8);
  const auto& file = golden("models.json");
  Deviation unequal("models/freeze");
  for (const auto& [name, network] : file.at("arch").items()) {
    const auto& want = network.at("freeze");
    // Without the time that initial weights take.
    auto arch = models::find(name);
    arch.init = nullptr;
    std::size_t checked = 0;
    for (bool train_bn : {true, false}) {
      auto learn = cnn_learner(
          data, arch, {.pretrained = false, .init = {}, .train_bn = train_bn, .silent = true});
      // The golden networks have another number of classes; the names are the same.
      const auto check = [&](const std::string& operation) {
        const auto key = operation + (train_bn ? "/train_bn=true" : "/train_bn=false");
        INFO(name << " " << key);
        const auto& entry = want.at(key);
        ++checked;
        const bool same =
            entry.at("trainable") == "all"
                ? trainable(learn).size() == learn.model()->parameters().size()
                : trainable(learn) == entry.at("trainable").get<std::vector<std::string>>();
        CHECK(same);
        unequal.add(same ? 0 : 1);
        std::vector<std::size_t> sizes;
        for (const auto& group : learn.opt().groups()) sizes.push_back(group.all_indices.size());
        CHECK(sizes == entry.at("opt_group_sizes").get<std::vector<std::size_t>>());
      };
      learn.freeze();
      check("freeze");
      learn.freeze_to(-2);
      check("freeze_to_-2");
      learn.unfreeze();
      check("unfreeze");
      learn.freeze();
      check("freeze_again");
    }
    CHECK(checked == want.size());
  }
}

TEST_CASE("the old name warns") {
  TempDir dir;
  auto data = colours(dir, 8);
  CapturedLog log;
  create_cnn(data, models::squeezenet1_1, {.pretrained = false, .silent = true});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("cnn_learner") != std::string::npos);
}

TEST_CASE("weights that do not fit are refused with their names") {
  TempDir dir;
  auto data = colours(dir, 8);
  write_file(dir / "bad.pth", "not a checkpoint");
  const auto error =
      caught([&] { cnn_learner(data, models::resnet18, {.weights = dir / "bad.pth"}); });
  CHECK(error.code.starts_with("pickle."));
  CHECK(error.message.find("bad.pth") != std::string::npos);
}

TEST_CASE("pretrained weights on data that are not normalised get one warning") {
  TempDir dir;
  auto normalised = colours(dir, 8);
  write_file(dir / "bad.pth", "not a checkpoint");
  auto raw = ImageDataBunch::from_name_re(
      dir.path(), get_image_files(dir.path()), R"(/([^/]+)_\d+.png$)",
      {.size = 32, .bs = 8, .num_workers = 0, .device = torch::kCPU, .seed = 1});
  // Said before the weights are read, so the file need not hold any.
  const auto warnings = [&](const DataBunch& data) {
    CapturedLog log;
    caught([&] { cnn_learner(data, models::resnet18, {.weights = dir / "bad.pth"}); });
    return log.warnings;
  };
  CHECK(warnings(normalised).empty());
  const auto got = warnings(raw);
  REQUIRE(got.size() == 1);
  CHECK(got[0].find("normalize(imagenet_stats)") != std::string::npos);
  CapturedLog log;
  cnn_learner(raw, models::resnet18, {.pretrained = false, .silent = true});
  CHECK(log.warnings.empty());
}
