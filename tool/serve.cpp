// fastcpp serve: a model behind HTTP.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "commands.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/serve/serve.hpp"
#include "signals.hpp"

using namespace fastcpp;

namespace tool {
namespace {

struct ServeArgs {
  Path model, key_file;
  std::string host = "127.0.0.1";
  int port = 8080, top_k = 5, batch = 8, wait = 5, connections = 64;
  double max_mb = 32, max_megapixels = 50;
};

std::string key_of(const ServeArgs& args) {
  if (args.key_file.empty()) return {};
  auto key = read_file(args.key_file);
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  if (key.empty()) throw UsageError("'" + args.key_file.string() + "' holds no key");
  return key;
}

int serve_model(const ServeArgs& args, const Common& common) {
  const Predictor predictor(args.model);
  const auto key = key_of(args);
  const bool here = args.host == "127.0.0.1" || args.host == "localhost" || args.host == "::1";
  if (!here && key.empty()) {
    std::fprintf(stderr,
                 "warning: anyone who reaches %s may use this server; --key-file asks for a key\n",
                 args.host.c_str());
  }
  const StopOnSignal signals;
  serve(predictor,
        {.host = args.host,
         .port = args.port,
         .top_k = args.top_k,
         .max_batch = args.batch,
         .max_wait = std::chrono::milliseconds(args.wait),
         .max_connections = args.connections,
         .max_body = static_cast<std::size_t>(args.max_mb * (1 << 20)),
         .max_pixels = static_cast<std::int64_t>(args.max_megapixels * 1'000'000),
         .api_key = key,
         .title = args.model.stem().string(),
         .stop = signals.token(),
         .on_ready = [&](const std::string& address) {
           if (common.quiet) return;
           std::printf(
               "Serving %s, %zu classes, at %s/ until Ctrl+C. Try:\n\n  curl%s %s %s/predict\n\n",
               args.model.string().c_str(), predictor.classes().size(), address.c_str(),
               key.empty()
                   ? ""
                   : (" -H \"Authorization: Bearer $(cat '" + args.key_file.string() + "')\"")
                         .c_str(),
               predictor.takes_rows() ? "-H 'Content-Type: application/json' -d '{\"rows\": "
                                        "[{\"COLUMN\": VALUE, ...}]}'"
                                      : "--data-binary @picture.jpg",
               address.c_str());
           std::fflush(stdout);
         }});
  if (!common.quiet) std::printf("Stopped.\n");
  return kDone;
}

}  // namespace

Run add_serve(CLI::App& app) {
  auto args = std::make_shared<ServeArgs>();
  app.footer(
      R"(GET / is a page to drop pictures on; POST /predict answers with JSON; /healthz and /metrics are for machines.
  curl --data-binary @cat.jpg http://127.0.0.1:8080/predict?top_k=3
  curl -F a=@cat.jpg -F b=@dog.jpg http://127.0.0.1:8080/predict

SIGINT and SIGTERM: no new request is taken, those under way are answered, and the exit code is 0.)");
  app.add_option("MODEL", args->model, "what fastcpp train, or export_model, wrote")->required();
  app.add_option("--host", args->host, "address to listen at; 0.0.0.0: all of this machine")
      ->capture_default_str();
  app.add_option("--port", args->port, "0: one that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--top-k", args->top_k, "how many classes an answer lists")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", args->batch, "most pictures computed at once")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--wait", args->wait, "milliseconds that a picture waits for others to join it")
      ->check(CLI::Range(0, 60000))
      ->capture_default_str();
  app.add_option("--connections", args->connections, "answered at a time; others wait")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--max-mb", args->max_mb, "megabytes that a request may have")
      ->check(CLI::Range(0.001, 100000.0))
      ->capture_default_str();
  app.add_option("--max-megapixels", args->max_megapixels, "that a picture may have")
      ->check(CLI::Range(0.0001, 178.0))
      ->capture_default_str();
  app.add_option("--key-file", args->key_file, "file with the key that requests must bring");
  return [args](const Common& common) { return serve_model(*args, common); };
}

}  // namespace tool
