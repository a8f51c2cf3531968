#include "serve/service.hpp"

#include <fmt/format.h>
#include <strings.h>
#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "fastcpp/core/base64.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/deploy/prediction_value.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/vision/image/image_file.hpp"
#include "serve/page.hpp"

namespace fastcpp::inline v0::serve_detail {
namespace {

using httplib::Request;
using httplib::Response;
using Handled = httplib::Server::HandlerResponse;

constexpr const char* kJson = "application/json";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Value error_value(const std::string& code, const std::string& message) {
  return Value::dict({{"code", code}, {"message", clean_text(message)}});
}

void set_json(Response& response, int status, const Value& value) {
  response.status = status;
  response.set_content(to_json(value, {.indent = -1}) + "\n", kJson);
}

// The exception being handled, as an answer.
Refusal refusal_of_current() {
  try {
    rethrow_as_error();
  } catch (const ImageError& e) {
    return {e.code() == "image.too_large" ? 413 : 422, e.code(), e.what()};
  } catch (const MemoryError& e) {
    return {503, e.code(), "there is no memory for it now"};
  } catch (const ValueError& e) {
    return {422, e.code(), e.what()};
  } catch (const DataError& e) {  // of a row
    return {422, e.code(), e.what()};
  } catch (const Error& e) {
    const bool later = e.code() == "serve.busy" || e.code() == "serve.stopping";
    return {later ? 503 : e.code() == "train.no_body" ? 422 : 500, e.code(), e.what()};
  }
}

// One of the processors, for a while.
class Turn {
 public:
  explicit Turn(std::counting_semaphore<>& processors) : processors_(processors) {
    processors_.acquire();
  }
  ~Turn() { processors_.release(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::counting_semaphore<>& processors_;
};

// Counts while it lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& count_;
};

std::size_t length_of(const Request& request) {
  const auto text = request.get_header_value("Content-Length");
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size()) return 0;
  return length;
}

// Takes as long whatever the key is.
bool same(std::string_view a, std::string_view b) {
  unsigned different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    different |= static_cast<unsigned char>(a[i]) ^
                 static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  }
  return different == 0;
}

template <typename T>
T number_of(const Request& request, const char* name, T low, T high) {
  const auto text = request.get_param_value(name);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(number >= low && number <= high)) {
    throw Refusal{400, "serve.bad_request",
                  fmt::format("{} must be between {} and {}, found '{}'", name, low, high,
                              clean_text(text.substr(0, 40)))};
  }
  return number;
}

double rounded(double x) {
  return std::round(x * 1000) / 1000;
}

std::string data_uri(const cv::Mat& rgb) {
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  if (!cv::imencode(".jpg", bgr, bytes, {cv::IMWRITE_JPEG_QUALITY, 90})) return {};
  return "data:image/jpeg;base64," +
         base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Batcher::Options batcher_options(const ServeOptions& options) {
  return {.threads = std::max(1, available_cpus() / std::max(1, get_threads())),
          .max_batch = static_cast<std::size_t>(options.max_batch),
          .max_queue = static_cast<std::size_t>(options.max_queue),
          .max_wait = options.max_wait};
}

}  // namespace

Service::Service(const Predictor& predictor, const ServeOptions& options, HttpServer& server)
    : predictor_(predictor),
      options_(options),
      server_(server),
      page_(predictor.takes_rows() ? rows_page(options.title, *predictor.item_recipe())
                                   : page(options.title)),
      processors_(available_cpus()),
      batcher_(predictor, batcher_options(options), metrics_) {
  server.set_pre_routing_handler(
      [this](const Request& request, Response& response) { return before(request, response); });
  server.Post("/predict", [this](const Request& request, Response& response,
                                 const httplib::ContentReader& content) {
    predict(request, response, content);
  });
  // A client that asks before it sends a long body is told before it does.
  server.set_expect_100_continue_handler([this](const Request& request, Response& response) {
    try {
      if (request.path == "/predict") check_key(request);
      check_length(request);
      return 100;
    } catch (const Refusal& refusal) {
      Connection::current()->close_afterwards();
      refuse(response, refusal);
      return refusal.status;
    }
  });
  // What httplib itself refuses: a header that is none.
  server.set_error_handler([this](const Request&, Response& response) {
    if (!response.body.empty()) return;
    auto& connection = *Connection::current();
    const auto trouble = connection.trouble();
    // Without a header there is no request that could say so.
    if (!connection.has_header()) response.set_header("Connection", "close");
    connection.close_afterwards();
    if (trouble == Connection::Trouble::kSlow) {
      refuse(response, {408, "serve.too_slow", "the request did not arrive in time"});
    } else if (trouble == Connection::Trouble::kLong && connection.has_header()) {
      refuse(response, too_large());
    } else if (trouble == Connection::Trouble::kLong) {
      refuse(response, {431, "serve.too_large", "the header of the request is too long"});
    } else {
      refuse(response, {response.status, "serve.bad_request", "this is no request of HTTP"});
    }
  });
  server.set_exception_handler([this](const Request&, Response& response, std::exception_ptr e) {
    try {
      std::rethrow_exception(e);
    } catch (...) {
      refuse(response, refusal_of_current());
    }
  });
}

void Service::refuse(Response& response, const Refusal& refusal) {
  metrics_.error(refusal.code);
  if (refusal.status == 503) response.set_header("Retry-After", "1");
  if (refusal.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  set_json(response, refusal.status,
           Value::dict({{"error", error_value(refusal.code, refusal.message)}}));
}

void Service::check_key(const Request& request) const {
  if (options_.api_key.empty()) return;
  auto key = request.get_header_value("X-API-Key");
  const auto bearer = request.get_header_value("Authorization");
  constexpr std::size_t kScheme = 7;
  if (bearer.size() > kScheme && ::strncasecmp(bearer.c_str(), "Bearer ", kScheme) == 0) {
    key = bearer.substr(kScheme);
  }
  if (!same(key, options_.api_key)) {
    throw Refusal{401, "serve.api_key", "the key is missing or another one"};
  }
}

// Answers everything but pictures.
Handled Service::before(const Request& request, Response& response) {
  const auto& path = request.path;
  if (path == "/predict" && request.method == "POST") return Handled::Unhandled;
  // A body that nobody reads would be taken for the next request.
  if (length_of(request) > 0 || request.has_header("Transfer-Encoding")) {
    Connection::current()->close_afterwards();
  }
  const bool known = path == "/" || path == "/predict" || path == "/healthz" || path == "/metrics";
  try {
    if (!known) throw Refusal{404, "serve.not_found", "there is nothing at this address"};
    if (path == "/predict" || (request.method != "GET" && request.method != "HEAD")) {
      response.set_header("Allow", path == "/predict" ? "POST" : "GET, HEAD");
      throw Refusal{405, "serve.method",
                    path != "/predict"        ? "only GET is answered here"
                    : predictor_.takes_rows() ? "send rows with POST"
                                              : "send a picture with POST"};
    }
    if (path == "/healthz") {
      const bool stopping = server_.stopping();
      set_json(response, stopping ? 503 : 200,
               Value::dict({{"status", stopping ? "stopping" : "ok"}}));
    } else if (path == "/metrics") {
      check_key(request);
      response.status = 200;
      response.set_content(metrics_.text(batcher_.waiting(), server_.active()),
                           "text/plain; version=0.0.4; charset=utf-8");
    } else {
      response.status = 200;
      response.set_header("Content-Security-Policy", kPagePolicy);
      response.set_header("X-Content-Type-Options", "nosniff");
      response.set_content(page_, "text/html; charset=utf-8");
    }
  } catch (const Refusal& refusal) {
    refuse(response, refusal);
  }
  return Handled::Handled;
}

Service::Wish Service::wish_of(const Request& request) const {
  // A misspelt wish would be answered as if it had not been said.
  for (const auto& [name, value] : request.params) {
    if (name == "top_k" || name == "thresh" || name == "heat_map") continue;
    throw Refusal{400, "serve.bad_request",
                  fmt::format("there is no parameter '{}': top_k, thresh and heat_map are known",
                              clean_text(name.substr(0, 40)))};
  }
  Wish wish{.top_k = options_.top_k, .thresh = options_.thresh};
  if (request.has_param("top_k")) wish.top_k = number_of(request, "top_k", 1, 100'000);
  if (request.has_param("thresh")) wish.thresh = number_of(request, "thresh", 0.0, 1.0);
  if (request.get_param_value("heat_map") == "best") {
    wish.heat = Wish::Heat::kBest;
  } else if (request.has_param("heat_map")) {
    wish.heat = Wish::Heat::kOf;
    const auto text = request.get_param_value("heat_map");
    const auto classes = predictor_.classes();
    const auto named = std::find(classes.begin(), classes.end(), text);
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
      wish.heat_of = number_of<std::int64_t>(request, "heat_map", 0, 1'000'000);
    } else if (named != classes.end()) {
      wish.heat_of = named - classes.begin();
    } else {
      throw Refusal{400, "serve.bad_request",
                    fmt::format("heat_map must be best, a class or the number of one, found '{}'",
                                clean_text(text.substr(0, 40)))};
    }
  }
  return wish;
}

Refusal Service::too_large() const {
  return {413, "serve.too_large", fmt::format("a request may have {} bytes", options_.max_body)};
}

// Nobody waits for what is refused anyway.
void Service::check_length(const Request& request) const {
  if (length_of(request) > options_.max_body) throw too_large();
}

std::vector<Service::Picture> Service::receive(const Request& request,
                                               const httplib::ContentReader& content) const {
  const auto nothing = [this] {
    if (predictor_.takes_rows()) return Refusal{400, "serve.bad_request", kRowsForm};
    return Refusal{400, "serve.no_picture",
                   "the body is empty: send the content of a picture file, or a form with some"};
  };
  check_length(request);
  // httplib would read until the client closes.
  if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding")) {
    throw nothing();
  }
  // httplib unpacks a form before it looks for its parts, and keeps what is none without a limit.
  if (request.is_multipart_form_data() && request.has_header("Content-Encoding")) {
    throw Refusal{415, "serve.bad_request", "a form must not be packed"};
  }
  std::vector<Picture> pictures;
  std::size_t bytes = 0;
  bool too_long = false, too_many = false;
  const auto append = [&](const char* data, std::size_t size) {
    bytes += size;
    too_long = bytes > options_.max_body;
    if (too_long || pictures.empty()) return false;
    pictures.back().bytes.append(data, size);
    return true;
  };
  bool whole = false;
  if (request.is_multipart_form_data()) {
    whole = content(
        [&](const auto& part) {  // its class has another name in each version
          too_many = pictures.size() >= static_cast<std::size_t>(options_.max_pictures);
          if (too_many) return false;
          pictures.push_back({part.filename.empty() ? part.name : part.filename, {}, {}});
          return true;
        },
        append);
  } else {
    pictures.push_back({"the picture", {}, {}});
    pictures.back().bytes.reserve(length_of(request));
    whole = content(append);
  }
  if (!whole) {
    const auto trouble = Connection::current()->trouble();
    if (too_many) {
      throw Refusal{413, "serve.too_many",
                    fmt::format("a request may hold {} pictures", options_.max_pictures)};
    }
    if (too_long || trouble == Connection::Trouble::kLong) throw too_large();
    if (trouble == Connection::Trouble::kSlow) {
      throw Refusal{408, "serve.too_slow", "the request did not arrive in time"};
    }
    throw Refusal{400, "serve.bad_request", "the body ends early, or is not what its header says"};
  }
  if (pictures.empty() || (pictures.size() == 1 && pictures[0].bytes.empty())) {
    throw nothing();
  }
  return pictures;
}

Service::Prepared Service::prepare(const Picture& picture) {
  const Turn turn(processors_);
  const auto start = Clock::now();
  if (picture.row) {
    auto sample = predictor_.prepare(*picture.row);
    return {std::move(sample), seconds_since(start)};
  }
  const auto info = image_file_info(picture.bytes);
  if (info.rows > 0 && info.cols > options_.max_pixels / info.rows) {
    throw Refusal{413, "image.too_large",
                  fmt::format("'{}' claims {} x {} pixels; {} are allowed",
                              clean_text(picture.name), info.rows, info.cols, options_.max_pixels)};
  }
  auto sample = predictor_.prepare_bytes(picture.bytes, clean_text(picture.name));
  return {std::move(sample), seconds_since(start)};
}

Value Service::heat_map(const Tensors& sample, std::int64_t cls) {
  const Turn turn(processors_);
  const auto found = predictor_.heat_map(sample, cls);
  auto values = Value::list();
  const auto flat = found.map.to(torch::kFloat64).reshape(-1).contiguous();
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const auto value = flat.data_ptr<double>()[i];
    values.append(value >= 0 ? rounded(value) : 0.0);
  }
  return Value::dict({{"class", cls},
                      {"rows", found.map.size(0)},
                      {"cols", found.map.size(1)},
                      {"values", values},
                      {"picture", data_uri(found.picture)}});
}

Value Service::answer_of(const Tensors& sample, const Computed& computed, const Wish& wish) {
  const auto prediction = predictor_.decode(computed.outputs, {.thresh = wish.thresh});
  auto value = prediction_value(predictor_, prediction, wish.top_k);
  if (wish.heat != Wish::Heat::kNone) {
    const auto cls = wish.heat == Wish::Heat::kOf
                         ? wish.heat_of
                         : computed.outputs.reshape(-1).argmax().item<std::int64_t>();
    value.set("heat_map", heat_map(sample, cls));
  }
  return value;
}

void Service::predict(const Request& request, Response& response,
                      const httplib::ContentReader& content) {
  const auto start = Clock::now();
  // Counted before it looks whether the server is being stopped.
  const Counted counted(under_way_);
  try {
    std::vector<Picture> pictures;
    try {
      check_key(request);
      if (server_.stopping()) throw Refusal{503, "serve.stopping", "the server is being stopped"};
      pictures = receive(request, content);
    } catch (...) {
      // The body, or what is left of it, would be taken for the next request.
      Connection::current()->close_afterwards();
      throw;
    }
    if (predictor_.takes_rows()) pictures = rows_of(request, pictures);
    const auto wish = wish_of(request);

    struct Under {
      std::string name;
      Prepared prepared;
      std::future<Computed> computed;
      std::optional<Refusal> refusal;
    };
    std::vector<Under> all;
    // All are in the queue before the first is waited for.
    for (auto& picture : pictures) {
      Under one{.name = clean_text(picture.name), .prepared = {}, .computed = {}, .refusal = {}};
      try {
        one.prepared = prepare(picture);
        one.computed = batcher_.submit(one.prepared.sample);
      } catch (const Refusal& refusal) {
        one.refusal = refusal;
      } catch (...) {
        one.refusal = refusal_of_current();
      }
      picture.bytes = {};
      all.push_back(std::move(one));
    }
    auto predictions = Value::list();
    bool some = false;
    std::optional<Refusal> first;
    for (auto& one : all) {
      auto value = Value::dict({{"name", one.name}});
      try {
        if (one.refusal) throw *one.refusal;
        const auto computed = one.computed.get();
        const Times times{one.prepared.seconds, computed.queue, computed.compute};
        const auto found = answer_of(one.prepared.sample, computed, wish);
        for (const auto& [key, part] : found.entries()) value.set(key, part);
        value.set("milliseconds", Value::dict({{"decode", rounded(times.decode * 1e3)},
                                               {"queue", rounded(times.queue * 1e3)},
                                               {"compute", rounded(times.compute * 1e3)}}));
        metrics_.picture(times);
        some = true;
      } catch (...) {
        const auto refusal = [] {
          try {
            throw;
          } catch (const Refusal& known) {
            return known;
          } catch (...) {
            return refusal_of_current();
          }
        }();
        if (!first) first = refusal;
        if (all.size() > 1) metrics_.error(refusal.code);
        value.set("error", error_value(refusal.code, refusal.message));
      }
      predictions.append(value);
    }
    if (all.size() == 1 && first) throw *first;
    set_json(response, some ? 200 : first->status, Value::dict({{"predictions", predictions}}));
  } catch (const Refusal& refusal) {
    refuse(response, refusal);
  } catch (...) {
    refuse(response, refusal_of_current());
  }
  metrics_.request(response.status, seconds_since(start));
}

}  // namespace fastcpp::serve_detail
