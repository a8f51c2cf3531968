// Transforms of the user's, by name.
#include <clocale>
#include <cmath>
#include <thread>

#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"
#include "vision/transform/device.hpp"

using namespace fastcpp;

namespace {

cv::Mat picture(int rows, int cols) {
  cv::Mat rgb(rows, cols, CV_8UC3);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < cols; ++c) {
      rgb.at<cv::Vec3b>(r, c) = {static_cast<uchar>(127 + 120 * std::sin(r / 9.0 + c / 31.0)),
                                 static_cast<uchar>(127 + 120 * std::cos(c / 7.0)),
                                 static_cast<uchar>(127 + 120 * std::sin((r - c) / 13.0))};
    }
  }
  return rgb;
}

// Once a program, whichever test comes first.
void register_all() {
  static const bool once = [] {
    register_transform({.name = "test_invert", .apply = [](const Image& img, const auto&, Rng&) {
                          return Image::from_tensor(1 - img.tensor());
                        }});
    register_transform({.name = "test_invert_first",
                        .order = -20,
                        .apply = [](const Image& img, const auto&, Rng&) {
                          return Image::from_tensor(1 - img.tensor());
                        }});
    register_transform({.name = "test_add",
                        .order = 9,
                        .params = {{"amount", ParamRange(0.1, 0.2)}, {"times", ParamRange(2)}},
                        .apply = [](const Image& img, const std::vector<double>& args, Rng&) {
                          return Image::from_tensor(img.tensor() + args.at(0) * args.at(1));
                        }});
    register_transform(
        {.name = "test_noise", .order = 30, .apply = [](const Image& img, const auto&, Rng& rng) {
           auto px = img.tensor();
           float* value = px.data_ptr<float>();
           for (std::int64_t i = 0; i < px.numel(); ++i)
             value[i] += static_cast<float>(0.1 * rng.uniform());
           return Image::from_tensor(px);
         }});
    register_transform({.name = "test_half", .apply = [](const Image& img, const auto&, Rng&) {
                          return Image::from_tensor(img.tensor().slice(1, 0, 2));
                        }});
    register_transform(
        {.name = "test_fails", .apply = [](const Image&, const auto&, Rng&) -> Image {
           throw std::runtime_error("no luck");
         }});
    register_transform(
        {.name = "test_torch_fails", .apply = [](const Image& img, const auto&, Rng&) {
           return Image::from_tensor(img.tensor().view({7, 11, 13}));
         }});
    return true;
  }();
  (void)once;
}

torch::Tensor apply(const Image& img, const TfmList& tfms, const ApplyTfmsOptions& options = {},
                    std::uint64_t seed = 5) {
  Rng rng(seed);
  return img.apply_tfms(tfms, options, rng).tensor();
}

}  // namespace

TEST_CASE("own transforms: one alone", "[transforms]") {
  register_all();
  const auto image = Image::from_rgb(picture(20, 30));
  CHECK(torch::equal(apply(image, {Transform("test_invert")}), 1 - image.tensor()));
  Rng rng(0);
  CHECK(torch::equal(apply_tfm(image, Transform("test_invert"), rng).tensor(), 1 - image.tensor()));
  CHECK(torch::equal(apply(image, {Transform("test_invert", {}, {.p = 0})}), image.tensor()));
  const Transform add("test_add", {{"amount", ParamRange(0.25)}});
  CHECK(torch::allclose(apply(image, {add}), image.tensor() + 0.5));
  CHECK(add.order() == 9);
  CHECK(add.str() == "test_add(amount=0.25, times=2, p=1)");
  CHECK(add == Transform("test_add", {{"amount", ParamRange(0.25)}}));
  CHECK_FALSE(add == Transform("test_add"));
  CHECK(add.with_p(0.5).p() == 0.5);
}

TEST_CASE("own transforms: arguments and chance come from the Rng alone", "[transforms]") {
  register_all();
  const auto image = Image::from_rgb(picture(20, 30));
  const TfmList tfms = {Transform("test_noise"), Transform("test_add", {}, {.p = 0.5})};
  CHECK(torch::equal(apply(image, tfms, {}, 3), apply(image, tfms, {}, 3)));
  CHECK_FALSE(torch::equal(apply(image, tfms, {}, 3), apply(image, tfms, {}, 4)));
  const auto zero = Image::from_tensor(torch::zeros({3, 4, 5}));
  double least = 9, most = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto value = apply(zero, {Transform("test_add")}, {}, i).max().item<double>();
    least = std::min(least, value);
    most = std::max(most, value);
  }
  CHECK((least >= 0.2 && least < 0.205));
  CHECK((most < 0.4 && most > 0.395));
}

TEST_CASE("own transforms: what comes before is executed before, what comes after after",
          "[transforms]") {
  register_all();
  const auto image = Image::from_rgb(picture(60, 90));
  const TfmList geometry = {rotate(10), zoom({.scale = 1.2}), brightness(0.6), flip_lr(),
                            crop_pad({.row_pct = 0.3, .col_pct = 0.8})};
  const ApplyTfmsOptions options{.size = 32, .padding_mode = PaddingMode::kBorder};
  auto tfms = geometry;
  tfms.insert(tfms.begin(), Transform("test_invert"));
  // Inverting commutes with moving pixels: at order 10 it stands after lighting, before the crop.
  CHECK(torch::allclose(apply(image, tfms, options), 1 - apply(image, geometry, options), 1e-5,
                        1e-5));
  // Before everything: the resampling and its padding are still to come. (A resize would come first.)
  tfms.front() = Transform("test_invert_first");
  const ApplyTfmsOptions as_it_is{.padding_mode = PaddingMode::kBorder};
  const auto inverted = Image::from_tensor(1 - image.tensor());
  const auto want = apply(inverted, geometry, as_it_is);
  CHECK((apply(image, tfms, as_it_is) - want).abs().max().item<double>() < 1e-6);
  // Several of them, and steps that only the step-by-step way knows.
  tfms = {Transform("test_invert"), Transform("test_invert"), cutout({.n_holes = 1, .length = 9})};
  Rng one(1), two(1);
  CHECK(apply_tfms(image, tfms, {}, one).size() == image.size());
}

TEST_CASE("own transforms: the size of a batch is known, workers and device agree",
          "[transforms]") {
  register_all();
  auto tfms = get_transforms().train;
  tfms.push_back(Transform("test_noise"));
  const ApplyTfmsOptions options{.size = 24};
  REQUIRE(output_size(tfms, options) == Resolution{24, 24});
  const auto rgb = picture(50, 40);
  auto batch = torch::empty({1, 3, 24, 24}, torch::kFloat32);
  Rng one(2), two(2);
  apply_tfms_into(rgb, tfms, options, one, batch.data_ptr<float>());
  auto packed = torch::empty({1, fastcpp::detail::packed_size({24, 24})}, torch::kFloat32);
  fastcpp::detail::pack_tfms_into(rgb, tfms, options, two, {24, 24}, packed.data_ptr<float>());
  CHECK(torch::equal(fastcpp::detail::finish_on_device(packed, {24, 24}, PaddingMode::kReflection),
                     batch));
}

TEST_CASE("own transforms: what goes wrong is told with the name", "[transforms]") {
  register_all();
  const auto image = Image::from_rgb(picture(20, 30));
  for (const char* name : {"test_fails", "test_torch_fails", "test_half"}) {
    const auto error = test::caught([&] { apply(image, {Transform(name)}); });
    CHECK(error.code == "image.cannot_transform");
    CHECK(error.message.find(name) != std::string::npos);
  }
  CHECK(test::caught([&] { apply(image, {Transform("test_fails")}); }).message.find("no luck") !=
        std::string::npos);
  const auto nothing = [](const Image& img, const std::vector<double>&, Rng&) { return img; };
  const auto code = [](TransformDefinition definition) {
    return test::caught([&] { register_transform(definition); }).code;
  };
  CHECK(code({.name = "", .apply = nothing}) == "value.transform");
  CHECK(code({.name = "rotate", .apply = nothing}) == "value.transform");
  CHECK(code({.name = "test_invert", .apply = nothing}) == "value.transform");
  CHECK(code({.name = "test_new", .apply = {}}) == "value.transform");
  CHECK(code({.name = "test_new", .params = {{"a", std::string("b")}}, .apply = nothing}) ==
        "value.transform_argument");
  CHECK(test::caught([] { Transform("test_new"); }).code == "value.transform");
  CHECK(test::caught([] {
          Transform("test_add", {{"b", ParamRange(1)}});
        }).code == "value.transform_argument");
  CHECK(test::caught([] { Transform("test_add", {}, {.p = 2}); }).code == "value.probability");
}

TEST_CASE("own transforms: registered and used from several threads", "[transforms]") {
  register_all();
  const auto image = Image::from_rgb(picture(20, 30));
  const auto want = apply(image, {Transform("test_noise")}, {}, 7);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto name = "test_thread_" + std::to_string(t) + "_" + std::to_string(i);
        register_transform(
            {.name = name, .apply = [](const Image& img, const auto&, Rng&) { return img; }});
        wrong += !torch::equal(apply(image, {Transform(name)}), image.tensor());
        wrong += !torch::equal(apply(image, {Transform("test_noise")}, {}, 7), want);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("transforms: numbers are the same in every locale", "[transforms]") {
  const std::string former = std::setlocale(LC_ALL, nullptr);
  const auto image = Image::from_rgb(picture(20, 30));
  const auto want = apply(image, {zoom({.scale = 1.5}), crop_pad()}, {.size = 16});
  for (const char* locale : {"de_DE.UTF-8", "de_DE", "tr_TR.UTF-8", "C"}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    INFO(locale);
    const Transform tfm("zoom", {{"scale", ParamRange(1.5)}});
    CHECK(tfm.str() == "zoom(scale=1.5, row_pct=0.5, col_pct=0.5, p=1)");
    CHECK(torch::equal(apply(image, {tfm, Transform("crop_pad")}, {.size = 16}), want));
  }
  std::setlocale(LC_ALL, former.c_str());
}

TEST_CASE("transforms: single precision whatever the default is", "[transforms]") {
  const auto rgb = picture(50, 40);
  const auto image = Image::from_rgb(rgb);
  const auto tfms = get_transforms().train;
  const auto run = [&] {
    auto packed = torch::empty({1, fastcpp::detail::packed_size({24, 24})}, torch::kFloat32);
    Rng rng(2);
    fastcpp::detail::pack_tfms_into(rgb, tfms, {.size = 24}, rng, {24, 24},
                                    packed.data_ptr<float>());
    return std::pair{apply(image, tfms, {.size = 24}),
                     fastcpp::detail::finish_on_device(packed, {24, 24}, PaddingMode::kReflection)};
  };
  const auto want = run();
  torch::set_default_dtype(torch::scalarTypeToTypeMeta(torch::kFloat64));
  const auto got = run();
  torch::set_default_dtype(torch::scalarTypeToTypeMeta(torch::kFloat32));
  CHECK(got.first.scalar_type() == torch::kFloat32);
  CHECK(got.second.scalar_type() == torch::kFloat32);
  CHECK(torch::equal(got.first, want.first));
  CHECK(torch::equal(got.second, want.second));
}
