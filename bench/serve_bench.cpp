// A server beside predict_batch on the same pictures and threads.
#include <httplib.h>
#include <torch/types.h>

#include <atomic>
#include <cstdio>
#include <future>
#include <string>
#include <thread>

#include "fastcpp/serve/serve.hpp"
#include "fastcpp/vision.hpp"
#include "learner.hpp"
#include "pictures.hpp"
#include "ratio.hpp"

using namespace fastcpp;

namespace {

// 16 clients, each with a connection of its own, one request at a time.
void ask_all(int port, const std::vector<std::string>& bodies) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> clients;
  for (int c = 0; c < 16; ++c) {
    clients.emplace_back([&] {
      httplib::Client client("127.0.0.1", port);
      client.set_keep_alive(true);
      client.set_tcp_nodelay(true);
      client.set_read_timeout(600);
      for (std::size_t i; (i = next++) < bodies.size();) {
        const auto answer = client.Post("/predict", bodies[i], "image/jpeg");
        if (!answer || answer->status != 200) {
          std::fprintf(stderr, "a request failed\n");
          std::exit(1);
        }
      }
    });
  }
}

void serve_over_predict_batch(benchmark::State& state) {
  const Predictor ask(bench::learner());
  const auto files = bench::pictures(128);
  std::vector<std::string> bodies;
  for (const auto& file : files) bodies.push_back(read_file(file));

  std::promise<int> ready;
  std::stop_source stop;
  std::jthread server([&] {
    serve(ask, {.port = 0, .stop = stop.get_token(), .on_ready = [&](const std::string& address) {
                  ready.set_value(std::stoi(address.substr(address.rfind(':') + 1)));
                }});
  });
  const int port = ready.get_future().get();
  bench::ratio(
      state, [&] { return bench::seconds([&] { ask_all(port, bodies); }); },
      [&] { return bench::seconds([&] { ask.predict_batch(files); }); });
  state.counters["pictures_per_s"] =
      static_cast<double>(files.size()) / state.counters["ours_s"].value;
  stop.request_stop();
}
FASTCPP_ROW(serve_over_predict_batch);

}  // namespace

int main(int argc, char** argv) {
  set_threads(1);
  set_log_sink([](LogLevel, std::string_view) {});
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
