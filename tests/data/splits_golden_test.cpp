// Splits and filters against fastai's: sections "random", "splits", "path_splits", "table_splits" of datablock.json.
#include "fastcpp/data/split.hpp"

#include <map>
#include <optional>

#include "fastcpp/core/numpy_random.hpp"
#include "fastcpp/core/rng.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

using Indices = std::vector<std::int64_t>;

const Json& file() {
  return golden("datablock.json");
}

// Our codes for the kinds of errors in the file.
bool is_kind(const std::string& code, const std::string& kind) {
  static const std::map<std::string, std::vector<std::string>> codes{
      {"seed", {"value.seed"}},
      {"share", {"value.share", "value.valid_pct"}},
      {"index", {"value.index"}},
      {"no_file", {"io.cannot_read"}},
      {"no_column", {"data.no_column"}},
      {"not_boolean", {"data.not_boolean"}},
      {"missing_value", {"data.missing_value"}}};
  const auto& known = codes.at(kind);
  return std::find(known.begin(), known.end(), code) != known.end();
}

template <typename T>
T argument(const Json& args, const char* name, T otherwise) {
  return args.contains(name) ? args.at(name).get<T>() : otherwise;
}

std::vector<std::string> names(const Json& args, const char* name) {
  if (!args.contains(name)) return {};
  if (args.at(name).is_string()) return {args.at(name).get<std::string>()};
  return args.at(name).get<std::vector<std::string>>();
}

Json arguments(const Json& kase) {
  return kase.contains("args") ? kase.at("args") : Json::object();
}

// Runs a case: `run` gives a split or indices kept.
template <typename Run>
void check(const Json& kase, Run&& run) {
  INFO(kase.dump());
  const auto& expect = kase.at("expect");
  std::optional<Split> split;
  std::optional<Indices> kept;
  CapturedLog log;
  const auto error = caught([&] { run(split, kept); });
  if (expect.contains("error")) {
    INFO(error.code << ": " << error.message);
    CHECK(is_kind(error.code, expect.at("error").at("kind")));
    // The one text that users look for; the others are our own.
    if (error.code == "value.seed") {
      CHECK(error.message.find(expect.at("error").at("message").get<std::string>()) == 0);
    }
    return;
  }
  INFO(error.message);
  REQUIRE(error.code.empty());
  if (expect.contains("kept")) {
    REQUIRE(kept);
    CHECK(*kept == expect.at("kept").get<Indices>());
    return;
  }
  REQUIRE(split);
  CHECK(split->train == expect.at("train").get<Indices>());
  CHECK(split->valid == expect.at("valid").get<Indices>());
  std::vector<std::string> warnings;
  for (const auto& warning : expect.value("warnings", Json::array())) {
    warnings.push_back(warning.at("text"));
  }
  // These are meant to leave a part empty (a share of 0 is split_none), or are no split of a list.
  const std::string op = kase.value("op", "split_from_df");
  const bool nothing = kase.contains("args") && kase["args"].value("valid_pct", 0.2) == 0;
  if (op != "split_none" && op != "random_split" && !nothing) warn_of_empty_parts(*split);
  CHECK(log.warnings == warnings);
}

}  // namespace

TEST_CASE("generators of NumPy and Python") {
  const auto& random = file().at("random");
  for (const auto& kase : random.at("permutations")) {
    INFO(kase.dump());
    CHECK(numpy_permutation(kase.at("seed"), kase.at("n")) == kase.at("order").get<Indices>());
  }
  int cases = 0;
  for (const auto& [section, draw] : {std::pair("numpy_uniform", &numpy_random_sample),
                                      std::pair("python_uniform", &python_random)}) {
    for (const auto& kase : random.at(section)) {
      INFO(section << kase.dump());
      const auto want = numbers(kase.at("values"));
      CHECK(draw(kase.at("seed"), static_cast<std::int64_t>(want.size())) == want);
      ++cases;
    }
  }
  CHECK(random.at("permutations").size() == 16);
  CHECK(cases == 8);
  CHECK(random.size() == 3);
  CHECK(numpy_random_sample(1, 0).empty());
  CHECK(caught([] { numpy_random_sample(1, -1); }).code == "value.items");
  CHECK(caught([] { python_random(1, -1); }).code == "value.items");
}

TEST_CASE("splits of numbered items") {
  std::map<std::string, int> cases;
  for (const auto& kase : file().at("splits")) {
    const std::string op = kase.at("op");
    ++cases[op];
    if (op == "getitem") continue;  // of lists
    const auto args = arguments(kase);
    const auto n = kase.at("n").get<std::int64_t>();
    const auto real = [&](const char* name, double otherwise) {
      return argument(args, name, otherwise);
    };
    const auto indices = [&](const char* name) { return args.at(name).get<Indices>(); };
    check(kase, [&](auto& split, auto& kept) {
      const auto seed = argument<std::int64_t>(args, "seed", 0);
      if (op == "split_none") {
        split = split_none(n);
      } else if (op == "split_by_rand_pct") {
        split = split_by_rand_pct(n, real("valid_pct", 0.2), seed);
      } else if (op == "split_subsets") {
        split = split_subsets(n, real("train_size", 0), real("valid_size", 0), seed);
      } else if (op == "split_by_idx") {
        split = split_by_idx(n, indices("valid_idx"));
      } else if (op == "split_by_idxs") {
        split = split_by_idxs(n, indices("train_idx"), indices("valid_idx"));
      } else if (op == "use_partial_data") {
        kept = partial_sample(n, real("sample_pct", 0.01), seed);
      } else if (op == "filter_by_rand") {
        kept = random_sample_below(n, real("p", 0), seed);
      } else if (op == "random_split") {
        split = random_split(real("valid_pct", 0), n, seed);
      } else {
        FAIL("an unknown split: " << op);
      }
    });
  }
  CHECK(file().at("splits").size() == 52);
  CHECK(cases == std::map<std::string, int>{{"filter_by_rand", 4},
                                            {"getitem", 6},
                                            {"random_split", 4},
                                            {"split_by_idx", 6},
                                            {"split_by_idxs", 2},
                                            {"split_by_rand_pct", 18},
                                            {"split_none", 1},
                                            {"split_subsets", 7},
                                            {"use_partial_data", 4}});
}

TEST_CASE("splits of files") {
  int cases = 0;
  for (const auto& kase : file().at("path_splits")) {
    const std::string op = kase.at("op");
    const auto args = arguments(kase);
    const auto& relative = kase.at("items");
    TempDir dir;
    // However the folder and the files below it are written.
    for (const Path& path : {dir.path(), Path("data"), Path(".")}) {
      std::vector<Path> items;
      for (const auto& item : relative) items.push_back(path / item.get<std::string>());
      const auto matches = [&](const Path& item) {
        const std::string text = item.lexically_relative(path).generic_string();
        const std::string word = args.at("func").at("arg");
        return args.at("func").at("name") == "contains" ? text.find(word) != std::string::npos
                                                        : text.ends_with(word);
      };
      check(kase, [&](auto& split, auto& kept) {
        if (op == "split_by_folder") {
          split = split_by_folder(items, path, argument<std::string>(args, "train", "train"),
                                  argument<std::string>(args, "valid", "valid"));
        } else if (op == "split_by_files") {
          split = split_by_files(items, names(args, "valid_names"));
        } else if (op == "split_by_fname_file") {
          const Path at =
              dir / argument<std::string>(args, "path", "") / args.at("fname").get<std::string>();
          if (args.contains("text")) write_file(at, args.at("text").get<std::string>());
          split = split_by_fname_file(items, at);
        } else if (op == "split_by_valid_func") {
          split = split_by_valid_func(items, matches);
        } else if (op == "filter_by_func") {
          kept = split_by_valid_func(items, matches).valid;
        } else if (op == "filter_by_folder") {
          kept = in_folders(items, path, names(args, "include"), names(args, "exclude"));
        } else {
          FAIL("an unknown split: " << op);
        }
      });
    }
    ++cases;
  }
  CHECK(cases == 23);
}

TEST_CASE("splits by a column") {
  int cases = 0;
  for (const auto& kase : file().at("table_splits")) {
    const auto args = arguments(kase);
    const auto table = Table::parse_csv(kase.at("csv"));
    check(kase, [&](auto& split, auto&) {
      if (!args.contains("col")) {
        split = split_from_df(table);
      } else if (args.at("col").is_string()) {
        split = split_from_df(table, args.at("col").get<std::string>());
      } else {
        split = split_from_df(table, args.at("col").get<std::int64_t>());
      }
    });
    ++cases;
  }
  CHECK(cases == 10);
}

TEST_CASE("what a split refuses") {
  const auto code = [](auto&& f) { return caught(f).code; };
  CHECK(code([] { split_none(-1); }) == "value.items");
  CHECK(code([] { split_by_rand_pct(-1, 0.2, 0); }) == "value.items");
  CHECK(code([] { random_split(0.2, -1, 0); }) == "value.items");
  CHECK(code([] { split_subsets(4, 0.5, 0.25, -1); }) == "value.seed");
  CHECK(code([] { random_split(0.5, 4, -1); }) == "value.seed");
  CHECK(code([] { partial_sample(4, 0.5, 1ll << 32); }) == "value.seed");
  CHECK(code([] { random_sample_below(4, 0.5, -1); }) == "value.seed");
  CHECK(code([] { partial_sample(4, 1.5, 0); }) == "value.share");
  CHECK(code([] { random_sample_below(4, -0.5, 0); }) == "value.share");
  CHECK(code([] { split_by_idxs(4, {0, 4}, {}); }) == "value.index");
  CHECK(code([] { split_by_idxs(4, {}, {-1}); }) == "value.index");
  CHECK(code([] { split_from_df(Table({{"v", {"yes", "no"}}}), 0); }) == "data.not_boolean");
  const auto missing = caught([] { split_from_df(Table({{"v", {Cell(true), Cell()}}}), 0); });
  CHECK(missing.code == "data.missing_value");
  CHECK(missing.message.find("row 1") != std::string::npos);
  const auto outside = caught([] { in_folders({"d/a/x.png", "e/a/x.png"}, "d", {"a"}, {}); });
  CHECK(outside.code == "value.folder");
  CHECK(outside.message.find("'e/a/x.png'") != std::string::npos);
}

TEST_CASE("folders are found however they are written") {
  // Names from tables have doubled slashes and dots.
  const std::vector<Path> items{"d//train/a.png", "d/./train/b.png", "./d/valid/c.png",
                                "d/other/../train/d.png"};
  const auto split = split_by_folder(items, "d");
  CHECK(split.train == Indices{0, 1, 3});
  CHECK(split.valid == Indices{2});
  CHECK(in_folders(items, "d/", {"train"}, {}) == Indices{0, 1, 3});
  CHECK(in_folders(items, std::filesystem::absolute("d"), {}, {"train"}) == Indices{2});
  CHECK(in_folders({"top.png", "a/top.png"}, ".", {"top.png"}, {}) == Indices{0});
  // A part that is a folder of both: training goes first, unless both are the same.
  CHECK(split_by_folder({"d/a/x.png"}, "d", "a", "./a/").valid == Indices{0});
  CHECK(split_by_folder({"d/a/b/x.png"}, "d", "a", "a/b").valid.empty());
}
