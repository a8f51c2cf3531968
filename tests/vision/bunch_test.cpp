#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

constexpr const char* kPets = R"(/([^/]+)_\d+.png$)";

// Colour gradients of different sizes, named like the pets.
std::vector<Path> draw(const Path& folder, int per_class) {
  std::vector<Path> files;
  int n = 0;
  for (const char* breed : {"Bengal", "pug", "beagle"}) {
    for (int i = 0; i < per_class; ++i, ++n) {
      const auto h = 20 + n % 7, w = 24 + n % 5;
      auto pixels = torch::rand({3, 1, 1}) * torch::linspace(0, 1, h * w).view({1, h, w});
      files.push_back(folder / (std::string(breed) + "_" + std::to_string(i) + ".png"));
      Image::from_tensor(pixels).save(files.back());
    }
  }
  return files;
}

ImageDataBunch pets(const TempDir& dir, int workers = 0, std::uint64_t seed = 2) {
  draw(dir.path(), 10);
  return ImageDataBunch::from_name_re(dir.path(), get_image_files(dir.path()), kPets,
                                      {.ds_tfms = get_transforms(),
                                       .size = 16,
                                       .bs = 8,
                                       .num_workers = workers,
                                       .device = torch::kCPU,
                                       .seed = seed});
}

}  // namespace

TEST_CASE("a bunch from file names") {
  TempDir dir;
  const auto data = pets(dir);
  CHECK(data.classes() == std::vector<std::string>{"Bengal", "beagle", "pug"});
  CHECK(data.c() == 3);
  CHECK(data.train_ds().size() == 24);
  CHECK(data.valid_ds().size() == 6);
  CHECK(data.one_batch().x.sizes() == torch::IntArrayRef({8, 3, 16, 16}));
  // The split is NumPy's on the sorted files.
  const auto files = get_image_files(dir.path());
  const auto valid = numpy_permutation(2, 30);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(data.ds(DatasetType::Valid).list().items[i] == files[static_cast<std::size_t>(valid[i])]);
  }
  // The fix loader shows training items without augmentation, in order.
  const auto first = data.one_batch(DatasetType::Fix), again = data.one_batch(DatasetType::Fix);
  CHECK(torch::equal(first.x, again.x));
  CHECK(first.indices.front() == 0);
}

TEST_CASE("one seed decides split, order and augmentation") {
  TempDir dir;
  const auto a = pets(dir, 0), b = pets(dir, 2), c = pets(dir, 0, 3);
  for (int epoch = 0; epoch < 2; ++epoch) {
    auto x = a.train_dl().pass(), y = b.train_dl().pass();
    for (int i = 0; i < 3; ++i) {
      const auto p = x.next(), q = y.next();
      REQUIRE(p);
      REQUIRE(q);
      CHECK(torch::equal(p->x, q->x));
      CHECK(torch::equal(p->y, q->y));
    }
    CHECK_FALSE(x.next());
  }
  CHECK(a.ds(DatasetType::Valid).list().items != c.ds(DatasetType::Valid).list().items);
}

TEST_CASE("bunches from folders") {
  TempDir dir;
  for (const char* part : {"train", "valid", "test"}) {
    for (const char* digit : {"3", "7"}) draw(dir.path() / part / digit, 2);
  }
  const FromFolderOptions options{.size = 16, .bs = 4, .num_workers = 0, .device = torch::kCPU};
  auto with_test = options;
  with_test.test = "test";
  const auto data = ImageDataBunch::from_folder(dir.path(), with_test);
  CHECK(data.classes() == std::vector<std::string>{"3", "7"});
  CHECK(data.train_ds().size() == 12);
  CHECK(data.valid_ds().size() == 12);
  CHECK(data.test_dl().dataset()->size() == 12);
  auto at_random = options;
  at_random.valid_pct = 0.25;
  CHECK(ImageDataBunch::from_folder(dir.path(), at_random).valid_ds().size() == 9);
  auto wrong = options;
  wrong.train = "Train";
  wrong.valid = "Valid";
  const auto error = caught([&] { ImageDataBunch::from_folder(dir.path(), wrong); });
  CHECK(error.code == "data.not_a_folder");
  CHECK(error.message.find("Train'") != std::string::npos);
}

TEST_CASE("test pictures are never trained on, however their folder is written") {
  TempDir dir;
  for (const char* part : {"train", "valid", "test", "more/test"}) {
    for (const char* digit : {"3", "7"}) draw(dir.path() / part / digit, 2);
  }
  FromFolderOptions options{.size = 16, .bs = 4, .num_workers = 0, .device = torch::kCPU};
  options.valid_pct = 0.25;
  for (const auto& name :
       {std::string("test/"), std::string("./test"), std::string("train/../test"),
        (dir / "test").string(), std::string("more/test")}) {
    options.test = name;
    const auto data = ImageDataBunch::from_folder(dir.path(), options);
    const auto folder = (name == "more/test" ? dir / "more/test" : dir / "test").string() + "/";
    for (const auto type : {DatasetType::Train, DatasetType::Valid}) {
      for (const auto& file : data.ds(type).list().items)
        CHECK(file.string().find(folder) == std::string::npos);
    }
    CHECK(data.test_dl().dataset()->size() == 12);
    CHECK(data.train_ds().size() + data.valid_ds().size() == 36);
  }
  // A list of files as well.
  const auto files = get_image_files(dir.path(), {.recurse = true});
  const auto listed = ImageDataBunch::from_lists(
      dir.path(), files, std::vector<std::string>(files.size(), "a"),
      {.size = 16, .bs = 4, .num_workers = 0, .device = torch::kCPU, .test = "test/"});
  CHECK(listed.train_ds().size() + listed.valid_ds().size() == 36);
  // The folder written from the root, the data from the working folder or through a link.
  options.test = (dir / "test").string();
  const auto from_here = std::filesystem::relative(dir.path());
  const TempDir elsewhere;
  std::filesystem::create_directory_symlink(dir.path(), elsewhere / "link");
  for (const auto& path : {from_here, elsewhere / "link"}) {
    const auto data = ImageDataBunch::from_folder(path, options);
    CHECK(data.train_ds().size() + data.valid_ds().size() == 36);
  }
  for (const char* own : {"", ".", "train/.."}) {
    options.test = own;
    CHECK(caught([&] { ImageDataBunch::from_folder(dir.path(), options); }).code == "value.folder");
  }
  options.test = "none";
  CHECK(caught([&] { ImageDataBunch::from_folder(dir.path(), options); }).code ==
        "data.not_a_folder");
}

TEST_CASE("folders are found however they are written, links on request") {
  TempDir dir;
  for (const char* part : {"train", "elsewhere"}) {
    for (const char* digit : {"3", "7"}) draw(dir.path() / part / digit, 2);
  }
  CapturedLog log;
  std::filesystem::create_directory_symlink(dir / "elsewhere", dir / "valid");
  FromFolderOptions options{.train = "./train/",
                            .valid = "valid/",
                            .size = 16,
                            .bs = 4,
                            .num_workers = 0,
                            .device = torch::kCPU};
  const auto without = ImageDataBunch::from_folder(dir.path(), options);
  CHECK(without.train_ds().size() == 12);
  CHECK(without.empty_val());
  REQUIRE(!log.warnings.empty());
  CHECK(log.warnings.front().find("is a link") != std::string::npos);
  options.followlinks = true;
  CHECK(ImageDataBunch::from_folder(dir.path(), options).valid_ds().size() == 12);
}

TEST_CASE("no_check opens no picture") {
  TempDir dir;
  write_file(dir / "a_1.png", "no picture");
  write_file(dir / "b_1.png", "no picture");
  ImageDataBunchOptions options{
      .bs = 1, .num_workers = 0, .device = torch::kCPU, .no_check = true, .valid_pct = 0};
  const auto files = get_image_files(dir.path());
  CHECK_NOTHROW(ImageDataBunch::from_name_re(dir.path(), files, R"(/([^/]+)_\d+.png$)", options));
  options.no_check = false;
  CHECK(caught([&] {
          ImageDataBunch::from_name_re(dir.path(), files, R"(/([^/]+)_\d+.png$)", options);
        }).code == "image.cannot_decode");
}

TEST_CASE("a picture that cannot be read is named") {
  TempDir dir;
  draw(dir.path(), 4);
  write_file(dir / "pug_99.png", "no picture");
  const auto files = get_image_files(dir.path());
  LabelLists lists;
  lists.train = {files, std::vector<std::int64_t>(files.size(), 0), {"a"}};
  CapturedLog log;
  const auto data = ImageDataBunch::create_from_ll(
      lists, dir.path(), {.size = 16, .bs = 13, .num_workers = 2, .device = torch::kCPU});
  // Seen in the first batch already, as a warning; and again with its name when it is needed.
  CHECK(std::any_of(log.warnings.begin(), log.warnings.end(), [](const std::string& text) {
    return text.find("can't access these elements") != std::string::npos;
  }));
  const auto error = caught([&] { data.train_dl().pass().next(); });
  CHECK(error.code == "image.cannot_decode");
  CHECK(error.message.find("pug_99.png") != std::string::npos);
}

TEST_CASE("labels are classes of the training") {
  TempDir dir;
  const auto files = draw(dir.path(), 1);
  LabelLists lists;
  lists.train = {files, {0, 1, 1}, {"a", "b"}};
  lists.valid = {files, {0, 1, 2}, {"a", "b", "c"}};
  const auto made = [&] {
    ImageDataBunch::create_from_ll(lists, dir.path(),
                                   {.size = 16, .bs = 2, .num_workers = 0, .device = torch::kCPU});
  };
  CHECK(caught(made).code == "data.unknown_label");
  lists.valid = {files, {0, 1, 0}, {"a", "b"}};
  lists.valid.items.pop_back();
  CHECK(caught(made).code == "data.length");
  lists.valid = {files, {0, 1, 0}, {"a", "b"}};
  CHECK_NOTHROW(made());
  CHECK(caught([&] { LabelList(files, {0, 1, 0}, {}); }).code == "data.unknown_label");
  CHECK(caught([&] { LabelList(files, {0, 1}, {"a", "b"}); }).code == "data.length");
}

TEST_CASE("one class only is told once, however the lists are made") {
  TempDir dir;
  const auto files = draw(dir.path(), 1);
  const ImageDataBunchOptions options{
      .size = 16, .bs = 2, .num_workers = 0, .device = torch::kCPU, .valid_pct = 0.34};
  const auto warnings = [&](auto&& make) {
    CapturedLog log;
    make();
    return std::count_if(log.warnings.begin(), log.warnings.end(), [](const std::string& text) {
      return text.find("one class, 'a'") != std::string::npos;
    });
  };
  CHECK(warnings([&] {
          ImageDataBunch::from_lists(dir.path(), files, {"a", "a", "a"}, options);
        }) == 1);
  LabelLists lists;
  lists.train = {files, {0, 0, 0}, {"a"}};
  CHECK(warnings([&] { ImageDataBunch::create_from_ll(lists, dir.path(), options); }) == 1);
  CHECK(warnings([&] {
          const auto made = make_label_lists(files, {"a", "a", "a"}, {{0, 1}, {2}});
          ImageDataBunch::create_from_ll(made, dir.path(), options);
        }) == 1);
  lists.train = {files, {0, 1, 0}, {"a", "b"}};
  CHECK(warnings([&] { ImageDataBunch::create_from_ll(lists, dir.path(), options); }) == 0);
}

TEST_CASE("printed and shown forms") {
  TempDir dir;
  const auto data = pets(dir);
  const auto text = data.str();
  const auto image = "Image (3, 16, 16)";
  const std::string images = fmt::format("{0},{0},{0},{0},{0}", image);
  CHECK(text.starts_with("ImageDataBunch;\n\nTrain: LabelList (24 items)\nx: ImageList\n" + images +
                         "\ny: CategoryList\nBengal,Bengal,Bengal,Bengal,Bengal\nPath: " +
                         dir.path().string() + ";\n\nValid: LabelList (6 items)\n"));
  CHECK(text.ends_with(";\n\nTest: None"));
  const auto figure = data.show_batch({.rows = 2});
  CHECK(figure.pixel_width() == 800);  // 4 inches a cell at 100 dpi
  CHECK(figure.size() == 4);
  CHECK(caught([&] { data.show_batch({.rows = 0}); }).code == "value.rows");
  CHECK(to_picture(torch::full({3, 1, 1}, 2.0)).rgb == std::vector<std::uint8_t>{255, 255, 255});
  CHECK(caught([] { to_picture(torch::zeros({2, 4, 4})); }).code == "value.tensor");
  CHECK(caught([] { to_picture(torch::Tensor()); }).code == "value.tensor");
  Rng rng;
  for (const std::int64_t index : {-1, 24, 99}) {
    CHECK(caught([&] { data.train_ds().get(index, rng); }).code == "value.index");
    CHECK(caught([&] { data.ds(DatasetType::Train).open(index); }).code == "value.index");
    CHECK(caught([&] { data.train_ds().item_name(index); }).code == "value.index");
  }
}

TEST_CASE("pictures of different sizes need a size") {
  TempDir dir;
  draw(dir.path(), 4);
  CapturedLog log;
  const auto data =
      ImageDataBunch::from_name_re(dir.path(), get_image_files(dir.path()), kPets,
                                   {.bs = 4, .num_workers = 0, .device = torch::kCPU});
  CHECK(log.warnings.size() == 1);
  CHECK(caught([&] { data.train_dl().pass().next(); }).code == "data.cannot_collate");
}
