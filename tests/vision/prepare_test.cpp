// Prepared pictures: the same pixels, names, labels and numbers as from the files, and what goes wrong.
#include "fastcpp/vision/prepare.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <opencv2/core.hpp>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/io/pack.hpp"
#include "fastcpp/vision/data_report.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "fastcpp/vision/verify_images.hpp"
#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Pictures of two breeds below train and valid, some upright, some small.
struct Breeds {
  Breeds() {
    for (int i = 0; i < 16; ++i) {
      const auto name =
          fmt::format("{}/{}/{:02}", i % 4 ? "train" : "valid", i % 2 ? "pug" : "collie", i);
      const bool upright = i % 3 == 0;
      const int small = i == 5 ? 20 : 60, large = i == 5 ? 24 : 91;
      const auto picture = picture_of(upright ? large : small, upright ? small : large, i);
      write_file(top / (name + (i % 5 ? ".jpg" : ".png")),
                 encoded(picture, "RGB", i % 5 ? ".jpg" : ".png", 95));
    }
  }
  TempDir dir;
  Path top = dir / "breeds";
};

std::vector<std::string> relative_names(const ImageList& list) {
  std::vector<std::string> names;
  for (const auto& item : list.items()) names.push_back(relative_below(item, list.path()));
  return names;
}

cv::Mat pixels_of(const ImageList& list, std::int64_t i) {
  return list.get(i).rgb8();
}

// The largest and the mean difference of two pictures of one size, in levels.
std::pair<double, double> differences(const cv::Mat& a, const cv::Mat& b) {
  REQUIRE(a.size() == b.size());
  return {cv::norm(a, b, cv::NORM_INF), cv::norm(a, b, cv::NORM_L1) / double(a.total() * 3)};
}

// Everything that an epoch gives: order, pixels, targets.
struct Epoch {
  std::vector<std::int64_t> order;
  std::vector<torch::Tensor> x, y;
};

Epoch epoch_of(const ImageDataBunch& data) {
  Epoch epoch;
  for (auto& batch : data.train_dl()) {
    epoch.order.insert(epoch.order.end(), batch.indices.begin(), batch.indices.end());
    epoch.x.push_back(batch.x.clone());
    epoch.y.push_back(batch.y.clone());
  }
  return epoch;
}

void check_same_epoch(const ImageDataBunch& got, const ImageDataBunch& wanted) {
  const auto a = epoch_of(got), b = epoch_of(wanted);
  CHECK(!a.order.empty());
  CHECK(a.order == b.order);
  REQUIRE(a.x.size() == b.x.size());
  for (std::size_t i = 0; i < a.x.size(); ++i) {
    CHECK(torch::equal(a.x[i], b.x[i]));
    CHECK(torch::equal(a.y[i], b.y[i]));
  }
}

ImageDataBunch loaders(ImageLabelLists lists, const Path& models, int workers = 2) {
  return lists.transform(get_transforms(), {.size = 32})
      .databunch(
          {.path = models, .bs = 4, .num_workers = workers, .device = torch::kCPU, .seed = 3});
}

// Progress as it is told.
class Told : public ProgressSink {
 public:
  void begin(const ProgressTask& task) override { total = task.total, what = task.what; }
  void update(std::int64_t done, std::string_view) override { last = done; }
  void end() override { ++ends; }
  std::int64_t total = 0, last = 0;
  int ends = 0;
  std::string what;
};

}  // namespace

TEST_CASE("raw pictures at their full size are those of the files, and so is an epoch of them") {
  const Breeds breeds;
  const auto pack = breeds.dir / "full.pack";
  const auto files = ImageList::from_folder(breeds.top);
  const auto sink = std::make_shared<Told>();
  const auto former = set_progress_sink(sink);
  const auto report = files.prepare(pack, {.short_side = {}, .max_workers = 3});
  set_progress_sink(former);
  CHECK(sink->what == "prepare");
  CHECK(sink->total == 16);
  CHECK(sink->last == 16);
  CHECK(sink->ends == 1);
  CHECK(report.pictures == 16);
  CHECK(report.bytes == std::filesystem::file_size(pack));
  CHECK(report.left_out.empty());
  CHECK(report.str().find("full.pack: 16 pictures") != std::string::npos);

  const auto packed = ImageList::from_pack(pack);
  CHECK(packed.path() == pack);
  CHECK(relative_names(packed) == relative_names(files));
  CHECK(packed.inner_df()->names() == std::vector<std::string>{"name"});
  for (std::int64_t i = 0; i < files.size(); ++i) {
    CAPTURE(i);
    CHECK(differences(pixels_of(packed, i), pixels_of(files, i)).first == 0);
  }
  // Every way to split and label, in the same order with the same numbers; models go beside the pack.
  const auto models = breeds.dir / "models";
  check_same_epoch(loaders(packed.split_by_folder().label_from_folder(), models),
                   loaders(files.split_by_folder().label_from_folder(), models));
  check_same_epoch(
      loaders(packed.split_by_rand_pct(0.25, 42).label_from_re("/([a-z]+)/\\d+\\."), models, 0),
      loaders(files.split_by_rand_pct(0.25, 42).label_from_re("/([a-z]+)/\\d+\\."), models));
  const auto own = packed.split_by_rand_pct(0.25, 42).label_from_folder();
  CHECK(own.path() == breeds.dir.path());
  // A bunch that is saved is found again.
  const auto data = loaders(own, breeds.dir.path());
  data.save();
  const auto again = load_data(breeds.dir.path(), "data_save.json",
                               {.bs = 4, .num_workers = 0, .device = torch::kCPU, .seed = 3});
  CHECK(again.ds(DatasetType::Train).list().items == data.ds(DatasetType::Train).list().items);
}

TEST_CASE("the shorter side is what was asked for, and no picture is made larger") {
  TempDir dir;
  struct Case {
    int rows, cols, short_side, wanted_rows, wanted_cols;
  };
  const std::vector<Case> cases{
      {375, 500, 256, 256, 341}, {500, 375, 256, 341, 256}, {300, 300, 256, 256, 256},
      {100, 400, 256, 100, 400}, {256, 999, 256, 256, 999}, {257, 300, 256, 256, 299},
      {3, 1000, 1, 1, 333},      {2, 7, 1, 1, 4},           {1, 1, 1, 1, 1}};
  for (const auto& c : cases) {
    CAPTURE(c.rows, c.cols, c.short_side);
    write_file(dir / "set/a.png", encoded(picture_of(c.rows, c.cols, 1), "RGB", ".png"));
    const auto pack = dir / "a.pack";
    for (const auto quality : {std::optional<int>(), std::optional<int>(90)}) {
      ImageList::from_folder(dir / "set")
          .prepare(pack, {.short_side = c.short_side, .quality = quality});
      CHECK(ImageList::from_pack(pack).get(0).size() == Resolution{c.wanted_rows, c.wanted_cols});
    }
  }
}

TEST_CASE("made smaller raw pictures are what verify_images makes of them, JPEG is close to them") {
  const Breeds breeds;
  {
    const auto file = breeds.dir / "one/1.png";
    write_file(file, encoded(picture_of(60, 120, 7), "RGB", ".png"));
    ImageList::from_folder(breeds.dir / "one").prepare(breeds.dir / "one.pack", {.short_side = 30});
    verify_image(file, {.max_size = 60, .dest = breeds.dir / "small", .show_progress = false});
    const auto small = pixels_of(ImageList::from_pack(breeds.dir / "one.pack"), 0);
    CHECK(differences(small, decode_image(breeds.dir / "small/1.png")).first == 0);
  }
  const auto files = ImageList::from_folder(breeds.top);
  const auto raw_file = breeds.dir / "raw.pack", jpeg_file = breeds.dir / "jpeg.pack";
  files.prepare(raw_file, {.short_side = 40});
  files.prepare(jpeg_file, {.short_side = 40, .quality = 90});
  const auto raw = ImageList::from_pack(raw_file), jpeg = ImageList::from_pack(jpeg_file);
  REQUIRE(raw.size() == files.size());
  for (std::int64_t i = 0; i < files.size(); ++i) {
    CAPTURE(i);
    const auto small = pixels_of(raw, i);
    // A quarter of the colour's resolution and quality 90: 1.3 to 6.6 levels in the mean on these, which are made of
    // coloured edges.
    constexpr double kMeanLevels = 8.0;
    CHECK(differences(pixels_of(jpeg, i), small).second < kMeanLevels);
  }
  CHECK(std::filesystem::file_size(jpeg_file) < std::filesystem::file_size(raw_file));
  // A JPEG that is small enough is kept byte by byte.
  const PackReader pack(jpeg_file);
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < pack.size(); ++i) {
    const auto file = breeds.top / std::string(pack.name(i));
    kept += pack.read(i) == read_file(file);
  }
  CHECK(kept == 0);  // the small one is a PNG
  files.prepare(jpeg_file, {.short_side = 60, .quality = 50});
  const PackReader whole(jpeg_file);
  for (std::int64_t i = 0; i < whole.size(); ++i) {
    const auto file = breeds.top / std::string(whole.name(i));
    CHECK((whole.read(i) == read_file(file)) == (file.extension() == ".jpg"));
  }
}

TEST_CASE("a pack does not depend on the number of threads") {
  const Breeds breeds;
  const auto files = ImageList::from_folder(breeds.top);
  files.prepare(breeds.dir / "one.pack", {.short_side = 30, .quality = 80, .max_workers = 0});
  files.prepare(breeds.dir / "many.pack", {.short_side = 30, .quality = 80, .max_workers = 7});
  CHECK(read_file(breeds.dir / "one.pack") == read_file(breeds.dir / "many.pack"));
}

TEST_CASE("labels and sets of a bunch travel with its pictures") {
  const Breeds breeds;
  const auto pack = breeds.dir / "b.pack", models = breeds.dir / "models";
  const auto files = ImageList::from_folder(breeds.top);
  const auto prepared = [&](const ImageLabelLists& lists) {
    const auto data = loaders(lists, breeds.dir.path(), 0);
    data.prepare(pack, {.short_side = {}, .show_progress = false});
    return ImageList::from_pack(pack);
  };
  {
    const auto lists = files.split_by_folder().label_from_folder();
    const auto packed = prepared(lists);
    const auto& table = *packed.inner_df();
    CHECK(table.names() == std::vector<std::string>{"name", "label", "is_valid"});
    CHECK(table["name"].raw(0) == relative_names(packed)[0]);
    CHECK(table["label"].raw(0) == lists.train().label(0));
    CHECK(table["is_valid"].kind() == ColumnKind::kBool);
    // The columns stand where fastai's defaults look for them.
    check_same_epoch(loaders(packed.split_from_df().label_from_df(), models),
                     loaders(lists, models));
    CHECK(packed.split_from_df().split().valid.size() == 4);
  }
  {
    std::vector<Label> numbers;
    for (int i = 0; i < 16; ++i) numbers.emplace_back(0.25 * i);
    const auto lists = files.split_by_idx({1, 2}).label_from_lists(
        {numbers.begin(), numbers.begin() + 14}, {numbers.begin() + 14, numbers.end()});
    const auto packed = prepared(lists);
    CHECK((*packed.inner_df())["label"].kind() == ColumnKind::kFloat64);
    check_same_epoch(loaders(packed.split_from_df().label_from_df(), models),
                     loaders(lists, models));
  }
  {
    const auto lists = files.split_by_idx({1, 2}).label_from_func([](const Path& file) {
      const auto breed = file.parent_path().filename().string();
      return Label(std::vector<std::string>{breed, breed == "pug" ? "small" : "large"});
    });
    const auto packed = prepared(lists);
    check_same_epoch(loaders(packed.split_from_df().label_from_df({.label_delim = ";"}), models),
                     loaders(lists, models));
  }
  {
    const auto packed = prepared(files.split_by_idx({1, 2}).label_empty());
    CHECK(packed.inner_df()->names() == std::vector<std::string>{"name", "is_valid"});
  }
}

TEST_CASE("the table of a list travels as it is, with its types and gaps") {
  TempDir dir;
  for (int i = 0; i < 3; ++i) {
    write_file(dir / fmt::format("set/{}.png", i), encoded(picture_of(20, 24, i), "RGB", ".png"));
  }
  const Table table({{"file", {"0.png", "1.png", "2.png"}},
                     {"count", {1, {}, 3}},
                     {"big", {std::uint64_t{1} << 63, std::uint64_t{2}, std::uint64_t{3}}},
                     {"share", {0.1, 1.0, 2.5}},
                     {"word", {"NA", "nan", "ä"}},
                     {"ok", {true, false, true}}});
  const auto list = ImageList::from_df(table, dir / "set");
  list.prepare(dir / "t.pack", {.quality = 90});
  const auto got = *ImageList::from_pack(dir / "t.pack").inner_df();
  REQUIRE(got.names() == table.names());
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    CAPTURE(table.columns()[c].name());
    CHECK(got.columns()[c].kind() == table.columns()[c].kind());
    for (std::int64_t row = 0; row < 3; ++row) {
      CHECK(got.columns()[c].missing(row) == table.columns()[c].missing(row));
      if (!table.columns()[c].missing(row)) {
        CHECK(got.columns()[c].cell(row) == table.columns()[c].cell(row));
      }
    }
  }
}

TEST_CASE("two processes and several threads read one pack") {
  const Breeds breeds;
  const auto pack = breeds.dir / "p.pack";
  const auto files = ImageList::from_folder(breeds.top);
  files.prepare(pack, {.short_side = 40, .quality = 90});
  const PackReader reader(pack);
  std::vector<std::string> wanted;
  for (std::int64_t i = 0; i < reader.size(); ++i) wanted.push_back(reader.read(i));
  // The child has the parent's open file, and opens it once more: one offset would disturb the other.
  const auto child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      const PackReader own(pack);
      for (int pass = 0; pass < 50; ++pass) {
        for (std::int64_t i = own.size() - 1; i >= 0; --i) {
          const auto& bytes = wanted[static_cast<std::size_t>(i)];
          status |= own.read(i) != bytes || reader.read(i) != bytes;
        }
      }
    } catch (...) {
      status = 2;
    }
    ::_exit(status);
  }
  bool same = true;
  for (int pass = 0; pass < 50; ++pass) {
    for (std::int64_t i = 0; i < reader.size(); ++i) {
      same = same && reader.read(i) == wanted[static_cast<std::size_t>(i)];
    }
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(same);
}

TEST_CASE("a picture of a pack that is damaged is named with it, or left out") {
  const Breeds breeds;
  const auto pack = breeds.dir / "d.pack";
  ImageList::from_folder(breeds.top).prepare(pack, {.short_side = 40});
  std::string name;
  {
    const PackReader reader(pack);
    name = reader.name(3);
    const auto bytes = read_file(pack);
    auto damaged = bytes;
    damaged[bytes.find(reader.read(3)) + 100] ^= 1;
    write_file(pack, damaged);
  }
  const auto data = [&](OnError on_error) {
    return ImageList::from_pack(pack).split_none().label_from_folder().databunch(
        {.bs = 16,
         .num_workers = 2,
         .device = torch::kCPU,
         .no_check = true,
         .on_error = on_error});
  };
  const auto fault = caught([&] { ImageList::from_pack(pack).get(3); });
  CHECK(fault.code == "pack.bad_entry");
  CHECK(fault.message.find("'" + name + "'") != std::string::npos);
  CHECK(fault.message.find("d.pack") != std::string::npos);
  CHECK(caught([&] {
          for (auto& batch : data(OnError::kRaise).fix_dl()) static_cast<void>(batch);
        }).code == "pack.bad_entry");
  // Those that look at the files find it as well.
  const auto report = data(OnError::kRaise).report({.show_progress = false});
  REQUIRE(report.unreadable.size() == 1);
  CHECK(report.unreadable[0].code == "pack.bad_entry");
  CHECK(report.wrong_suffix.empty());
  const CapturedLog log;
  auto lists = ImageList::from_pack(pack).split_none().label_from_folder();
  const auto skipping = lists.transform(ImageTransforms(), {.size = 16})
                            .databunch({.bs = 16,
                                        .num_workers = 2,
                                        .device = torch::kCPU,
                                        .no_check = true,
                                        .on_error = OnError::kSkip});
  std::int64_t seen = 0;
  for (auto& batch : skipping.fix_dl()) seen += batch.x.size(0);
  CHECK(seen == 15);
}

TEST_CASE("what cannot be prepared or read is told before anything is written") {
  const Breeds breeds;
  const auto pack = breeds.dir / "x.pack";
  const auto files = ImageList::from_folder(breeds.top);
  const auto code = [&](const ImageList& list, const Path& file, const PrepareOptions& options) {
    return caught([&] { list.prepare(file, options); }).code;
  };
  CHECK(code(files, breeds.dir / "x.zip", {}) == "value.pack");
  CHECK(code(files, pack, {.short_side = 0}) == "value.prepare");
  CHECK(code(files, pack, {.quality = 0}) == "value.prepare");
  CHECK(code(files, pack, {.quality = 101}) == "value.prepare");
  CHECK(code(files, pack, {.max_workers = -1}) == "value.num_workers");
  CHECK(code(ImageList({}, breeds.top), pack, {}) == "data.empty");
  CHECK(code(files[{0, 1, 0}], pack, {}) == "value.pack_name");
  std::vector<Column> wide;
  for (int i = 0; i < 1025; ++i) wide.emplace_back(fmt::format("c{}", i), std::vector<Cell>{1});
  const Path one = files.items()[0];
  CHECK(code(ImageList({one}, breeds.top, Table(wide)), pack, {}) == "value.prepare");
  wide.pop_back();
  CHECK_NOTHROW(ImageList({one}, breeds.top, Table(wide)).prepare(breeds.dir / "wide.pack"));
  CHECK(ImageList::from_pack(breeds.dir / "wide.pack").inner_df()->columns().size() == 1024);
  std::filesystem::remove(breeds.dir / "wide.pack");
  std::stop_source stopped;
  stopped.request_stop();
  CHECK(code(files, pack, {.stop = stopped.get_token()}) == "io.cancelled");
  write_file(breeds.top / "train/pug/bad.jpg", "no picture");
  const auto with_bad = ImageList::from_folder(breeds.top);
  CHECK(code(with_bad, pack, {.max_workers = 5}) == "image.cannot_decode");
  CHECK(ls(breeds.dir.path()).size() == 1);  // not even a part of one

  CapturedLog log;
  const auto report = with_bad.prepare(pack, {.skip_bad = true, .show_progress = false});
  CHECK(report.pictures == 16);
  REQUIRE(report.left_out.size() == 1);
  CHECK(report.left_out[0].code == "image.cannot_decode");
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("bad.jpg") != std::string::npos);
  CHECK(ImageList::from_pack(pack).size() == 16);

  const auto from = [&](const Path& file) { return caught([&] { ImageList::from_pack(file); }); };
  CHECK(from(breeds.dir / "x.zip").code == "value.pack");
  CHECK(from(breeds.dir / "none.pack").code == "io.cannot_read");
  write_file(breeds.dir / "cut.pack", read_file(pack).substr(0, 5000));
  CHECK(from(breeds.dir / "cut.pack").code == "pack.truncated");
  const auto with_notes = [&](std::string_view notes) {
    PackWriter out(breeds.dir / "n.pack");
    out.add("a.jpg", "picture");
    out.commit(notes);
    return from(breeds.dir / "n.pack");
  };
  CHECK(with_notes("").code.empty());
  for (const char* notes :
       {"{", "[]", "{}", R"({"columns": []})", R"({"columns": [1]})",
        R"({"columns": [{"name": 1}]})", R"({"columns": [{"name": "a", "cells": []}]})",
        R"({"columns": [{"name": "a", "cells": [[]]}]})",
        R"({"columns": [{"name": "a"}, {"name": "a"}]})",
        R"({"columns": [{"name": "a", "cells": [1, 2]}]})"}) {
    CAPTURE(notes);
    const auto bad = with_notes(notes);
    CHECK(bad.code == "pack.bad_notes");
    CHECK(bad.message.find("n.pack") != std::string::npos);
  }
  {
    PackWriter out(breeds.dir / "n.pack");
    out.commit();
  }
  CHECK(from(breeds.dir / "n.pack").code == "data.empty");
}

TEST_CASE("items from elsewhere keep what names they can") {
  TempDir dir;
  const auto picture = encoded(picture_of(20, 24, 1), "RGB", ".png");
  write_file(dir / "a/1.png", picture);
  write_file(dir / "b/1.png", picture);
  ImageList({dir / "a/1.png", dir / "a/../b/1.png"}, dir / "a").prepare(dir / "e.pack", {});
  const PackReader pack(dir / "e.pack");
  CHECK(pack.name(0) == "1.png");
  CHECK("/" + std::string(pack.name(1)) == (dir / "b/1.png").string());
  // A pack of a pack.
  ImageList::from_pack(dir / "e.pack").prepare(dir / "f.pack", {.short_side = 10});
  const auto again = ImageList::from_pack(dir / "f.pack");
  CHECK(relative_names(again)[0] == "1.png");
  CHECK(again.get(0).size() == Resolution{10, 12});
}
