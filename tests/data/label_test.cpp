#include "fastcpp/data/files.hpp"
#include "fastcpp/data/label_list.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

constexpr const char* kPets = R"(/([^/]+)_\d+.jpg$)";

}  // namespace

TEST_CASE("labels by regular expression") {
  const std::vector<Path> files{"x/images/Maine_Coon_12.jpg", "x/images/pug_1.jpg"};
  CHECK(label_from_re(files, kPets) == std::vector<std::string>{"Maine_Coon", "pug"});
  const auto error = caught([] { label_from_re({"x/cat.png"}, kPets); });
  CHECK(error.code == "data.no_match");
  CHECK(error.message == "Failed to find \"/([^/]+)_\\d+.jpg$\" in \"x/cat.png\"");
  CHECK(caught([] { label_from_re({}, "(["); }).code == "value.pattern");
  CHECK(caught([] { label_from_re({}, "abc"); }).code == "value.pattern");
}

TEST_CASE("classes are the sorted training labels, capitals first") {
  const std::vector<Path> items{"0", "1", "2", "3", "4", "5"};
  const std::vector<std::string> labels{"pug", "Bengal", "beagle", "Bengal", "zebra", "pug"};
  CapturedLog log;
  const auto lists = make_label_lists(items, labels, {{0, 1, 2}, {3, 4, 5}});
  CHECK(lists.train.classes == std::vector<std::string>{"Bengal", "beagle", "pug"});
  CHECK(lists.train.y == std::vector<std::int64_t>{2, 0, 1});
  // A validation label that no training item has is dropped, with fastai's warning.
  CHECK(lists.valid.y == std::vector<std::int64_t>{0, 2});
  CHECK(lists.valid.items == std::vector<Path>{"3", "5"});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0] ==
        "You are labelling your items with CategoryList.\nYour valid set contained the following "
        "unknown labels, the corresponding items have been discarded.\nzebra");
  CHECK(caught([&] {
          make_label_lists(items, labels, {{0, 1, 2}, {}}, {{"pug"}});
        }).code == "data.unknown_label");
  CHECK(caught([&] { make_label_lists({}, {}, {}); }).code == "data.empty");
}

TEST_CASE("random split as NumPy makes it") {
  const auto split = split_by_rand_pct(10, 0.25, 42);
  CHECK(split.valid == std::vector<std::int64_t>{8, 1});
  CHECK(split.train == std::vector<std::int64_t>{0, 2, 3, 4, 5, 6, 7, 9});
  CHECK(split_by_rand_pct(7390, 0.2, 2).valid.size() == 1478);
  CHECK(split_by_rand_pct(10, 0, 1).valid.empty());
  CHECK(caught([] { split_by_rand_pct(10, 1.5, 1); }).code == "value.valid_pct");
}

TEST_CASE("split by folder leaves other folders out") {
  const std::vector<Path> files{"d/train/3/a.png", "d/valid/7/b.png", "d/test/c.png"};
  const auto split = split_by_folder(files, "d");
  CHECK(split.train == std::vector<std::int64_t>{0});
  CHECK(split.valid == std::vector<std::int64_t>{1});
  CHECK(label_from_folder(files)[1] == "7");
}

TEST_CASE("listing pictures") {
  TempDir dir;
  for (const char* name : {"b_1.JPG", "a_2.png", ".hidden.jpg", "list.mat", "sub/c_3.jpg",
                           ".git/d_4.jpg", "models/e_5.jpg"}) {
    write_file(dir / name, "x");
  }
  const auto names = [](const std::vector<Path>& files) {
    std::vector<std::string> all;
    for (const auto& file : files) all.push_back(file.filename().string());
    return all;
  };
  CHECK(names(get_image_files(dir.path())) == std::vector<std::string>{"a_2.png", "b_1.JPG"});
  CHECK(names(get_image_files(dir.path(), {.recurse = true})) ==
        std::vector<std::string>{"a_2.png", "b_1.JPG", "e_5.jpg", "c_3.jpg"});
  CHECK(names(get_files(dir.path(), {.recurse = true, .exclude = {"models", ".git"}})).size() == 4);
  CHECK(names(get_files(dir.path(), {.recurse = true, .include = {"sub"}})).back() == "c_3.jpg");
  CHECK(find_classes(dir.path()) == std::vector<std::string>{"models", "sub"});
  CHECK(caught([&] { get_image_files(dir / "none"); }).code == "data.not_a_folder");
  CHECK(caught([&] { get_image_files(dir / "a_2.png"); }).code == "data.not_a_folder");
}
