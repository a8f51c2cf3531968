// Two tags a photograph, species and breed, from a table: needs photographs and weights.
#include <torch/types.h>

#include <cctype>

#include "fastcpp/io/untar.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

// A minute and more: see "long" in CONTRIBUTING.md.
TEST_CASE("species and breed as tags", "[.long]") {
  const auto shared = shared_dir();
  if (!shared || !std::filesystem::exists(*shared / "data/oxford-pets-sample/images") ||
      !std::filesystem::exists(*shared / "data/pretrained/resnet18.pth.tar.xz")) {
    return skip("no photographs or weights in shared/data");
  }
  const auto path = *shared / "data/oxford-pets-sample";
  TempDir dir;
  extract_archive(*shared / "data/pretrained/resnet18.pth.tar.xz", dir / "weights");
  const auto weights = get_files(dir / "weights", {.extensions = {".pth"}, .recurse = true});
  REQUIRE(weights.size() == 1);
  // A capital letter is a cat.
  std::string table = "name,tags\n";
  const auto files = get_image_files(path / "images");
  for (const auto& file : files) {
    const auto stem = file.stem().string();
    const auto breed = stem.substr(0, stem.rfind('_'));
    table +=
        file.filename().string() + "," + (std::isupper(breed[0]) ? "cat " : "dog ") + breed + "\n";
  }
  write_file(dir / "tags.csv", table);
  const auto data = ImageList::from_csv(path, dir / "tags.csv", {.folder = "images"})
                        .split_by_rand_pct(0.2, 42)
                        .label_from_df({.label_delim = " "})
                        .transform(get_transforms(), {.size = 128})
                        .databunch({.path = dir.path(), .bs = 16, .device = torch::kCPU, .seed = 1})
                        .normalize(imagenet_stats);
  CHECK(data.c() == 39);
  auto learn = cnn_learner(data, models::resnet18,
                           {.metrics = {accuracy_thresh({.thresh = 0.2})},
                            .silent = true,
                            .weights = weights[0],
                            .seed = 1});
  // The body is frozen: its features once, instead of three times, keep the test short.
  learn.precompute();
  learn.fit_one_cycle(3, {.max_lr = 1e-2});
  const auto found = learn.get_preds();
  const auto& classes = data.classes();
  const auto dog = std::find(classes.begin(), classes.end(), "dog") - classes.begin();
  const auto right = found.preds.select(1, dog).ge(0.5).eq(found.targets.select(1, dog).ge(0.5));
  const double accuracy_of_species = right.to(torch::kFloat64).mean().item<double>();
  INFO("species accuracy " << accuracy_of_species);
  CHECK(accuracy_of_species > 0.95);
}
