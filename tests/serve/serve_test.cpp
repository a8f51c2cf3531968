// What a server answers.
#include <torch/types.h>

#include <thread>
#include <vector>

#include "deploy/small_learners.hpp"
#include "deploy/tiny_model.hpp"
#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "serve/client.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("a server answers as its predictor") {
  const auto predictor = small_predictor();
  RunningServer server(predictor);
  const auto picture = png(70, 80);
  const auto expected = predictor.predict_bytes(picture);

  SECTION("one picture") {
    const auto answer = post(server.port(), picture);
    REQUIRE(answer.status == 200);
    CHECK(contains(answer.head, "application/json"));
    const auto predictions = answer.json().at("predictions");
    REQUIRE(predictions.size() == 1);
    const auto& one = predictions.items()[0];
    CHECK(one.at("prediction").as_string() == expected.category);
    const auto best = predictor.top_k(expected, 2);
    REQUIRE(one.at("top").size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& found = one.at("top").items()[i];
      CHECK(found.at("class").as_string() == best[i].category);
      CHECK(found.at("index").as_int() == best[i].index);
      CHECK(found.at("probability").as_double() == Approx(best[i].probability).margin(1e-6));
    }
    for (const auto* part : {"decode", "queue", "compute"}) {
      CHECK(one.at("milliseconds").at(part).as_double() >= 0);
    }
    CHECK(one.find("heat_map") == nullptr);
  }
  SECTION("what the address asks for") {
    const auto answer = post(server.port(), picture, "/predict?top_k=1");
    CHECK(answer.json().at("predictions").items()[0].at("top").size() == 1);
  }
  SECTION("a form of several, one of which is no picture") {
    std::string headers;
    const auto body =
        form({{"a.png", picture}, {"b.txt", "no picture"}, {"c\xff.png", png(30, 64, 2)}}, headers);
    const auto answer = post(server.port(), body, "/predict", headers);
    REQUIRE(answer.status == 200);
    const auto predictions = answer.json().at("predictions");
    REQUIRE(predictions.size() == 3);
    const auto& items = predictions.items();
    CHECK(items[0].at("name").as_string() == "a.png");
    CHECK(items[0].at("prediction").as_string() == expected.category);
    CHECK(items[1].at("error").at("code").as_string() == "image.cannot_decode");
    CHECK(items[2].at("name").as_string() == "c\xEF\xBF\xBD.png");
    CHECK(items[2].find("error") == nullptr);
  }
  SECTION("a form of nothing but bad pictures") {
    std::string headers;
    const auto body = form({{"a.png", "1"}, {"b.txt", "2"}}, headers);
    const auto answer = post(server.port(), body, "/predict", headers);
    CHECK(answer.status == 422);
    CHECK(answer.json().at("predictions").size() == 2);
  }
  SECTION("a body in chunks") {
    Client client(server.port());
    client.send("POST /predict HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (std::size_t at = 0; at < picture.size(); at += 1000) {
      const auto part = picture.substr(at, 1000);
      char size[16];
      std::snprintf(size, sizeof size, "%zx\r\n", part.size());
      client.send(size + part + "\r\n");
    }
    client.send("0\r\n\r\n");
    CHECK(client.read().status == 200);
  }
}

TEST_CASE("a connection serves several requests, sent ahead or one by one") {
  RunningServer server(small_predictor());
  const auto request = post_text("/predict", png(70, 80));
  Client client(server.port());
  client.send(request);
  CHECK(client.read().status == 200);
  client.send(request + get_text("/healthz") + request);
  CHECK(client.read().status == 200);
  CHECK(client.read().json().at("status").as_string() == "ok");
  CHECK(client.read().status == 200);
  client.send(post_text("/predict", png(70, 80), "Connection: close\r\n"));
  CHECK(client.read().status == 200);
  CHECK(client.is_closed());
}

TEST_CASE("a client that ends its side after the request gets its answer") {
  RunningServer server(small_predictor());
  Client client(server.port());
  client.send(post_text("/predict", png(70, 80)));
  client.end_sending();
  CHECK(client.read().status == 200);
}

TEST_CASE("the page, health and metrics") {
  RunningServer server(small_predictor(), {.title = "<Cats> & dogs"});
  const auto page = ask(server.port(), get_text("/"));
  CHECK(page.status == 200);
  CHECK(contains(page.head, "text/html"));
  CHECK(contains(page.head, "Content-Security-Policy: default-src 'none'"));
  CHECK(contains(page.body, "<title>&lt;Cats&gt; &amp; dogs</title>"));
  // An answer to HEAD has no body.
  Client head(server.port());
  head.send("HEAD /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
  head.end_sending();
  const auto only_head = head.read(std::chrono::seconds(5), false);
  CHECK(only_head.status == 200);
  CHECK(head.is_closed());
  CHECK(contains(ask(server.port(), get_text("/healthz")).body, "\"ok\""));

  post(server.port(), png(70, 80));
  post(server.port(), png(70, 80));
  post(server.port(), "no picture");
  const auto metrics = ask(server.port(), get_text("/metrics"));
  CHECK(contains(metrics.head, "text/plain; version=0.0.4"));
  for (const auto* line :
       {"fastcpp_requests_total{status=\"200\"} 2\n", "fastcpp_requests_total{status=\"422\"} 1\n",
        "fastcpp_errors_total{code=\"image.cannot_decode\"} 1\n",
        "fastcpp_request_seconds_count 3\n", "fastcpp_decode_seconds_bucket{le=\"+Inf\"} 2\n",
        "fastcpp_queue_seconds_count 2\n", "fastcpp_compute_seconds_count 2\n",
        "fastcpp_batch_size_bucket{le=\"1\"} 2\n",
        "# TYPE fastcpp_queue_length gauge\nfastcpp_queue_length 0\n"}) {
    CAPTURE(line, metrics.body);
    CHECK(contains(metrics.body, line));
  }
}

TEST_CASE("pictures of several requests are computed together") {
  const auto predictor = small_predictor();
  // The batch is complete long before the wait is over.
  RunningServer server(predictor, {.max_batch = 6, .max_wait = std::chrono::seconds(50)});
  std::vector<std::jthread> clients;
  std::atomic<int> right{0};
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&, i] {
      const auto picture = png(70, 80, i);
      const auto answer = post(server.port(), picture);
      const auto expected = predictor.top_k(predictor.predict_bytes(picture), 1)[0];
      const auto found = answer.json().at("predictions").items()[0].at("top").items()[0];
      right += found.at("class").as_string() == expected.category &&
               std::abs(found.at("probability").as_double() - expected.probability) < 1e-5;
    });
  }
  clients.clear();
  CHECK(right == 6);
  const auto metrics = ask(server.port(), get_text("/metrics")).body;
  CHECK(contains(metrics, "fastcpp_batch_size_sum 6\nfastcpp_batch_size_count 1\n"));
}

TEST_CASE("a heat map comes with the picture that it lies on") {
  const TempDir dir;
  const Predictor predictor(learner(pictures(dir), models::resnet18));
  RunningServer server(predictor);
  const auto picture = png(70, 80);
  const auto best = post(server.port(), picture, "/predict?heat_map=best");
  REQUIRE(best.status == 200);
  const auto one = best.json().at("predictions").items()[0];
  const auto map = one.at("heat_map");
  CHECK(map.at("class").as_int() == one.at("top").items()[0].at("index").as_int());
  CHECK(map.at("rows").as_int() == 2);
  REQUIRE(map.at("values").size() == 4);
  for (const auto& value : map.at("values").items()) {
    CHECK(value.as_double() >= 0);
    CHECK(value.as_double() <= 1);
  }
  CHECK(map.at("picture").as_string().starts_with("data:image/jpeg;base64,/9j/"));
  const auto other = post(server.port(), picture, "/predict?heat_map=1");
  CHECK(other.json().at("predictions").items()[0].at("heat_map").at("class").as_int() == 1);
  CHECK(post(server.port(), picture, "/predict?heat_map=2").code() == "value.class_index");
  const auto named = post(server.port(), picture, "/predict?heat_map=" + predictor.classes()[1]);
  CHECK(named.json().at("predictions").items()[0].at("heat_map").at("class").as_int() == 1);

  // What the network saw is the picture, cut to its size.
  const auto seen = predictor.heat_map(predictor.prepare_bytes(picture), 0).picture;
  CHECK(seen.size() == cv::Size(64, 64));
  const auto mean = cv::mean(seen);
  CHECK(mean[0] == Approx(127).margin(8));
}

TEST_CASE("a network without body and head has no heat map, and predicts") {
  RunningServer server(small_predictor());
  const auto answer = post(server.port(), png(70, 80), "/predict?heat_map=best");
  CHECK(answer.status == 422);
  CHECK(answer.code() == "train.no_body");
  CHECK(post(server.port(), png(70, 80)).status == 200);
}

TEST_CASE("numbers are served too") {
  const TempDir dir;
  const auto files = draw(dir);
  std::vector<Label> labels;
  for (std::size_t i = 0; i < files.size(); ++i) labels.push_back(static_cast<double>(i));
  const auto data = ImageList(files, dir.path())
                        .split_by_idx({1, 2, 3})
                        .label_from_func(labels_in_order(files, labels))
                        .transform({}, {.size = 64})
                        .databunch({.bs = 4, .num_workers = 0, .device = torch::kCPU});
  RunningServer server(Predictor(tiny_learner(data)));
  const auto one = post(server.port(), png(70, 80)).json().at("predictions").items()[0];
  CHECK(one.at("numbers").size() == 1);
  CHECK(one.find("top") == nullptr);
}

TEST_CASE("a server of a table's model takes rows as JSON") {
  TempDir dir;
  std::string csv = "kind,age,asleep\n";
  for (int i = 0; i < 48; ++i) {
    csv += (i % 2 ? "owl," : "hen,") + std::to_string(i % 9) + (i % 2 ? ",yes\n" : ",no\n");
  }
  const auto data = TabularDataBunch::from_df(
      dir.path(), Table::parse_csv(csv), "asleep", {0, 1},
      {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
       .cat_names = {"kind"},
       .bs = 8,
       .device = torch::kCPU});
  auto learn = tabular_learner(data, {.layers = {6}, .silent = true, .seed = 1});
  learn.fit(5, 1e-2);
  const Predictor predictor(learn.export_model("animals.fcpp"), {.device = torch::kCPU});
  CHECK(predictor.takes_rows());
  RunningServer server(predictor);
  const auto answer =
      post(server.port(),
           R"({"rows": [{"kind": "owl", "age": 3}, {"kind": "emu", "age": 2.5, "x": true},
                               {"kind": "hen"}, {"kind": "hen", "age": "old"}, {"kind": null, "age": 1}]})",
           "/predict", "Content-Type: application/json\r\n");
  REQUIRE(answer.status == 200);
  const auto predictions = answer.json().at("predictions");
  REQUIRE(predictions.size() == 5);
  const auto& items = predictions.items();
  CHECK(items[0].at("name").as_string() == "row 0");
  CHECK(items[0].at("prediction").as_string() == "yes");
  const auto expected = predictor.predict(TabularRow{{"kind", "emu"}, {"age", 2.5}});
  CHECK(items[1].at("prediction").as_string() == expected.category);
  CHECK(items[2].at("error").at("code").as_string() == "data.no_column");
  CHECK(items[3].at("error").at("code").as_string() == "data.not_a_number");
  CHECK(contains(items[3].at("error").at("message").as_string(), "'age'"));
  CHECK(items[4].find("error") == nullptr);
  // One row alone.
  CHECK(post(server.port(), R"({"kind": "hen", "age": 4})")
            .json()
            .at("predictions")
            .items()[0]
            .at("prediction")
            .as_string() == "no");
  for (const auto* wrong : {"kind,age\nowl,3\n", "[1, 2]", R"({"rows": 3})", R"({"rows": []})",
                            R"({"rows": [7]})", R"({"kind": ["owl"], "age": 3})"}) {
    INFO(wrong);
    const auto refused = post(server.port(), wrong);
    CHECK(refused.status == 400);
    CHECK(refused.json().at("error").at("code").as_string() == "serve.bad_request");
  }
  CHECK(contains(post(server.port(), "kind,age\nowl,3\n").body, "send JSON"));
  CHECK(contains(post(server.port(), "").body, "send JSON"));
  CHECK(contains(ask(server.port(), get_text("/predict")).body, "send rows with POST"));
  // What is wrong with a row is the sender's to mend.
  const auto bad = post(server.port(), R"({"kind": "hen"})");
  CHECK(bad.status == 422);
  CHECK(bad.json().at("error").at("code").as_string() == "data.no_column");
  const auto many = post(server.port(), R"({"rows": [{"kind": "hen"}, {"age": 3}]})");
  CHECK(many.status == 422);
  CHECK(many.json().at("predictions").items()[1].at("error").at("code").as_string() ==
        "data.no_column");
  // Rows are computed together, and counted as pictures are.
  std::string rows;
  for (int i = 0; i < 40; ++i) {
    rows += (i ? "," : "") + std::string(R"({"kind": "owl", "age": )") + std::to_string(i) + "}";
  }
  const auto together = post(server.port(), R"({"rows": [)" + rows + "]}").json().at("predictions");
  REQUIRE(together.size() == 40);
  for (int i : {0, 17, 39}) {
    const auto want = predictor.predict(TabularRow{{"kind", "owl"}, {"age", i}});
    CHECK(together.items()[static_cast<std::size_t>(i)].at("prediction").as_string() ==
          want.category);
  }
  const auto metrics = ask(server.port(), get_text("/metrics")).body;
  CHECK(contains(metrics, "fastcpp_compute_seconds_count 44\n"));
}

TEST_CASE("the page of a table's model has a form with its columns") {
  TempDir dir;
  std::string csv = "kind,age,asleep\n";
  for (int i = 0; i < 24; ++i) {
    csv +=
        (i % 2 ? "</script>owl," : "hen,") + std::to_string(i % 9) + (i % 2 ? ",yes\n" : ",no\n");
  }
  const auto data =
      TabularDataBunch::from_df(dir.path(), Table::parse_csv(csv), "asleep", {0, 1},
                                {.procs = {tabular::Categorify(), tabular::Normalize()},
                                 .cat_names = {"kind"},
                                 .bs = 8,
                                 .device = torch::kCPU});
  RunningServer server(Predictor(tabular_learner(data, {.layers = {6}, .silent = true})));
  const auto page = ask(server.port(), get_text("/"));
  CHECK(page.status == 200);
  CHECK(contains(page.body, R"({"name":"kind","classes":["\u003c/script>owl","hen"]})"));
  CHECK(contains(page.body, R"({"name":"age","mean":3.9)"));
  CHECK_FALSE(contains(page.body, "Choose a picture"));
  CHECK(contains(page.body, "Content-Type"));
}

TEST_CASE("a server guesses ratings") {
  TempDir dir;
  std::string csv = "user,film,stars\n";
  for (int i = 0; i < 48; ++i) {
    csv += std::to_string(i % 6) + ",film " + std::to_string(i % 4) + "," +
           std::to_string(1 + i % 5) + "\n";
  }
  const auto data = CollabDataBunch::from_df(
      Table::parse_csv(csv), {.seed = 1, .path = dir.path(), .bs = 8, .device = torch::kCPU});
  auto learn = collab_learner(data, {.n_factors = 3, .y_range = {{0.0, 5.5}}, .silent = true});
  const Predictor predictor(learn.export_model("films.fcpp"), {.device = torch::kCPU});
  RunningServer server(predictor);
  const auto answer = post(
      server.port(),
      R"({"rows": [{"user": 2, "film": "film 3"}, {"user": 77, "film": "film 3"}, {"user": 2}]})");
  REQUIRE(answer.status == 200);
  const auto predictions = answer.json().at("predictions");
  const auto& items = predictions.items();
  REQUIRE(items.size() == 3);
  const auto expected = predictor.predict(TabularRow{{"user", 2}, {"film", "film 3"}});
  CHECK(items[0].at("prediction").as_string() == expected.category);
  REQUIRE(items[0].at("numbers").size() == 1);
  CHECK(items[0].at("numbers").items()[0].as_double() ==
        Approx(expected.probabilities.item<double>()).margin(1e-6));
  CHECK(items[1].find("error") == nullptr);  // a user never seen
  CHECK(items[2].at("error").at("code").as_string() == "data.no_column");
}
