#include "fastcpp/vision/transform/transform.hpp"

#include <algorithm>
#include <cmath>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "support/transform_golden.hpp"
#include "vision/transform/geometry.hpp"
#include "vision/transform/plan.hpp"

using namespace fastcpp;

namespace {

constexpr double kGolden = 1e-4;
// One pass and step by step are the same arithmetic in another order, on float pixels.
constexpr double kAgreement = 1e-5;

Image ramp(int rows, int cols) {
  return Image::from_tensor(
      torch::arange(rows * cols, torch::kFloat32).div(rows * cols).reshape({1, rows, cols}));
}

Image waves() {
  auto px = torch::empty({3, 20, 30});
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 20; ++y) {
      for (int x = 0; x < 30; ++x) px[c][y][x] = 0.5 + 0.4 * std::sin(0.3 * x + 0.7 * y + c);
    }
  }
  return Image::from_tensor(px);
}

cv::Mat noise_picture(int rows, int cols, std::uint64_t seed) {
  Rng rng(seed);
  cv::Mat rgb(rows, cols, CV_8UC3);
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < 3 * cols; ++x)
      rgb.ptr<uchar>(y)[x] = static_cast<uchar>(rng.integer(0, 255));
  }
  return rgb;
}

void check_pixels(const torch::Tensor& got, const std::vector<double>& want,
                  double tolerance = kGolden) {
  const auto flat = got.contiguous().flatten();
  REQUIRE(flat.numel() == static_cast<std::int64_t>(want.size()));
  for (std::size_t i = 0; i < want.size(); ++i) {
    INFO("value " << i);
    CHECK(std::abs(static_cast<double>(flat[static_cast<std::int64_t>(i)].item<float>()) -
                   want[i]) <= tolerance);
  }
}

torch::Tensor applied(const Image& img, const TfmList& tfms, const ApplyTfmsOptions& options = {}) {
  Rng rng(5);
  return img.apply_tfms(tfms, options, rng).tensor();
}

TfmList full_chain() {
  return {crop_pad({.row_pct = 0.3, .col_pct = 0.8}),
          flip_lr(),
          symmetric_warp({.magnitudes = {0.1, -0.05, 0.2, -0.15}}),
          rotate(10),
          zoom({.scale = 1.1, .row_pct = 0.3, .col_pct = 0.7}),
          brightness(0.55),
          contrast(1.1)};
}

}  // namespace

TEST_CASE("transforms: the reference's pictures", "[golden]") {
  CHECK(test::check_transform_cases(test::golden_dir()) > 0);
}

TEST_CASE("transforms: the reference's lists", "[golden]") {
  CHECK(test::check_transform_lists(test::golden_dir()) > 0);
}

TEST_CASE("transforms: lists of a set with other arguments", "[transforms]") {
  const test::TempDir dir;
  write_file(dir / "transforms.json", R"({"get_transforms": [], "lists": [
    {"call": "rand_crop", "args": {"padding_mode": "zeros", "p": 0.3}, "result": [
      {"name": "crop_pad", "order": 99, "p": 0.3, "is_random": true,
       "args": {"row_pct": [0, 1], "col_pct": [0, 1], "padding_mode": "zeros"}}]},
    {"call": "rand_pad", "args": {"padding": 7, "size": [20, 24], "mode": "border"}, "result": [
      {"name": "pad", "order": -10, "p": 1.0, "is_random": true,
       "args": {"padding": 7, "mode": "border"}},
      {"name": "crop", "order": 10, "p": 1.0, "is_random": true,
       "args": {"size": [20, 24], "row_pct": [0, 1], "col_pct": [0, 1]}}]},
    {"call": "rand_resize_crop", "args": {"size": 48, "max_scale": 1.5, "ratios": [0.9, 1.2]},
     "result": [
      {"name": "zoom_squish", "order": 4, "p": 1.0, "is_random": true,
       "args": {"scale": [1.0, 1.5, 8], "squish": [0.9, 1.2, 8], "invert": [0.5, 8],
                "row_pct": [0, 1], "col_pct": [0, 1]}},
      {"name": "crop", "order": 10, "p": 1.0, "is_random": true, "args": {"size": 48}}]}]})");
  CHECK(test::check_transform_lists(dir.path()) == 3);
}

TEST_CASE("transforms: small pictures by hand", "[transforms]") {
  const auto a = ramp(3, 4);
  check_pixels(applied(a, {rotate(30)}),
               {0.241186, 0.165206, 0.326692, 0.486752, 0.127858, 0.348175, 0.568492, 0.788809,
                0.429914, 0.589975, 0.751460, 0.675481});
  check_pixels(applied(a, {rotate(30)}, {.padding_mode = PaddingMode::kZeros}),
               {0.029731, 0.123807, 0.326692, 0.330008, 0.127858, 0.348175, 0.568492, 0.788809,
                0.255248, 0.589975, 0.711966, 0.398635});
  check_pixels(applied(a, {rotate(30)}, {.padding_mode = PaddingMode::kBorder}),
               {0.063622, 0.135791, 0.326692, 0.516880, 0.127858, 0.348175, 0.568492, 0.788809,
                0.399786, 0.589975, 0.780876, 0.853045});
  check_pixels(applied(a, {}, {.size = {2, 3}}), {0, 0.125, 0.25, 0.666667, 0.791667, 0.916667});
  check_pixels(applied(a, {}, {.size = 2}), {0.125, 0.25, 0.791667, 0.916667});
  const auto zeros = applied(
      a, {}, {.size = 4, .resize_method = ResizeMethod::kPad, .padding_mode = PaddingMode::kZeros});
  CHECK(torch::equal(zeros.slice(1, 0, 3), a.tensor()));
  CHECK(zeros[0][3].abs().sum().item<float>() == 0.0f);
  const auto mirrored = applied(a, {}, {.size = 4, .resize_method = ResizeMethod::kPad});
  CHECK(torch::equal(mirrored[0][3], a.tensor()[0][1]));
  CHECK(torch::equal(applied(a, {}, {.size = 4, .resize_method = ResizeMethod::kNo}), a.tensor()));
}

TEST_CASE("transforms: shrinking goes through area averages", "[transforms]") {
  const auto b = ramp(16, 24);
  const auto small = applied(b, {}, {.size = 4});
  check_pixels(small[0][0], {0.044010, 0.055469, 0.066927, 0.078385});
  check_pixels(small[0][3], {0.919010, 0.930469, 0.941927, 0.953385});
  check_pixels(applied(b, {}, {.size = {4, 6}})[0][0],
               {0.032552, 0.044010, 0.055469, 0.066927, 0.078385, 0.089844});
  // floor(100 * (1 / d)) in double: 27, not 28.
  CHECK(fastcpp::detail::shrink_size({100, 100}, {14, 14}, 2) == Resolution{27, 27});
  CHECK(fastcpp::detail::shrink_size({65, 65}, {28, 28}, 2) == Resolution{55, 55});
  CHECK(fastcpp::detail::shrink_size({50, 50}, {28, 28}, 2) == Resolution{});
}

TEST_CASE("transforms: the whole training chain", "[transforms]") {
  check_pixels(applied(waves(), get_transforms().valid, {.size = 8})[0][0],
               {0.82678, 0.66353, 0.33440, 0.17347, 0.16940, 0.32632, 0.65531, 0.82243});
  const auto chain = applied(waves(), full_chain(), {.size = 8});
  check_pixels(chain[0][0],
               {0.89289, 0.69697, 0.32884, 0.17793, 0.29462, 0.51013, 0.69903, 0.82035});
  check_pixels(chain[0][7],
               {0.19767, 0.15254, 0.35213, 0.59847, 0.81170, 0.89352, 0.80006, 0.44991});
  const auto larger = applied(waves(), full_chain(), {.size = 16});
  CHECK(larger.mean().item<double>() == Approx(0.52719).margin(kGolden));
  CHECK(larger.std().item<double>() == Approx(0.28539).margin(kGolden));
  check_pixels(larger[0][0].slice(0, 0, 4), {0.80973, 0.90922, 0.90864, 0.78487});
  check_pixels(larger[2][15].slice(0, 12, 16), {0.45722, 0.62528, 0.76889, 0.86918});
  const auto column = [](PaddingMode mode) {
    return applied(waves(), get_transforms().valid,
                   {.size = 8, .resize_method = ResizeMethod::kPad, .padding_mode = mode})
        .select(0, 0)
        .select(1, 0);
  };
  check_pixels(column(PaddingMode::kZeros), {0, 0.67812, 0.36317, 0.64041, 0.33262, 0.68898, 0, 0});
  check_pixels(column(PaddingMode::kReflection),
               {0.36317, 0.67812, 0.36317, 0.64041, 0.33262, 0.68898, 0.33262, 0.64041});
}

TEST_CASE("transforms: lighting acts on logits", "[transforms]") {
  const auto img = Image::from_tensor(torch::tensor({0.2, 0.5, 0.9}).reshape({1, 1, 3}));
  check_pixels(applied(img, {brightness(0.6)}), {0.2727273, 0.6, 0.9310344}, 1e-6);
  check_pixels(applied(img, {brightness(0.4)}), {0.1428571, 0.4, 0.8571428}, 1e-6);
  check_pixels(applied(img, {contrast(1.25)}), {0.1502211, 0.5, 0.9397171}, 1e-6);
  check_pixels(applied(img, {contrast(0.8)}), {0.2480507, 0.5, 0.8529314}, 1e-6);
  const auto ends =
      applied(Image::from_tensor(torch::tensor({0.0, 1.0}).reshape({1, 1, 2})), {contrast(1.1)});
  CHECK(ends.min().item<float>() > 0);
  CHECK(ends.min().item<float>() < 1e-6f);
  CHECK(ends.max().item<float>() > 1 - 1e-6f);
}

TEST_CASE("transforms: rotation by a right angle and homography", "[transforms]") {
  auto px = torch::zeros({1, 5, 5});
  px[0][3][3] = 1;
  const auto turned = applied(Image::from_tensor(px), {rotate(90)});
  CHECK(turned[0][1][3].item<float>() == Approx(1).margin(1e-5));
  fastcpp::detail::Step step{fastcpp::detail::Kind::kSymmetricWarp};
  step.v = {0.1, -0.05, 0.2, -0.15};
  const auto m = fastcpp::detail::homography(step, {10, 10});
  const double want[] = {0.975610, 0.025247, 0.077589, 0.025247,
                         0.975610, 0.172625, 0.075697, 0.168415};
  for (std::size_t i = 0; i < 8; ++i) CHECK(m[i] == Approx(want[i]).margin(1e-6));
}

TEST_CASE("transforms: resize targets round halves to even", "[transforms]") {
  const auto target = [](Resolution picture, int size, ResizeMethod method) {
    fastcpp::detail::Plan plan;
    plan.size = {size, size};
    plan.method = method;
    return fastcpp::detail::resize_target(plan, picture);
  };
  const struct {
    Resolution picture;
    int size;
    Resolution crop, pad;
  } table[] = {{{375, 500}, 224, {224, 299}, {168, 224}},
               {{375, 500}, 299, {299, 399}, {224, 299}},
               {{333, 500}, 224, {224, 336}, {149, 224}},
               {{225, 500}, 299, {299, 664}, {135, 299}},
               {{300, 100}, 224, {672, 224}, {224, 75}}};
  for (const auto& row : table) {
    CHECK(target(row.picture, row.size, ResizeMethod::kCrop) == row.crop);
    CHECK(target(row.picture, row.size, ResizeMethod::kPad) == row.pad);
  }
  CHECK(output_size({}, {.size = 230, .mult = 32}) == Resolution{224, 224});
  CHECK(output_size({}, {.size = 240, .mult = 32}) == Resolution{256, 256});
}

TEST_CASE("transforms: one pass and step by step agree", "[transforms]") {
  Rng rng(11);
  const auto lists =
      get_transforms({.max_rotate = 60, .max_zoom = 1.6, .max_lighting = 0.5, .max_warp = 0.4});
  const auto vertical = get_transforms({.flip_vert = true});
  const PaddingMode modes[] = {PaddingMode::kReflection, PaddingMode::kZeros, PaddingMode::kBorder};
  for (int round = 0; round < 60; ++round) {
    const int rows = static_cast<int>(rng.integer(2, 90)),
              cols = static_cast<int>(rng.integer(2, 90));
    const cv::Mat whole = noise_picture(rows + 3, cols + 3, rng.next());
    const cv::Mat rgb =
        round % 2 ? whole(cv::Rect(3, 2, cols, rows)) : noise_picture(rows, cols, rng.next());
    ApplyTfmsOptions options;
    if (round % 5 != 0)
      options.size = {static_cast<int>(rng.integer(1, 70)), static_cast<int>(rng.integer(1, 70))};
    // Reflection cannot pad a thin picture by more than itself.
    options.resize_method = round % 3 ? ResizeMethod::kCrop : ResizeMethod::kSquish;
    options.padding_mode = modes[round % 3];
    auto tfms = round % 4 ? lists.train : vertical.train;
    tfms.push_back(dihedral());
    tfms.push_back(skew({0, 7}, {-0.2, 0.2}));
    if (round % 2 == 0) tfms.push_back(jitter({-0.1, 0.1}));
    if (round % 3 == 0) tfms.push_back(rgb_randomize());
    if (round % 4 < 2) tfms.push_back(cutout({.n_holes = {1, 3}, .length = {1, 20}}));
    if (round % 7 == 0) tfms.push_back(zoom_squish({.scale = {1, 2}, .squish = {0.75, 1.33}}));
    if (options.size.has_value() && rows != cols)
      tfms.erase(std::find(tfms.begin(), tfms.end(), dihedral()));
    const auto plan = fastcpp::detail::draw_plan(tfms, options, rng);
    const auto planes = to_tensor(rgb);
    const fastcpp::detail::Source bytes{&rgb, nullptr, 3, {rows, cols}};
    const fastcpp::detail::Source floats{nullptr, planes.data_ptr<float>(), 3, {rows, cols}};
    for (const auto& source : {bytes, floats}) {
      INFO("round " << round << ", " << rows << " x " << cols
                    << (source.rgb8 ? ", bytes" : ", floats"));
      REQUIRE(fastcpp::detail::fast_form(plan, source));
      fastcpp::detail::Planes slow;
      try {
        slow = fastcpp::detail::execute_slow(plan, source);
      } catch (const ValueError& error) {
        CHECK(test::caught([&] {
                fastcpp::detail::execute_fast(plan, source, [](Resolution) { return nullptr; });
              }).code == error.code());
        continue;
      }
      fastcpp::detail::Planes fast{3, {}, {}};
      fastcpp::detail::execute_fast(plan, source, [&](Resolution size) {
        fast.size = size;
        fast.v.assign(3 * fast.area(), -1.0f);
        return fast.v.data();
      });
      REQUIRE(fast.size == slow.size);
      double largest = 0;
      for (std::size_t i = 0; i < slow.v.size(); ++i) {
        largest = std::max(
            largest, std::abs(static_cast<double>(fast.v[i]) - static_cast<double>(slow.v[i])));
      }
      CHECK(largest <= kAgreement);
    }
  }
}

TEST_CASE("transforms: the default list draws what it should", "[transforms]") {
  const auto lists = get_transforms();
  constexpr int kDraws = 4000;
  std::map<fastcpp::detail::Kind, int> runs;
  double lowest_contrast = 9, highest_contrast = 0, log_sum = 0, most_degrees = 0, mean_degrees = 0,
         most_warp = 0;
  double mean_pct = 0;
  int contrasts = 0;
  for (int i = 0; i < kDraws; ++i) {
    Rng rng({1, 2, static_cast<std::uint64_t>(i)});
    for (const auto& step : fastcpp::detail::draw_plan(lists.train, {.size = 224}, rng).steps) {
      ++runs[step.kind];
      if (step.kind == fastcpp::detail::Kind::kRotate) {
        most_degrees = std::max(most_degrees, std::abs(step.v[0]));
        mean_degrees += step.v[0] / kDraws;
      } else if (step.kind == fastcpp::detail::Kind::kZoom) {
        CHECK((step.v[0] >= 1 && step.v[0] < 1.1));
      } else if (step.kind == fastcpp::detail::Kind::kBrightness) {
        CHECK((step.v[0] >= 0.4 && step.v[0] < 0.6));
      } else if (step.kind == fastcpp::detail::Kind::kContrast) {
        lowest_contrast = std::min(lowest_contrast, step.v[0]);
        highest_contrast = std::max(highest_contrast, step.v[0]);
        log_sum += std::log(step.v[0]);
        ++contrasts;
      } else if (step.kind == fastcpp::detail::Kind::kSymmetricWarp) {
        CHECK(step.v[0] != step.v[1]);
        for (std::size_t k = 0; k < 4; ++k) most_warp = std::max(most_warp, std::abs(step.v[k]));
      } else if (step.kind == fastcpp::detail::Kind::kCropPad) {
        mean_pct += step.v[0] / kDraws;
      }
    }
  }
  // Four standard deviations of a count of kDraws trials.
  const auto close = [](int count, double p) {
    return std::abs(count - kDraws * p) < 4 * std::sqrt(kDraws * p * (1 - p));
  };
  CHECK(runs[fastcpp::detail::Kind::kCropPad] == kDraws);
  CHECK(close(runs[fastcpp::detail::Kind::kFlipLr], 0.5));
  for (const auto kind : {fastcpp::detail::Kind::kRotate, fastcpp::detail::Kind::kZoom,
                          fastcpp::detail::Kind::kSymmetricWarp, fastcpp::detail::Kind::kBrightness,
                          fastcpp::detail::Kind::kContrast}) {
    CHECK(close(runs[kind], 0.75));
  }
  CHECK((most_degrees > 9.9 && most_degrees < 10));
  CHECK(std::abs(mean_degrees) < 0.3);
  CHECK((most_warp > 0.199 && most_warp < 0.2));
  CHECK((lowest_contrast >= 0.8 && lowest_contrast < 0.805));
  CHECK((highest_contrast < 1.25 && highest_contrast > 1.24));
  CHECK(std::abs(log_sum / contrasts) < 0.01);
  CHECK(std::abs(mean_pct - 0.5) < 0.02);
}

TEST_CASE("transforms: the same address gives the same picture", "[transforms]") {
  const auto image = Image::from_rgb(noise_picture(40, 50, 1));
  auto tfms = get_transforms({.xtra_tfms = {cutout({.n_holes = {1, 4}, .length = {5, 10}}),
                                            jitter({0.0, 0.05}), rgb_randomize()}})
                  .train;
  const auto at = [&](std::uint64_t index) {
    Rng rng({42, 0, index});
    return image.apply_tfms(tfms, {.size = 24}, rng).tensor();
  };
  CHECK(torch::equal(at(3), at(3)));
  CHECK_FALSE(torch::equal(at(3), at(4)));
  CHECK(at(0).sizes().vec() == std::vector<std::int64_t>{3, 24, 24});
}

TEST_CASE("transforms: straight into a batch", "[transforms]") {
  const cv::Mat rgb = noise_picture(60, 45, 9);
  const auto train = get_transforms().train;
  REQUIRE(output_size(train, {.size = 32}) == Resolution{32, 32});
  auto batch = torch::full({2, 3, 32, 32}, -1.0f);
  Rng first({7}), second({7});
  apply_tfms_into(rgb, train, {.size = 32}, first, batch[1].data_ptr<float>());
  CHECK(torch::equal(batch[1],
                     Image::from_rgb(rgb).apply_tfms(train, {.size = 32}, second).tensor()));
  CHECK(batch[0].max().item<float>() == -1.0f);
  float nowhere = 0;
  Rng rng(0);
  CHECK(test::caught([&] { apply_tfms_into(rgb, train, {}, rng, &nowhere); }).code ==
        "value.unknown_size");
  CHECK(test::caught([&] { apply_tfms_into(cv::Mat(), train, {.size = 4}, rng, &nowhere); }).code ==
        "value.mat");
}

TEST_CASE("transforms: a channel that is not there is refused before anything is written",
          "[transforms]") {
  const cv::Mat rgb = noise_picture(20, 30, 1);
  std::vector<float> planes(3 * 16 * 16, -5.0f);
  Rng rng(2);
  CHECK(test::caught([&] {
          apply_tfms_into(rgb, {rgb_randomize({.channel = 3})}, {.size = 16}, rng, planes.data());
        }).code == "value.transform_argument");
  CHECK(std::count(planes.begin(), planes.end(), -5.0f) == 3 * 16 * 16);
}

TEST_CASE("transforms: noise of a picture much longer than its crop is that of its pixels",
          "[transforms]") {
  const cv::Mat rgb = noise_picture(8, 3000, 1);
  Rng rng(3);
  const auto plan = fastcpp::detail::draw_plan({rgb_randomize({.channel = 1}), flip_lr({.p = 1})},
                                               {.size = 12}, rng);
  const fastcpp::detail::Source source{&rgb, nullptr, 3, {8, 3000}};
  const auto slow = fastcpp::detail::execute_slow(plan, source);
  std::vector<float> fast(3 * 12 * 12, -1.0f);
  fastcpp::detail::execute_fast(plan, source, [&](Resolution size) {
    CHECK(size == Resolution{12, 12});
    return fast.data();
  });
  CHECK(std::equal(fast.begin() + 144, fast.begin() + 288, slow.v.begin() + 144));
}

TEST_CASE("transforms: known sizes of results", "[transforms]") {
  CHECK_FALSE(output_size({}, {}));
  CHECK_FALSE(output_size({rotate(3)}, {.size = 10, .resize_method = ResizeMethod::kNo}));
  CHECK(output_size({}, {.size = {10, 20}}) == Resolution{10, 20});
  CHECK_FALSE(output_size({dihedral()}, {.size = {10, 20}}));
  CHECK(output_size({dihedral({4, 7})}, {.size = {10, 20}}) == Resolution{20, 10});
  CHECK(output_size({dihedral()}, {.size = {20, 20}}) == Resolution{20, 20});
  CHECK(output_size({pad(3)}, {.size = {10, 20}}) == Resolution{16, 26});
  CHECK(output_size({crop(7)}, {}) == Resolution{7, 7});
  CHECK_FALSE(output_size({crop(7, {.p = 0.5})}, {}));
  CHECK_FALSE(output_size({rand_crop(0.5)}, {.size = 10}));
}

TEST_CASE("transforms: p, is_random and copies", "[transforms]") {
  const auto a = ramp(4, 5);
  CHECK(torch::equal(applied(a, {flip_lr({.p = 0})}), a.tensor()));
  CHECK(torch::equal(applied(a, {flip_lr({.p = 0, .is_random = false})}), a.tensor().flip(2)));
  const auto turn = rotate({-5, 5}, {.p = 0.5});
  CHECK(turn == Transform("rotate", {{"degrees", ParamRange(-5, 5)}}, {.p = 0.5}));
  CHECK_FALSE(turn == turn.with_p(1));
  CHECK(turn.str() == "rotate(degrees=(-5, 5), p=0.5)");
  CHECK(turn.order() == 5);
  // An untouched picture keeps its 8-bit pixels.
  const auto image = Image::from_rgb(noise_picture(5, 5, 2));
  Rng rng(0);
  CHECK(image.apply_tfms({}, {}, rng).rgb8().data == image.rgb8().data);
}

TEST_CASE("transforms: one transform alone", "[transforms]") {
  const auto a = ramp(3, 5);
  Rng rng(0);
  CHECK(apply_tfm(a, crop_pad(), rng, {4, 8}, PaddingMode::kZeros).size() == Resolution{4, 8});
  CHECK(torch::equal(apply_tfm(a, flip_lr(), rng).tensor(), a.tensor().flip(2)));
  // Odd deficit: 3 rows to 4 puts the line below, 5 columns to 8 one left and two right.
  const auto padded = apply_tfm(a, crop_pad(), rng, {4, 8}, PaddingMode::kZeros).tensor()[0];
  CHECK(padded[3].abs().sum().item<float>() == 0);
  CHECK(padded.select(1, 0).abs().sum().item<float>() == 0);
  CHECK(padded[2][1].item<float>() == a.tensor()[0][2][0].item<float>());
  CHECK(padded[2][5].item<float>() == a.tensor()[0][2][4].item<float>());
}

TEST_CASE("transforms: pictures of one line or one pixel", "[transforms]") {
  for (const Resolution size : {Resolution{1, 1}, Resolution{1, 40}, Resolution{40, 1}}) {
    const auto image = Image::from_rgb(noise_picture(size.rows, size.cols, 3));
    for (std::uint64_t i = 0; i < 20; ++i) {
      Rng rng({i});
      const auto px =
          image.apply_tfms(get_transforms({.max_warp = 0.4}).train, {.size = 16}, rng).tensor();
      CHECK(px.sizes().vec() == std::vector<std::int64_t>{3, 16, 16});
      CHECK((px.min().item<float>() >= 0 && px.max().item<float>() <= 1));
    }
  }
}

TEST_CASE("transforms: impossible arguments", "[transforms]") {
  const auto code = [](auto&& f) { return test::caught(f).code; };
  const std::string argument = "value.transform_argument";
  CHECK(code([] { Transform("spin"); }) == "value.transform");
  CHECK(code([] { Transform("rotate"); }) == argument);
  CHECK(code([] { Transform("rotate", {{"angle", ParamRange(3)}}); }) == argument);
  CHECK(code([] { Transform("rotate", {{"degrees", std::string("ten")}}); }) == argument);
  CHECK(code([] {
          Transform("symmetric_warp", {{"magnitude", std::vector<double>{1, 2}}});
        }) == argument);
  CHECK(code([] { rotate({-5, 5}, {.is_random = false}); }) == argument);
  CHECK(code([] { rotate(NAN); }) == argument);
  CHECK(code([] { rotate({5, -5}); }) == argument);
  CHECK(code([] { rotate(5, {.p = 1.5}); }) == "value.probability");
  CHECK(code([] { zoom({.scale = 0}); }) == argument);
  CHECK(code([] { zoom({.row_pct = 1.5}); }) == argument);
  CHECK(code([] { brightness(1); }) == argument);
  CHECK(code([] { contrast({0, 1}); }) == argument);
  CHECK(code([] { dihedral(8); }) == argument);
  CHECK(code([] { dihedral(1.5); }) == argument);
  CHECK(code([] { crop(0); }) == argument);
  CHECK(code([] { pad(-1); }) == argument);
  CHECK(code([] { get_transforms({.max_lighting = 1}); }) == argument);
  CHECK(code([] { padding_mode_from("mirror"); }) == "value.padding_mode");
  CHECK(code([] {
          zoom_squish({.scales = {1, 2}, .squishes = {1}, .inverts = {0, 0}});
        }) == argument);

  const auto a = ramp(6, 8);
  CHECK(code([&] { applied(a, {}, {.size = 0}); }) == "value.size");
  CHECK(code([&] { applied(a, {}, {.size = {5, -1}}); }) == "value.size");
  CHECK(code([&] { applied(a, {}, {.size = 100000}); }) == "value.size");
  CHECK(code([&] { applied(a, {}, {.size = 3, .mult = 32}); }) == "value.size");
  CHECK(code([&] { applied(a, {}, {.size = 3, .mult = 0}); }) == "value.size");
  CHECK(code([&] { applied(ramp(1, 60000), {}, {.size = 224}); }) == "image.too_large");
  CHECK(code([&] { applied(a, {crop(7)}); }) == "value.crop_too_large");
  CHECK(code([&] { applied(a, {pad(6)}); }) == "value.padding_too_large");
  CHECK(code([&] {
          applied(ramp(2, 40), {}, {.size = 20, .resize_method = ResizeMethod::kPad});
        }) == "value.padding_too_large");
  CHECK(code([&] { applied(a, {symmetric_warp({.magnitude = -1})}); }) == argument);
  CHECK(code([&] { applied(a, {rgb_randomize({.channel = 3})}); }) == argument);
  CHECK(code([&] { applied(Image(), {flip_lr()}); }) == "value.image_empty");
}
