#include "clean_server.hpp"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>

#include "clean_page.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image/image.hpp"

using namespace fastcpp;

namespace {

constexpr auto kJson = "application/json";
constexpr auto kPolicy =
    "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'";

// What was asked for is not, or no longer, possible; the answer's status.
struct Refusal {
  int status;
  std::string why;
};

std::int64_t to_number(std::string_view text) {
  std::int64_t number = 0;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < 0) {
    throw Refusal{400, fmt::format("'{}' is no number", text)};
  }
  return number;
}

std::string argument(const httplib::Request& request, const char* name) {
  if (!request.has_param(name)) throw Refusal{400, fmt::format("'{}' is missing", name)};
  return request.get_param_value(name);
}

// The whole picture, small enough for a page, as PNG.
std::string to_png(const Path& file) {
  constexpr int kSide = 600;
  auto rgb = decode_image(file, kSide);
  if (const int side = std::max(rgb.rows, rgb.cols); side > kSide) {
    const double scale = static_cast<double>(kSide) / side;
    const cv::Size size(std::max(1, cvRound(rgb.cols * scale)),
                        std::max(1, cvRound(rgb.rows * scale)));
    cv::resize(rgb, rgb, size, 0, 0, cv::INTER_AREA);
  }
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  cv::imencode(".png", bgr, bytes);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

CleanServer::CleanServer(ImageCleaner cleaner, std::string heading, PageKind kind)
    : cleaner_(std::move(cleaner)),
      given_(cleaner_.labels()),
      heading_(std::move(heading)),
      kind_(kind),
      server_(std::make_unique<httplib::Server>()) {
  auto& server = *server_;
  // Not httplib's default, which lets two programs share one port.
  server.set_socket_options([](auto socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.set_keep_alive_timeout(1);
  server.set_payload_max_length(64 << 10);
  server.set_default_headers({{"Cache-Control", "no-store"},
                              {"Content-Security-Policy", kPolicy},
                              {"X-Content-Type-Options", "nosniff"}});
  server.set_pre_routing_handler([this](const auto& request, auto& response) {
    if (is_ours(request)) return httplib::Server::HandlerResponse::Unhandled;
    response.status = 403;
    response.set_content("This server answers its own page only.\n", "text/plain");
    return httplib::Server::HandlerResponse::Handled;
  });
  server.Get("/", [](const auto&, auto& response) {
    response.set_content(kCleanPage, "text/html; charset=utf-8");
  });
  server.Get("/state", [this](const auto&, auto& response) {
    const std::lock_guard lock(mutex_);
    response.set_content(state(), kJson);
  });
  server.Get(R"(/picture/(\d{1,18}))",
             [this](const auto& request, auto& response) { send_picture(request, response); });
  for (const auto* path : {"/relabel", "/delete", "/next", "/undo"}) {
    server.Post(path, [this](const auto& request, auto& response) { answer(request, response); });
  }
  server.Post("/finish", [this](const auto&, auto& response) {
    response.set_content("{}", kJson);
    finish();
  });
}

CleanServer::~CleanServer() = default;

int CleanServer::bind(int port) {
  constexpr auto kLoopback = "127.0.0.1";
  const int found = port == 0 ? server_->bind_to_any_port(kLoopback)
                              : (server_->bind_to_port(kLoopback, port) ? port : -1);
  if (found < 0) {
    throw IoError("io.cannot_listen",
                  fmt::format("cannot listen on port {} of {}: is another program using it? "
                              "Port 0 takes a free one",
                              port, kLoopback));
  }
  host_ = fmt::format("{}:{}", kLoopback, found);
  return found;
}

void CleanServer::serve() {
  server_->listen_after_bind();
}

void CleanServer::finish() {
  if (server_->is_running() && !finished_.exchange(true)) server_->stop();
}

// Pages of other sites may reach this computer's own addresses too, under any name.
bool CleanServer::is_ours(const httplib::Request& request) const {
  const auto local = "localhost" + host_.substr(host_.find(':'));
  const auto host = request.get_header_value("Host");
  if (host != host_ && host != local) return false;
  return !request.has_header("Origin") || request.get_header_value("Origin") == "http://" + host;
}

void CleanServer::act(const httplib::Request& request) {
  if (to_number(argument(request, "page")) != page_) {
    throw Refusal{409, "the page was turned meanwhile; here is what is on it now"};
  }
  const auto position = [&] {
    return static_cast<std::size_t>(to_number(argument(request, "position")));
  };
  const auto before = cleaner_.page();
  if (request.path == "/relabel") {
    if (kind_ == PageKind::kPairs) throw Refusal{400, "pairs have no choice of class"};
    cleaner_.relabel(position(), argument(request, "class"));
  } else if (request.path == "/delete") {
    cleaner_.toggle_delete(position());
  } else if (request.path == "/next") {
    cleaner_.next();
  } else {
    cleaner_.undo();
  }
  if (cleaner_.page() != before) ++page_;
}

void CleanServer::answer(const httplib::Request& request, httplib::Response& response) {
  const std::lock_guard lock(mutex_);
  std::string error;
  try {
    act(request);
  } catch (const Refusal& refusal) {
    response.status = refusal.status;
    error = refusal.why;
  } catch (const ValueError& e) {
    response.status = 400;
    error = e.what();
  } catch (const Error& e) {  // the disk is full, for example
    response.status = 500;
    error = e.what();
  }
  response.set_content(state(error), kJson);
}

void CleanServer::send_picture(const httplib::Request& request, httplib::Response& response) {
  try {
    const auto file = [&] {
      const std::lock_guard lock(mutex_);
      return cleaner_.file(to_number(request.matches[1].str()));
    }();
    response.set_content(to_png(file), "image/png");
  } catch (const Error& e) {  // no such item, or no picture any more
    response.status = 404;
    response.set_content(std::string(e.what()) + "\n", "text/plain; charset=utf-8");
  }
}

std::string CleanServer::state(const std::string& error) const {
  auto pictures = nlohmann::json::array();
  for (const auto& picture : cleaner_.shown()) {
    const auto& file = cleaner_.file(picture.index);
    const auto name = file.parent_path().filename() / file.filename();
    pictures.push_back({{"index", picture.index},
                        {"name", name.generic_string()},
                        {"label", cleaner_.label(picture.index)},
                        {"given", given_[static_cast<std::size_t>(picture.index)]},
                        {"marked", picture.marked}});
  }
  const bool pairs = kind_ == PageKind::kPairs;
  nlohmann::json all{{"heading", heading_},
                     {"pairs", pairs},
                     {"classes", pairs ? std::vector<std::string>{} : cleaner_.classes()},
                     {"page", page_},
                     {"pictures", pictures},
                     {"left", cleaner_.left()},
                     {"undo", cleaner_.can_undo()},
                     {"message", cleaner_.message()},
                     {"csv", cleaner_.csv().string()}};
  if (!error.empty()) all["error"] = error;
  // A file name may be anything.
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
