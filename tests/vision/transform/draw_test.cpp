// What the transforms draw: range, probability and distribution of every argument, on fixed seeds.
// Pictures are processed only where the draws depend on their size.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "fastcpp/vision/transform/transform.hpp"
#include "support/catch.hpp"
#include "vision/transform/plan.hpp"

namespace fastcpp::test {
namespace {

using detail::Kind;

constexpr int kDraws = 10'000;

// Kolmogorov: P(D > c / sqrt(n)) is about 2 exp(-2 c^2), 0.001 here. The seeds are fixed, so a test
// that passes once passes always.
constexpr double kKolmogorov = 1.95;
// Of a standard normal, one side: 0.001.
constexpr double kNormalQuantile = 3.09;
// Counts and correlations: beyond four standard deviations lie 6e-5.
constexpr double kSigmas = 4;
// No uniform value among the lowest (or highest) 10 / n of the range: exp(-10).
constexpr double kEdge = 10;

enum class Law { kUniform, kLogUniform, kInteger, kFixed };

// Where an argument lands in a step and how it is distributed.
struct Argument {
  std::size_t at;
  Law law;
  double low, high;
};

using Column = std::vector<double>;

void check_distance(Column values, const std::function<double(double)>& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double f = cdf(values[i]), below = static_cast<double>(i) / n;
    distance = std::max({distance, std::abs(f - below), std::abs(below + 1 / n - f)});
  }
  CHECK(distance < kKolmogorov / std::sqrt(n));
}

// Chi-square against equal shares of the integers; the quantile by Wilson and Hilferty.
void check_equal_shares(const Column& values, double low, double high) {
  const auto k = static_cast<std::size_t>(high - low) + 1;
  Column counts(k);
  for (const double value : values) {
    REQUIRE(value == std::floor(value));
    ++counts.at(static_cast<std::size_t>(value - low));
  }
  const double expected = static_cast<double>(values.size()) / static_cast<double>(k);
  double chi2 = 0;
  for (const double count : counts) chi2 += (count - expected) * (count - expected) / expected;
  const double dof = static_cast<double>(k) - 1, spread = 2 / (9 * dof);
  CHECK(chi2 < dof * std::pow(1 - spread + kNormalQuantile * std::sqrt(spread), 3));
}

void check_law(const Column& values, const Argument& argument) {
  const auto [at, law, low, high] = argument;
  INFO("argument " << at << " in " << low << " .. " << high);
  REQUIRE_FALSE(values.empty());
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  CHECK(*least >= low);
  CHECK(*most <= high);
  if (law == Law::kFixed) return;
  if (law == Law::kInteger) return check_equal_shares(values, low, high);
  const bool log = law == Law::kLogUniform;
  const auto scale = [log](double x) { return log ? std::log(x) : x; };
  const double span = scale(high) - scale(low);
  const double edge = kEdge / static_cast<double>(values.size());
  CHECK((scale(*least) - scale(low)) / span < edge);
  CHECK((scale(high) - scale(*most)) / span < edge);
  check_distance(values, [&](double x) { return (scale(x) - scale(low)) / span; });
}

void check_share(std::size_t count, std::size_t n, double p) {
  const auto total = static_cast<double>(n);
  CHECK(std::abs(static_cast<double>(count) - total * p) <=
        kSigmas * std::sqrt(total * p * (1 - p)));
}

// Pairs in which a value is missing (NaN) are left out.
void check_unrelated(const Column& a, const Column& b) {
  double n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double x = a[i], y = b[i];
    if (std::isnan(x) || std::isnan(y)) continue;
    ++n;
    sa += x, sb += y, saa += x * x, sbb += y * y, sab += x * y;
  }
  REQUIRE(n > kDraws / 20);
  const double spread = (saa - sa * sa / n) * (sbb - sb * sb / n);
  if (spread == 0) return;  // a step's arguments beside whether it ran: only there when it did
  const double r = (sab - sa * sb / n) / std::sqrt(spread);
  CHECK(std::abs(r) < kSigmas / std::sqrt(n));
}

void check_all_unrelated(const std::vector<Column>& columns) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    INFO("column " << i);
    // One item's draw says nothing about the next one's.
    check_unrelated(columns[i], {columns[i].begin() + 1, columns[i].end()});
    for (std::size_t j = 0; j < i; ++j) {
      INFO("and column " << j);
      check_unrelated(columns[i], columns[j]);
    }
  }
}

Column without_gaps(const Column& values) {
  Column kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept),
               [](double x) { return !std::isnan(x); });
  return kept;
}

// Every item has a generator of its own, as in the loaders.
detail::Plan plan_of_item(const TfmList& tfms, int item) {
  Rng rng{7, 0, static_cast<std::uint64_t>(item)};
  return detail::draw_plan(tfms, {}, rng);
}

const detail::Step* find(const detail::Plan& plan, Kind kind) {
  const auto at = std::find_if(plan.steps.begin(), plan.steps.end(),
                               [kind](const auto& step) { return step.kind == kind; });
  return at == plan.steps.end() ? nullptr : &*at;
}

// One column per argument, and first the column of 0 and 1: ran or not.
std::vector<Column> draw_columns(const TfmList& tfms, Kind kind,
                                 const std::vector<Argument>& arguments) {
  std::vector<Column> columns(arguments.size() + 1);
  for (int i = 0; i < kDraws; ++i) {
    const auto plan = plan_of_item(tfms, i);
    const auto* step = find(plan, kind);
    columns[0].push_back(step ? 1 : 0);
    for (std::size_t k = 0; k < arguments.size(); ++k) {
      columns[k + 1].push_back(step ? step->v[arguments[k].at]
                                    : std::numeric_limits<double>::quiet_NaN());
    }
  }
  return columns;
}

// Checks laws and probability; returns the columns that vary.
std::vector<Column> check_step(const TfmList& tfms, Kind kind,
                               const std::vector<Argument>& arguments, double p) {
  auto columns = draw_columns(tfms, kind, arguments);
  check_share(static_cast<std::size_t>(std::count(columns[0].begin(), columns[0].end(), 1.0)),
              kDraws, p);
  std::vector<Column> varying;
  if (p < 1) varying.push_back(columns[0]);
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    check_law(without_gaps(columns[k + 1]), arguments[k]);
    if (arguments[k].law != Law::kFixed) varying.push_back(std::move(columns[k + 1]));
  }
  return varying;
}

struct Row {
  Transform tfm;
  Kind kind;
  std::vector<Argument> arguments;
};

std::vector<Argument> uniforms(std::size_t count, double low, double high) {
  std::vector<Argument> list;
  for (std::size_t i = 0; i < count; ++i) list.push_back({i, Law::kUniform, low, high});
  return list;
}

// transforms.md, section 6: one row per transform, each argument with the range it is given.
std::vector<Row> rows() {
  constexpr auto uniform = Law::kUniform, integer = Law::kInteger, fixed = Law::kFixed;
  const std::vector<Argument> pcts = uniforms(2, 0, 1);
  const auto position = [](std::size_t first) {
    return std::vector<Argument>{{first, uniform, 0.1, 0.7}, {first + 1, uniform, 0.2, 1}};
  };
  const auto with = [](std::vector<Argument> head, const std::vector<Argument>& tail) {
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
  };
  const TransformOptions p{.p = 0.7};
  return {
      {rotate({-30, 20}, p), Kind::kRotate, {{0, uniform, -30, 20}}},
      {zoom({.scale = {0.8, 1.5}, .row_pct = {0.1, 0.7}, .col_pct = {0.2, 1}, .p = 0.3}),
       Kind::kZoom, with({{0, uniform, 0.8, 1.5}}, position(1))},
      {rand_zoom({1, 1.1}, 0.75),
       Kind::kZoom,
       {{0, uniform, 1, 1.1}, {1, uniform, 0, 1}, {2, uniform, 0, 1}}},
      {zoom({.scale = {1, 2}}),
       Kind::kZoom,
       {{0, uniform, 1, 2}, {1, fixed, 0.5, 0.5}, {2, fixed, 0.5, 0.5}}},
      {zoom_crop({1, 1.3}, {.do_rand = true, .p = 0.4})[0],
       Kind::kZoom,
       {{0, uniform, 1, 1.3}, {1, uniform, 0, 1}, {2, uniform, 0, 1}}},
      {zoom_crop({1, 1.3}, {.do_rand = true, .p = 0.4})[1], Kind::kCropPad, pcts},
      {zoom_crop({1, 1.3}, {.p = 0.4})[0],
       Kind::kZoom,
       {{0, uniform, 1, 1.3}, {1, fixed, 0.5, 0.5}, {2, fixed, 0.5, 0.5}}},
      {zoom_crop({1, 1.3})[1], Kind::kCropPad, {{0, fixed, 0.5, 0.5}, {1, fixed, 0.5, 0.5}}},
      {squish({.scale = {0.75, 1.33}, .row_pct = {0.1, 0.7}, .col_pct = {0.2, 1}, .p = 0.6}),
       Kind::kSquish, with({{0, uniform, 0.75, 1.33}}, position(1))},
      {flip_affine({.p = 0.5}), Kind::kFlipAffine, {}},
      {dihedral_affine({0, 7}, p), Kind::kDihedralAffine, {{0, integer, 0, 7}}},
      {dihedral_affine(), Kind::kDihedralAffine, {{0, integer, 0, 7}}},
      {symmetric_warp({.magnitude = {-0.2, 0.2}, .p = 0.75}), Kind::kSymmetricWarp,
       uniforms(4, -0.2, 0.2)},
      {perspective_warp({.magnitude = {-0.1, 0.3}, .p = 0.75}), Kind::kPerspectiveWarp,
       uniforms(8, -0.1, 0.3)},
      {tilt({0, 3}, {-0.4, 0.4}, p), Kind::kTilt, {{0, integer, 0, 3}, {1, uniform, -0.4, 0.4}}},
      {skew({0, 7}, {-0.4, 0.4}, p), Kind::kSkew, {{0, integer, 0, 7}, {1, uniform, -0.4, 0.4}}},
      {skew({2, 5}, 0.2), Kind::kSkew, {{0, integer, 2, 5}, {1, fixed, 0.2, 0.2}}},
      {jitter({0.01, 0.05}, p), Kind::kJitter, {{0, uniform, 0.01, 0.05}}},
      {zoom_squish({.scale = {1, 2}, .row_pct = {0.1, 0.7}, .col_pct = {0.2, 1}, .p = 0.9}),
       Kind::kZoomSquish, position(0)},
      {rand_resize_crop(224)[0], Kind::kZoomSquish, pcts},
      {rand_resize_crop(224)[1], Kind::kCrop, {{0, fixed, 0.5, 0.5}, {1, fixed, 0.5, 0.5}}},
      {brightness({0.4, 0.6}, {.p = 0.75}), Kind::kBrightness, {{0, uniform, 0.4, 0.6}}},
      {contrast({0.8, 1.25}, {.p = 0.75}), Kind::kContrast, {{0, Law::kLogUniform, 0.8, 1.25}}},
      {contrast({0.1, 2}, p), Kind::kContrast, {{0, Law::kLogUniform, 0.1, 2}}},
      {flip_lr({.p = 0.5}), Kind::kFlipLr, {}},
      {flip_lr(), Kind::kFlipLr, {}},
      {flip_lr({.p = 0}), Kind::kFlipLr, {}},
      {dihedral({0, 7}, p), Kind::kDihedral, {{0, integer, 0, 7}}},
      {dihedral({1, 3}), Kind::kDihedral, {{0, integer, 1, 3}}},
      {crop(8, {.row_pct = {0.1, 0.7}, .col_pct = {0.2, 1}, .p = 0.8}), Kind::kCrop, position(0)},
      {crop_pad({.row_pct = {0.1, 0.7}, .col_pct = {0.2, 1}, .p = 0.8}), Kind::kCropPad,
       position(0)},
      {rand_crop(0.9), Kind::kCropPad, pcts},
      {rand_pad(4, 32)[0], Kind::kPad, {{0, fixed, 4, 4}}},
      {rand_pad(4, 32)[1], Kind::kCrop, pcts},
      {pad(3, PaddingMode::kZeros, {.p = 0.2}), Kind::kPad, {{0, fixed, 3, 3}}},
      {cutout({.n_holes = {1, 4}, .length = {5, 25}, .p = 0.6}),
       Kind::kCutout,
       {{0, integer, 1, 4}, {1, integer, 5, 25}}},
      {rgb_randomize({.thresh = 0.5, .p = 0.35}),
       Kind::kRgbRandomize,
       {{0, fixed, -1, -1}, {1, fixed, 0.5, 0.5}}},
  };
}

// A picture of the given planes through one transform; the draws of item i.
detail::Planes run(const Transform& tfm, int item, Resolution size,
                   const std::vector<float>& planes) {
  const auto plan = plan_of_item({tfm}, item);
  const auto channels = static_cast<int>(planes.size()) / (size.rows * size.cols);
  return detail::execute_slow(plan, {nullptr, planes.data(), channels, size});
}

}  // namespace

TEST_CASE("draws: range, law, probability and independence of every argument", "[draws]") {
  std::set<Kind> seen;
  for (const auto& row : rows()) {
    INFO(row.tfm.str());
    seen.insert(row.kind);
    check_all_unrelated(check_step({row.tfm}, row.kind, row.arguments, row.tfm.p()));
  }
  for (int kind = 0; kind <= static_cast<int>(Kind::kCropPad); ++kind) {
    INFO("kind " << kind);
    CHECK(seen.contains(static_cast<Kind>(kind)));
  }
}

TEST_CASE("draws: candidates of zoom_squish", "[draws]") {
  const auto tfms = rand_resize_crop(224, {.max_scale = 3, .ratios = {0.5, 1.5}});
  constexpr std::size_t kCandidates = 8;
  std::vector<Column> columns(3 * kCandidates);
  for (int i = 0; i < kDraws; ++i) {
    const auto plan = plan_of_item(tfms, i);
    const auto& list = plan.steps.front().list;
    REQUIRE(list.size() == columns.size());
    for (std::size_t k = 0; k < list.size(); ++k) columns[k].push_back(list[k]);
  }
  for (std::size_t k = 0; k < kCandidates; ++k) {
    check_law(columns[3 * k], {3 * k, Law::kUniform, 1, 3});
    check_law(columns[3 * k + 1], {3 * k + 1, Law::kUniform, 0.5, 1.5});
    check_law(columns[3 * k + 2], {3 * k + 2, Law::kInteger, 0, 1});
  }
  check_all_unrelated(columns);

  // `invert` is the probability of a swap.
  std::size_t swaps = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto plan = plan_of_item({zoom_squish({.scale = 2, .invert = 0.2, .candidates = 1})}, i);
    swaps += plan.steps.front().list[2] == 1;
  }
  check_share(swaps, kDraws, 0.2);
}

TEST_CASE("draws: the default lists", "[draws]") {
  // transforms.md, section 8.
  const auto lists = get_transforms();
  const std::vector<Argument> pcts = uniforms(2, 0, 1);
  struct Entry {
    Kind kind;
    std::vector<Argument> arguments;
    double p;
  };
  const std::vector<Entry> entries = {
      {Kind::kCropPad, pcts, 1},
      {Kind::kFlipLr, {}, 0.5},
      {Kind::kSymmetricWarp, uniforms(4, -0.2, 0.2), 0.75},
      {Kind::kRotate, {{0, Law::kUniform, -10, 10}}, 0.75},
      {Kind::kZoom,
       {{0, Law::kUniform, 1, 1.1}, {1, Law::kUniform, 0, 1}, {2, Law::kUniform, 0, 1}},
       0.75},
      {Kind::kBrightness, {{0, Law::kUniform, 0.4, 0.6}}, 0.75},
      {Kind::kContrast, {{0, Law::kLogUniform, 0.8, 1.25}}, 0.75},
  };
  REQUIRE(lists.train.size() == entries.size());
  std::vector<Column> all;
  for (const auto& entry : entries) {
    INFO("kind " << static_cast<int>(entry.kind));
    auto columns = check_step(lists.train, entry.kind, entry.arguments, entry.p);
    for (auto& column : columns) all.push_back(std::move(column));
  }
  CHECK(all.size() == 6 + 12);
  check_all_unrelated(all);

  const auto other =
      get_transforms({.flip_vert = true, .max_lighting = 0.5, .max_warp = 0, .p_lighting = 0.25});
  check_step(other.train, Kind::kDihedralAffine, {{0, Law::kInteger, 0, 7}}, 1);
  check_step(other.train, Kind::kSymmetricWarp, {}, 0);
  check_step(other.train, Kind::kBrightness, {{0, Law::kUniform, 0.25, 0.75}}, 0.25);
  check_step(other.train, Kind::kContrast, {{0, Law::kLogUniform, 0.5, 2}}, 0.25);
  check_step(lists.valid, Kind::kCropPad, {{0, Law::kFixed, 0.5, 0.5}, {1, Law::kFixed, 0.5, 0.5}},
             1);
}

TEST_CASE("draws: without randomness p is ignored", "[draws]") {
  check_step({rotate(12, {.p = 0.1, .is_random = false})}, Kind::kRotate,
             {{0, Law::kFixed, 12, 12}}, 1);
  check_step({flip_lr({.p = 0, .is_random = false})}, Kind::kFlipLr, {}, 1);
}

TEST_CASE("draws: jitter moves x and y of every point by themselves", "[draws]") {
  // Bilinear sampling of a ramp gives the coordinate back: the middle of 3 x 3 pixels stands at 0.
  constexpr double kMagnitude = 0.8;
  const std::vector<float> ramps = {0, .5f, 1, 0,   .5f, 1,   0, .5f, 1,
                                    0, 0,   0, .5f, .5f, .5f, 1, 1,   1};
  std::vector<Column> shifts(2);
  for (int i = 0; i < kDraws; ++i) {
    const auto out = run(jitter(kMagnitude), i, {3, 3}, ramps);
    for (std::size_t c = 0; c < 2; ++c) {
      shifts[c].push_back(2 * static_cast<double>(out.v[9 * c + 4]) - 1);
    }
  }
  // The picture's float32 may round a value onto the limit.
  for (const auto& shift : shifts) check_law(shift, {0, Law::kUniform, -kMagnitude, kMagnitude});
  check_all_unrelated(shifts);
}

TEST_CASE("draws: holes stand anywhere", "[draws]") {
  // A hole of two pixels starts one before its centre; at the border the part outside is missing.
  constexpr Resolution kSize{6, 9};
  const std::vector<float> white(54, 1.0f);
  std::vector<Column> centres(2);
  for (int i = 0; i < kDraws; ++i) {
    const auto out = run(cutout({.n_holes = 1, .length = 2}), i, kSize, white);
    int row = -1, col = -1;
    for (int at = 0; at < 54; ++at) {
      if (out.v[static_cast<std::size_t>(at)] == 0) row = at / kSize.cols, col = at % kSize.cols;
    }
    centres[0].push_back(row);
    centres[1].push_back(col);
  }
  check_law(centres[0], {0, Law::kInteger, 0, 5});
  check_law(centres[1], {1, Law::kInteger, 0, 8});
  check_all_unrelated(centres);
}

TEST_CASE("draws: noise in one channel, never in the last", "[draws]") {
  constexpr double kThresh = 0.6;
  const std::vector<float> planes(3, 2.0f);
  Column channels, values;
  for (int i = 0; i < kDraws; ++i) {
    const auto out = run(rgb_randomize({.thresh = kThresh}), i, {1, 1}, planes);
    int changed = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      if (out.v[c] == planes[c]) continue;
      ++changed;
      channels.push_back(static_cast<double>(c));
      values.push_back(static_cast<double>(out.v[c]));
    }
    REQUIRE(changed == 1);
  }
  check_law(channels, {0, Law::kInteger, 0, 1});
  // A uniform number times another one up to the threshold.
  check_distance(values, [](double x) {
    const double share = x / kThresh;
    return share * (1 - std::log(share));
  });
  check_all_unrelated({channels, values});
}

}  // namespace fastcpp::test
