#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "fastcpp/data/files.hpp"
#include "fastcpp/data/label_list.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

constexpr const char* kPets = R"(/([^/]+)_\d+.jpg$)";

const std::vector<std::int64_t>& indices(const LabelList& list) {
  return dynamic_cast<const CategoryList&>(*list.y).indices();
}

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
  CHECK(lists.train.classes() == std::vector<std::string>{"Bengal", "beagle", "pug"});
  CHECK(indices(lists.train) == std::vector<std::int64_t>{2, 0, 1});
  // A validation label that no training item has is dropped, with fastai's warning.
  CHECK(indices(lists.valid) == std::vector<std::int64_t>{0, 2});
  CHECK(lists.valid.items == std::vector<Path>{"3", "5"});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0] ==
        "You are labelling your items with CategoryList.\nYour valid set contained the following "
        "unknown labels, the corresponding items have been discarded.\nzebra");
  // Classes that are a subset drop items from both sets.
  log.warnings.clear();
  const auto subset = make_label_lists(items, labels, {{0, 1, 2}, {3, 5}}, {{"pug", "beagle"}});
  CHECK(subset.train.items == std::vector<Path>{"0", "2"});
  CHECK(subset.valid.items == std::vector<Path>{"5"});
  REQUIRE(log.warnings.size() == 2);
  CHECK(log.warnings[0].find("Your train set contained the following unknown labels") !=
        std::string::npos);
  CHECK(caught([&] {
          make_label_lists(items, labels, {{0}, {}}, {{"pug", "pug"}});
        }).code == "value.classes");
  CHECK(caught([&] { make_label_lists(items, labels, {{0, 99}, {}}); }).code == "value.index");
  CHECK(caught([&] { make_label_lists(items, labels, {{0}, {-1}}); }).code == "value.index");
  CHECK(caught([&] { static_cast<void>(subset.train.label(99)); }).code == "value.index");
  CHECK(caught([&] { make_label_lists({}, std::vector<std::string>{}, {}); }).code == "data.empty");
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

TEST_CASE("split by folder compares real folders where the names say nothing") {
  TempDir dir;
  for (const char* name : {"train/3/a.png", "valid/7/b.png", "other/c.png"})
    write_file(dir / name, "x");
  const auto here = std::filesystem::relative(dir.path());
  const TempDir elsewhere;
  std::filesystem::create_directory_symlink(dir.path(), elsewhere / "link");
  const auto full = [&](const char* name) { return (dir / name).string(); };
  // The folder from the root, the data from the working folder or through a link.
  for (const auto& path : {here, elsewhere / "link"}) {
    INFO(path.string());
    const std::vector<Path> files{path / "train/3/a.png", path / "valid/7/b.png",
                                  path / "other/c.png"};
    const auto split = split_by_folder(files, path, full("train"), full("valid/"));
    CHECK(split.train == std::vector<std::int64_t>{0});
    CHECK(split.valid == std::vector<std::int64_t>{1});
  }
  // The data from the working folder, their files from the root.
  const std::vector<Path> files{dir / "train/3/a.png", dir / "valid/7/b.png", dir / "other/c.png"};
  const auto split = split_by_folder(files, here);
  CHECK(split.train == std::vector<std::int64_t>{0});
  CHECK(split.valid == std::vector<std::int64_t>{1});
  // A name goes before what it is a link to.
  std::filesystem::create_directory_symlink(dir / "train", dir / "copy");
  const auto named = split_by_folder({dir / "train/3/a.png", dir / "copy/3/a.png"}, dir.path(),
                                     full("train"), full("copy"));
  CHECK(named.train == std::vector<std::int64_t>{0});
  CHECK(named.valid == std::vector<std::int64_t>{1});
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

TEST_CASE("patterns see text, and bytes where names are no text") {
  CHECK(label_from_re({"x/Großer_Hund_1.jpg"}, R"(/(\w+?)_\d+\.jpg$)") ==
        std::vector<std::string>{"Großer_Hund"});
  CHECK(label_from_re({"x/é.jpg"}, "/(.)") == std::vector<std::string>{"é"});
  CHECK(label_from_re({"x/b\xe9te_1.jpg"}, kPets) == std::vector<std::string>{"b\xe9te"});
  CHECK(caught([] { label_from_re({"x/dog.jpg"}, "(cat)|(dog)"); }).code == "data.no_match");
  const auto error =
      caught([] { label_from_re({"x/" + std::string(60, 'a') + "!"}, R"(((a+)+)+$)"); });
  CHECK(error.code == "data.no_match");
}

TEST_CASE("a pattern that needs more than compiled code's stack still matches") {
  const std::string label(40000, 'a');
  CHECK(label_from_re({"x/" + label + "_1.jpg"}, R"(/((?:.|-)+)_\d+\.jpg$)") ==
        std::vector<std::string>{label});
}

TEST_CASE("why a pattern was given up is told") {
  const auto endless =
      caught([] { label_from_re({"x/" + std::string(60, 'a') + "!"}, R"(((a+)+)+$)"); });
  CHECK(endless.code == "data.no_match");
  CHECK(endless.message.find("tries too many ways") != std::string::npos);
  // A pattern that means something for text only.
  const char* text_only = R"(/(\x{1f600}|\w+)_)";
  CHECK(label_from_re({"x/b\u00e9te_1.jpg"}, text_only) == std::vector<std::string>{"b\u00e9te"});
  const auto bytes = caught([&] { label_from_re({"x/b\xe9te_1.jpg"}, text_only); });
  CHECK(bytes.code == "data.no_match");
  CHECK(bytes.message.find("is not UTF-8") != std::string::npos);
  CHECK(bytes.message.find("too many ways") == std::string::npos);
}

TEST_CASE("hidden folders and files that are none stay out") {
  TempDir dir;
  write_file(dir / "cats/a.jpg", "x");
  write_file(dir / ".ipynb_checkpoints/b.jpg", "x");
  write_file(dir / "cats/icon.ico", "x");
  write_file(dir / "test/c.jpg", "x");
  REQUIRE(::mkfifo((dir / "cats/pipe.jpg").c_str(), 0600) == 0);
  // Followed at every level, two links back to the top would be 2^40 folders.
  std::filesystem::create_directory_symlink(dir.path(), dir / "cats/loop");
  std::filesystem::create_directory_symlink(dir.path(), dir / "cats/loop_too");
  std::filesystem::create_symlink("nowhere", dir / "cats/dangling.jpg");
  const GetFilesOptions walk{
      .extensions = image_extensions(), .recurse = true, .exclude = {"test", ".ipynb_checkpoints"}};
  CHECK(get_files(dir.path(), walk) == std::vector<Path>{dir / "cats/a.jpg"});
  CHECK(get_files(dir.path(), {.extensions = image_extensions(), .recurse = true}) ==
        std::vector<Path>{dir / "cats/a.jpg", dir / "test/c.jpg"});
  // As in fastai, hidden folders count where others are excluded by name.
  auto others = walk;
  others.exclude = {"test"};
  CHECK(get_files(dir.path(), others) ==
        std::vector<Path>{dir / ".ipynb_checkpoints/b.jpg", dir / "cats/a.jpg"});
  // A link that leads back above itself is not followed, another is.
  auto links = walk;
  links.followlinks = true;
  CHECK(get_files(dir.path(), links) == std::vector<Path>{dir / "cats/a.jpg"});
  std::filesystem::create_directory_symlink(dir / "test", dir / "cats/more");
  CHECK(get_files(dir.path(), links) ==
        std::vector<Path>{dir / "cats/a.jpg", dir / "cats/more/c.jpg"});
}

TEST_CASE("folders that cannot be listed are left out with one warning", "[skips]") {
  namespace fs = std::filesystem;
  TempDir dir;
  for (const char* name : {"cats/a.jpg", "dogs/closed/b.jpg", "dogs/c.jpg", "lost+found/d.jpg"}) {
    write_file(dir / name, "x");
  }
  const std::vector<Path> closed{dir / "lost+found", dir / "dogs/closed"};
  const auto open = static_cast<fs::perms>(0755);
  for (const auto& folder : {dir.path(), dir / "cats", dir / "dogs"}) fs::permissions(folder, open);
  for (const auto& folder : closed) fs::permissions(folder, fs::perms::none);
  constexpr int kCannotTry = 77;
  // Nothing is closed to root, so a process of its own gives that up.
  const auto child = in_child([&] {
    constexpr unsigned kNobody = 65534;
    if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) return kCannotTry;
    if (::access(dir.path().c_str(), R_OK | X_OK) != 0) return kCannotTry;
    if (::access(closed.front().c_str(), R_OK) == 0) return kCannotTry;
    if (get_files(dir.path(), {.recurse = true}) !=
        std::vector<Path>{dir / "cats/a.jpg", dir / "dogs/c.jpg"}) {
      return 1;
    }
    // Where it is the folder asked for, nothing is left to list.
    return caught([&] { get_files(closed.front()); }).code == "data.not_a_folder" ? 0 : 2;
  });
  for (const auto& folder : closed) fs::permissions(folder, open);
  if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == kCannotTry) {
    return skip("no folder can be closed to this user");
  }
  INFO(child.warnings);
  CHECK(child.status == 0);
  CHECK(child.warnings.find("2 folders below '" + dir.path().string() +
                            "' could not be listed and were left out") != std::string::npos);
  CHECK(child.warnings.find("could not be listed") == child.warnings.rfind("could not be listed"));
}
