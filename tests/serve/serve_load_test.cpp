// A server under load, and stopped under load.
#include <torch/types.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "deploy/tiny_model.hpp"
#include "serve/client.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;

namespace {

constexpr int kClients = 16;

// Bytes of this process in memory.
std::int64_t resident() {
  std::ifstream in("/proc/self/statm");
  std::int64_t all = 0, held = 0;
  in >> all >> held;
  return held * ::sysconf(_SC_PAGESIZE);
}

// The i-th request, one of five kinds. Whether the answer is as it must be.
bool try_one(int port, int i, const std::string& picture, const std::string& category) {
  switch (i % 20) {
    case 3: {  // 100 MB
      static const std::string part(1 << 20, '\0');
      Client client(port);
      client.send("POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: 104857600\r\n\r\n");
      for (int sent = 0; sent < 100 && client.send(part); ++sent) {
      }
      return client.read().code() == "serve.too_large";
    }
    case 8:
      return post(port, "no picture at all").code() == "image.cannot_decode";
    case 12:
      return post(port, picture.substr(0, picture.size() / 2)).code() == "image.cannot_decode";
    case 16: {  // stops sending
      Client client(port);
      const auto text = post_text("/predict", picture);
      client.send(text.substr(0, text.size() / 2));
      return client.read().code() == "serve.too_slow";
    }
    case 18: {  // half closed
      Client client(port);
      client.send(post_text("/predict", picture));
      client.end_sending();
      return client.read().status == 200;
    }
    default: {
      const auto answer = post(port, picture);
      return answer.status == 200 &&
             answer.json().at("predictions").items()[0].at("prediction").as_string() == category;
    }
  }
}

}  // namespace

TEST_CASE("2000 requests of 16 clients, good and bad: each gets its answer, and memory stays") {
  const auto predictor = small_predictor();
  const auto picture = png(70, 80);
  const auto category = predictor.predict_bytes(picture).category;
  RunningServer server(predictor, {.max_body = 4 << 20, .request_time = 2s});
  std::array<std::int64_t, 3> memory{};
  std::array<std::atomic<int>, 20> kinds{};
  for (std::size_t half = 0; half < 2; ++half) {
    memory[half] = resident();
    std::atomic<int> next{0};
    std::vector<std::jthread> clients;
    for (int c = 0; c < kClients; ++c) {
      clients.emplace_back([&] {
        for (int i; (i = next++) < 1000;) {
          if (try_one(server.port(), i, picture, category)) continue;
          kinds[static_cast<std::size_t>(i % 20)]++;
        }
      });
    }
  }
  memory[2] = resident();
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    CAPTURE(kind);
    CHECK(kinds[kind] == 0);
  }
  CAPTURE(memory[0], memory[1], memory[2]);
  // The first half may fill pools of memory; the second finds them.
  if (!kSanitized) CHECK(memory[2] - memory[1] < 16 << 20);
}

TEST_CASE("a stop under load loses no request that was accepted") {
  const auto predictor = small_predictor();
  const auto request = post_text("/predict", png(70, 80));
  for (int round = 0; round < 5; ++round) {
    RunningServer server(predictor, {.max_batch = 4, .max_wait = 20ms});
    std::atomic<int> answered{0}, lost{0};
    {
      std::vector<std::jthread> clients;
      for (int c = 0; c < kClients; ++c) {
        clients.emplace_back([&] {
          for (;;) {
            Client client(server.port());
            if (!client.connected() || !client.send(request)) return;
            const auto answer = client.read();
            if (answer.status == 0) {
              ++lost;
              return;
            }
            if (answer.status != 200) return;  // told that it is being stopped
            ++answered;
          }
        });
      }
      std::this_thread::sleep_for(150ms);
      server.request_stop();
    }
    server.stop();
    CHECK(lost == 0);
    CHECK(answered > 0);
  }
}

TEST_CASE("a stop does not wait for who is idle, and no longer than it may for who is slow") {
  RunningServer server(small_predictor(), {.grace = 300ms});
  Client idle(server.port()), slow(server.port());
  idle.send(get_text("/healthz"));
  CHECK(idle.read().status == 200);
  slow.send("POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nabc");
  std::this_thread::sleep_for(50ms);
  const auto start = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  CHECK(idle.is_closed());
  CHECK(slow.is_closed());
}

TEST_CASE("a stop under traffic that does not end takes no longer than telling it so") {
  RunningServer server(small_predictor(), {.grace = 60s});
  std::atomic<bool> over{false};
  std::jthread traffic([&] {
    while (!over) ask(server.port(), get_text("/healthz"));
  });
  std::this_thread::sleep_for(100ms);
  const auto start = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - start < 20s);
  over = true;
}

TEST_CASE("who begins to send during a stop cannot stretch it") {
  RunningServer server(small_predictor(), {.grace = 1s});
  Client client(server.port());
  std::this_thread::sleep_for(100ms);
  server.request_stop();
  std::this_thread::sleep_for(200ms);
  client.send("POST /predict HTTP/1.1\r\nHo");
  const auto start = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

TEST_CASE("an exception of on_ready arrives, whoever is connected") {
  const auto predictor = small_predictor();
  const auto found = caught([&] {
    serve(predictor, {.port = 0, .on_ready = [](const std::string&) {
                        throw ValueError("value.mine", "no");
                      }});
  });
  CHECK(found.code == "value.mine");
}
