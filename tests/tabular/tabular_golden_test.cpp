// Processors, data and networks of tables beside the reference: tabular.json.
#include <cmath>
#include <functional>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/tabular/columns.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/processor.hpp"
#include "support/catch.hpp"
#include "support/network_golden.hpp"
#include "support/support.hpp"
#include "tabular/tabular_golden.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// The golden README's.
constexpr double kStatistics = 1e-12, kConts = 2e-6, kModels = 1e-10;

std::string lines_of(const Json& error) {
  std::string text;
  for (const auto& line : error["lines"]) {
    text += (text.empty() ? "" : "\n") + line.get<std::string>();
  }
  return text;
}

void check_near(double got, double want, double relative) {
  if (std::isnan(want)) {
    CHECK(std::isnan(got));
    return;
  }
  CHECK(std::abs(got - want) <= relative * std::max(1.0, std::abs(want)));
}

// A column as the file has it, after processors.
void check_column(TabularFrame& frame, const std::string& name, const Json& typed) {
  INFO(name);
  if (typed["kind"] == "bool") {
    const auto& column = frame.table()[name];
    for (std::size_t i = 0; i < typed["values"].size(); ++i) {
      CHECK(column.cell(static_cast<std::int64_t>(i)) == Cell(typed["values"][i].get<bool>()));
    }
    return;
  }
  const auto& numbers = frame.numbers(name);
  REQUIRE(numbers.size() == typed["values"].size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    CHECK(numbers[i] == number(typed["values"][i]));
  }
}

std::vector<std::string> names_of(const Json& columns) {
  std::vector<std::string> names;
  for (const auto& [name, typed] : columns.items()) names.push_back(name);
  return names;
}

std::vector<std::int64_t> codes_of(const Column& column) {
  std::vector<std::int64_t> codes;
  for (const auto code : column.codes()) codes.push_back(code + 1);
  return codes;
}

}  // namespace

TEST_CASE("FillMissing fills as the reference does") {
  const auto& cases = golden("tabular.json")["units"]["fill_missing"];
  CHECK(cases.size() == 9);
  for (const auto& kase : cases) {
    INFO(kase["name"].get<std::string>());
    const auto names = names_of(kase["train"]);
    auto options = kase;
    options["name"] = "FillMissing";
    const auto proc = procs_of(Json::array({options})).front().make();
    const auto& fill = dynamic_cast<const tabular::FillMissing&>(*proc);
    auto train = typed_table(kase["train"]);
    // The names of categories are given as they are; their columns play no part.
    for (const auto& name : kase["cat_names"]) {
      train = train.with_column(Column(
          name.get<std::string>(), std::vector<Cell>(static_cast<std::size_t>(train.rows()), 1)));
    }
    TabularFrame frame(train, kase["cat_names"], names);
    proc->apply_train(frame);
    CHECK(fill.na_dict().size() == kase["na_dict"].size());
    for (const auto& [name, filler] : kase["na_dict"].items()) {
      CHECK(fill.na_dict().at(name) == number(filler));
    }
    CHECK(frame.cat_names == kase["cat_names_after"].get<std::vector<std::string>>());
    for (const auto& [name, typed] : kase["train_out"].items()) check_column(frame, name, typed);
    TabularFrame test(typed_table(kase["test"]), {}, names);
    if (kase.contains("test_error")) {
      CHECK(error_of([&] { proc->apply_test(test); }).find(lines_of(kase["test_error"])) == 0);
      continue;
    }
    // What a file holds does the same.
    tabular::FillMissing::from_state(from_json(to_json(proc->state()))).apply_test(test);
    for (const auto& [name, typed] : kase["test_out"].items()) check_column(test, name, typed);
  }
}

TEST_CASE("Categorify finds the reference's categories") {
  const auto& cases = golden("tabular.json")["units"]["categorify"];
  CHECK(cases.size() == 15);
  for (const auto& kase : cases) {
    INFO(kase["name"].get<std::string>());
    tabular::Categorify proc;
    TabularFrame frame(Table({typed_column("x", kase["train"])}), {"x"}, {});
    proc.apply_train(frame);
    std::vector<std::string> classes{"#na#"};
    for (const auto& cell : proc.categories().at("x")) classes.push_back(cell_text(cell));
    CHECK(classes == kase["classes"].get<std::vector<std::string>>());
    CHECK(codes_of(frame.table()["x"]) == kase["codes"].get<std::vector<std::int64_t>>());
    TabularFrame test(Table({typed_column("x", kase["test"])}), {"x"}, {});
    tabular::Categorify::from_state(from_json(to_json(proc.state()))).apply_test(test);
    CHECK(codes_of(test.table()["x"]) == kase["test_codes"].get<std::vector<std::int64_t>>());
  }
}

TEST_CASE("Normalize has the reference's figures") {
  const auto& cases = golden("tabular.json")["units"]["normalize"];
  CHECK(cases.size() == 8);
  for (const auto& kase : cases) {
    INFO(kase["name"].get<std::string>());
    tabular::Normalize proc;
    TabularFrame frame(Table({typed_column("x", kase["train"])}), {}, {"x"});
    if (kase.contains("error")) {
      CHECK(error_of([&] { proc.apply_train(frame); }) == lines_of(kase["error"]));
      continue;
    }
    proc.apply_train(frame);
    check_near(proc.means().at("x"), number(kase["mean"]), kStatistics);
    check_near(proc.stds().at("x"), number(kase["std"]), kStatistics);
    TabularFrame test(Table({typed_column("x", kase["test"])}), {}, {"x"});
    tabular::Normalize::from_state(from_json(to_json(proc.state()))).apply_test(test);
    // The standard deviation of `tiny_spread` is as small as its rounding.
    const double tolerance = kase["name"] == "tiny_spread" ? 1e-8 : kStatistics;
    for (std::size_t i = 0; i < kase["train_out"].size(); ++i) {
      check_near(frame.numbers("x")[i], number(kase["train_out"][i]), tolerance);
    }
    for (std::size_t i = 0; i < kase["test_out"].size(); ++i) {
      check_near(test.numbers("x")[i], number(kase["test_out"][i]), tolerance);
    }
  }
}

TEST_CASE("cont_cat_split decides as the reference does") {
  const auto& section = golden("tabular.json")["cont_cat_split"];
  const auto table = typed_table(section["table"]);
  CHECK(section["cases"].size() == 5);
  for (const auto& kase : section["cases"]) {
    ContCatSplitOptions options;
    if (kase.contains("max_card")) options.max_card = kase["max_card"];
    if (kase.contains("dep_var") && !kase["dep_var"].is_null()) {
      options.dep_var = {kase["dep_var"].get<std::string>()};
    }
    const auto [cont_names, cat_names] = cont_cat_split(table, options);
    CHECK(cont_names == kase["cont_names"].get<std::vector<std::string>>());
    CHECK(cat_names == kase["cat_names"].get<std::vector<std::string>>());
  }
}

namespace {

void check_part(const TabularDataset& set, const Json& part, bool floats, bool log) {
  REQUIRE(set.size() == part["n"].get<std::int64_t>());
  const auto codes = part["codes"], conts = part["conts"];
  for (std::int64_t row = 0; row < set.size(); ++row) {
    // Without such columns the file has no rows of them.
    const auto at = static_cast<std::size_t>(row);
    const auto want = at < codes.size() ? codes[at] : Json::array();
    for (std::size_t c = 0; c < want.size(); ++c) {
      CHECK(set.codes()[row][static_cast<std::int64_t>(c)].item<std::int64_t>() ==
            want[c].get<std::int64_t>());
    }
    const auto numbers = at < conts.size() ? conts[at] : Json::array();
    for (std::size_t c = 0; c < numbers.size(); ++c) {
      check_near(set.conts()[row][static_cast<std::int64_t>(c)].item<double>(), number(numbers[c]),
                 kConts);
    }
  }
  for (std::size_t i = 0; i < part["lines"].size(); ++i) {
    CHECK(set.line(static_cast<std::int64_t>(i)) == part["lines"][i].get<std::string>());
  }
  if (!part.contains("targets")) return;
  const auto targets = set.y()->targets().to(torch::kFloat64).reshape({set.size(), -1});
  for (std::int64_t row = 0; row < set.size(); ++row) {
    const auto& want = part["targets"][static_cast<std::size_t>(row)];
    const auto several = want.is_array() ? want : Json::array({want});
    for (std::size_t c = 0; c < several.size(); ++c) {
      check_near(targets[row][static_cast<std::int64_t>(c)].item<double>(), number(several[c]),
                 floats ? 1e-6 : 0);
    }
  }
  // NumPy's logarithm in single precision differs from the C library's in the last place.
  for (std::size_t i = 0; i < part["target_texts"].size() && !log; ++i) {
    CHECK(set.y()->text(static_cast<std::int64_t>(i)) ==
          part["target_texts"][i].get<std::string>());
  }
}

}  // namespace

TEST_CASE("tables become what the reference makes of them") {
  const auto& file = golden("tabular.json");
  CHECK(file["pipelines"].size() == 15);
  for (const auto& pipe : file["pipelines"]) {
    INFO(pipe["name"].get<std::string>());
    const auto lists = lists_of(pipe);
    const auto& processor = lists.processor();
    CHECK(processor.cat_names() == pipe["cat_names"].get<std::vector<std::string>>());
    CHECK(processor.cont_names() == pipe["cont_names"].get<std::vector<std::string>>());
    for (const auto& [name, classes] : pipe["classes"].items()) {
      CHECK(processor.classes(name) == classes.get<std::vector<std::string>>());
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
    for (const auto& one : pipe["emb_szs"]) sizes.emplace_back(one[0], one[1]);
    CHECK(get_emb_szs(processor) == sizes);
    const bool floats = pipe["target_classes"].is_null();
    if (!floats) {
      CHECK(lists.train().y()->classes() == pipe["target_classes"].get<std::vector<std::string>>());
    }
    CHECK(lists.train().y()->c() == pipe["c"].get<std::int64_t>());
    const bool log = pipe.value("log", false);
    check_part(lists.train(), pipe["train"], floats, log);
    check_part(lists.valid(), pipe["valid"], floats, log);
    check_part(*lists.test(), pipe["test"], floats, log);
    for (const auto& proc : processor.procs()) {
      if (const auto* fill = dynamic_cast<const tabular::FillMissing*>(proc.get())) {
        for (const auto& [name, filler] : pipe["na_dict"].items()) {
          check_near(fill->na_dict().at(name), number(filler), kStatistics);
        }
      }
      if (const auto* normalize = dynamic_cast<const tabular::Normalize*>(proc.get())) {
        for (const auto& [name, mean] : pipe["means"].items()) {
          check_near(normalize->means().at(name), number(mean), kStatistics);
          check_near(normalize->stds().at(name), number(pipe["stds"][name]), kStatistics);
        }
      }
    }
    // What a file holds makes the same of the rows.
    const auto again = TabularProcessor::from_state(from_json(to_json(processor.state())))
                           .process(Table::parse_csv(file["table"]["test_csv"].get<std::string>()));
    CHECK(torch::equal(again.codes, lists.test()->codes()));
    CHECK(torch::equal(again.conts, lists.test()->conts()));
    const auto data = lists.databunch({.device = torch::kCPU});
    const auto shown = data.show_batch(4, DatasetType::Valid);
    CHECK(shown.names() == pipe["show_batch_valid_4"]["header"].get<std::vector<std::string>>());
    for (std::int64_t row = 0; row < 4; ++row) {
      for (std::size_t c = 0; c < shown.columns().size() - (log ? 1 : 0); ++c) {
        CHECK(shown.columns()[c].raw(row) ==
              pipe["show_batch_valid_4"]["rows"][static_cast<std::size_t>(row)][c]
                  .get<std::string>());
      }
    }
    std::string text;
    for (const auto& line : pipe["text"]) {
      text += (text.empty() ? "" : "\n") + line.get<std::string>();
    }
    if (!log) CHECK(data.str() == text);
  }
}

TEST_CASE("what the reference refuses in tables is refused in words") {
  for (const auto& pipe : golden("tabular.json")["pipeline_errors"]) {
    const std::string name = pipe["name"];
    INFO(name);
    const auto said = error_of([&] { lists_of(pipe); });
    if (name == "categorify_before_fill") {
      CHECK(said.find("FillMissing stands behind Categorify") != said.npos);
    } else if (name == "no_categorify") {
      CHECK(said.find("give Categorify") != said.npos);
    } else if (name == "unknown_column") {
      CHECK(said.find("'nothere'") != said.npos);
    } else {
      CHECK(said.find(lines_of(pipe)) == 0);
    }
  }
}

TEST_CASE("the width of embeddings") {
  const auto& rule = golden("tabular.json")["embedding_rule"];
  for (std::size_t i = 0; i < rule["n"].size(); ++i) {
    CHECK(emb_sz_rule(rule["n"][i]) == rule["size"][i].get<std::int64_t>());
  }
}

TEST_CASE("start values of embeddings are folded") {
  const auto weight = embedding(1000, 20, 7)->weight;
  CHECK(weight.abs().max().item<double>() < 0.02);
  // The deviation of a folded normal distribution; drawing again would give 0.0088 (the specification).
  CHECK(std::abs(weight.std().item<double>() - 0.00866) < 1e-4);
  CHECK(torch::equal(weight, embedding(1000, 20, 7)->weight));
}

TEST_CASE("networks of tables have the reference's form and figures") {
  const auto& cases = golden("tabular.json")["models"];
  CHECK(cases.size() == 13);
  for (const auto& kase : cases) {
    INFO(kase["name"].get<std::string>());
    TabularModelOptions options{.n_cont = kase["n_cont"],
                                .out_sz = kase["out_sz"],
                                .layers = kase["layers"],
                                .emb_drop = kase.value("emb_drop", 0.0),
                                .use_bn = kase.value("use_bn", true),
                                .bn_final = kase.value("bn_final", false)};
    for (const auto& one : kase["emb_szs"]) options.emb_szs.emplace_back(one[0], one[1]);
    if (kase.contains("ps")) {
      options.ps = kase["ps"].is_array() ? kase["ps"].get<std::vector<double>>()
                                         : std::vector<double>{kase["ps"].get<double>()};
    }
    if (kase.contains("y_range")) options.y_range = {kase["y_range"][0], kase["y_range"][1]};
    // Made of its recipe, as a file makes it.
    auto model = make_tabular(from_json(to_json(tabular_recipe(options).options)));
    CHECK(state_shapes(*model) == kase["state"]);
    CHECK(count_parameters(*model) == kase["n_params"].get<std::int64_t>());
    CHECK(layer_texts(*model->layers) == kase["layer_list"]);
    CHECK(layer_texts(*model->embeds) == kase["embeds"]);
    if (!kase.contains("out")) continue;
    const std::string key = kase["weights_key"];
    set_weights_by_rule(*model, key, kase["bn_gain"]);
    widen(*model);
    const std::int64_t bs = kase["bs"];
    const auto n_cont = options.n_cont;
    auto cats = torch::zeros({bs, static_cast<std::int64_t>(options.emb_szs.size())}, torch::kLong);
    for (std::int64_t j = 0; j < cats.size(1); ++j) {
      const auto column = key + "/cat/" + std::to_string(j);
      for (std::int64_t i = 0; i < bs; ++i) {
        cats[i][j] = ints(column, options.emb_szs[static_cast<std::size_t>(j)].first,
                          static_cast<std::uint64_t>(i));
      }
    }
    const auto conts = sgn_tensor(key + "/cont", {bs, n_cont}, 2).to(torch::kFloat64);
    const auto check = [&](const torch::Tensor& got, const Json& want) {
      const auto flat = got.detach().to(torch::kFloat64).reshape({-1}).contiguous();
      std::vector<double> figures;
      const std::function<void(const Json&)> collect = [&](const Json& value) {
        if (!value.is_array()) return figures.push_back(number(value));
        for (const auto& one : value) collect(one);
      };
      collect(want);
      REQUIRE(flat.numel() == static_cast<std::int64_t>(figures.size()));
      for (std::size_t i = 0; i < figures.size(); ++i) {
        check_near(flat.data_ptr<double>()[i], figures[i], kModels);
      }
    };
    model->eval();
    check(model->forward(cats, conts), kase["out"]);
    if (!kase.contains("train_out")) continue;
    model->train();
    check(model->forward(cats, conts), kase["train_out"]);
    const auto buffers = model->named_buffers();
    for (const auto& [name, figures] : kase["train_stats"].items()) {
      INFO(name);
      check(buffers[name], figures.is_array() ? figures : Json::array({figures}));
    }
  }
  const auto& wrong = golden("tabular.json")["model_errors"][0];
  CHECK(error_of([&] {
          TabularModel(
              TabularModelOptions{.n_cont = 1, .layers = wrong["layers"], .ps = wrong["ps"]});
        }).find(lines_of(wrong)) == 0);
}
