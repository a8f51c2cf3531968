#include "fastcpp/data/labels.hpp"

#include <torch/types.h>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

using Strings = std::vector<std::string>;
using Indices = std::vector<std::int64_t>;

Strings texts_of(const Labels& labels) {
  Strings texts;
  for (std::int64_t i = 0; i < labels.size(); ++i) texts.push_back(labels.text(i));
  return texts;
}

std::vector<float> numbers_of(const torch::Tensor& tensor) {
  const auto plain = tensor.to(torch::kFloat32).contiguous();
  return {plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel()};
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const char* const kTags = "name,tags,cat,dog,age\na.png,clear haze,1,0,3\nb.png,,0,1,4.5\n";

// A user's own kind: the corner of a box, two whole numbers.
class CornerList : public Labels {
 public:
  explicit CornerList(std::vector<std::pair<int, int>> y, std::int64_t promised = 2)
      : y_(std::move(y)), promised_(promised) {}
  std::string name() const override { return "CornerList"; }
  LabelKind kind() const override { return LabelKind::kFloat; }
  std::int64_t size() const override { return static_cast<std::int64_t>(y_.size()); }
  std::int64_t c() const override { return 2; }
  TensorLayout layout() const override { return {{promised_}, torch::kInt}; }
  torch::Tensor encode(std::int64_t i) const override {
    const auto [x, y] = y_.at(static_cast<std::size_t>(i));
    return torch::tensor({x, y}, torch::kInt);
  }
  std::string text(std::int64_t i) const override { return target_text(encode(i)); }
  std::string target_text(const torch::Tensor& t) const override {
    return std::to_string(t[0].item<int>()) + "," + std::to_string(t[1].item<int>());
  }
  LabelPrediction decode(const torch::Tensor& outputs, std::optional<double>) const override {
    return {target_text(outputs.round()), outputs};
  }
  std::shared_ptr<const Labels> take(const Indices& items) const override {
    std::vector<std::pair<int, int>> y;
    for (const auto i : items) y.push_back(y_.at(static_cast<std::size_t>(i)));
    return std::make_shared<CornerList>(y);
  }
  std::shared_ptr<const Labels> read(const std::vector<Label>& labels) const override {
    return std::make_shared<CornerList>(std::vector<std::pair<int, int>>(labels.size()));
  }

 private:
  std::vector<std::pair<int, int>> y_;
  std::int64_t promised_;
};

}  // namespace

TEST_CASE("A label keeps its type") {
  CHECK(Label("cat").cells()[0] == Cell("cat"));
  CHECK(Label(std::string("cat")).text() == "cat");
  CHECK(Label(1).cells()[0] == Cell(std::int64_t{1}));
  CHECK(Label(1).text() == "1");
  CHECK(Label(1.0).text() == "1.0");
  CHECK(Label(1.5F).cells()[0] == Cell(1.5));
  CHECK(Label(true).text() == "True");
  // Whole numbers are int64 wherever it holds them.
  CHECK(Label(std::size_t{7}).cells()[0] == Cell(std::int64_t{7}));
  CHECK(Label(std::numeric_limits<std::uint64_t>::max()).text() == "18446744073709551615");
  CHECK(Label().text() == "None");
  CHECK(Label().missing());
  CHECK(Label(std::nan("")).missing());
  CHECK_FALSE(Label("").missing());
  const Label several(Strings{"b", "a"});
  CHECK(several.several());
  CHECK(several.text() == "b;a");
  CHECK(Label(std::vector<int>{1, 0}).text() == "1;0");
  CHECK_FALSE(Label(Strings{}).missing());
  CHECK(Label(Strings{}).several());
  CHECK(ColumnIds("a").text() == "a");
  CHECK(ColumnIds(-1).text() == "-1");
  CHECK(ColumnIds({"a", "b"}).text() == "['a', 'b']");
  CHECK(ColumnIds({1, 2}).text() == "[1, 2]");
}

TEST_CASE("Category labels: some of them, others with the same classes, outputs in words") {
  const CategoryList list({1, 0, -1}, {"cat", "dog"});
  CHECK(texts_of(list) == Strings{"dog", "cat", "0"});
  CHECK(list.targets().equal(torch::tensor({1, 0, 0}, torch::kLong)));
  const auto taken = list.take({1, 1, 0});
  CHECK(texts_of(*taken) == Strings{"cat", "cat", "dog"});
  // Unknown and missing ones are target 0.
  const auto read = taken->read({"dog", "cow", Label(), 1});
  CHECK(texts_of(*read) == Strings{"dog", "0", "0", "0"});
  CHECK(read->classes() == list.classes());
  CHECK(read->encode(1).item<std::int64_t>() == 0);
  const auto decoder = list.take({});
  CHECK(decoder->size() == 0);
  CHECK(decoder->targets().sizes() == torch::IntArrayRef{0});
  CHECK(decoder->decode(torch::tensor({0.2, 0.8}, torch::kDouble)).text == "dog");
  CHECK(caught([&] { decoder->decode(torch::zeros({3})); }).code == "data.shape");
  CHECK(caught([&] { decoder->decode({}); }).code == "data.shape");
  CHECK(caught([&] { static_cast<void>(list.target_text(torch::tensor(2))); }).code ==
        "data.unknown_label");
  CHECK(caught([&] { static_cast<void>(list.text(3)); }).code == "value.index");
  CHECK(caught([&] { static_cast<void>(list.encode(-1)); }).code == "value.index");
  CHECK(caught([&] { static_cast<void>(list.take({3})); }).code == "value.index");
  CHECK(caught([] { CategoryList({2}, {"a", "b"}); }).code == "data.unknown_label");
  CHECK(caught([] { CategoryList({-2}, {"a", "b"}); }).code == "data.unknown_label");
  CHECK(caught([] { CategoryList({}, {"a", "a"}); }).code == "value.classes");
  // The same number, whatever its type.
  CHECK(caught([] { CategoryList({}, {std::int64_t{1}, 1.0}); }).code == "value.classes");
  CHECK(caught([] { CategoryList({}, {"a", Cell()}); }).code == "value.classes");
  CHECK(CategoryList({}, {std::int64_t{3}, std::int64_t{7}}).classes_str() == "[3, 7]");
}

TEST_CASE("Several classes: own order in the list, class order from a target") {
  const MultiCategoryList list({{1, 0, 1}, {}}, {"clear", "haze"}, " ");
  CHECK(texts_of(list) == Strings{"haze;clear;haze", ""});
  CHECK(list.indices(0) == Indices{1, 0, 1});
  CHECK(list.target_text(list.encode(0)) == "clear;haze");
  CHECK(texts_of(*list.take({1, 0})) == Strings{"", "haze;clear;haze"});
  const auto read = list.read({"haze cow", Label(), Label(Strings{"clear"}), ""});
  CHECK(texts_of(*read) == Strings{"haze", "", "clear", ""});
  const auto prediction = list.decode(torch::tensor({0.3, 0.5}));
  CHECK(prediction.text == "haze");
  CHECK(prediction.data.scalar_type() == torch::kFloat32);
  CHECK(list.decode(torch::tensor({0.3, 0.5}), 0.2).text == "clear;haze");
  CHECK(list.decode(torch::tensor({0.3, 0.5}), 0.6).text.empty());
  CHECK(caught([&] { list.decode(torch::zeros({1})); }).code == "data.shape");
  CHECK(caught([] { MultiCategoryList({{0}, {2}}, {"a", "b"}); }).code == "data.unknown_label");
  CHECK(caught([] { MultiCategoryList({}, {"a"}, "::"); }).code == "value.label_delim");
}

TEST_CASE("One-hot labels keep numbers between 0 and 1") {
  const auto list = MultiCategoryList::one_hot({1, 0.25F, 0, 1}, {"cat", "dog"});
  CHECK(list.size() == 2);
  CHECK(texts_of(list) == Strings{"cat", "dog"});
  CHECK(numbers_of(list.encode(0)) == std::vector<float>{1, 0.25F});
  CHECK(numbers_of(list.take({1})->targets()) == std::vector<float>{0, 1});
  const auto read = list.read({std::vector<int>{1, 1}});
  CHECK(read->text(0) == "cat;dog");
  CHECK(caught([&] { list.read({std::vector<int>{1}}); }).code == "data.length");
  CHECK(caught([&] { list.read({std::vector<int>{1, 2}}); }).code == "data.one_hot");
  CHECK(caught([] { MultiCategoryList::one_hot({1}, {"a", "b"}); }).code == "data.length");
  CHECK(caught([] { MultiCategoryList::one_hot({-1}, {"a"}); }).code == "data.one_hot");
  CHECK(caught([] { MultiCategoryList::one_hot({}, Strings{}); }).code == "value.classes");
}

TEST_CASE("Numbers: scalars alone, vectors otherwise") {
  const FloatList one({0.5F, 2}, 1);
  CHECK(one.layout() == TensorLayout{{}, torch::kFloat32});
  CHECK(one.decode(torch::tensor({0.25})).text == "[0.25]");
  CHECK(texts_of(*one.read({"1e3", 7, true})) == Strings{"1000.0", "7.0", "1.0"});
  CHECK(caught([&] { one.read({"x"}); }).code == "data.not_a_number");
  CHECK(caught([&] { one.read({Label()}); }).code == "data.missing_value");
  const FloatList two({1, 10, 100, 1000}, 2, true);
  CHECK(two.size() == 2);
  CHECK(two.layout() == TensorLayout{{2}, torch::kFloat32});
  CHECK(numbers_of(two.encode(1)) == std::vector<float>{std::log(100.0F), std::log(1000.0F)});
  // Taken labels are logarithms once, not twice.
  CHECK(two.take({1})->encode(0).equal(two.encode(1)));
  CHECK(caught([] { FloatList({1, 2, 3}, 2); }).code == "data.length");
  CHECK(caught([] { FloatList({}, 0); }).code == "data.length");
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(FloatList({1, infinity, std::nanf("")}, 3).text(0) == "[ 1. inf nan]");
  CHECK(FloatList({0, -infinity}, 2).text(0) == "[  0. -inf]");
  CHECK(FloatList({0, 0}, 2).text(0) == "[0. 0.]");
  CHECK(FloatList({1e8F, 1}, 2).text(0) == "[1.e+08 1.e+00]");
}

TEST_CASE("Items without labels") {
  const EmptyLabelList list(2);
  CHECK(texts_of(list) == Strings{"", ""});
  CHECK(list.classes_str() == "[]");
  CHECK(list.targets().equal(torch::zeros({2}, torch::kLong)));
  CHECK(list.take({1})->size() == 1);
  CHECK(list.decode(torch::ones({3})).text.empty());
  CHECK(caught([&] { static_cast<void>(list.encode(2)); }).code == "value.index");
  CHECK(caught([] { EmptyLabelList(-1); }).code == "value.items");
  const auto lists = make_labels({Label(), 1}, {"x"}, {.label_cls = LabelKind::kEmpty});
  CHECK(lists.train->kind() == LabelKind::kEmpty);
  CHECK(lists.kept_train == Indices{0, 1});
  CHECK(lists.valid->size() == 1);
}

TEST_CASE("Unknown labels are named in the order of their first appearance, five at most") {
  const CapturedLog log;
  const auto lists =
      make_labels({"a"}, {"z", "c", "z", "a", "x", "b", "y", "w"}, {.classes = Strings{"a"}});
  CHECK(lists.kept_valid == Indices{3});
  REQUIRE(log.warnings.size() == 1);
  CHECK(mentions(log.warnings[0], "discarded.\nz, c, x, b, y..."));
  CHECK(make_labels({}, {"a"}, {.label_cls = LabelKind::kCategory, .classes = Strings{"a"}})
            .valid->text(0) == "a");
}

TEST_CASE("Classes of another type than the labels match by their texts") {
  const CapturedLog log;
  const auto by_text = [](const std::vector<Label>& labels, ClassNames classes) {
    return make_labels(labels, {}, {.label_cls = LabelKind::kCategory, .classes = classes}).train;
  };
  CHECK(by_text({1, 0}, Strings{"0", "1", "x"})->classes_str() == "[0, 1, 'x']");
  CHECK(by_text({"1", "x"}, {std::int64_t{1}, "x"})->classes_str() == "['1', 'x']");
  CHECK(by_text({true, false}, Strings{"True", "False"})->classes_str() == "[True, False]");
  CHECK(by_text({1.5, 2.0}, Strings{"2", "1.5"})->classes_str() == "[2.0, 1.5]");
  CHECK(log.warnings.empty());
  // Nothing needs to be sorted.
  CHECK(by_text({"x", 1, "y"}, {"x", std::int64_t{1}})->classes_str() == "['x', 1]");
  CHECK(log.warnings.size() == 1);
  // 007 is another text than 7.
  CHECK(by_text({7, 8}, Strings{"007", "8"})->size() == 1);
}

TEST_CASE("What cannot be made labels of is refused, and the item is named") {
  const auto error = [](const std::vector<Label>& train, const std::vector<Label>& valid,
                        const LabelOptions& options) {
    return caught([&] {
      make_labels(train, valid, options,
                  {{}, [](std::int64_t i) { return "v" + std::to_string(i) + ".png"; }});
    });
  };
  const LabelOptions tags{.label_delim = " "};
  const auto open = error({"a b"}, {"a", "\"a b"}, tags);
  CHECK(open.code == "data.open_quote");
  CHECK(mentions(open.message, "v1.png"));
  CHECK(error({"a\nb"}, {}, tags).code == "data.line_break");
  CHECK(mentions(error({"a", "a\rb"}, {}, tags).message, "item 1 of the train set"));
  for (const std::string delim : {"", "ab", "\"", "\n", "\xC3\xA9x"}) {
    CHECK(error({"a"}, {}, {.label_delim = delim}).code == "value.label_delim");
  }
  CHECK(error({"a", Label()}, {}, tags).code == "data.missing_value");
  const auto missing = error({"a"}, {"a", Label()}, tags);
  CHECK(missing.code == "data.missing_value");
  CHECK(mentions(missing.message, "v1.png"));
  CHECK(error({1.5, "x"}, {}, {}).code == "data.not_a_number");
  CHECK(error({1.5, std::nan("")}, {}, {}).code == "data.missing_value");
  CHECK(error({1.5}, {Label(std::vector<double>{1, 2})}, {}).code == "data.length");
  CHECK(error({"a", Strings{"b"}}, {}, {}).code == "data.cannot_sort");
  CHECK(error({}, {}, {.label_cls = LabelKind::kFloat}).code == "data.no_labels");
  CHECK(error({}, {"a"}, tags).code == "data.no_labels");
  CHECK(error({"a"}, {}, {.classes = Strings{"a", "a"}}).code == "value.classes");
  const LabelOptions one_hot{.classes = Strings{"a", "b"}, .one_hot = true};
  CHECK(error({std::vector<int>{1, 0}}, {std::vector<int>{1}}, one_hot).code == "data.length");
  const auto large = error({std::vector<int>{1, 0}}, {std::vector<int>{0, 4}}, one_hot);
  CHECK(large.code == "data.one_hot");
  CHECK(mentions(large.message, "v0.png has 4.0 for class 1"));
}

TEST_CASE("A delimiter is any one letter, and quotes protect it") {
  const auto texts = [](const std::vector<Label>& labels, const std::string& delim) {
    return texts_of(*make_labels(labels, {}, {.label_delim = delim}).train);
  };
  CHECK(texts({"a·b", "b"}, "·") == Strings{"a;b", "b"});
  CHECK(texts({"\"a b\" c", "a\"b", "\"a\"b \"c\"\"d\""}, " ") ==
        Strings{"a b;c", "a\"b", "ab;c\"d"});
  CHECK(texts({"\"a\nb\" c"}, " ") == Strings{"a\nb;c"});
  CHECK(texts({"", "a"}, " ") == Strings{"", "a"});
}

TEST_CASE("One warning tells of empty labels, whatever their number") {
  const CapturedLog log;
  const auto make = [&](std::vector<Label> train, std::vector<Label> valid) {
    make_labels(train, valid, {.label_delim = " "});
  };
  make({"a  b", " a", "b "}, {"a  b"});
  REQUIRE(log.warnings.size() == 1);
  CHECK(mentions(log.warnings[0], "The label 'a  b' of item 0 of the train set"));
  // Unknown there, so it is no class.
  make({"a b"}, {"a  b"});
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("A warning tells of logarithms that are no numbers") {
  const CapturedLog log;
  make_labels({1.0, 2.0}, {1.0, -3.0}, {.log = true});
  REQUIRE(log.warnings.size() == 1);
  CHECK(mentions(log.warnings[0],
                 "The logarithm of -3.0, the label of item 1 of the valid set, is "
                 "nan"));
}

TEST_CASE("A missing cell is an error that names the row, or no label where that is allowed") {
  const auto table = Table::parse_csv(kTags);
  const auto error = caught([&] { label_from_df(table, "tags", {.label_delim = " "}); });
  CHECK(error.code == "data.missing_value");
  CHECK(mentions(error.message,
                 "You have NaN values in column(s) tags of your dataframe, please fix it."));
  CHECK(mentions(error.message, "row 1, counted from 0, of the column 'tags'"));
  CHECK(mentions(error.message, ".allow_empty"));
  const auto [labels, options] =
      label_from_df(table, "tags", {.label_delim = " ", .allow_empty = true});
  CHECK(labels[1].missing());
  CHECK(texts_of(*make_labels(labels, labels, options).valid) == Strings{"clear;haze", ""});
  // One class cannot be none.
  CHECK(caught([&] { label_from_df(table, "tags", {.allow_empty = true}); }).code ==
        "data.missing_value");
}

TEST_CASE("Several columns are one-hot labels or numbers") {
  const auto table = Table::parse_csv(kTags);
  const auto [labels, options] = label_from_df(table, {"dog", "cat"});
  CHECK(options.one_hot);
  const auto lists = make_labels(labels, {}, options);
  CHECK(lists.train->classes() == Strings{"dog", "cat"});
  CHECK(texts_of(*lists.train) == Strings{"cat", "dog"});
  const auto numbers = label_from_df(table, {-3, -1}, {.label_cls = LabelKind::kFloat});
  CHECK(texts_of(*make_labels(numbers.labels, {}, numbers.options).train) ==
        Strings{"[1. 3.]", "[0.  4.5]"});
  const auto wrong = label_from_df(table, {"cat", "age"});
  CHECK(caught([&] { make_labels(wrong.labels, {}, wrong.options); }).code == "data.one_hot");
  CHECK(caught([&] {
          label_from_df(table, {"cat", "dog"}, {.label_cls = LabelKind::kCategory});
        }).code == "value.label_cls");
  CHECK(caught([&] { label_from_df(table, ColumnIds(std::vector<ColumnId>{})); }).code ==
        "data.no_column");
  CHECK(caught([&] { label_from_df(table, {"cat", "cow"}); }).code == "data.no_column");
  CHECK(caught([&] { label_from_df(table, 9); }).code == "value.index");
}

TEST_CASE("A user's own kind of labels fills a batch") {
  const CornerList list({{1, 2}, {3, 4}});
  CHECK(list.targets().equal(torch::tensor({1, 2, 3, 4}, torch::kInt).reshape({2, 2})));
  CHECK(list.take({})->targets().sizes() == torch::IntArrayRef({0, 2}));
  CHECK(list.classes().empty());
  const SampleLayout layout{{}, {list.layout()}};
  const auto batch = torch::zeros({2, 2}, torch::kInt);
  list.encode_into(1, SampleSlot(layout, {}, {batch.data_ptr()}, 1));
  CHECK(batch.equal(torch::tensor({0, 0, 3, 4}, torch::kInt).reshape({2, 2})));
  const CornerList wrong({{1, 2}}, 3);
  const auto error =
      caught([&] { wrong.encode_into(0, SampleSlot(layout, {}, {batch.data_ptr()}, 0)); });
  CHECK(error.code == "data.shape");
  CHECK(mentions(error.message, "is 2 of Int, but the labels promise 3 of Int"));
}
