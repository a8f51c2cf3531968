// What a server refuses, and that it goes on.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>

#include <zlib.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>

#include "deploy/tiny_model.hpp"
#include "serve/client.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMega = 1 << 20;

// Sends a body of zeros, which is long; stops where the other side does.
void send_zeros(Client& client, std::size_t bytes) {
  const std::string part(kMega, '\0');
  for (std::size_t sent = 0; sent < bytes && client.send(part); sent += part.size()) {
  }
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzip = 16;
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + kGzip, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(bytes.size() / 100 + 100'000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// A model that throws what no library expects, while it is told to.
struct Moody : torch::nn::Cloneable<Moody> {
  Moody() { reset(); }
  void reset() override { head = register_module("head", torch::nn::Linear(3, 2)); }
  torch::Tensor forward(const torch::Tensor& x) {
    if (throws) throw 7;
    return head(x.mean({2, 3}));
  }
  inline static std::atomic<bool> throws{false};
  torch::nn::Linear head{nullptr};
};

}  // namespace

TEST_CASE("every refusal is JSON with a code, and concerns nobody else") {
  RunningServer server(
      small_predictor(),
      {.max_pictures = 2, .max_body = 2 * kMega, .max_pixels = 100'000, .request_time = 500ms});
  const auto picture = png(70, 80);
  struct Case {
    const char* name;
    std::string request;
    int status;
    const char* code;
  };
  std::string headers;
  const auto three = form({{"a", picture}, {"b", picture}, {"c", picture}}, headers);
  auto cut = post_text("/predict", three, headers);
  const Case cases[] = {
      {"unknown address", get_text("/admin"), 404, "serve.not_found"},
      {"unknown address with a body", post_text("/admin", picture), 404, "serve.not_found"},
      {"GET of a prediction", get_text("/predict"), 405, "serve.method"},
      {"POST of the page", post_text("/", "x"), 405, "serve.method"},
      {"no body", post_text("/predict", ""), 400, "serve.no_picture"},
      {"no picture", post_text("/predict", "hello"), 422, "image.cannot_decode"},
      {"a broken picture", post_text("/predict", picture.substr(0, picture.size() / 2)), 422,
       "image.cannot_decode"},
      {"too many pixels", post_text("/predict", png(400, 300)), 413, "image.too_large"},
      {"too many pictures", cut, 413, "serve.too_many"},
      {"top_k of 0", post_text("/predict?top_k=0", picture), 400, "serve.bad_request"},
      {"top_k of words", post_text("/predict?top_k=five", picture), 400, "serve.bad_request"},
      {"thresh above 1", post_text("/predict?thresh=1.5", picture), 400, "serve.bad_request"},
      {"thresh that is no number", post_text("/predict?thresh=nan", picture), 400,
       "serve.bad_request"},
      {"a misspelt parameter", post_text("/predict?topk=1", picture), 400, "serve.bad_request"},
      {"a heat map of no class", post_text("/predict?heat_map=unicorn", picture), 400,
       "serve.bad_request"},
      {"a form without its boundary",
       post_text("/predict", three, "Content-Type: multipart/form-data\r\n"), 400,
       "serve.bad_request"},
      {"no HTTP", "hello there\r\n\r\n", 400, "serve.bad_request"},
      {"a method that is none", "FETCH / HTTP/1.1\r\n\r\n", 400, "serve.bad_request"},
      {"a header without end", "GET / HTTP/1.1\r\nX: " + std::string(70'000, 'x'), 431,
       "serve.too_large"},
      {"a header of many lines",
       [] {
         std::string text = "GET / HTTP/1.1\r\n";
         for (int i = 0; i < 9000; ++i) text += "X-" + std::to_string(i) + ": y\r\n";
         return text;
       }(),
       431, "serve.too_large"},
  };
  for (const auto& one : cases) {
    DYNAMIC_SECTION(one.name) {
      const auto answer = ask(server.port(), one.request);
      CAPTURE(answer.head, answer.body);
      CHECK(answer.status == one.status);
      CHECK(answer.code() == one.code);
      CHECK(!answer.json().at("error").at("message").as_string().empty());
      CHECK(post(server.port(), picture).status == 200);
    }
  }
}

TEST_CASE("a body that is too long is refused, however it is sent") {
  RunningServer server(small_predictor(), {.max_body = 2 * kMega});
  const auto picture = png(70, 80);
  SECTION("said before, and sent all the same") {
    Client client(server.port());
    client.send("POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: 104857600\r\n\r\n");
    send_zeros(client, 100 * kMega);
    const auto answer = client.read();
    CHECK(answer.status == 413);
    CHECK(answer.code() == "serve.too_large");
    CHECK(contains(answer.head, "Connection: close"));
  }
  SECTION("asked for first") {
    Client client(server.port());
    client.send(
        "POST /predict HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: "
        "104857600\r\n\r\n");
    CHECK(client.read().status == 413);
  }
  SECTION("in chunks") {
    Client client(server.port());
    client.send("POST /predict HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    const auto part = "100000\r\n" + std::string(kMega, '\0') + "\r\n";
    for (int i = 0; i < 50 && client.send(part); ++i) {
    }
    const auto answer = client.read();
    CHECK(answer.status == 413);
    CHECK(answer.code() == "serve.too_large");
  }
  SECTION("of lines that would be too many for a header, which is no fault of a body") {
    const auto answer = post(server.port(), std::string(20'000, '\n'));
    CHECK(answer.status == 422);
    CHECK(answer.code() == "image.cannot_decode");
  }
  SECTION("of more than one byte, where one is allowed") {
    RunningServer narrow(small_predictor(), {.max_body = 1});
    for (const auto* filling : {"\n", "x"}) {
      std::string body;
      for (int i = 0; i < 20'000; ++i) body += filling;
      const auto said = post(narrow.port(), body);
      CHECK(said.status == 413);
      CHECK(said.code() == "serve.too_large");
      Client client(narrow.port());
      client.send("POST /predict HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
      client.send("4e20\r\n" + body + "\r\n0\r\n\r\n");
      const auto answer = client.read();
      CHECK(answer.status == 413);
      CHECK(answer.code() == "serve.too_large");
    }
  }
  SECTION("packed small") {
    // What is unpacked counts.
    const auto body = gzip(std::string(64 * kMega, '\0'));
    REQUIRE(body.size() < kMega);
    const auto answer = post(server.port(), body, "/predict", "Content-Encoding: gzip\r\n");
    CHECK(answer.status == 413);
    CHECK(answer.code() == "serve.too_large");
    // So does what stands outside the parts of a form, which therefore must not be packed.
    const auto hidden = gzip("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nX\r\n--bZ" +
                             std::string(64 * kMega, '\0'));
    const auto form =
        post(server.port(), hidden, "/predict",
             "Content-Type: multipart/form-data; boundary=b\r\nContent-Encoding: gzip\r\n");
    CHECK(form.status == 415);
    CHECK(post(server.port(), gzip(picture), "/predict", "Content-Encoding: gzip\r\n").status ==
          200);
  }
  CHECK(post(server.port(), picture).status == 200);
}

TEST_CASE("who sends too slowly, or not all, is refused") {
  RunningServer server(small_predictor(), {.request_time = 300ms, .idle_time = 300ms});
  const auto picture = png(70, 80);
  const auto request = post_text("/predict", picture);
  SECTION("a body that stops") {
    Client client(server.port());
    client.send(std::string_view(request).substr(0, request.size() - 100));
    const auto answer = client.read();
    CHECK(answer.status == 408);
    CHECK(answer.code() == "serve.too_slow");
  }
  SECTION("a header that stops") {
    Client client(server.port());
    client.send("POST /predict HTTP/1.1\r\nHost: te");
    const auto answer = client.read();
    CHECK(answer.status == 408);
    CHECK(answer.code() == "serve.too_slow");
  }
  SECTION("a byte now and then") {
    Client client(server.port());
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < request.size() && std::chrono::steady_clock::now() - start < 10s;
         ++i) {
      if (!client.send(std::string_view(request).substr(i, 1)) || client.is_closed(0ms)) break;
      std::this_thread::sleep_for(20ms);
      if (i > 20 && client.read(0ms).status == 408) break;
    }
    CHECK(std::chrono::steady_clock::now() - start < 9s);
  }
  SECTION("half a body, then the end") {
    Client client(server.port());
    client.send(std::string_view(request).substr(0, request.size() / 2));
    client.end_sending();
    const auto answer = client.read();
    CHECK(answer.status == 400);
    CHECK(answer.code() == "serve.bad_request");
  }
  SECTION("nothing at all") {
    Client client(server.port());
    CHECK(client.is_closed());
  }
  SECTION("who leaves in the middle") {
    for (int i = 0; i < 20; ++i) {
      Client client(server.port());
      client.send(
          std::string_view(request).substr(0, request.size() - static_cast<std::size_t>(i % 2)));
    }
  }
  CHECK(post(server.port(), picture).status == 200);
}

TEST_CASE("a body that nobody reads is not taken for a request") {
  RunningServer server(small_predictor());
  Client client(server.port());
  client.send(post_text("/nowhere", get_text("/healthz")));
  CHECK(client.read().status == 404);
  CHECK(client.is_closed());
}

TEST_CASE("a body whose end is not clear ends its connection") {
  RunningServer server(small_predictor());
  const auto picture = png(70, 80);
  const auto size = std::to_string(picture.size());
  for (const auto& headers :
       {std::string("Content-Length: ") + size + "x\r\n",
        std::string("Content-Length: 0\r\nContent-Length: ") + size + "\r\n",
        "Transfer-Encoding: gzip, chunked\r\nContent-Length: " + size + "\r\n",
        std::string("Content-Length: 99999999999999999999999\r\n")}) {
    for (const auto* path : {"/healthz", "/predict"}) {
      CAPTURE(headers, path);
      Client client(server.port());
      client.send("POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n" +
                  get_text("/metrics"));
      client.end_sending();
      CHECK(client.read().status != 0);
      CHECK(client.is_closed());
    }
  }
  // No length and no chunks: no body.
  const auto answer = ask(server.port(), "POST /predict HTTP/1.1\r\nHost: test\r\n\r\n");
  CHECK(answer.status == 400);
  CHECK(answer.code() == "serve.no_picture");
}

TEST_CASE("more pictures than may wait are refused until there is room") {
  // Nothing is computed before the wait is over.
  RunningServer server(small_predictor(), {.max_batch = 64, .max_wait = 4000ms, .max_queue = 2});
  const auto request = post_text("/predict", png(70, 80));
  Client a(server.port()), b(server.port());
  a.send(request);
  b.send(request);
  for (int i = 0; i < 200; ++i) {
    if (contains(ask(server.port(), get_text("/metrics")).body, "fastcpp_queue_length 2\n")) break;
    std::this_thread::sleep_for(5ms);
  }
  const auto refused = ask(server.port(), request);
  CHECK(refused.status == 503);
  CHECK(refused.code() == "serve.busy");
  CHECK(contains(refused.head, "Retry-After: 1"));
  CHECK(a.read().status == 200);
  CHECK(b.read().status == 200);
}

TEST_CASE("whatever a model throws is answered, and the threads stay") {
  const TempDir dir;
  const Learner learn(pictures(dir), Model(std::make_shared<Moody>()), {.silent = true});
  const Predictor predictor(learn);
  RunningServer server(predictor, {.max_batch = 2});
  const auto picture = png(70, 80);
  Moody::throws = true;
  // More than there are threads.
  for (int i = 0; i < 8; ++i) {
    const auto answer = post(server.port(), picture);
    CHECK(answer.status == 500);
    CHECK(!answer.code().empty());
  }
  Moody::throws = false;
  CHECK(post(server.port(), picture).status == 200);
}

TEST_CASE("a key opens predictions and metrics") {
  RunningServer server(small_predictor(), {.api_key = "s3cret"});
  const auto picture = png(70, 80);
  const auto with = [&](const std::string& headers) {
    return post(server.port(), picture, "/predict", headers);
  };
  CHECK(with("").status == 401);
  CHECK(with("").code() == "serve.api_key");
  CHECK(with("X-API-Key: s3creT\r\n").status == 401);
  CHECK(with("X-API-Key: \r\n").status == 401);
  CHECK(with("Authorization: Bearer s3cret2\r\n").status == 401);
  CHECK(with("Authorization: Bearer s3cret\r\n").status == 200);
  CHECK(with("authorization: bearer s3cret\r\n").status == 200);
  CHECK(with("X-API-Key: s3cret\r\n").status == 200);
  CHECK(ask(server.port(), get_text("/metrics")).status == 401);
  CHECK(ask(server.port(), get_text("/healthz")).status == 200);
  CHECK(ask(server.port(), get_text("/")).status == 200);
}

TEST_CASE("what cannot be served is said before it listens") {
  const auto predictor = small_predictor();
  CHECK(caught([&] { serve(predictor, {.port = 70000}); }).code == "value.serve");
  CHECK(caught([&] { serve(predictor, {.max_batch = 0}); }).code == "value.serve");
  CHECK(caught([&] { serve(predictor, {.request_time = 0ms}); }).code == "value.serve");
  CHECK(caught([&] { serve(predictor, {.host = ""}); }).code == "value.serve");
  CHECK(caught([&] { serve(predictor, {.thresh = 7}); }).code == "value.serve");
  CHECK(caught([&] { serve(predictor, {.api_key = "a%41"}); }).code == "value.serve");
  CHECK(caught([&] { serve(predictor, {.host = "203.0.113.7"}); }).code == "serve.cannot_listen");
  RunningServer first(predictor);
  const auto taken = caught([&] { serve(predictor, {.port = first.port()}); });
  CHECK(taken.code == "serve.cannot_listen");
  CHECK(contains(taken.message, std::to_string(first.port())));
  // Two at once, on two ports.
  RunningServer second(predictor);
  CHECK(post(second.port(), png(70, 80)).status == 200);
  CHECK(post(first.port(), png(70, 80)).status == 200);
}

TEST_CASE("a server changes nothing of its process") {
  struct sigaction before {
  }, after{};
  ::sigaction(SIGPIPE, nullptr, &before);
  {
    RunningServer server(small_predictor());
    ::sigaction(SIGPIPE, nullptr, &after);
    CHECK(post(server.port(), png(70, 80)).status == 200);
  }
  CHECK(after.sa_handler == before.sa_handler);
}
