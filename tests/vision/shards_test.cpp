// Pictures in tar shards and behind addresses: the same training as from a folder, and what goes wrong with servers.
#include <fmt/format.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "fastcpp/data/shard_sampler.hpp"
#include "fastcpp/io/file_source.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/environment.hpp"
#include "support/http_server.hpp"
#include "support/support.hpp"
#include "support/tar.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;
namespace nn = torch::nn;

namespace {

constexpr int kPerClass = 12, kPerShard = 6;

std::shared_ptr<const FileSource> source_in(const TempDir& dir, std::int64_t max_bytes = 1 << 24) {
  static const ScopedEnv no_proxy("no_proxy", "127.0.0.1");
  return std::make_shared<const FileSource>(FileSourceOptions{.cache = dir / "cache",
                                                              .max_bytes = max_bytes,
                                                              .download = {.show_progress = false,
                                                                           .timeout = 5000ms,
                                                                           .retries = 1,
                                                                           .stall_timeout = 500ms,
                                                                           .retry_delay = 1ms}});
}

// Twelve pictures of each of two classes: in folders, in four shards, and in a list of addresses.
struct Flowers {
  Flowers() {
    std::vector<std::pair<std::string, std::string>> members;
    for (int i = 0; i < 2 * kPerClass; ++i) {
      const bool second = i >= kPerClass;
      const auto name = fmt::format("{}/{:02}", second ? "rose" : "daisy", i);
      const auto picture = encoded(picture_of(20, 24, i), "RGB", ".png");
      write_file(dir / "set" / (name + ".png"), picture);
      served["/" + name + ".png"] = picture;
      members.emplace_back(name + ".png", picture);
      members.emplace_back(name + ".cls", second ? "1\n" : "0");
      if (i % kPerShard == kPerShard - 1) {
        const auto shard = fmt::format("t-{:02}.tar", i / kPerShard);
        served["/" + shard] = tar_of(members);
        write_file(dir / "set" / shard, tar_of(members));
        largest = std::max(largest, tar_of(members).size());
        members.clear();
      }
    }
  }

  HttpServer::Response answer(const std::string& path) const {
    const auto found = served.find(path);
    if (found == served.end()) return {.status = 404};
    return {.body = found->second, .etag = "\"" + path + "\""};
  }

  TempDir dir;
  std::map<std::string, std::string> served;
  std::size_t largest = 0;
};

struct Trained {
  std::vector<std::int64_t> order;  // of the first pass
  std::vector<double> losses, metrics;
  StateDict weights;
};

Trained trained(ImageLabelLists lists, const Path& models, bool sampler = false) {
  std::shared_ptr<const Sampler> window;
  if (sampler) window = std::make_shared<ShardSampler>(lists.train().items, 2);
  const auto data = lists.transform(get_transforms(), {.size = 16})
                        .databunch({.path = models,
                                    .bs = 4,
                                    .num_workers = 2,
                                    .device = torch::kCPU,
                                    .seed = 3,
                                    .sampler = window});
  Trained result;
  for (auto& batch : data.train_dl()) {
    result.order.insert(result.order.end(), batch.indices.begin(), batch.indices.end());
  }
  torch::manual_seed(5);
  nn::Sequential net(nn::Conv2d(nn::Conv2dOptions(3, 4, 3).stride(2)), nn::BatchNorm2d(4),
                     nn::ReLU(), nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(4, 2));
  Learner learn(data, Model(net), {.metrics = {accuracy}, .silent = true});
  learn.fit_one_cycle(2, {.max_lr = 1e-2});
  result.losses = learn.recorder().losses;
  for (const auto& row : learn.recorder().metrics) {
    result.metrics.insert(result.metrics.end(), row.begin(), row.end());
  }
  result.weights = state_dict(*net);
  return result;
}

void check_same(const Trained& got, const Trained& wanted) {
  CHECK(got.order == wanted.order);
  CHECK(!got.losses.empty());
  CHECK(got.losses == wanted.losses);
  CHECK(got.metrics == wanted.metrics);
  REQUIRE(got.weights.size() == wanted.weights.size());
  for (const auto& [name, tensor] : wanted.weights) {
    CHECK(torch::equal(got.weights.at(name), tensor));
  }
}

const std::vector<std::string> kNames{"daisy", "rose"};

}  // namespace

TEST_CASE("training from shards, over HTTP or not, is training from the folder bit for bit") {
  const Flowers flowers;
  const HttpServer server(
      [&](const HttpServer::Request& request, int) { return flowers.answer(request.path); });
  const auto set = flowers.dir / "set", models = flowers.dir / "models";
  const auto folder =
      trained(ImageList::from_folder(set).split_by_rand_pct(0.25, 42).label_from_folder(), models);
  CHECK(folder.order.size() == 16);  // whole batches of 18
  TempDir dir;
  const auto source = source_in(dir);
  const auto shards = ImageList::from_shards(".", {server.url("/t-{00..03}.tar")},
                                             {.class_names = kNames, .files = source});
  REQUIRE(shards.size() == 2 * kPerClass);
  CHECK(shards.items()[7].native() == server.url("/t-01.tar/daisy/07.png"));
  check_same(trained(shards.split_by_rand_pct(0.25, 42).label_from_df(), models), folder);
  // Each shard came once, for all passes.
  CHECK(server.requests().size() == 4);
  check_same(trained(shards.split_by_rand_pct(0.25, 42).label_from_folder(), models), folder);
  check_same(trained(ImageList::from_shards(set, {"t-{00..03}.tar"})
                         .split_by_rand_pct(0.25, 42)
                         .label_from_folder(),
                     models),
             folder);
  CHECK(server.requests().size() == 4);

  // A list of addresses.
  std::string rows = "name,label\n";
  for (int i = 0; i < 2 * kPerClass; ++i) {
    const auto* name = i >= kPerClass ? "rose" : "daisy";
    rows += fmt::format("{},{}\n", server.url(fmt::format("/{}/{:02}.png", name, i)), name);
  }
  write_file(set / "labels.csv", rows);
  auto list = ImageList::from_csv(set, "labels.csv").read_through(source);
  CHECK(list.get(3).size() == Resolution{20, 24});
  check_same(trained(list.split_by_rand_pct(0.25, 42).label_from_df(), models), folder);
  CHECK(server.requests().size() == 4 + 2 * kPerClass);

  // What is saved names addresses as they are; what reads it reads them too.
  const auto data =
      list.split_by_rand_pct(0.25, 42)
          .label_from_df()
          .transform({}, {.size = 8})
          .databunch({.path = models, .bs = 4, .num_workers = 0, .device = torch::kCPU});
  make_folder(models);
  data.save();
  set_file_source(source);
  const auto again =
      load_data(models, "data_save.json", {.bs = 4, .num_workers = 0, .device = torch::kCPU});
  set_file_source(nullptr);
  CHECK(again.ds(DatasetType::Train).list().items == data.ds(DatasetType::Train).list().items);
}

TEST_CASE("a cache of two shards is enough for a window of two") {
  const Flowers flowers;
  const HttpServer server(
      [&](const HttpServer::Request& request, int) { return flowers.answer(request.path); });
  TempDir dir;
  const auto bound = static_cast<std::int64_t>(2 * flowers.largest + 100);
  const auto source = source_in(dir, bound);
  const auto of = [&](const std::string& shards, std::shared_ptr<const FileSource> files) {
    return ImageList::from_shards(flowers.dir / "set", {shards}, {.files = std::move(files)})
        .split_by_rand_pct(0.25, 42)
        .label_from_df();
  };
  const auto here = trained(of("t-{00..03}.tar", nullptr), flowers.dir / "models", true);
  const auto there =
      trained(of(server.url("/t-{00..03}.tar"), source), flowers.dir / "models", true);
  check_same(there, here);
  CHECK(source->cached_bytes() <= bound);
}

TEST_CASE("samples become items and cells") {
  TempDir dir;
  const auto picture = encoded(picture_of(20, 24, 1), "RGB", ".png");
  const auto write = [&](const std::string& name,
                         const std::vector<std::pair<std::string, std::string>>& members) {
    write_file(dir / name, tar_of(members));
  };
  write("a.tar", {{"x/1.png", picture},
                  {"x/1.seg.png", picture},
                  {"x/1.cls", "3"},
                  {"x/1.txt", "a picture\n"},
                  {"x/1.json", R"({"w": 5, "tags": ["b", "a"], "box": [1, 2], "ok": true})"},
                  {"2.cls", "4"},
                  {"x/3.PNG", picture},
                  {"x/3.cls", " 5 "},
                  {"x/3.bin", "???"},
                  {".hidden.png", picture}});
  CapturedLog log;
  const auto list = ImageList::from_shards(dir.path(), {"a.tar"});
  CHECK(list.items() == std::vector<Path>{dir / "a.tar/x/1.png", dir / "a.tar/x/3.PNG"});
  CHECK(list.get(1).size() == Resolution{20, 24});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("a.tar/2.cls") != std::string::npos);
  const auto& table = *list.inner_df();
  CHECK(table.names() ==
        std::vector<std::string>{"name", "cls", "txt", "json.w", "json.tags", "json.ok"});
  CHECK(table["cls"].kind() == ColumnKind::kInt64);
  CHECK(table["cls"].int64s()[1] == 5);
  CHECK(table["txt"].raw(0) == "a picture");
  CHECK(table["json.tags"].raw(0) == "b;a");
  CHECK(table["json.w"].missing(1));
  const auto tags =
      list.split_none().label_from_df("json.tags", {.label_delim = ";", .allow_empty = true});
  CHECK(tags.labels().classes() == std::vector<std::string>{"a", "b"});
  write("e.tar", {{"y/1.png", picture}, {"y/1.cls", "3"}});
  const auto split =
      ImageList::from_shards(dir.path(), {"{a,e}.tar"}).split_by_folder("a.tar", "e.tar").split();
  CHECK(split.train == std::vector<std::int64_t>{0, 1});
  CHECK(split.valid == std::vector<std::int64_t>{2});

  const auto tried = [&](const std::string& shard, const ImageListShardsOptions& options = {}) {
    return caught([&] { ImageList::from_shards(dir.path(), {shard}, options); });
  };
  CHECK(tried("a.tar", {.class_names = {"only"}}).code == "data.unknown_label");
  CHECK(tried("a.tar.gz").code == "value.shards");
  CHECK(tried("none.tar").code == "io.cannot_read");
  write("b.tar", {{"1.txt", "no picture"}});
  CHECK(tried("b.tar").code == "data.empty");
  write("c.tar", {{"1.png", picture}, {"1.json", "{"}});
  const auto bad = tried("c.tar");
  CHECK(bad.code == "json.bad");
  CHECK(bad.message.find("c.tar/1.json") != std::string::npos);
  write_file(dir / "d.tar", tar_of({{"1.png", picture}}).substr(0, 600));
  const auto cut = tried("d.tar");
  CHECK(cut.code == "archive.truncated");
  CHECK(cut.message.find("d.tar") != std::string::npos);
}

TEST_CASE("a picture that never comes ends the pass with its address, or is left out") {
  const Flowers flowers;
  const HttpServer server([&](const HttpServer::Request& request, int) {
    auto response = flowers.answer(request.path);
    if (request.path == "/rose/20.png") response.stall_after = 10;
    return response;
  });
  Paths items;
  std::vector<Label> labels;
  for (int i = 16; i < 24; ++i) {
    items.push_back(server.url(fmt::format("/rose/{}.png", i)));
    labels.emplace_back(i % 2);
  }
  TempDir dir;
  const auto data = [&](OnError on_error) {
    return ImageList(items, dir.path())
        .read_through(source_in(dir))
        .split_none()
        .label_from_lists(labels, {})
        .databunch({.bs = 8,
                    .num_workers = 2,
                    .device = torch::kCPU,
                    .no_check = true,
                    .on_error = on_error});
  };
  const auto stalled = caught([&] {
    for (auto& batch : data(OnError::kRaise).train_dl()) static_cast<void>(batch);
  });
  CHECK(stalled.code == "download.timeout");
  CHECK(stalled.message.find(server.url("/rose/20.png")) != std::string::npos);
  CapturedLog log;
  std::int64_t seen = 0;
  for (auto& batch : data(OnError::kSkip).fix_dl()) seen += batch.x.size(0);
  CHECK(seen == 7);
}
