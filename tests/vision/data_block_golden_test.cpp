// The data block and the factories against the reference: sections "chains" and "factories" of datablock.json.
#include <torch/types.h>

#include <algorithm>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <set>
#include <variant>

#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// What comes in the wrong order does not compile.
template <typename T>
concept Labels_ = requires(const T& x) {
  x.label_from_folder();
};
template <typename T>
concept Bunches = requires(const T& x) {
  x.databunch();
};
template <typename T, typename Tfms>
concept Transforms = requires(T& x, const Tfms& tfms) {
  x.transform(tfms);
};
template <typename T>
concept TakesSize = std::convertible_to<T, ImageSize>;
static_assert(!Labels_<ImageList> && Labels_<ItemLists<ImageList>>);
static_assert(!Bunches<ImageList> && !Bunches<ItemLists<ImageList>> && Bunches<ImageLabelLists>);
static_assert(!Transforms<ImageLabelLists, std::vector<TfmList>> &&
              Transforms<ImageLabelLists, ImageTransforms>);
static_assert(!TakesSize<const char*> && TakesSize<int>);
const std::set<std::string> kDoNotCompile{"not_split", "bunch_of_nothing", "not_labelled",
                                          "transforms_not_a_pair", "size_as_text"};

using Stage =
    std::variant<std::monostate, ImageList, ItemLists<ImageList>, ImageLabelLists, ImageDataBunch>;

std::string code_of(const std::string& kind) {
  const std::map<std::string, std::string> codes{{"not_a_folder", "data.not_a_folder"},
                                                 {"no_match", "data.no_match"},
                                                 {"no_group", "value.pattern"},
                                                 {"bad_pattern", "value.pattern"},
                                                 {"no_items", "data.empty"},
                                                 {"missing_value", "data.missing_value"},
                                                 {"no_file", "io.cannot_read"},
                                                 {"no_column", "data.no_column"},
                                                 {"index", "value.index"},
                                                 {"length", "data.length"}};
  return codes.at(kind);
}

void make_files(const Json& kase, const Path& folder) {
  const int rows = kase["picture"][0], cols = kase["picture"][1];
  for (const auto& name : kase["files"]) {
    const auto file = folder / name.get<std::string>();
    std::filesystem::create_directories(file.parent_path());
    const auto extension = file.extension().string();
    if (extension == ".txt") {
      write_file(file, "text");
    } else {
      std::vector<unsigned char> bytes;
      cv::imencode(extension == ".PNG" ? ".png" : extension, cv::Mat::zeros(rows, cols, CV_8UC3),
                   bytes);
      write_file(file, std::string(bytes.begin(), bytes.end()));
    }
  }
  if (!kase.contains("tables")) return;
  for (const auto& [name, text] : kase["tables"].items()) {
    write_file(folder / name, text.get<std::string>());
  }
}

std::function<bool(const Path&)> predicate(const Json& func) {
  const std::string name = func["name"], arg = func["arg"];
  REQUIRE((name == "contains" || name == "ends_with"));
  return [=](const Path& path) {
    const auto text = path.generic_string();
    return name == "contains" ? text.find(arg) != std::string::npos : text.ends_with(arg);
  };
}

Label label_of(const Json& value) {
  if (value.is_array()) {
    std::vector<Cell> cells;
    for (const auto& one : value) cells.push_back(label_of(one).cells().front());
    return cells;
  }
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_float()) return value.get<double>();
  REQUIRE(value.is_number_integer());
  return value.get<std::int64_t>();
}

std::vector<Label> labels_of(const Json& value) {
  std::vector<Label> labels;
  for (const auto& one : value) labels.push_back(label_of(one));
  return labels;
}

ColumnId column_of(const Json& value) {
  return value.is_string() ? ColumnId(value.get<std::string>()) : ColumnId(value.get<int>());
}

ImageListFolderOptions folder_options(const Json& args) {
  ImageListFolderOptions options;
  options.presort = args.value("presort", false);
  options.recurse = args.value("recurse", true);
  options.include = args.value("include", std::vector<std::string>{});
  options.exclude = args.value("exclude", std::vector<std::string>{});
  if (args.contains("extensions")) {
    options.extensions = args["extensions"].get<std::vector<std::string>>();
  }
  return options;
}

ImageList list_of(const Json& step, const Path& folder) {
  const std::string op = step["op"];
  if (op.ends_with("from_folder")) {
    return ImageList::from_folder(
        step.contains("path") ? folder / step["path"].get<std::string>() : folder,
        folder_options(step));
  }
  ImageListCsvOptions options;
  if (step.contains("delimiter")) options.delimiter = step["delimiter"].get<std::string>().at(0);
  if (step.contains("cols")) options.cols = column_of(step["cols"]);
  options.folder = step.value("folder", "");
  options.suffix = step.value("suffix", "");
  return ImageList::from_csv(folder, step["csv_name"].get<std::string>(), options);
}

Stage split_of(const ImageList& list, const Json& step) {
  const std::string op = step["op"];
  if (op == "split_none") return list.split_none();
  if (op == "split_by_folder") return list.split_by_folder();
  if (op == "split_by_idx") {
    return list.split_by_idx(step["valid_idx"].get<std::vector<std::int64_t>>());
  }
  if (op == "split_by_files") {
    return list.split_by_files(step["valid_names"].get<std::vector<std::string>>());
  }
  if (op == "split_from_df") return list.split_from_df(column_of(step["col"]));
  REQUIRE(op == "split_by_rand_pct");
  return list.split_by_rand_pct(step["valid_pct"], step["seed"].get<std::int64_t>());
}

LabelOptions label_options(const Json& step) {
  LabelOptions options;
  if (step.contains("classes")) {
    options.classes.emplace(step["classes"].get<std::vector<std::string>>());
  }
  if (step.contains("label_delim")) options.label_delim = step["label_delim"].get<std::string>();
  return options;
}

Stage label_by(const ItemLists<ImageList>& lists, const Json& step) {
  const std::string op = step["op"];
  const auto options = label_options(step);
  if (op == "label_from_folder") return lists.label_from_folder(options);
  if (op == "label_from_df") {
    return step.contains("cols") ? lists.label_from_df(ColumnIds(column_of(step["cols"])), options)
                                 : lists.label_from_df(options);
  }
  if (op == "label_from_re") {
    return lists.label_from_re(step["pat"].get<std::string>(),
                               {.full_path = step.value("full_path", false)});
  }
  if (op == "label_from_func") {
    const auto is = predicate(step["func"]);
    return lists.label_from_func([&](const Path& path) -> Label {
      return step["func"][is(path) ? "yes" : "no"].get<std::string>();
    });
  }
  if (op == "label_empty") return lists.label_empty();
  REQUIRE(op == "label_const");
  return step.contains("const") ? lists.label_const(label_of(step["const"])) : lists.label_const();
}

// What a step writes into a file, if it does.
std::optional<std::string> done(Stage& stage, const Json& step, const Path& folder) {
  const std::string op = step["op"];
  if (op.find("List.from_") != std::string::npos) {
    stage = list_of(step, folder);
  } else if (op == "add") {
    std::get<ImageList>(stage).add(list_of(
        {{"op", "ImageList.from_folder"}, {"presort", true}, {"include", step["other"]["include"]}},
        folder));
  } else if (op == "filter_by_folder") {
    std::get<ImageList>(stage).filter_by_folder(step["include"].get<std::vector<std::string>>());
  } else if (op == "filter_by_func") {
    std::get<ImageList>(stage).filter_by_func(predicate(step["func"]));
  } else if (op == "use_partial_data") {
    std::get<ImageList>(stage).use_partial_data(step["sample_pct"], step["seed"].get<int>());
  } else if (op == "to_text") {
    std::get<ImageList>(stage).to_text(step["fn"].get<std::string>());
    return read_file(folder / step["fn"].get<std::string>());
  } else if (op.starts_with("split_")) {
    stage = split_of(std::get<ImageList>(stage), step);
  } else if (op.starts_with("label_")) {
    stage = label_by(std::get<ItemLists<ImageList>>(stage), step);
  } else if (op == "to_csv") {
    const auto& lists = std::get<ImageLabelLists>(stage);
    const Path dest = step["dest"].get<std::string>();
    (step["set"] == "train" ? lists.train() : lists.valid()).to_csv(lists.path(), dest);
    return read_file(folder / dest);
  } else if (op == "add_test") {
    std::vector<Path> files;
    for (const auto& name : step["items"]) files.push_back(folder / name.get<std::string>());
    std::get<ImageLabelLists>(stage).add_test(files, labels_of(step["label"]));
  } else if (op == "add_test_folder") {
    const std::optional<Label> label =
        step.contains("label") ? std::optional(label_of(step["label"])) : std::nullopt;
    std::get<ImageLabelLists>(stage).add_test_folder(step.value("test_folder", "test"), label);
  } else if (op == "filter_pairs") {
    const auto drop = predicate(step["drop"]);
    std::get<ImageLabelLists>(stage).filter_by_func(
        [&](const Path& x, const torch::Tensor&) { return drop(x); });
  } else if (op == "transform") {
    std::get<ImageLabelLists>(stage).transform({}, {.size = step["size"].get<int>()});
  } else {
    REQUIRE(op == "databunch");
    stage = std::get<ImageLabelLists>(stage).databunch(
        {.bs = step["bs"], .num_workers = 0, .device = torch::kCPU});
  }
  return {};
}

std::string printed(const Stage& stage) {
  return std::visit(
      [](const auto& x) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, std::monostate>) {
          return "";
        } else {
          return x.str();
        }
      },
      stage);
}

std::string with_path(std::string text, const Path& folder) {
  for (std::size_t at = 0; (at = text.find("<path>", at)) != std::string::npos;) {
    text.replace(at, 6, folder.string());
  }
  return text;
}

void check_list(const LabelList& list, const Json& want, const Path& folder, bool any_order) {
  REQUIRE(list.size() == static_cast<std::int64_t>(want["items"].size()));
  std::vector<std::int64_t> order(list.items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  const auto name = [&](std::int64_t i) {
    return relative_below(list.items[static_cast<std::size_t>(i)], folder);
  };
  if (any_order)
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return name(a) < name(b); });
  const auto targets = list.y->targets();
  for (std::size_t i = 0; i < order.size(); ++i) {
    CHECK(name(order[i]) == want["items"][i].get<std::string>());
    CHECK(list.label(order[i]) == want["texts"][i].get<std::string>());
    const auto target = targets[order[i]].to(torch::kFloat64).reshape({-1}).contiguous();
    const auto figures = want["targets"][i].is_array() ? numbers(want["targets"][i])
                                                       : std::vector{number(want["targets"][i])};
    REQUIRE(target.numel() == static_cast<std::int64_t>(figures.size()));
    for (std::size_t k = 0; k < figures.size(); ++k) {
      // The file's numbers are float32.
      CHECK(target.data_ptr<double>()[k] == static_cast<double>(static_cast<float>(figures[k])));
    }
  }
}

void check_labels(const Labels& labels, const Json& want) {
  CHECK(labels.name() == want["label_cls"].get<std::string>());
  const std::map<std::string, LabelKind> kinds{{"cross_entropy", LabelKind::kCategory},
                                               {"bce_with_logits", LabelKind::kMultiCategory},
                                               {"mse", LabelKind::kFloat},
                                               {"nll", LabelKind::kEmpty}};
  CHECK(labels.kind() == kinds.at(want["loss"]));
  if (want.contains("c")) CHECK(labels.c() == want["c"].get<std::int64_t>());
  if (want.contains("classes_text")) {
    CHECK(labels.classes_str() == want["classes_text"].get<std::string>());
  }
}

// fastai's warnings in their order; ours about one class is not among them.
void check_warnings(const CapturedLog& log, const Json& expect) {
  std::vector<std::string> said;
  for (const auto& text : log.warnings) {
    if (!text.starts_with("All items have one class")) said.push_back(text);
  }
  const auto want = expect.value("warnings", Json::array());
  CAPTURE(said);
  REQUIRE(said.size() == want.size());
  for (std::size_t i = 0; i < said.size(); ++i) {
    if (want[i]["kind"] != "unknown_labels") {
      CHECK(said[i] == want[i]["text"].get<std::string>());
      continue;
    }
    const auto first = want[i]["first_lines"][0].get<std::string>() + "\n" +
                       want[i]["first_lines"][1].get<std::string>() + "\n";
    REQUIRE(said[i].starts_with(first));
    auto rest = said[i].substr(first.size());
    CHECK(rest.ends_with("...") == want[i]["more"].get<bool>());
    std::vector<std::string> labels;
    for (std::size_t at = 0, end; at <= rest.size(); at = end + 2) {
      end = std::min(rest.find(", ", at), rest.size());
      labels.push_back(rest.substr(at, end - at));
    }
    std::sort(labels.begin(), labels.end());
    CHECK(labels == want[i]["labels"].get<std::vector<std::string>>());
  }
}

void check_bunch(const ImageDataBunch& data, const Json& want, const Path& folder, bool any_order) {
  check_labels(*data.labels(), want);
  check_list(data.ds(DatasetType::Train).list(), want["train"], folder, any_order);
  CHECK(data.empty_val() == want["valid"]["items"].empty());
  if (!data.empty_val()) {
    check_list(data.ds(DatasetType::Valid).list(), want["valid"], folder, any_order);
  }
  if (want.contains("test")) {
    check_list(data.ds(DatasetType::Test).list(), want["test"], folder, true);
  }
}

}  // namespace

TEST_CASE("chains of the data block") {
  const auto& cases = golden("datablock.json")["chains"];
  CHECK(cases.size() == 49);
  std::size_t uncompilable = 0;
  for (const auto& kase : cases) {
    const std::string name = kase["name"];
    CAPTURE(name);
    if (kDoNotCompile.count(name)) {
      ++uncompilable;
      continue;
    }
    TempDir dir;
    make_files(kase, dir.path());
    const auto& expect = kase["expect"];
    CapturedLog log;
    Stage stage;
    const auto failed = caught([&] {
      for (std::size_t i = 0; i < kase["steps"].size(); ++i) {
        const auto text = done(stage, kase["steps"][i], dir.path());
        // One list of texts stands for the reference's general ItemList, which does not open its items.
        if (!expect.contains("steps") || name == "other_extensions") continue;
        const auto& want = expect["steps"][i];
        if (text) {
          CHECK(*text == want["text"].get<std::string>());
        } else {
          CHECK(printed(stage) == with_path(want["printed"], dir.path()));
        }
      }
    });
    if (expect.contains("error")) {
      CHECK(failed.code == code_of(expect["error"]["kind"]));
    } else {
      CAPTURE(failed.message);
      REQUIRE(failed.code.empty());
    }
    check_warnings(log, expect);
    if (expect.contains("items")) {
      std::vector<std::string> files;
      const auto items = std::holds_alternative<ImageList>(stage)
                             ? std::get<ImageList>(stage).items()
                             : std::get<ImageLabelLists>(stage).train().items;
      for (const auto& item : items) files.push_back(relative_below(item, dir.path()));
      CHECK(files == expect["items"].get<std::vector<std::string>>());
    }
    if (const auto* lists = std::get_if<ImageLabelLists>(&stage);
        lists && expect.contains("train")) {
      check_labels(lists->labels(), expect);
      check_list(lists->train(), expect["train"], dir.path(), false);
      check_list(lists->valid(), expect["valid"], dir.path(), false);
      if (expect.contains("test")) check_list(*lists->test(), expect["test"], dir.path(), true);
    }
    if (const auto* data = std::get_if<ImageDataBunch>(&stage)) {
      check_bunch(*data, expect, dir.path(), false);
      CHECK(data->train_dl().size() == expect["batches"].get<std::int64_t>());
      // The reference counts one batch of an empty set, whose list has a length of 1 there; nothing depends on it here.
      if (!data->empty_val()) {
        CHECK(data->valid_dl().size() == expect["valid_batches"].get<std::int64_t>());
      }
    }
  }
  CHECK(uncompilable == kDoNotCompile.size());
}

namespace {

ImageDataBunch made(const Json& kase, const Path& folder) {
  const auto& args = kase["args"];
  const std::string factory = kase["factory"];
  ImageDataBunchOptions options{.size = args["size"].get<int>(),
                                .bs = args.value("bs", 64),
                                .num_workers = 0,
                                .device = torch::kCPU,
                                .valid_pct = 0.2};
  if (args.contains("valid_pct") && !args["valid_pct"].is_null()) {
    options.valid_pct = args["valid_pct"];
  }
  if (args.contains("seed")) options.seed = args["seed"].get<std::uint64_t>();
  if (args.contains("test")) options.test = args["test"].get<std::string>();
  if (args.contains("classes")) options.classes = args["classes"].get<std::vector<std::string>>();
  std::vector<Path> files;
  if (kase.contains("fnames")) {
    for (const auto& name : kase["fnames"]) files.push_back(folder / name.get<std::string>());
  }
  CsvLabelsOptions csv;
  csv.folder = args.value("folder", "");
  csv.suffix = args.value("suffix", "");
  csv.csv_labels = args.value("csv_labels", "labels.csv");
  if (args.contains("label_delim")) csv.label_delim = args["label_delim"].get<std::string>();
  if (args.contains("delimiter")) csv.delimiter = args["delimiter"].get<std::string>().at(0);
  if (args.contains("header")) csv.header = std::nullopt;
  if (args.contains("fn_col")) csv.fn_col = column_of(args["fn_col"]);
  if (args.contains("label_col")) csv.label_col = column_of(args["label_col"]);

  if (factory == "from_csv") return ImageDataBunch::from_csv(folder, csv, options);
  if (factory == "from_df") {
    return ImageDataBunch::from_df(
        folder, Table::read_csv(folder / args["table"].get<std::string>()), options);
  }
  if (factory == "from_name_re") {
    return ImageDataBunch::from_name_re(folder, files, args["pat"].get<std::string>(), options);
  }
  if (factory == "from_name_func") {
    const auto& func = args["label_func"];
    const auto is = predicate(func);
    return ImageDataBunch::from_name_func(
        folder, files,
        [&](const Path& path) { return func[is(path) ? "yes" : "no"].get<std::string>(); },
        options);
  }
  if (factory == "from_lists") {
    return ImageDataBunch::from_lists(folder, files, labels_of(args["labels"]), options);
  }
  if (factory == "single_from_classes") {
    return ImageDataBunch::single_from_classes(folder, *options.classes, options);
  }
  REQUIRE(factory == "from_folder");
  return ImageDataBunch::from_folder(folder, {.train = args.value("train", "train"),
                                              .valid = args.value("valid", "valid"),
                                              .test = options.test,
                                              .size = options.size,
                                              .bs = options.bs,
                                              .num_workers = 0,
                                              .device = torch::kCPU,
                                              .classes = options.classes});
}

}  // namespace

TEST_CASE("factories are chains of the data block") {
  const auto& cases = golden("datablock.json")["factories"];
  CHECK(cases.size() == 23);
  for (const auto& kase : cases) {
    const std::string name = kase["name"];
    CAPTURE(name);
    TempDir dir;
    make_files(kase, dir.path());
    const auto& expect = kase["expect"];
    CapturedLog log;
    std::optional<ImageDataBunch> data;
    const auto failed = caught([&] { data.emplace(made(kase, dir.path())); });
    if (expect.contains("error")) {
      CHECK(failed.code == code_of(expect["error"]["kind"]));
      continue;
    }
    CAPTURE(failed.message);
    REQUIRE(failed.code.empty());
    check_warnings(log, expect);
    const bool any_order = kase.value("any_order", false);
    check_bunch(*data, expect, dir.path(), any_order);
    if (expect.contains("printed")) {
      CHECK(data->str() == with_path(expect["printed"], dir.path()));
    }
    CHECK(data->empty_val() == expect["empty_val"].get<bool>());
    CHECK(data->is_empty() == expect["is_empty"].get<bool>());
    CHECK(data->batch_size() == expect["batch_size"].get<std::int64_t>());
  }
}
