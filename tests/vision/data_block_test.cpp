// What the golden file does not have: bad input, data saved and loaded; and its cases that index a list.
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

void draw(const Path& file, float light) {
  make_folder(file.parent_path());
  Image::from_tensor(torch::full({3, 12, 16}, light)).save(file);
}

Path csv(const TempDir& dir, const std::string& text) {
  write_file(dir / "labels.csv", text);
  return "labels.csv";
}

const DatabunchOptions kSmall{.bs = 2, .num_workers = 0, .device = torch::kCPU};

}  // namespace

TEST_CASE("bad tables name file, row and remedy") {
  TempDir dir;
  draw(dir / "a.png", 0.1f);
  draw(dir / "b.png", 0.9f);
  const auto tried = [&](const std::string& text, LabelOptions options = {}) {
    CapturedLog log;
    return caught([&] {
      ImageList::from_csv(dir.path(), csv(dir, text))
          .split_none()
          .label_from_df(options)
          .transform({}, {.size = 8})
          .databunch(kSmall);
    });
  };
  const auto has = [](const Caught& error, const std::string& text) {
    return error.message.find(text) != std::string::npos;
  };
  const auto no_column = tried("name\na.png\n");
  CHECK(no_column.code == "value.index");
  const auto long_row = tried("name,label\na.png,x,surplus\n");
  CHECK(long_row.code == "table.row_length");
  CHECK(has(long_row, "labels.csv"));
  const auto missing = tried("name,label\na.png,x\nb.png,\n");
  CHECK(missing.code == "data.missing_value");
  CHECK(has(missing, "You have NaN values in column(s) 1 of your dataframe, please fix it."));
  const auto absent = tried("name,label\nnowhere.png,x\na.png,y\n");
  CHECK(absent.code == "io.cannot_read");
  CHECK(has(absent, "nowhere.png"));
  CHECK(tried("name,label\n").code == "data.empty");
  CHECK(tried("").code == "table.empty");
  // Rows without tags are an error unless they are meant.
  CHECK(tried("name,label\na.png,x y\nb.png,\n", {.label_delim = " "}).code ==
        "data.missing_value");
  CHECK(tried("name,label\na.png,x y\nb.png,\n", {.label_delim = " ", .allow_empty = true})
            .code.empty());
  CHECK(caught([&] { ImageList::from_folder(dir.path()).split_none().label_from_df(); }).code ==
        "data.no_table");
  CHECK(caught([&] {
          ImageList::from_folder(dir.path()).split_none().label_from_lists({"x"}, {});
        }).code == "data.length");
  CHECK(caught([&] { ImageDataBunch::from_csv(dir.path(), {.csv_labels = "none.csv"}); }).code ==
        "io.cannot_read");
}

TEST_CASE("an empty folder, one class, a validation set without a class") {
  TempDir dir;
  make_folder(dir / "empty");
  CapturedLog log;
  const auto nothing = caught(
      [&] { ImageList::from_folder(dir / "empty").split_by_rand_pct(0.2, 1).label_from_folder(); });
  CHECK(nothing.code == "data.no_labels");
  CHECK(log.warnings.size() == 2);  // both parts are empty
  for (const auto* name : {"x/1.png", "x/2.png", "y/3.png", "y/4.png"})
    draw(dir / "all" / name, 0.5f);
  log.warnings.clear();
  const auto data = ImageList::from_folder(dir / "all")
                        .split_by_idx({0})
                        .label_from_folder()
                        .transform({}, {.size = 8})
                        .databunch(kSmall);
  CHECK(data.classes() == std::vector<std::string>{"x", "y"});
  CHECK(log.warnings.empty());
  // A class that only validation has is left out with its items.
  const auto half = ImageList::from_folder(dir / "all").split_by_idx({2, 3}).label_from_folder();
  CHECK(half.valid().size() == 0);
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("unknown labels") != std::string::npos);
}

TEST_CASE("a list keeps items and rows together") {
  TempDir dir;
  const auto list = [&] {
    return ImageList::from_csv(
        dir.path(), csv(dir, "name,label,v\na.png,x,0\nb.png,y,1\nc.png,z,0\nd.png,w,1\n"));
  };
  const auto second = list()[{-1, 0}];
  CHECK(second.items() == std::vector<Path>{dir / "d.png", dir / "a.png"});
  CHECK((*second.inner_df())["label"].text(0) == "w");
  const auto filtered =
      list().filter_by_func([](const Path& file) { return file.filename() != "b.png"; });
  CHECK((*filtered.inner_df())["label"].text(1) == "z");
  CHECK(filtered.split_from_df("v").split().valid == std::vector<std::int64_t>{2});
  // Rows of a list without a table have missing cells.
  auto both = list();
  both.add(ImageList({dir / "e.png"}, dir.path()));
  CHECK(both.size() == 5);
  CHECK((*both.inner_df())["label"].missing(4));
  CHECK(caught([&] { both.split_none().label_from_df(); }).code == "data.missing_value");
  CapturedLog log;
  list().no_split();
  list().random_split_by_pct(0.5, 1);
  REQUIRE(log.warnings.size() == 2);
  CHECK(log.warnings[0] == "`no_split` is deprecated, please use `split_none`.");
  CHECK(log.warnings[1] == "`random_split_by_pct` is deprecated, please use `split_by_rand_pct`.");
}

TEST_CASE("data of every kind is saved and loaded") {
  TempDir dir;
  for (const auto* name : {"a.png", "b.png", "c.png", "d.png"}) draw(dir / "in" / name, 0.4f);
  const std::string text =
      "name,class,tags,number,other\na.png,3,x y,0.5,1\nb.png,7,y,1e-05,2\n"
      "c.png,3,x,-2.25,3\nd.png,7,y x,7,4\n";
  const auto tfms = get_transforms({.max_rotate = 5});
  struct Kind {
    ColumnIds cols;
    LabelOptions options;
  };
  for (const auto& kind :
       {Kind{"class", {}}, Kind{"tags", {.label_delim = " "}}, Kind{"number", {.log = true}},
        Kind{{"number", "other"}, {.label_cls = LabelKind::kFloat}}}) {
    CapturedLog log;
    write_file(dir / "in/labels.csv", text);
    const auto data = ImageList::from_csv(dir / "in", "labels.csv")
                          .split_by_idx({3, 0})
                          .label_from_df(kind.cols, kind.options)
                          .add_test({dir / "in/a.png"})
                          .transform(tfms, {.size = 8, .padding_mode = PaddingMode::kZeros})
                          .databunch(kSmall)
                          .normalize(imagenet_stats);
    data.save("saved.json");
    data.export_data();
    // Elsewhere too: names are relative.
    const auto moved = dir / ("moved_" + kind.cols.text());
    std::filesystem::copy(dir / "in", moved, std::filesystem::copy_options::recursive);
    const auto loaded = load_data(moved, "saved.json", kSmall);
    CHECK(loaded.path() == moved);
    for (const auto type : {DatasetType::Train, DatasetType::Valid, DatasetType::Test}) {
      const auto &a = data.ds(type), &b = loaded.ds(type);
      REQUIRE(a.size() == b.size());
      for (std::size_t i = 0; i < a.list().items.size(); ++i) {
        CHECK(a.list().items[i].filename() == b.list().items[i].filename());
        CHECK(a.list().label(static_cast<std::int64_t>(i)) ==
              b.list().label(static_cast<std::int64_t>(i)));
      }
      CHECK(torch::allclose(*a.targets(), *b.targets(), 0, 0, /*equal_nan=*/true));
      CHECK(a.tfms() == b.tfms());
      CHECK(b.options().padding_mode == PaddingMode::kZeros);
    }
    CHECK(loaded.classes_str() == data.classes_str());
    CHECK(loaded.c() == data.c());
    CHECK_FALSE(loaded.stats());  // not saved, as in fastai
    const auto empty = ImageDataBunch::load_empty(moved);
    CHECK(empty.is_empty());
    CHECK(empty.labels()->name() == data.labels()->name());
    CHECK(empty.classes_str() == data.classes_str());
    REQUIRE(empty.stats());
    CHECK(empty.stats()->mean == imagenet_stats.mean);
    CHECK(empty.one_item(Path(dir / "in/a.png"))
              .one("x")
              .equal(data.one_item(Path(dir / "in/a.png")).one("x")));
  }
  for (const auto* bad : {"", "{", "[]", "{\"format\": \"fastcpp data\"}",
                          "{\"format\": \"fastcpp data\", \"version\": 99}",
                          "{\"format\": \"fastcpp data\", \"version\": 1, \"train\": 3}"}) {
    write_file(dir / "bad.json", bad);
    const auto error = caught([&] { load_data(dir.path(), "bad.json"); });
    CHECK(error.code == "data.bad_file");
    CHECK(error.message.find("bad.json") != std::string::npos);
  }
}

TEST_CASE("files elsewhere, test items without labels, rows of the whole table") {
  TempDir dir;
  for (const auto* name : {"in/a.png", "in/b.png", "in/c.png"}) draw(dir / name, 0.4f);
  write_file(dir / "in/labels.csv", "name,tags\na.png,x y\nb.png,y\nc.png,x\n");
  const auto data =
      ImageList::from_csv(dir / "in", "labels.csv")
          .split_by_idx({1})
          .label_from_df({.label_delim = " "})
          .add_test({dir / "in/a.png", dir / "in/b.png"})
          .transform({}, {.size = 8})
          .databunch({.path = dir / "out", .bs = 2, .num_workers = 0, .device = torch::kCPU});
  // What nobody labelled has no label in words.
  CHECK_NOTHROW(data.show_batch({.rows = 1, .ds_type = DatasetType::Test}));
  CHECK(data.ds(DatasetType::Test).list().label(0).empty());
  // The files do not lie below the bunch's path: they are found all the same.
  data.save();
  const auto loaded = load_data(dir / "out", "data_save.json", kSmall);
  CHECK(loaded.ds(DatasetType::Train).list().items == data.ds(DatasetType::Train).list().items);
  write_file(dir / "in/deep.json", "{\"format\": \"fastcpp data\", \"version\": " +
                                       std::string(100000, '[') + std::string(100000, ']') + "}");
  CHECK(caught([&] { load_data(dir / "in", "deep.json"); }).code == "data.bad_file");
  // One label for all test items, and a row that is counted in the whole table.
  const auto lists = ImageList::from_folder(dir / "in").split_by_idx({1}).label_const("x");
  auto with_test = lists;
  with_test.add_test({dir / "in/a.png", dir / "in/b.png"}, {"x"});
  CHECK(with_test.test()->label(1) == "x");
  write_file(dir / "in/labels.csv", "name,tags\na.png,x\nb.png,y\nc.png,\n");
  const auto error = caught(
      [&] { ImageList::from_csv(dir / "in", "labels.csv").split_by_idx({2}).label_from_df(); });
  CHECK(error.code == "data.missing_value");
  CHECK(error.message.find("row 2") != std::string::npos);
  CHECK(error.message.find("c.png") != std::string::npos);
}

TEST_CASE("a list is indexed by numbers, masks and slices") {
  std::size_t found = 0;
  for (const auto& kase : golden("datablock.json")["splits"]) {
    const std::string op = kase["op"];
    if (op != "getitem") continue;
    ++found;
    const std::string name = kase["name"];
    CAPTURE(name);
    std::vector<Path> items;
    for (int i = 0; i < kase["n"].get<int>(); ++i) items.push_back(std::to_string(i));
    const ImageList list(items);
    const auto& idxs = kase["args"]["idxs"];
    std::vector<std::string> kept;
    const auto failed = caught([&] {
      const auto some = idxs.is_object() ? list.slice(idxs["start"], idxs["stop"], idxs["step"])
                        : !idxs.empty() && idxs[0].is_boolean()
                            ? list.where(idxs.get<std::vector<bool>>())
                            : list[idxs.get<std::vector<std::int64_t>>()];
      for (const auto& item : some.items()) kept.push_back(item.string());
    });
    if (kase["expect"].contains("error")) {
      CHECK(failed.code == "value.index");
      continue;
    }
    std::vector<std::string> want;
    for (const auto& i : kase["expect"]["kept"]) want.push_back(std::to_string(i.get<int>()));
    CHECK(kept == want);
  }
  CHECK(found == 6);
}
