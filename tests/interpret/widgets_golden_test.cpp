// What the widgets of the notebook decide: cleaning, similar pictures, single confusions. Golden cases, and what they lack.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <fmt/format.h>

#include <algorithm>

#include "fastcpp/data/table.hpp"
#include "fastcpp/interpret/class_confusion.hpp"
#include "fastcpp/interpret/dataset_formatter.hpp"
#include "fastcpp/interpret/image_cleaner.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "plot/layout.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

const Json& section(const char* name) {
  return golden("datablock.json").at(name);
}

using Texts = std::vector<std::string>;
using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

// One file an item, whose label is its folder.
LabelledFiles make_files(const Path& folder, const Texts& names, const Texts& classes) {
  LabelledFiles items;
  items.classes = classes;
  for (const auto& name : names) {
    write_file(folder / name, "a picture");
    items.files.push_back(folder / name);
    items.labels.push_back(Path(name).parent_path().string());
  }
  return items;
}

LabelledFiles cats_and_dogs(const Path& folder) {
  return make_files(folder, {"cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"}, {"cat", "dog"});
}

Texts shown(const BasicImageWidget& widget, const Path& folder) {
  Texts names;
  for (const auto& picture : widget.shown()) {
    names.push_back(widget.file(picture.index).lexically_relative(folder).generic_string());
  }
  return names;
}

std::string bare(const Figure& figure) {
  std::string all;
  for (const auto& box : plot_detail::layout_of(figure).texts) all += "[" + box.text + "]";
  return all;
}

}  // namespace

TEST_CASE("golden: the cleaner's pages and its file") {
  REQUIRE(section("cleaner").size() == 4);
  for (const auto& c : section("cleaner")) {
    INFO(c.at("name").get<std::string>());
    TempDir dir;
    const auto& expect = c.at("expect");
    const auto items =
        make_files(dir.path(), c.at("items").get<Texts>(), expect.at("classes").get<Texts>());
    for (const auto& gone : c.value("gone", Texts())) std::filesystem::remove(dir / gone);
    ImageCleaner cleaner(
        items, c.at("order").get<std::vector<std::int64_t>>(), dir.path(),
        {.batch_size = c.value("batch_size", 5), .duplicates = c.value("duplicates", false)});
    REQUIRE(expect.at("steps").size() == c.at("actions").size() + 1);
    // All the way, back to the beginning, and all the way again.
    for (int round = 0; round < 2; ++round) {
      for (const auto& step : expect.at("steps")) {
        const auto& action = step.at("action");
        INFO(action.dump());
        const auto what = action.is_null() ? "" : action.at(0).get<std::string>();
        if (what == "relabel") cleaner.relabel(action.at(1), action.at(2));
        if (what == "delete") cleaner.toggle_delete(action.at(1));
        if (what == "next") cleaner.next();
        CHECK(read_file(cleaner.csv()) == step.at("csv").get<std::string>());
        CHECK(shown(cleaner, dir.path()) == step.value("shown", Texts()));
        CHECK(cleaner.message() == step.value("message", ""));
      }
      while (cleaner.undo()) {
      }
      CHECK(read_file(cleaner.csv()) == expect.at("steps").at(0).at("csv").get<std::string>());
    }
  }
}

TEST_CASE("golden: similar pictures") {
  REQUIRE(section("similar").size() == 5);
  for (const auto& c : section("similar")) {
    INFO(c.at("name").get<std::string>());
    const auto n = c.at("n").get<std::int64_t>(), d = c.at("d").get<std::int64_t>();
    const auto key = c.at("key").get<std::string>();
    auto acts = torch::empty({n, d});
    for (std::int64_t i = 0; i < n * d; ++i) {
      const auto at = static_cast<std::uint64_t>(i);
      acts.view(-1)[i] = c.value("signed", false) ? 2 * sgn(key, at) : 4 * u01(key, at);
    }
    const auto found = DatasetFormatter::comb_similarity(acts);
    REQUIRE(c.at("similarities").size() == static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) {
      const auto row = numbers(c.at("similarities").at(static_cast<std::size_t>(i)));
      REQUIRE(row.size() == static_cast<std::size_t>(i));
      for (std::int64_t j = 0; j < n; ++j) {
        const auto expected = j < i ? row[static_cast<std::size_t>(j)] : 0.0;
        CHECK(std::abs(found[i][j].item<double>() - expected) <= 1e-6);
      }
    }
    CHECK(DatasetFormatter::similar_pairs(acts) == c.at("expect").get<Pairs>());
  }
}

TEST_CASE("pairs of many items are found block by block") {
  // Angles: the cosine of two falls with their distance. 2100 rows need two blocks.
  const std::int64_t n = 2100;
  const auto angle = torch::arange(n, torch::kFloat64) * 1e-4;
  auto acts = torch::stack({angle.cos(), angle.sin()}, 1);
  acts[7] = acts[2050];
  acts[2051] = acts[3];
  const auto pairs = DatasetFormatter::similar_pairs(acts);
  REQUIRE(pairs.size() == static_cast<std::size_t>(n));
  CHECK(
      std::count(pairs.begin(), pairs.begin() + 2, std::pair<std::int64_t, std::int64_t>(2050, 7)) +
          std::count(pairs.begin(), pairs.begin() + 2,
                     std::pair<std::int64_t, std::int64_t>(2051, 3)) ==
      2);
  for (const auto& [i, j] : pairs) CHECK(i > j);
  CHECK(DatasetFormatter::similar_pairs(torch::ones({1, 3})).empty());
  CHECK(DatasetFormatter::similar_pairs(torch::ones({0, 3})).empty());
  // Equal ones in the order of their indices; rows of zeros are no reason to divide by zero.
  CHECK(DatasetFormatter::similar_pairs(torch::zeros({3, 2})) == Pairs{{1, 0}, {2, 0}, {2, 1}});
  CHECK(caught([] { DatasetFormatter::similar_pairs(torch::ones(3)); }).code == "value.tensor");
}

TEST_CASE("golden: tabs of confused classes") {
  const auto& c = section("class_confusion");
  REQUIRE(c.at("cases").size() == 6);
  TempDir dir;
  std::vector<Path> files;
  for (const auto& name : c.at("files").get<Texts>()) {
    files.push_back(dir / name);
    Image::from_tensor(torch::rand({3, 2, 2})).save(dir / name);
  }
  const LabelList list(files, c.at("actual").get<std::vector<std::int64_t>>(),
                       c.at("classes").get<Texts>());
  const auto set = std::make_shared<ImageDataset>(list, TfmList{}, ApplyTfmsOptions{});
  const auto data =
      DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                        {.num_workers = 0, .device = torch::kCPU, .classes = list.classes()});
  const Learner learn(data, Model(torch::nn::Sequential(torch::nn::Identity())), {.silent = true});
  const auto predicted =
      torch::tensor(c.at("predicted").get<std::vector<std::int64_t>>(), torch::kLong);
  const ClassificationInterpretation interp(learn, torch::one_hot(predicted, 3).to(torch::kFloat32),
                                            list.y->targets(),
                                            torch::tensor(numbers(c.at("losses"))));
  for (const auto& one : c.at("cases")) {
    INFO(one.dump());
    const auto& names = one.at("classlist");
    const auto classes = one.at("is_ordered").get<bool>()
                             ? ConfusedClasses(names.get<std::vector<ConfusedClasses::Pair>>())
                             : ConfusedClasses(names.get<Texts>());
    const ClassConfusion confusion(interp, classes, {.k = one.at("k").get<std::int64_t>()});
    REQUIRE(confusion.tabs().size() == one.at("tabs").size());
    for (std::size_t i = 0; i < confusion.tabs().size(); ++i) {
      const auto& tab = confusion.tabs()[i];
      const auto& expect = one.at("tabs").at(i);
      CHECK(tab.title == expect.at("title").get<std::string>());
      CHECK(tab.rows == expect.at("rows").get<int>());
      CHECK(tab.cols == expect.at("cols").get<int>());
      CHECK(tab.files == expect.at("pictures").get<Texts>());
    }
  }

  // A larger grid, when k asks for it and the pair has the pictures.
  const ClassConfusion braces(interp, {"cat", "fox"}, {.k = 7, .figsize = {4, 4}, .dpi = 50});
  REQUIRE(braces.tabs().size() == 2);
  CHECK(braces.tabs()[0].title == "cat | fox");
  const auto figure = braces.figure(0);
  CHECK(figure.pixel_width() == 200);
  CHECK(figure.size() == 4);
  CHECK(bare(figure).find("[pic18.png]") != std::string::npos);
  CHECK(bare(figure).find("[cat | fox]") != std::string::npos);
  CHECK(caught([&] { braces.figure(2); }).code == "value.index");
  CHECK(ClassConfusion(interp, {{"fox", "cat"}}).tabs().size() == 1);
  CHECK(caught([&] { ClassConfusion(interp, {"cat", "bird"}); }).code == "value.class_name");
  CHECK(caught([&] { ClassConfusion(interp, {"cat", "fox"}, {.k = 0}); }).code == "value.k");
  auto all_wrong = torch::zeros({40, 3});
  all_wrong.select(1, 1).fill_(1);
  const ClassificationInterpretation dogs(learn, all_wrong, torch::zeros({40}, torch::kLong),
                                          torch::arange(40, torch::kFloat32));
  const ClassConfusion many(dogs, {{"cat", "dog"}}, {.k = 7});
  REQUIRE(many.tabs().size() == 1);
  CHECK(many.tabs()[0].cols == 3);
  CHECK(many.tabs()[0].rows == 3);
  CHECK(many.tabs()[0].files.size() == 7);
  CHECK(many.tabs()[0].files[0] == "pic39.png");
}

TEST_CASE("what the cleaner does with input that does not fit") {
  TempDir dir;
  const auto items = cats_and_dogs(dir.path());
  const auto code = [&](const std::vector<std::int64_t>& indices,
                        ImageCleanerOptions options = {}) {
    return caught([&] { ImageCleaner(items, indices, dir.path(), options); }).code;
  };
  CHECK(code({4}) == "value.index");
  CHECK(code({-1}) == "value.index");
  CHECK(code({0}, {.batch_size = 0}) == "value.batch_size");
  CHECK(code({0, 1, 2}, {.duplicates = true}) == "value.pairs");
  auto lacking = items;
  lacking.labels.pop_back();
  CHECK(caught([&] { ImageCleaner(lacking, {0}, dir.path()); }).code == "data.length");
  CHECK_FALSE(std::filesystem::exists(dir / "cleaned.csv"));

  ImageCleaner cleaner(items, {3, 0}, dir.path(), {.batch_size = 1});
  CHECK(cleaner.left() == 1);
  CHECK(caught([&] { cleaner.relabel(1, "cat"); }).code == "value.index");
  CHECK(caught([&] { cleaner.toggle_delete(1); }).code == "value.index");
  CHECK(caught([&] { cleaner.relabel(0, "bird"); }).code == "value.class_name");
  CHECK_FALSE(cleaner.undo());
  cleaner.relabel(0, "dog");  // what it is already
  CHECK_FALSE(cleaner.undo());
  cleaner.relabel(0, "cat");
  CHECK(cleaner.label(3) == "cat");
  CHECK(items.labels[3] == "dog");
  CHECK(caught([&] { cleaner.label(4); }).code == "value.index");
  CHECK(caught([&] { cleaner.file(4); }).code == "value.index");

  const ImageCleaner nothing(items, {}, dir.path());
  CHECK(nothing.done());
  CHECK(nothing.message() == "No images to show :)");
}

TEST_CASE("a page that cannot be written can be turned again") {
  TempDir dir;
  ImageCleaner cleaner(cats_and_dogs(dir.path()), {0, 1}, dir / "csv", {.batch_size = 1});
  cleaner.toggle_delete(0);
  std::filesystem::remove_all(dir / "csv");
  write_file(dir / "csv", "a file where the folder was");
  CHECK_FALSE(caught([&] { cleaner.next(); }).code.empty());
  CHECK(shown(cleaner, dir.path()) == Texts{"cat/1.png"});
  CHECK(cleaner.shown()[0].marked);
  std::filesystem::remove(dir / "csv");
  cleaner.next();
  CHECK(shown(cleaner, dir.path()) == Texts{"cat/2.png"});
  CHECK(Table::read_csv(cleaner.csv()).rows() == 3);
}

TEST_CASE("a file that the data set holds twice is one picture") {
  TempDir dir;
  auto items = cats_and_dogs(dir.path());
  items.files.push_back(items.files[0]);
  items.labels.push_back("dog");
  ImageCleaner cleaner(items, {4}, dir.path());
  CHECK(cleaner.shown()[0].index == 0);
  CHECK(cleaner.label(0) == "dog");
  CHECK(Table::read_csv(cleaner.csv()).rows() == 4);
  cleaner.toggle_delete(0);
  cleaner.next();
  CHECK(Table::read_csv(cleaner.csv())["name"].text(0) == "cat/2.png");
  // Nor is it similar to itself.
  CHECK(ImageCleaner(items, {0, 4, 0, 1}, dir.path(), {.duplicates = true}).left() == 0);
}

TEST_CASE("data_deleter leaves items out, also those whose file is gone") {
  TempDir dir;
  const auto items = cats_and_dogs(dir.path());
  std::filesystem::remove(dir / "dog/3.png");
  data_deleter(dir.path(), items, {2, 0, 2});
  CHECK(read_file(dir / "cleaned.csv") == "name,label\r\ncat/2.png,cat\r\ndog/4.png,dog\r\n");
  CHECK(caught([&] { data_deleter(dir.path(), items, {4}); }).code == "value.index");
}

TEST_CASE("predictions are corrected, and the corrections shown") {
  TempDir dir;
  LabelledFiles items = cats_and_dogs(dir.path());
  for (const auto& file : items.files) Image::from_tensor(torch::rand({3, 4, 4})).save(file);
  PredictionsCorrector corrector(items, {3, 1, 0}, {.batch_size = 2});
  corrector.relabel(0, "cat");
  corrector.relabel(1, "dog");
  corrector.next();
  corrector.relabel(0, "dog");
  corrector.relabel(0, "cat");  // as it was: no correction
  CHECK(corrector.corrected_labels() == Texts{"cat", "dog", "dog", "cat"});
  CHECK(corrector.corrections() == std::vector<std::int64_t>{1, 3});
  const auto figure = corrector.show_corrections(4);
  CHECK(figure.size() == 2);
  CHECK(bare(figure) == "[1: cat -> dog][3: dog -> cat]");
  CHECK(corrector.show_corrections(1).pixel_height() == 600);
  CHECK(caught([&] { corrector.show_corrections(0); }).code == "value.rows");
  corrector.next();
  CHECK(corrector.message() == "No images to show :)");
  while (corrector.undo()) {
  }
  CHECK(corrector.corrected_labels() == items.labels);
  CHECK(corrector.show_corrections(4).png().starts_with("\x89PNG"));
  CHECK_FALSE(std::filesystem::exists(dir / "cleaned.csv"));
}
