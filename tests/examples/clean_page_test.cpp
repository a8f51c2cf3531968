// The server of the cleaning page, as a browser talks to it.
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <thread>

#include "../../examples/clean_server.hpp"
#include "fastcpp/data/table.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using PageJson = nlohmann::json;

namespace {

// Seven pictures of two classes, and a server that shows all of them.
class Page {
 public:
  explicit Page(PageKind kind = PageKind::kPictures) {
    LabelledFiles items{{}, {}, {"cat", "dog, large"}};
    std::vector<std::int64_t> indices;
    for (int i = 0; i < 7; ++i) {
      const std::string label = items.classes[i % 2];
      items.files.push_back(dir_ / (label + "/" + std::to_string(i) + ".png"));
      items.labels.push_back(label);
      indices.push_back(6 - i);
      std::filesystem::create_directories(items.files.back().parent_path());
      cv::imwrite(items.files.back().string(),
                  cv::Mat(40 + i, 900, CV_8UC3, cv::Scalar(20, 90, 200)));
    }
    if (kind == PageKind::kPairs) indices.pop_back();
    server_.emplace(
        ImageCleaner(items, indices, dir_.path(), {.duplicates = kind == PageKind::kPairs}),
        "Largest losses", kind);
    port_ = server_->bind(0);
    thread_ = std::thread([this] { server_->serve(); });
    client_.emplace("127.0.0.1", port_);
    client_->set_connection_timeout(10);
    while (!client_->Get("/state")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ~Page() {
    server_->finish();
    if (thread_.joinable()) thread_.join();
  }

  httplib::Result get(const std::string& path, const httplib::Headers& headers = {}) {
    return client_->Get(path.c_str(), headers);
  }
  httplib::Result post(const std::string& path, const httplib::Params& form,
                       const httplib::Headers& headers = {}) {
    return client_->Post(path.c_str(), headers, form);
  }
  PageJson act(const std::string& path, const httplib::Params& form) {
    const auto answer = post(path, form);
    REQUIRE(answer);
    CHECK(answer->status == 200);
    return PageJson::parse(answer->body);
  }
  int status(const std::string& path, const httplib::Params& form) {
    const auto answer = post(path, form);
    REQUIRE(answer);
    CHECK(PageJson::parse(answer->body).contains("error"));
    return answer->status;
  }
  // Waits for the server's end.
  void join() { thread_.join(); }
  Path csv() const { return dir_ / "cleaned.csv"; }
  const Path& folder() const { return dir_.path(); }
  int port() const { return port_; }

 private:
  TempDir dir_;
  std::optional<CleanServer> server_;
  std::optional<httplib::Client> client_;
  std::thread thread_;
  int port_ = 0;
};

}  // namespace

TEST_CASE("a person cleans pictures on the page") {
  Page page;
  const auto html = page.get("/");
  REQUIRE(html);
  CHECK(html->status == 200);
  CHECK(html->get_header_value("Content-Type").starts_with("text/html"));
  CHECK(html->get_header_value("Content-Security-Policy").starts_with("default-src 'none'"));
  CHECK(html->body.starts_with("<!DOCTYPE html>"));
  CHECK(html->body.ends_with("</html>\n"));

  auto state = PageJson::parse(page.get("/state")->body);
  CHECK(state.at("heading") == "Largest losses");
  CHECK(state.at("classes") == PageJson{"cat", "dog, large"});
  REQUIRE(state.at("pictures").size() == 5);
  CHECK(state.at("pictures")[0] == PageJson{{"index", 6},
                                            {"name", "cat/6.png"},
                                            {"label", "cat"},
                                            {"given", "cat"},
                                            {"marked", false}});
  CHECK(state.at("left") == 2);
  CHECK(state.at("undo") == false);

  // Pictures arrive whole, and small enough.
  const auto picture = page.get("/picture/6");
  REQUIRE(picture);
  CHECK(picture->get_header_value("Content-Type") == "image/png");
  const std::vector<unsigned char> bytes(picture->body.begin(), picture->body.end());
  const auto pixels = cv::imdecode(bytes, cv::IMREAD_COLOR);
  CHECK(pixels.cols == 600);
  CHECK(pixels.rows == 31);
  CHECK(pixels.at<cv::Vec3b>(5, 5) == cv::Vec3b(20, 90, 200));

  state = page.act("/relabel", {{"page", "0"}, {"position", "0"}, {"class", "dog, large"}});
  CHECK(state.at("pictures")[0].at("label") == "dog, large");
  CHECK(state.at("pictures")[0].at("given") == "cat");
  state = page.act("/delete", {{"page", "0"}, {"position", "1"}});
  CHECK(state.at("pictures")[1].at("marked") == true);
  page.act("/delete", {{"page", "0"}, {"position", "2"}});
  state = page.act("/undo", {{"page", "0"}});
  CHECK(state.at("pictures")[2].at("marked") == false);
  CHECK(Table::read_csv(page.csv()).rows() == 7);
  state = page.act("/next", {{"page", "0"}});
  CHECK(state.at("page") == 1);
  CHECK(state.at("pictures").size() == 2);
  CHECK(state.at("message") == "");
  CHECK(Table::read_csv(page.csv()).rows() == 6);
  // A click of a page that is not shown any more changes nothing.
  CHECK(page.status("/next", {{"page", "0"}}) == 409);
  CHECK(page.status("/delete", {{"page", "0"}, {"position", "0"}}) == 409);
  state = page.act("/next", {{"page", "1"}});
  CHECK(state.at("message") == "No images to show :)");
  CHECK(state.at("pictures").empty());

  CHECK(read_file(page.csv()) ==
        "name,label\r\ncat/0.png,cat\r\n\"dog, large/1.png\",\"dog, large\"\r\ncat/2.png,cat\r\n"
        "\"dog, large/3.png\",\"dog, large\"\r\ncat/4.png,cat\r\ncat/6.png,\"dog, large\"\r\n");
  const auto table = Table::read_csv(page.csv());
  for (std::int64_t i = 0; i < table.rows(); ++i) {
    CHECK(std::filesystem::exists(page.folder() / table["name"].raw(i)));
  }
  const auto end = page.post("/finish", {});
  REQUIRE(end);
  CHECK(end->status == 200);
  page.join();
}

TEST_CASE("pairs have no choice of class") {
  Page page(PageKind::kPairs);
  auto state = PageJson::parse(page.get("/state")->body);
  CHECK(state.at("pairs") == true);
  CHECK(state.at("classes").empty());
  CHECK(state.at("pictures").size() == 2);
  CHECK(page.status("/relabel", {{"page", "0"}, {"position", "0"}, {"class", "cat"}}) == 400);
  page.act("/delete", {{"page", "0"}, {"position", "0"}});
  state = page.act("/next", {{"page", "0"}});
  CHECK(state.at("pictures").size() == 2);
  state = page.act("/undo", {{"page", "1"}});
  CHECK(state.at("page") == 2);
  CHECK(state.at("pictures")[0].at("marked") == true);
  CHECK(Table::read_csv(page.csv()).rows() == 7);
}

TEST_CASE("what is no request of the page is refused and changes nothing") {
  Page page;
  const auto before = page.get("/state")->body;
  const auto get = [&](const std::string& path) { return page.get(path)->status; };
  CHECK(get("/picture/7") == 404);
  CHECK(get("/picture/-1") == 404);
  CHECK(get("/picture/99999999999999999999") == 404);
  CHECK(get("/picture/..%2f..%2fetc%2fpasswd") == 404);
  CHECK(get("/cleaned.csv") == 404);
  CHECK(get("/next") == 404);
  CHECK(page.status("/next", {}) == 400);
  CHECK(page.status("/next", {{"page", "x"}}) == 400);
  CHECK(page.status("/next", {{"page", "-1"}}) == 400);
  CHECK(page.status("/delete", {{"page", "0"}}) == 400);
  CHECK(page.status("/delete", {{"page", "0"}, {"position", "5"}}) == 400);
  CHECK(page.status("/delete", {{"page", "0"}, {"position", "99999999999999999999"}}) == 400);
  CHECK(page.status("/relabel", {{"page", "0"}, {"position", "0"}}) == 400);
  CHECK(page.status("/relabel", {{"page", "0"}, {"position", "0"}, {"class", "bird"}}) == 400);
  CHECK(page.post("/delete", {{"page", std::string(100'000, '0')}})->status == 413);
  // Another site's page, and another site's name for this computer.
  const auto own = "127.0.0.1:" + std::to_string(page.port());
  CHECK(page.post("/next", {{"page", "0"}}, {{"Origin", "http://example.org"}})->status == 403);
  CHECK(page.get("/state", {{"Host", "example.org"}})->status == 403);
  CHECK(page.get("/state", {{"Host", own}, {"Origin", "http://" + own}})->status == 200);
  CHECK(page.get("/state")->body == before);

  // A file that is no picture any more.
  write_file(page.folder() / "cat/6.png", "no picture");
  CHECK(get("/picture/6") == 404);
  // What cannot be written is said, and can be tried again.
  std::filesystem::remove(page.csv());
  std::filesystem::create_directory(page.csv());
  CHECK(page.status("/next", {{"page", "0"}}) == 500);
  std::filesystem::remove(page.csv());
  CHECK(page.act("/next", {{"page", "0"}}).at("page") == 1);
}

TEST_CASE("a port that is taken is refused") {
  Page page;
  TempDir dir;
  CleanServer second(ImageCleaner(LabelledFiles{}, {}, dir.path()), "", PageKind::kPictures);
  CHECK(caught([&] { second.bind(page.port()); }).code == "io.cannot_listen");
}
