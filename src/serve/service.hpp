// What a server answers.
#pragma once

#include <atomic>
#include <semaphore>
#include <string>
#include <vector>

#include "fastcpp/serve/serve.hpp"
#include "serve/batcher.hpp"
#include "serve/http_server.hpp"
#include "serve/metrics.hpp"

namespace fastcpp::inline v0::serve_detail {

// Why a request, or one of its pictures, is not answered as asked.
struct Refusal {
  int status = 500;
  std::string code, message;
};

// What a model of a table takes.
inline constexpr const char* kRowsForm =
    "this model predicts from rows: send JSON, {\"rows\": [{\"column\": value, ...}, ...]}";

// The answers of one server; called from several threads, and outlives the server's listening.
class Service {
 public:
  // Adds its answers to the server, which must outlive it.
  Service(const Predictor& predictor, const ServeOptions& options, HttpServer& server);
  void abandon() { batcher_.abandon(); }
  // Predictions that were accepted and have no answer yet; none is accepted once the server is stopping.
  int under_way() const { return under_way_; }

 private:
  struct Picture {
    std::string name, bytes;
    std::optional<TabularRow> row = {};  // instead of a picture
  };
  // What the address of a request asks for.
  struct Wish {
    int top_k = 5;
    std::optional<double> thresh;
    enum class Heat { kNone, kBest, kOf } heat = Heat::kNone;
    std::int64_t heat_of = 0;
  };
  struct Prepared {
    Tensors sample;
    double seconds = 0;
  };

  httplib::Server::HandlerResponse before(const httplib::Request& request,
                                          httplib::Response& response);
  void predict(const httplib::Request& request, httplib::Response& response,
               const httplib::ContentReader& content);
  Wish wish_of(const httplib::Request& request) const;
  std::vector<Picture> receive(const httplib::Request& request,
                               const httplib::ContentReader& content) const;
  std::vector<Picture> rows_of(const httplib::Request& request,
                               const std::vector<Picture>& bodies) const;
  void check_key(const httplib::Request& request) const;
  void check_length(const httplib::Request& request) const;
  Refusal too_large() const;
  Prepared prepare(const Picture& picture);
  Value answer_of(const Tensors& sample, const Computed& computed, const Wish& wish);
  Value heat_map(const Tensors& sample, std::int64_t cls);
  void refuse(httplib::Response& response, const Refusal& refusal);

  const Predictor predictor_;
  const ServeOptions options_;
  HttpServer& server_;
  const std::string page_;
  Metrics metrics_;
  std::atomic<int> under_way_{0};
  std::counting_semaphore<> processors_;  // decoding more pictures at once would only take memory
  Batcher batcher_;
};

}  // namespace fastcpp::serve_detail
