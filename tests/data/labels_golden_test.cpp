// Labels of every kind against fastai: sections "class_guess", "labels", "label_lists", "float_texts", "targets" and "show"
// of datablock.json.
#include <torch/types.h>
#include <cmath>

#include <algorithm>
#include <cstring>
#include <map>

#include "fastcpp/data/labels.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

Cell label_cell(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_number_unsigned() && value.get<std::uint64_t>() >> 63)
    return value.get<std::uint64_t>();
  return value.get<std::int64_t>();
}

std::vector<Cell> cells_of(const Json& list) {
  std::vector<Cell> cells;
  for (const auto& value : list) cells.push_back(label_cell(value));
  return cells;
}

std::vector<Label> labels_of(const Json& list) {
  std::vector<Label> labels;
  for (const auto& value : list) {
    labels.push_back(value.is_array() ? Label(cells_of(value)) : Label(label_cell(value)));
  }
  return labels;
}

LabelKind label_kind(const std::string& name) {
  static const std::map<std::string, LabelKind> kinds{
      {"CategoryList", LabelKind::kCategory},
      {"MultiCategoryList", LabelKind::kMultiCategory},
      {"FloatList", LabelKind::kFloat}};
  return kinds.at(name);
}

Json label_of(const Json& kase) {
  return kase.contains("label") ? kase["label"] : Json::object();
}

LabelOptions label_options(const Json& label) {
  LabelOptions options;
  if (label.contains("label_cls")) options.label_cls = label_kind(label["label_cls"]);
  if (label.contains("classes")) options.classes = ClassNames(cells_of(label["classes"]));
  if (label.contains("label_delim")) options.label_delim = label["label_delim"].get<std::string>();
  options.one_hot = label.value("one_hot", false);
  options.log = label.value("log", false);
  return options;
}

ColumnIds columns_of(const Json& label) {
  if (!label.contains("cols")) return 1;
  const auto id = [](const Json& value) {
    return value.is_string() ? ColumnId(value.get<std::string>())
                             : ColumnId(value.get<std::int64_t>());
  };
  const auto& cols = label["cols"];
  if (!cols.is_array()) return id(cols);
  std::vector<ColumnId> ids;
  for (const auto& value : cols) ids.push_back(id(value));
  return ids;
}

// Not-a-number equals itself here.
bool equal_floats(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return x == y || (x != x && y != y); });
}

std::vector<float> values_of(const torch::Tensor& tensor) {
  const auto plain = tensor.to(torch::kFloat32).contiguous().reshape(-1);
  return {plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel()};
}

std::vector<float> values_of(const Json& target) {
  if (!target.is_array()) return {static_cast<float>(number(target))};
  std::vector<float> values;
  for (const auto& value : target) values.push_back(static_cast<float>(number(value)));
  return values;
}

// What encode_into writes into the second place of a batch of three, with nothing beside it touched.
torch::Tensor written(const Labels& labels, std::int64_t i) {
  const SampleLayout layout{{}, {labels.layout()}};
  auto shape = layout.y[0].shape;
  shape.insert(shape.begin(), 3);
  const auto batch = torch::full(shape, 77, layout.y[0].dtype);
  labels.encode_into(i, SampleSlot(layout, {}, {batch.data_ptr()}, 1));
  CHECK((batch[0] == 77).all().item<bool>());
  CHECK((batch[2] == 77).all().item<bool>());
  return batch[1].clone();
}

// The reference's logarithm of single precision misses the nearest number by one unit in the last place; ours does not.
bool next_to(double got, double want) {
  const auto a = static_cast<float>(got), b = static_cast<float>(want);
  return a == b || std::nextafter(a, b) == b;
}

void check_text(const std::string& got, const Json& want, bool logarithm) {
  const auto text = want.get<std::string>();
  CHECK((got == text || (logarithm && next_to(std::stod(got), std::stod(text)))));
}

void check_targets(const Labels& labels, const Json& targets, bool logarithm = false) {
  REQUIRE(labels.size() == static_cast<std::int64_t>(targets.size()));
  const auto all = labels.targets();
  CHECK(all.scalar_type() == labels.layout().dtype);
  REQUIRE(all.size(0) == labels.size());
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    INFO("item " << i);
    const auto& want = targets[static_cast<std::size_t>(i)];
    const auto values = values_of(want);
    for (const auto& target : {labels.encode(i), all[i], written(labels, i)}) {
      CHECK(target.dim() == (want.is_array() ? 1 : 0));
      CHECK(target.scalar_type() == labels.layout().dtype);
      const auto got = values_of(target);
      CHECK((logarithm ? next_to(got.at(0), values.at(0)) : equal_floats(got, values)));
    }
  }
}

void check_texts(const Labels& labels, const Json& texts, bool logarithm = false) {
  REQUIRE(labels.size() == static_cast<std::int64_t>(texts.size()));
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    check_text(labels.text(i), texts[static_cast<std::size_t>(i)], logarithm);
  }
}

void check_classes(const Labels& labels, const Json& expect) {
  CHECK(labels.name() == expect["label_cls"].get<std::string>());
  CHECK(labels.kind() == label_kind(labels.name()));
  CHECK(labels.c() == expect["c"].get<std::int64_t>());
  if (!expect.contains("classes") || expect["classes"].is_null()) {
    CHECK(labels.classes().empty());
    return;
  }
  const auto cells = cells_of(expect["classes"]);
  const auto* one = dynamic_cast<const CategoryList*>(&labels);
  const auto& found =
      one ? one->class_cells() : dynamic_cast<const MultiCategoryList&>(labels).class_cells();
  const bool same_types = found == cells;
  CHECK(same_types);
  std::vector<std::string> names;
  for (const auto& cell : cells) names.push_back(cell_text(cell));
  CHECK(labels.classes() == names);
  if (expect.contains("classes_text"))
    CHECK(labels.classes_str() == expect["classes_text"].get<std::string>());
}

void check_loss(LabelKind kind, const std::string& loss) {
  CHECK(loss == (kind == LabelKind::kCategory        ? "cross_entropy"
                 : kind == LabelKind::kMultiCategory ? "bce_with_logits"
                                                     : "mse"));
}

using Positions = std::vector<std::int64_t>;

void check_part(const Labels& labels, const Positions& kept, const Positions& items,
                const Json& expect) {
  Positions rows;
  for (const auto at : kept) rows.push_back(items.at(static_cast<std::size_t>(at)));
  CHECK(rows == expect["items"].get<Positions>());
  check_texts(labels, expect["texts"]);
  check_targets(labels, expect["targets"]);
}

// What fastai does not warn of, but is worth a word.
bool is_extra(const std::string& name, const std::string& warning) {
  if (name == "tags_blanks_make_a_class")
    return warning.starts_with("The label 'primary  clear' of row 0 holds an empty one");
  if (name == "log_of_zero_and_negative")
    return warning.starts_with("The logarithm of 0.0, the label of row 3, is -inf: 2 of 2 ");
  return false;
}

void check_warnings(const Json& kase, std::vector<std::string> warnings) {
  const std::string name = kase["name"];
  const auto extra = [&](const std::string& warning) { return is_extra(name, warning); };
  const auto count = std::erase_if(warnings, extra);
  CHECK(count == (name == "tags_blanks_make_a_class" || name == "log_of_zero_and_negative"));
  const auto& expect = kase["expect"];
  const auto expected = expect.contains("warnings") ? expect["warnings"] : Json::array();
  REQUIRE(warnings.size() == expected.size());
  for (std::size_t i = 0; i < warnings.size(); ++i) {
    const auto& want = expected[i];
    REQUIRE(want["kind"] == "unknown_labels");
    std::string text;
    for (const auto& line : want["first_lines"]) text += line.get<std::string>() + "\n";
    CHECK(text.find("Your " + want["set"].get<std::string>() + " set") != std::string::npos);
    REQUIRE(warnings[i].starts_with(text));
    auto rest = warnings[i].substr(text.size());
    CHECK(rest.ends_with("...") == want["more"].get<bool>());
    if (want["more"]) rest.resize(rest.size() - 3);
    std::vector<std::string> shown{""};
    for (std::size_t k = 0; k < rest.size(); ++k) {
      if (rest.compare(k, 2, ", ") == 0) {
        shown.emplace_back();
        ++k;
      } else {
        shown.back() += rest[k];
      }
    }
    CHECK(shown.size() == want["shown"].get<std::size_t>());
    std::sort(shown.begin(), shown.end());
    if (!want["labels"].is_null()) CHECK(shown == want["labels"].get<std::vector<std::string>>());
  }
}

void check_label_error(const Caught& error, const Json& expected) {
  static const std::map<std::string, std::string> codes{{"cannot_sort", "data.cannot_sort"},
                                                        {"delimiter", "value.label_delim"},
                                                        {"index", "value.index"},
                                                        {"length", "data.length"},
                                                        {"line_break", "data.line_break"},
                                                        {"missing_value", "data.missing_value"},
                                                        {"no_classes", "value.classes"},
                                                        {"no_column", "data.no_column"},
                                                        {"no_labels", "data.no_labels"},
                                                        {"not_a_number", "data.not_a_number"},
                                                        {"open_quote", "data.open_quote"}};
  const std::string kind = expected["kind"];
  INFO(error.message);
  CHECK(error.code == codes.at(kind));
  // Other texts are the reference's interpreter's.
  static const std::vector<std::string> fastais{"missing_value", "no_classes", "no_labels",
                                                "not_a_number", "delimiter"};
  if (std::count(fastais.begin(), fastais.end(), kind) && expected.contains("message"))
    CHECK(error.message.find(expected["message"].get<std::string>()) != std::string::npos);
}

// Both parts of a case; `train` and `valid` call their items in `expect`.
void check_case(const Json& kase, const std::function<TrainValidLabels()>& make,
                const Positions& train, const Positions& valid) {
  const CapturedLog log;
  const auto& expect = kase["expect"];
  if (expect.contains("error")) {
    check_label_error(caught(make), expect["error"]);
    return;
  }
  const auto lists = make();
  for (const auto& part : {lists.train, lists.valid}) {
    check_classes(*part, expect);
    check_loss(part->kind(), expect["loss"]);
  }
  check_part(*lists.train, lists.kept_train, train, expect["train"]);
  check_part(*lists.valid, lists.kept_valid, valid, expect["valid"]);
  check_warnings(kase, log.warnings);
}

// Rows of a table as training and validation labels.
TrainValidLabels make_from(const Table& table, const Json& label, const Positions& train,
                           const Positions& valid) {
  const auto [labels, options] = label_from_df(table, columns_of(label), label_options(label));
  const auto some = [all = &labels](const Positions& rows) {
    std::vector<Label> result;
    for (const auto row : rows) result.push_back(all->at(static_cast<std::size_t>(row)));
    return result;
  };
  const auto names = [](const Positions& rows) {
    return [&rows](std::int64_t i) {
      return "row " + std::to_string(rows.at(static_cast<std::size_t>(i)));
    };
  };
  return make_labels(some(train), some(valid), options, {names(train), names(valid)});
}

Positions all_rows(const Table& table) {
  Positions rows;
  for (std::int64_t row = 0; row < table.rows(); ++row) rows.push_back(row);
  return rows;
}

torch::Tensor activated(LabelKind kind, const torch::Tensor& outputs) {
  if (kind == LabelKind::kCategory) return outputs.softmax(-1);
  return kind == LabelKind::kMultiCategory ? outputs.sigmoid() : outputs;
}

}  // namespace

TEST_CASE("The first training label decides the kind of labels") {
  std::size_t count = 0;
  for (const auto& kase : golden("datablock.json")["class_guess"]) {
    INFO(kase.dump());
    CHECK(label_kind_of(labels_of(kase["labels"])) == label_kind(kase["label_cls"]));
    ++count;
  }
  CHECK(count == 12);
}

TEST_CASE("Labels from a table are fastai's") {
  std::size_t count = 0;
  for (const auto& kase : golden("datablock.json")["labels"]) {
    INFO("case " << kase["name"]);
    const auto table = Table::parse_csv(kase["csv"]);
    const auto valid = kase["valid"].get<Positions>();
    auto train = all_rows(table);
    std::erase_if(train, [&](auto row) { return std::count(valid.begin(), valid.end(), row); });
    check_case(
        kase, [&] { return make_from(table, label_of(kase), train, valid); }, train, valid);
    ++count;
  }
  CHECK(count == 96);
}

TEST_CASE("Labels from lists are fastai's") {
  std::size_t count = 0, lengths = 0;
  for (const auto& kase : golden("datablock.json")["label_lists"]) {
    INFO("case " << kase["name"]);
    ++count;
    // Whether items and labels are as many is asked where they meet.
    if (kase.contains("n_train")) {
      CHECK(kase["expect"]["error"]["kind"] == "length");
      ++lengths;
      continue;
    }
    const auto train = labels_of(kase["train"]), valid = labels_of(kase["valid"]);
    Positions train_items, valid_items;
    for (std::size_t i = 0; i < train.size(); ++i) train_items.push_back(static_cast<int>(i));
    for (std::size_t i = 0; i < valid.size(); ++i)
      valid_items.push_back(static_cast<int>(train.size() + i));
    check_case(
        kase, [&] { return make_labels(train, valid, label_options(label_of(kase))); }, train_items,
        valid_items);
  }
  CHECK(count == 28);
  CHECK(lengths == 2);
}

TEST_CASE("Labels that are numbers print as Python prints them") {
  std::size_t count = 0;
  for (const auto& kase : golden("datablock.json")["float_texts"]) {
    const FloatList list({static_cast<float>(number(kase["value"]))});
    CHECK(list.text(0) == kase["text"].get<std::string>());
    CHECK(list.target_text(list.encode(0)) == kase["text"].get<std::string>());
    ++count;
  }
  CHECK(count == 17);
}

TEST_CASE("Targets and predictions in words are fastai's") {
  const auto& section = golden("datablock.json")["targets"];
  const auto table = Table::parse_csv(section["csv"]);
  const auto rows = all_rows(table);
  std::size_t count = 0, predictions = 0;
  for (const auto& kase : section["kinds"]) {
    INFO("kind " << kase["kind"]);
    const auto lists = make_from(table, kase["label"], rows, rows);
    for (const auto& part : {lists.train, lists.valid}) {
      check_classes(*part, kase);
      check_targets(*part, kase["targets"], kase["kind"] == "log");
      check_texts(*part, kase["texts"], kase["kind"] == "log");
    }
    const auto& labels = *lists.valid;
    CHECK((labels.layout().dtype == torch::kLong ? "int64" : "float32") ==
          kase["target_dtype"].get<std::string>());
    CHECK((labels.kind() == LabelKind::kCategory ? "softmax"
           : labels.kind() == LabelKind::kMultiCategory
               ? "sigmoid"
               : "identity") == kase["activation"].get<std::string>());
    auto outputs = torch::empty({labels.size(), labels.c()});
    for (std::int64_t i = 0; i < outputs.numel(); ++i) {
      outputs.data_ptr<float>()[i] =
          static_cast<float>(3 * sgn(kase["outputs_key"], static_cast<std::uint64_t>(i)));
    }
    const auto preds = activated(labels.kind(), outputs);
    // No empty handle: decode may be called on lists without items, as after load_empty.
    const auto decoder = labels.take({});
    for (std::int64_t i = 0; i < labels.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      check_text(labels.target_text(labels.encode(i)), kase["texts_from_target"][at],
                 kase["kind"] == "log");
      for (const auto& predict : kase["predict"]) {
        const auto thresh = predict["thresh"].is_null()
                                ? std::optional<double>()
                                : std::optional(predict["thresh"].get<double>());
        const auto prediction = decoder->decode(preds[i], thresh);
        CHECK(prediction.text == predict["texts"][at].get<std::string>());
        const auto& data = predict["data"][at];
        CHECK(prediction.data.dim() == (data.is_array() ? 1 : 0));
        const auto found = values_of(prediction.data), want = values_of(data);
        REQUIRE(found.size() == want.size());
        for (std::size_t k = 0; k < want.size(); ++k)
          CHECK(found[k] == Approx(want[k]).margin(2e-6));
        ++predictions;
      }
    }
    ++count;
  }
  CHECK(count == 5);
  CHECK(predictions == 63);
}

TEST_CASE("Truth and prediction in words are those of fastai's show_results") {
  const auto& section = golden("datablock.json")["show"];
  const auto table = Table::parse_csv(section["csv"]);
  const auto valid = section["valid"].get<Positions>();
  std::size_t count = 0;
  for (const auto& kase : section["cases"]) {
    INFO("case " << kase["name"]);
    const auto labels = make_from(table, kase["label"], all_rows(table), valid).valid;
    for (std::size_t i = 0; i < valid.size(); ++i) {
      const auto target = labels->target_text(labels->encode(static_cast<std::int64_t>(i)));
      CHECK(target == kase["show_batch"][i].get<std::string>());
      const auto outputs = activated(labels->kind(), torch::tensor(values_of(kase["outputs"][i])));
      const auto shown = [&](std::optional<double> thresh) {
        return target + "\n" + labels->decode(outputs, thresh).text;
      };
      CHECK(shown({}) == kase["show_results"][i].get<std::string>());
      if (kase.contains("show_results_thresh_0.3"))
        CHECK(shown(0.3) == kase["show_results_thresh_0.3"][i].get<std::string>());
    }
    ++count;
  }
  CHECK(count == 4);
}
