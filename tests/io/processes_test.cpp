// Several processes on one cache, and processes that are killed: in a download, an unpacking, a save.
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

#include <signal.h>

#include "failing_support.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/config.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/hub.hpp"
#include "fastcpp/io/pack.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/io/urls.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using Request = HttpServer::Request;
using Response = HttpServer::Response;
namespace fs = std::filesystem;

namespace {

// `f` in processes of their own, each killed one change to the disk later than the one before, until one is through; `look`
// at what each has left. Returns how many were killed.
int killed_everywhere(const std::function<void(const Path&)>& prepare,
                      const std::function<void(const Path&)>& f,
                      const std::function<void(const Path&)>& look) {
  for (int n = 1; n < 1000; ++n) {
    CAPTURE(n);
    TempDir dir;
    prepare(dir.path());
    const auto result = in_child([&] {
      CapturedLog log;
      const ScopedFaults faults{{.kill_at = n}};
      f(dir.path());
      return 0;
    });
    const bool killed = WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGKILL;
    REQUIRE((killed || result.status == 0));
    look(dir.path());
    if (!killed) return n - 1;
  }
  return -1;
}

// Leftovers have names of their own.
int files_without_parts(const Path& folder) {
  int count = 0;
  for (const auto& file : ls(folder)) count += !file.filename().string().ends_with(".part");
  return count;
}

struct LocalPath {
  explicit LocalPath(const Path& folder) : former(urls::set_local_path(folder)) {}
  ~LocalPath() { urls::set_local_path(former); }
  Path former;
};

}  // namespace

TEST_CASE("a save that is killed anywhere leaves the old file or the new one") {
  const auto save = [](const Path& dir, int number) {
    save_checkpoint(dir / "m.pth",
                    Value::dict({{"number", number}, {"weights", torch::full({3000}, number)}}));
    StateDict weights;
    weights.insert("w", torch::full({3000}, number));
    save_safetensors(dir / "m.safetensors", weights);
    write_file(dir / "m.csv", std::to_string(number));
  };
  const auto numbers = [](const Path& dir) {
    const auto checkpoint = load_checkpoint(dir / "m.pth");
    CHECK(checkpoint.at("weights")
              .as_tensor()
              .eq(checkpoint.at("number").as_int())
              .all()
              .item<bool>());
    const auto weights = load_safetensors(dir / "m.safetensors").at("w");
    CHECK(weights.eq(weights[0]).all().item<bool>());
    return std::vector<std::int64_t>{checkpoint.at("number").as_int(),
                                     weights[0].item<std::int64_t>(),
                                     std::stoll(read_file(dir / "m.csv"))};
  };
  const int killed = killed_everywhere([&](const Path& dir) { save(dir, 1); },
                                       [&](const Path& dir) { save(dir, 2); },
                                       [&](const Path& dir) {
                                         // One after the other, each old or new.
                                         const auto found = numbers(dir);
                                         CHECK(std::is_sorted(found.rbegin(), found.rend()));
                                         CHECK(found.front() <= 2);
                                         CHECK(files_without_parts(dir) == 3);
                                         save(dir, 3);
                                         CHECK(numbers(dir) == std::vector<std::int64_t>{3, 3, 3});
                                       });
  CHECK(killed > 12);  // at least a write, two flushes and a rename of each
}

TEST_CASE("a pack whose writing is killed anywhere is the old one or the new one") {
  const auto write = [](const Path& dir, const std::string& content) {
    PackWriter out(dir / "a.pack");
    out.add("a", content);
    out.add("b", std::string(100'000, 'b'));
    out.commit("notes");
  };
  const int killed = killed_everywhere([&](const Path& dir) { write(dir, "old"); },
                                       [&](const Path& dir) { write(dir, "new"); },
                                       [&](const Path& dir) {
                                         const PackReader pack(dir / "a.pack");
                                         const auto found = pack.read(0);
                                         CHECK((found == "old" || found == "new"));
                                         CHECK(pack.read(1).size() == 100'000);
                                         CHECK(files_without_parts(dir) == 1);
                                       });
  CHECK(killed > 4);  // head, contents, index, a flush and a rename
}

TEST_CASE(
    "a download that is killed anywhere leaves the old file or the new one, and is taken up") {
  const std::string bytes = content(100'000);
  const OtherServer server(
      [&](const Request&, int) { return Response{.body = bytes, .etag = "\"one\""}; });
  auto options = fast();
  options.overwrite = true;
  const int killed =
      killed_everywhere([](const Path& dir) { write_file(dir / "a", "old"); },
                        [&](const Path& dir) { download_url(server.url, dir / "a", options); },
                        [&](const Path& dir) {
                          const auto found = read_file(dir / "a");
                          CHECK((found == "old" || found == bytes));
                          download_url(server.url, dir / "a", options);
                          CHECK(read_file(dir / "a") == bytes);
                          CHECK(files_without_parts(dir) == 1);
                          CHECK_FALSE(fs::exists(dir / "a.part"));
                          CHECK_FALSE(fs::exists(dir / "a.part.info"));
                        });
  CHECK(killed > 8);
}

TEST_CASE("what has arrived before a process is killed is not loaded again") {
  TempDir dir;
  const std::string bytes = content();
  WaitingChild child([&](const std::string& url) {
    download_url(url, dir / "a", fast());
    return 0;
  });
  HttpServer server([&](const Request&, int n) {
    Response response{.body = bytes, .etag = "\"one\""};
    if (n == 0) response.stall_after = 100'000;
    return response;
  });
  child.begin(server.url("/a"));
  std::error_code ec;
  for (int i = 0; i < 2000 && fs::file_size(dir / "a.part", ec) != 100'000; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  child.kill();
  CHECK(WIFSIGNALED(child.wait()));
  CHECK_FALSE(fs::exists(dir / "a"));
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == bytes);
  CHECK(ls(dir.path()).size() == 1);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].headers.at("range") == "bytes=100000-");
}

namespace {

// An archive of the set `x`: three files of the same text.
std::string set_of(const Path& file, const std::string& text) {
  pack(file, "x", {{"a", text}, {"b/c", text}, {"b/d", text}});
  return read_file(file);
}

// The text of a set that is there, which must be whole.
std::string text_of(const Path& set) {
  const auto text = read_file(set / "a");
  CHECK(ls(set).size() == 2);
  CHECK(ls(set / "b").size() == 2);
  CHECK(read_file(set / "b/c") == text);
  CHECK(read_file(set / "b/d") == text);
  return text;
}

}  // namespace

TEST_CASE("a data set whose unpacking is killed anywhere is there whole or not at all") {
  TempDir made;
  const std::string bytes = set_of(made / "x.tar", content(20'000));
  const OtherServer server(
      [&](const Request&, int) { return Response{.body = bytes, .etag = "\"one\""}; });
  const std::string url = server.url.substr(0, server.url.size() - 1) + "x.tar";
  const LocalPath none(made / "none");
  for (const bool unwrap : {true, false}) {
    CAPTURE(unwrap);
    const auto load = [&](const Path& dir) {
      CapturedLog log;
      const ScopedEnv home("FASTAI_HOME", dir.string());
      return untar_data(url, {.download = fast(), .extract = {.unwrap = unwrap}});
    };
    const auto set = [&](const Path& dir) { return unwrap ? dir / "data/x" : dir / "data/x/x"; };
    const int killed = killed_everywhere([](const Path&) {}, [&](const Path& dir) { load(dir); },
                                         [&](const Path& dir) {
                                           const bool there = fs::exists(dir / "data/x");
                                           if (there) text_of(set(dir));
                                           CHECK(load(dir) == dir / "data/x");
                                           CHECK(text_of(set(dir)) == content(20'000));
                                           // Where it was whole nothing is unpacked again, nor
                                           // removed beside it.
                                           if (!there) CHECK_FALSE(fs::exists(dir / "data/x.part"));
                                         });
    CHECK(killed > 15);
  }
}

TEST_CASE("a data set whose renewal is killed anywhere is the old one or the new one") {
  TempDir made;
  const std::string bytes = set_of(made / "x.tar", "new");
  const OtherServer server(
      [&](const Request&, int) { return Response{.body = bytes, .etag = "\"two\""}; });
  const std::string url = server.url.substr(0, server.url.size() - 1) + "x.tar";
  const LocalPath none(made / "none");
  const auto load = [&](const Path& dir, bool anew) {
    CapturedLog log;
    const ScopedEnv home("FASTAI_HOME", dir.string());
    return untar_data(url, {.force_download = anew, .download = fast()});
  };
  const int killed = killed_everywhere(
      [](const Path& dir) {
        set_of(dir / "data/x.tar", "old");
        extract_archive(dir / "data/x.tar", dir / "data/x");
      },
      [&](const Path& dir) { load(dir, true); },
      [&](const Path& dir) {
        if (fs::exists(dir / "data/x")) {
          const auto text = text_of(dir / "data/x");
          CHECK((text == "old" || text == "new"));
        }
        load(dir, false);
        text_of(dir / "data/x");
        load(dir, true);
        CHECK(text_of(dir / "data/x") == "new");
        CHECK_FALSE(fs::exists(dir / "data/x.part"));
      });
  CHECK(killed > 15);
}

TEST_CASE("processes on one cache load a set and weights once, and all find them whole") {
  TempDir dir;
  const std::string set = set_of(dir / "made/x.tar", content(200'000)), weights = content(300'000);
  const LocalPath none(dir / "none");
  const ScopedEnv home("FASTAI_HOME", (dir / "home").string()),
      torch("TORCH_HOME", (dir / "torch").string());
  const auto load = [&](const std::string& url) {
    CapturedLog log;
    if (text_of(untar_data(url + "x.tar", {.download = fast()})) != content(200'000)) return 1;
    const auto file = hub_weights("w.pth", {.base_url = url, .download = fast()});
    return read_file(file) == weights ? 0 : 2;
  };
  std::vector<std::unique_ptr<WaitingChild>> children;
  for (int i = 0; i < 4; ++i) children.push_back(std::make_unique<WaitingChild>(load));
  HttpServer server([&](const Request& request, int n) {
    Response response{.body = request.path == "/x.tar" ? set : weights, .etag = request.path};
    if (n == 0) response.cut_after = 50'000;
    return response;
  });
  for (auto& child : children) child->begin(server.url("/"));
  for (auto& child : children) CHECK(child->wait() == 0);
  CHECK(server.requests().size() == 3);
  CHECK(ls(dir / "home/data").size() == 2);
  CHECK(ls(dir / "torch/hub/checkpoints").size() == 1);
}

TEST_CASE("processes that renew one set all find it whole") {
  TempDir dir;
  const std::string set = set_of(dir / "made/x.tar", "new");
  const LocalPath none(dir / "none");
  const ScopedEnv home("FASTAI_HOME", (dir / "home").string());
  set_of(dir / "home/data/x.tar", "old");
  extract_archive(dir / "home/data/x.tar", dir / "home/data/x");
  const auto load = [&](const std::string& url) {
    CapturedLog log;
    return text_of(untar_data(url, {.force_download = true, .download = fast()})) == "new" ? 0 : 1;
  };
  std::vector<std::unique_ptr<WaitingChild>> children;
  for (int i = 0; i < 4; ++i) children.push_back(std::make_unique<WaitingChild>(load));
  HttpServer server([&](const Request&, int) { return Response{.body = set}; });
  for (auto& child : children) child->begin(server.url("/x.tar"));
  for (auto& child : children) child->wait();
  CHECK(text_of(dir / "home/data/x") == "new");
  CHECK(ls(dir / "home/data").size() == 2);
}
