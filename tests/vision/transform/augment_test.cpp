// RandAugment, TrivialAugment and erasing: against what tests/golden/augment.py computed, and what they draw.
#include "fastcpp/vision/transform/augment.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "fastcpp/io/json.hpp"
#include "fastcpp/vision/transform/device.hpp"
#include "fastcpp/vision/transform/recipes.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "vision/transform/augment.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::test {
namespace {

using detail::AugmentOp;
using detail::Planes;

// The program stores single precision, and so do planes.
constexpr double kSinglePrecision = 1e-6;

constexpr std::array kOpNames = {
    "Identity", "ShearX",   "ShearY",    "TranslateX", "TranslateY", "Rotate",       "Brightness",
    "Color",    "Contrast", "Sharpness", "Posterize",  "Solarize",   "AutoContrast", "Equalize"};
static_assert(kOpNames.size() == detail::kAugmentOps);

AugmentOp op_named(const std::string& name) {
  const auto found = std::find(kOpNames.begin(), kOpNames.end(), name);
  REQUIRE(found != kOpNames.end());
  return static_cast<AugmentOp>(found - kOpNames.begin());
}

Planes planes_of_levels(const Json& where) {
  const auto data = array(where);
  Planes planes{static_cast<int>(data.shape.at(0)),
                {static_cast<int>(data.shape.at(1)), static_cast<int>(data.shape.at(2))},
                {}};
  for (const double level : data.values) planes.v.push_back(static_cast<float>(level / 255));
  return planes;
}

void check_planes(const Planes& got, const Json& where) {
  const auto want = array(where);
  REQUIRE(got.v.size() == want.values.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.v.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(got.v[i]) - want.values[i]));
  CHECK(worst < kSinglePrecision);
}

// Numbers one after the other; REQUIREs that there are enough.
detail::Uniform numbers_of(const Json& list) {
  return [values = numbers(list), next = std::size_t{0}]() mutable {
    REQUIRE(next < values.size());
    return values[next++];
  };
}

Planes executed(const detail::Plan& plan, const Planes& from) {
  Planes result{from.channels, {}, {}};
  detail::execute(plan, {nullptr, from.v.data(), from.channels, from.size}, [&](Resolution size) {
    result.size = size;
    result.v.resize(static_cast<std::size_t>(result.channels) * result.area());
    return result.v.data();
  });
  return result;
}

torch::Tensor after(const Image& img, const TfmList& tfms, std::uint64_t seed = 1,
                    const ApplyTfmsOptions& options = {}) {
  Rng rng(seed);
  return apply_tfms(img, tfms, options, rng).tensor();
}

Image bright(int rows, int cols) {
  return Image::from_tensor(torch::full({3, rows, cols}, 0.75f));
}

// Rows and columns that have a black pixel, and whether those between are black altogether.
struct Hole {
  std::int64_t rows = 0, cols = 0;
  bool solid = false;
};
Hole hole_of(const torch::Tensor& px) {
  const auto black = px.eq(0).all(0);
  const auto rows = black.any(1).sum().item<std::int64_t>(),
             cols = black.any(0).sum().item<std::int64_t>();
  return {rows, cols, black.sum().item<std::int64_t>() == rows * cols};
}

}  // namespace

TEST_CASE("augment: every operation as the independent program has it", "[golden][transforms]") {
  const auto& cases = golden("augment.json").at("ops");
  CHECK(cases.size() >= 14);
  for (const auto& item : cases) {
    INFO(item.at("op") << " " << item.at("magnitude"));
    auto planes = planes_of_levels(item.at("picture"));
    detail::run_op({op_named(item.at("op").get<std::string>()), number(item.at("magnitude"))},
                   planes);
    check_planes(planes, item.at("want"));
  }
}

TEST_CASE("augment: operations and magnitudes drawn from given numbers", "[golden][transforms]") {
  const auto& cases = golden("augment.json").at("choices");
  CHECK(cases.size() >= 10);
  for (const auto& item : cases) {
    const auto name = item.at("name").get<std::string>();
    INFO(item.dump());
    const auto draws = numbers_of(item.at("uniform"));
    const int bins = item.at("num_magnitude_bins").get<int>();
    std::vector<detail::AugmentChoice> got;
    if (name == "rand_augment") {
      got = detail::rand_augment_choices(
          item.at("num_ops").get<int>(), item.at("magnitude").get<int>(), bins,
          {item.at("rows").get<int>(), item.at("cols").get<int>()}, draws);
    } else {
      got.push_back(detail::trivial_augment_choice(bins, draws));
    }
    const auto& want = item.at("want");
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].op == op_named(want[i][0].get<std::string>()));
      CHECK(std::abs(got[i].magnitude - number(want[i][1])) < 1e-9);
    }
  }
}

TEST_CASE("augment: whole transforms from given numbers", "[golden][transforms]") {
  const auto& cases = golden("augment.json").at("transforms");
  CHECK(cases.size() >= 10);
  for (const auto& item : cases) {
    const auto name = item.at("name").get<std::string>();
    INFO(name << " " << item.at("uniform").dump());
    const auto& args = item.at("args");
    const auto tfm =
        name == "rand_augment"     ? rand_augment({.num_ops = number(args.at("num_ops")),
                                                   .magnitude = number(args.at("magnitude"))})
        : name == "random_erasing" ? random_erasing({.p = 1, .values = numbers(args.at("values"))})
                                   : trivial_augment_wide();
    Rng rng(1);
    auto plan = detail::draw_plan({tfm}, {}, rng);
    REQUIRE(plan.steps.size() == 1);
    plan.steps[0].uniform = numbers(item.at("uniform"));
    check_planes(executed(plan, planes_of_levels(item.at("picture"))), item.at("want"));
  }
}

TEST_CASE("erasing: boxes from given numbers", "[golden][transforms]") {
  const auto& cases = golden("augment.json").at("erasing");
  CHECK(cases.size() >= 10);
  int none = 0;
  for (const auto& item : cases) {
    INFO(item.dump());
    const auto scale = numbers(item.at("scale")), ratio = numbers(item.at("ratio"));
    const auto got = detail::erasing_box({item.at("rows").get<int>(), item.at("cols").get<int>()},
                                         {scale.at(0), scale.at(1)}, {ratio.at(0), ratio.at(1)},
                                         numbers_of(item.at("uniform")));
    const auto& want = item.at("want");
    REQUIRE(got.has_value() != want.is_null());
    if (!got) {
      ++none;
      continue;
    }
    CHECK(got->row == want[0].get<int>());
    CHECK(got->col == want[1].get<int>());
    CHECK(got->rows == want[2].get<int>());
    CHECK(got->cols == want[3].get<int>());
  }
  CHECK(none > 0);  // ten tries are not always enough
}

TEST_CASE("augment: every operation as often as any other, half of them backwards",
          "[transforms]") {
  Rng rng(3);
  const detail::Uniform uniform = [&rng] { return rng.uniform(); };
  constexpr int kChoices = 14'000;
  std::map<AugmentOp, int> rand, trivial;
  int backwards = 0, signs = 0;
  const auto count = [&](const detail::AugmentChoice& choice) {
    if (choice.op != AugmentOp::kRotate) return;
    signs += choice.magnitude != 0;
    backwards += choice.magnitude < 0;
  };
  for (int i = 0; i < kChoices; ++i) {
    const auto choices = detail::rand_augment_choices(1, 9, 31, {64, 64}, uniform);
    ++rand[choices.at(0).op];
    count(choices[0]);
    const auto choice = detail::trivial_augment_choice(31, uniform);
    ++trivial[choice.op];
    count(choice);
  }
  // Four standard deviations of a count: sqrt(14000 / 14 * 13 / 14) is 30.5.
  for (int op = 0; op < detail::kAugmentOps; ++op) {
    INFO(kOpNames[static_cast<std::size_t>(op)]);
    CHECK(std::abs(rand[static_cast<AugmentOp>(op)] - 1000) < 122);
    CHECK(std::abs(trivial[static_cast<AugmentOp>(op)] - 1000) < 122);
  }
  CHECK(std::abs(backwards - signs / 2.0) < 4 * std::sqrt(signs) / 2);
}

TEST_CASE("erasing: one solid rectangle within its limits, in half of the pictures",
          "[transforms]") {
  const auto image = bright(50, 60);
  int erased = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto hole = hole_of(after(image, {random_erasing()}, seed));
    if (hole.rows == 0) continue;
    ++erased;
    CHECK(hole.solid);
    const auto rows = static_cast<double>(hole.rows), cols = static_cast<double>(hole.cols);
    // Sides are rounded to pixels.
    CHECK((rows + 0.5) * (cols + 0.5) >= 0.02 * 3000);
    CHECK((rows - 0.5) * (cols - 0.5) <= 0.33 * 3000);
    CHECK((rows + 0.5) / (cols - 0.5) >= 0.3);
    CHECK((rows - 0.5) / (cols + 0.5) <= 3.3);
  }
  CHECK(std::abs(erased - 200) < 40);  // four standard deviations
  const auto noisy = after(image, {random_erasing({.p = 1, .random = true})});
  const auto changed = noisy.ne(0.75).any(0);
  const auto values = noisy.masked_select(changed);
  REQUIRE(values.numel() > 100);
  CHECK(values.min().item<float>() >= 0);
  CHECK(values.max().item<float>() < 1);
  CHECK(std::abs(values.mean().item<double>() - 0.5) <
        4 / std::sqrt(12.0 * static_cast<double>(values.numel())));
}

TEST_CASE("augment: after all geometry, the crop too, and alike on workers and device",
          "[transforms]") {
  const auto image = Image::from_tensor(torch::rand({3, 60, 90}));
  TfmList tfms = {random_erasing({.p = 1, .value = 0}), rand_crop(), flip_lr(), rotate(10)};
  CHECK(tfms[0].order() > rand_augment().order());
  CHECK(rand_augment().order() > crop_pad().order());
  CHECK(trivial_augment_wide().order() == rand_augment().order());
  const ApplyTfmsOptions options{.size = 32};
  const auto px = after(image, tfms, 2, options);
  REQUIRE(px.sizes() == torch::IntArrayRef({3, 32, 32}));
  const auto hole = hole_of(px);
  CHECK(hole.solid);
  CHECK(hole.rows > 0);
  // What is no hole is what the others made: they draw before it, in the order of their numbers.
  tfms.erase(tfms.begin());
  const auto plain = after(image, tfms, 2, options);
  CHECK(px.ne(plain).any(0).sum().item<std::int64_t>() == hole.rows * hole.cols);

  cv::Mat rgb(50, 40, CV_8UC3);
  for (int y = 0; y < 50; ++y) {
    for (int x = 0; x < 3 * 40; ++x)
      rgb.ptr<uchar>(y)[x] = static_cast<uchar>((7 * x + 3 * y) % 256);
  }
  auto all = get_transforms(
                 {.xtra_tfms = {rand_augment(), trivial_augment_wide(), random_erasing({.p = 1})}})
                 .train;
  CHECK(output_size(all, {.size = 24}) == Resolution{24, 24});
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    auto batch = torch::empty({1, 3, 24, 24}, torch::kFloat32);
    auto packed = torch::empty({1, detail::packed_size({24, 24})}, torch::kFloat32);
    Rng one(seed), two(seed);
    apply_tfms_into(rgb, all, {.size = 24}, one, batch.data_ptr<float>());
    detail::pack_tfms_into(rgb, all, {.size = 24}, two, {24, 24}, packed.data_ptr<float>());
    CHECK(
        torch::equal(detail::finish_on_device(packed, {24, 24}, PaddingMode::kReflection), batch));
    CHECK(batch.min().item<float>() >= 0);
    CHECK(batch.max().item<float>() <= 1 + kSinglePrecision);
  }
}

TEST_CASE("augment: the same Rng the same picture, of bytes or floats, of one channel",
          "[transforms]") {
  cv::Mat rgb(20, 30, CV_8UC3);
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 3 * 30; ++x)
      rgb.ptr<uchar>(y)[x] = static_cast<uchar>((5 * x + 11 * y) % 256);
  }
  const auto bytes = Image::from_rgb(rgb), floats = Image::from_tensor(bytes.tensor());
  const auto gray = Image::from_tensor(bytes.tensor().slice(0, 0, 1).clone());
  bool differs = false;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    for (const auto& tfm : {rand_augment(), trivial_augment_wide()}) {
      const auto px = after(bytes, {tfm}, seed);
      CHECK(torch::allclose(px, after(floats, {tfm}, seed), 0, 1e-5));
      differs = differs || !torch::equal(px, after(bytes, {tfm}, seed + 1));
      CHECK(after(gray, {tfm}, seed).sizes() == torch::IntArrayRef({1, 20, 30}));
    }
  }
  CHECK(differs);
  CHECK(torch::allclose(after(bytes, {rand_augment({.num_ops = 0})}), bytes.tensor(), 0, 1e-6));
  CHECK(torch::equal(after(bytes, {rand_augment({.p = 0})}), bytes.tensor()));
}

TEST_CASE("augment: arguments, words and files", "[transforms]") {
  CHECK(rand_augment().str() == "rand_augment(num_ops=2, magnitude=9, num_magnitude_bins=31, p=1)");
  CHECK(trivial_augment_wide({.p = 0.5}).str() ==
        "trivial_augment_wide(num_magnitude_bins=31, p=0.5)");
  CHECK(random_erasing().str() ==
        "random_erasing(scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, random=0, p=0.5)");
  const TfmList list = {rand_augment({.magnitude = {5, 12}}), trivial_augment_wide(),
                        random_erasing({.values = {0.1, 0.2, 0.3}})};
  CHECK(tfms_from_value(from_json(to_json(tfms_to_value(list)))) == list);
  const auto refused = [](auto&& make) { return caught(make).code; };
  CHECK(refused([] { rand_augment({.magnitude = 31}); }) == "value.transform_argument");
  CHECK(refused([] { rand_augment({.magnitude = {5, 31}}); }) == "value.transform_argument");
  CHECK(refused([] { rand_augment({.num_ops = -1}); }) == "value.transform_argument");
  CHECK(refused([] { rand_augment({.magnitude = 1.5}); }) == "value.transform_argument");
  CHECK(refused([] { trivial_augment_wide({.num_magnitude_bins = 1}); }) ==
        "value.transform_argument");
  CHECK(refused([] { random_erasing({.scale = {0.1, 1.1}}); }) == "value.transform_argument");
  CHECK(refused([] { random_erasing({.ratio = 0}); }) == "value.transform_argument");
  CHECK(refused([] { random_erasing({.value = 2}); }) == "value.transform_argument");
  CHECK(refused([] { random_erasing({.p = 1.5}); }) == "value.probability");
  CHECK(refused([] {
          Transform("random_erasing", {{"scale", std::vector<double>{}}});
        }) == "value.transform_argument");
  const auto image = bright(20, 20);
  CHECK(refused([&] {
          after(image, {random_erasing({.p = 1, .values = {0, 0.5}})});
        }) == "value.transform_argument");
}

}  // namespace fastcpp::test
