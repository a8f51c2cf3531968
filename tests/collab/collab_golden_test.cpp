// Ratings beside the reference: collab.json.
#include <ATen/Parallel.h>

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/collab/model.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/support.hpp"
#include "support/table_training.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

const Json& data_case(const std::string& name) {
  for (const auto& one : golden("collab.json")["data"]) {
    if (one["name"] == name) return one;
  }
  throw std::out_of_range(name);
}

CollabDataBunch bunch_of(const Json& item, std::vector<BatchTransform> tfms = {}) {
  const auto& file = golden("collab.json")["table"];
  auto table = Table::parse_csv(file["csv"].get<std::string>());
  if (item.contains("ordered")) {
    for (const auto& [name, order] : item["ordered"].items()) {
      const auto texts = order.get<std::vector<std::string>>();
      table = table.with_column(table[name].with_categories({texts.begin(), texts.end()}));
    }
  }
  CollabDataBunchOptions options{.test = Table::parse_csv(file["test_csv"].get<std::string>()),
                                 .bs = file["bs"],
                                 .dl_tfms = std::move(tfms),
                                 .device = torch::kCPU};
  options.shuffle = false;
  const auto& args = item["args"];
  options.valid_pct = args.value("valid_pct", 0.2);
  if (args.contains("seed")) options.seed = args["seed"].get<std::int64_t>();
  if (args.contains("user_name")) options.user_name = args["user_name"].get<std::string>();
  if (args.contains("item_name")) options.item_name = args["item_name"].get<std::string>();
  if (args.contains("rating_name")) options.rating_name = args["rating_name"].get<std::string>();
  return CollabDataBunch::from_df(table, options);
}

void check_set(const TabularDataset& set, const Json& want) {
  REQUIRE(set.size() == want["n"].get<std::int64_t>());
  CHECK(farthest(set.codes(), want["codes"]) == 0);
  if (want.contains("targets")) CHECK(farthest(set.y()->targets(), want["targets"]) == 0);
  for (std::size_t i = 0; i < want["lines"].size(); ++i) {
    CHECK(set.line(static_cast<std::int64_t>(i)) == want["lines"][i].get<std::string>());
  }
  if (!want.contains("target_texts")) return;
  for (std::size_t i = 0; i < want["target_texts"].size(); ++i) {
    CHECK(set.y()->text(static_cast<std::int64_t>(i)) ==
          want["target_texts"][i].get<std::string>());
  }
}

}  // namespace

TEST_CASE("ratings become what the reference makes of them") {
  const auto& cases = golden("collab.json")["data"];
  CHECK(cases.size() == 7);
  for (const auto& item : cases) {
    INFO(item["name"].get<std::string>());
    const auto data = bunch_of(item);
    const auto& processor = data.processor();
    CHECK(processor.cat_names() == item["user_item_names"].get<std::vector<std::string>>());
    for (const auto& [name, classes] : item["classes"].items()) {
      CHECK(processor.classes(name) == classes.get<std::vector<std::string>>());
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
    for (const auto& one : item["emb_szs"]) sizes.emplace_back(one[0], one[1]);
    CHECK(get_emb_szs(processor) == sizes);
    CHECK(data.c() == 1);
    check_set(data.train(), item["train"]);
    if (!data.empty_val()) {
      const auto& valid = *tabular_dataset(data.valid_ds());
      check_set(valid, item["valid"]);
      const auto batch = data.valid_dl().first_batch();
      CHECK(farthest(batch.x.at(0), item["first_valid_batch"]["users"]) == 0);
      CHECK(farthest(batch.x.at(1), item["first_valid_batch"]["items"]) == 0);
      CHECK(farthest(batch.y, item["first_valid_batch"]["ratings"]) == 0);
      CHECK(batch.x.at(0).sizes() == batch.y.sizes());
      const auto shown = data.show_batch(4, DatasetType::Valid);
      CHECK(shown.names() == item["show_batch_valid_4"]["header"].get<std::vector<std::string>>());
      for (std::int64_t row = 0; row < 4; ++row) {
        for (std::size_t c = 0; c < shown.columns().size(); ++c) {
          CHECK(shown.columns()[c].raw(row) ==
                item["show_batch_valid_4"]["rows"][static_cast<std::size_t>(row)][c]
                    .get<std::string>());
        }
      }
    }
    check_set(*tabular_dataset(*data.test_dl().dataset()), item["test"]);
    std::string text;
    for (const auto& line : item["text"]) {
      text += (text.empty() ? "" : "\n") + line.get<std::string>();
    }
    CHECK(data.str() == text);
  }
}

namespace {

CollabLearnerOptions options_of(const Json& item) {
  CollabLearnerOptions options{.use_nn = item.value("kind", "dot") == "nn",
                               .opt_func = opt_of(item),
                               .metrics = table_metrics(item),
                               .bn_wd = item.value("bn_wd", true),
                               .wd = item.value("wd", 1e-2),
                               .silent = true};
  if (item.contains("n_factors")) options.n_factors = item["n_factors"].get<std::int64_t>();
  if (item.contains("layers")) options.layers = item["layers"].get<std::vector<std::int64_t>>();
  if (item.contains("emb_szs")) {
    options.emb_szs = item["emb_szs"].get<std::map<std::string, std::int64_t>>();
  }
  if (item.contains("y_range")) options.y_range = {item["y_range"][0], item["y_range"][1]};
  return options;
}

std::vector<Cell> cells_of(const Json& names) {
  const auto texts = names.get<std::vector<std::string>>();
  return {texts.begin(), texts.end()};
}

std::string lines_of(const Json& lines) {
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line.get<std::string>();
  return text;
}

}  // namespace

TEST_CASE("trainings on ratings beside the reference") {
  at::set_num_threads(1);
  const auto& cases = golden("collab.json")["training"];
  CHECK(cases.size() >= 8);
  for (const auto& item : cases) {
    INFO(item["name"].get<std::string>() << ", " << item["dtype"].get<std::string>());
    const bool wide = item["dtype"] == "float64";
    const auto data =
        bunch_of(data_case(item["data"]),
                 wide ? std::vector<BatchTransform>{widen_batch} : std::vector<BatchTransform>{});
    auto trace = std::make_shared<FitTrace>();
    auto options = options_of(item);
    options.callbacks = {trace};
    auto learn = collab_learner(data, options);
    set_weights_by_rule(*learn.model(), item["weights_key"], 1);
    if (wide) widen(*learn.model());
    check_table_training(learn, trace, item, item.contains("test_preds"));
  }
}

TEST_CASE("looking into what was learnt of users and items") {
  const auto& look = golden("collab.json")["look"];
  const auto data = bunch_of(data_case(look["data"]));
  auto learn = collab_learner(data, options_of(look));
  set_weights_by_rule(*learn.model(), look["weights_key"], 1);
  const auto items = cells_of(look["items"]), users = cells_of(look["users"]);
  CHECK(learn.get_idx(items) == look["get_idx_items"].get<std::vector<std::int64_t>>());
  CHECK(learn.get_idx(users, CollabSide::kUser) ==
        look["get_idx_users"].get<std::vector<std::int64_t>>());
  // Numbers as well as their texts.
  CHECK(learn.get_idx({std::stoll(std::get<std::string>(users[0]))}, CollabSide::kUser) ==
        learn.get_idx({users[0]}, CollabSide::kUser));
  CHECK(farthest(learn.bias(items), look["bias_items"]) == 0);
  CHECK(farthest(learn.bias(users, CollabSide::kUser), look["bias_users"]) == 0);
  CHECK(farthest(learn.weight(items), look["weight_items"]) == 0);
  CHECK(farthest(learn.weight(users, CollabSide::kUser), look["weight_users"]) == 0);
  CHECK(learn.bias({items[0]}).sizes().vec() == std::vector<std::int64_t>{1});
  const auto all = learn.names();
  for (const auto& want : look["pca"]) {
    const auto found = pca(learn.weight({all.begin(), all.end()}).to(torch::kFloat64),
                           {.k = want["k"].get<std::int64_t>()});
    CHECK(farthest(found.abs(), want["abs"]) <= 1e-8);
  }
  const auto said = [](const auto& f) -> std::string {
    try {
      f();
    } catch (const DataError& e) {
      return e.what();
    }
    return {};
  };
  const auto unknown = said([&] { learn.bias({"never seen"}); });
  CHECK(unknown.find(lines_of(look["unknown_item"])) == 0);
  CHECK(unknown.find("never seen") != unknown.npos);
  CHECK(said([&] {
          learn.weight({"never seen"}, CollabSide::kUser);
        }).find(lines_of(look["unknown_user"])) == 0);
  for (const auto& want : look["predict"]) {
    INFO(want["name"].get<std::string>());
    TabularRow row;
    for (const auto& [name, value] : want["row"].items()) {
      Cell cell;
      if (value.is_number()) cell = number(value);
      if (value.is_number_integer()) cell = value.template get<std::int64_t>();
      if (value.is_string()) cell = value.template get<std::string>();
      row.emplace(name, cell);
    }
    const auto found = learn.predict(row);
    CHECK(std::abs(found.probabilities.template item<double>() - number(want["prediction"])) <=
          2e-6);
    // The file's are rounded from double precision: the last place may differ.
    CHECK(found.category.substr(0, 7) ==
          want["text"].template get<std::string>().substr(std::string("FloatItem ").size(), 7));
    CHECK(found.probabilities.sizes().vec() ==
          want["shape"].template get<std::vector<std::int64_t>>());
  }
  // The model stays as it was: it can be trained on.
  for (const auto& parameter : learn.model()->parameters()) CHECK(parameter.requires_grad());
  learn.fit(1);
  const auto extremes = learn.extremes(2);
  CHECK(extremes.rows() == 4);
  CHECK(extremes["bias"].number(0) <= extremes["bias"].number(3));
  const auto near = learn.nearest(items[0], 3);
  CHECK(near.rows() == 3);
  CHECK(near["similarity"].number(0) >= near["similarity"].number(2));
}

TEST_CASE("what is no rating is refused in words") {
  const auto ratings = Table::parse_csv("userId,movieId,rating\n1,2,3\n1,3,\n2,2,5\n");
  const auto& missing = golden("collab.json")["errors"][0];
  CHECK(missing["name"] == "rating_missing");
  CHECK(caught([&] {
          CollabDataBunch::from_df(ratings);
        }).message.find(lines_of(missing["lines"])) == 0);
  CHECK_THROWS_AS(CollabDataBunch::from_df(Table::parse_csv("a,b\n1,2\n")), ValueError);
  CHECK_THROWS_AS(CollabDataBunch::from_df(ratings, {.item_name = "none"}), DataError);
  const auto good =
      CollabDataBunch::from_df(Table::parse_csv("u,i,r\na,x,1\na,y,2\nb,x,3\nb,y,4\nc,x,5\n"),
                               {.bs = 2, .device = torch::kCPU});
  CHECK_THROWS_AS(collab_learner(good, {.silent = true}), ValueError);
  CHECK_THROWS_AS(collab_learner(good, {.use_nn = true, .silent = true}), ValueError);
}

namespace {

// The rating set of the golden README: seeded factors plus noise.
std::string rating_set(const Json& set) {
  const std::string key = set["key"];
  const auto users = set["users"].get<std::uint64_t>(), items = set["items"].get<std::uint64_t>(),
             factors = set["factors"].get<std::uint64_t>();
  struct Rating {
    std::uint64_t user, item;
    double stars;
  };
  std::vector<Rating> ratings;
  for (std::uint64_t u = 0; u < users; ++u) {
    const double activity = u01(key + "/activity", u), bias_u = 0.6 * sgn(key + "/user_bias", u);
    for (std::uint64_t i = 0; i < items; ++i) {
      const auto j = u * items + i;
      const double popular = u01(key + "/popularity", i);
      if (u01(key + "/pick", j) >=
          number(set["scale"]) * (0.15 + activity) * (0.1 + popular * popular)) {
        continue;
      }
      double noise = 0, dot = 0;
      for (std::uint64_t k = 0; k < 6; ++k) noise += u01(key + "/noise", 6 * j + k);
      for (std::uint64_t f = 0; f < factors; ++f) {
        dot += sgn(key + "/user", u * factors + f) * sgn(key + "/item", i * factors + f);
      }
      const double clean = 3.4 + bias_u + 0.9 * sgn(key + "/item_bias", i) + 1.2 * dot;
      const double stars = std::floor(2 * (clean + 0.8 * (noise - 3)) + 0.5) / 2;
      ratings.push_back({u + 1, i + 1, std::min(5.0, std::max(0.5, stars))});
    }
  }
  std::string csv = "userId,itemId,rating\n";
  for (const auto at : perm(key + "/order", static_cast<std::int64_t>(ratings.size()))) {
    const auto& one = ratings[static_cast<std::size_t>(at)];
    csv += std::to_string(one.user) + "," + std::to_string(one.item) + "," +
           std::to_string(static_cast<int>(one.stars)) +
           (std::fmod(one.stars, 1) > 0 ? ".5" : ".0") + "\n";
  }
  return csv;
}

}  // namespace

TEST_CASE("the rating set is guessed as well as by the reference") {
  at::set_num_threads(1);
  const auto& set = golden("collab.json")["ratings"];
  const auto csv = rating_set(set);
  REQUIRE(csv.size() == set["csv_bytes"].get<std::size_t>());
  REQUIRE(fnv1a64(csv) == std::stoull(set["csv_fnv1a64"].get<std::string>(), nullptr, 16));
  const auto ratings = Table::parse_csv(csv);
  double sum = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto data = CollabDataBunch::from_df(
        ratings,
        {.seed = set["split_seed"].get<std::int64_t>(), .device = torch::kCPU, .order_seed = seed});
    CHECK(data.train().size() == set["n_train"].get<std::int64_t>());
    auto learn = collab_learner(
        data, {.n_factors = 10, .y_range = {{0.0, 5.5}}, .wd = 0.1, .silent = true, .seed = seed});
    learn.fit_one_cycle(5, {.max_lr = 5e-3});
    sum += learn.validate().at(0);
  }
  const auto& runs = golden("table_runs.json")["ratings"]["dot"]["runs"];
  double want = 0;
  for (const auto& run : runs)
    want += number(run["valid_loss"].back()) / static_cast<double>(runs.size());
  INFO("validation loss " << sum / 5 << ", reference " << want);
  CHECK(std::abs(sum / 5 - want) <= 0.02 * want);
}
