/// \file
/// A predictor behind HTTP. Link fastcpp::serve, and fastcpp::predict or fastcpp::fastcpp with it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "fastcpp/deploy/predictor.hpp"

namespace fastcpp::inline v0 {

/// Options of `serve`.
struct ServeOptions {
  std::string host =
      "127.0.0.1";  ///< address to listen at; the default is seen by this machine alone
  int port = 8080;  ///< 0 to 65535; 0: one that is free
  int top_k = 5;    ///< classes in an answer, >= 1; a request may ask for others
  /// Of several labels: those with at least this; absent: 0.5. A request may ask for another.
  std::optional<double> thresh = {};
  int max_batch = 8;                      ///< pictures computed at once, >= 1
  std::chrono::milliseconds max_wait{5};  ///< longest that a picture waits for others to join it
  int max_queue = 256;       ///< pictures that may wait, >= 1; further ones are answered with 503
  int max_connections = 64;  ///< answered at a time, >= 1, a sleeping thread each; others wait
  int max_pictures = 32;     ///< in one request, >= 1
  std::size_t max_body = std::size_t{32} << 20;    ///< bytes of one request
  std::int64_t max_pixels = 50'000'000;            ///< that a picture may claim to have
  std::chrono::milliseconds request_time{30'000};  ///< in which a request must have arrived
  std::chrono::milliseconds idle_time{5'000};  ///< until a connection without requests is closed
  std::chrono::milliseconds grace{30'000};     ///< for what is under way when it is stopped
  std::string api_key = {};                    ///< asked for unless empty
  std::string title = "fastcpp";               ///< of the page
  std::stop_token stop = {};                   ///< ends it
  std::function<void(const std::string&)> on_ready =
      {};  ///< told the address, as `http://127.0.0.1:8080`
};

/// Answers requests until it is stopped; what was accepted before is answered first.
///
/// | request | answer |
/// | --- | --- |
/// | `POST /predict` | JSON: the body is a picture file, or a form (multipart) with several; `?top_k=`, `?thresh=`, `?heat_map=best` or a class' number; for a table's model JSON, `{"rows": [{"column": value, ...}, ...]}` or one row |
/// | `GET /` | a page to drop a picture on, or with a form of a table's columns |
/// | `GET /healthz` | 200 while requests are taken, 503 once it is being stopped |
/// | `GET /metrics` | Prometheus' text form |
///
/// A request that fails gets `{"error": {"code", "message"}}` and concerns nobody else. With a key, `/predict` and
/// `/metrics` want `Authorization: Bearer KEY` or `X-API-Key: KEY`. There is no encryption: put a proxy before it where
/// others listen.
///
/// Pictures of all requests are decoded by as many threads as there are processors, and computed in batches by as many as
/// `predict_batch` uses. Its threads end before it returns. Several may run at once, on different ports.
/// \param predictor kept until it returns; must predict from pictures or from rows of a table
/// \throws IoError `serve.cannot_listen`; ValueError `value.serve` on options outside their ranges, or a predictor of
/// something else; Error `serve.failed` when the system ends the listening
void serve(const Predictor& predictor, const ServeOptions& options = {});

}  // namespace fastcpp
