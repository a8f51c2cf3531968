// The server behind the page of 06_clean, on the loopback interface only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fastcpp/interpret/image_cleaner.hpp"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

enum class PageKind {
  kPictures,  // each with a choice of class
  kPairs,     // of similar pictures, without
};

// Serves one cleaner to one person. Any thread may call `finish`.
class CleanServer {
 public:
  CleanServer(fastcpp::ImageCleaner cleaner, std::string heading, PageKind kind);
  ~CleanServer();
  // Takes the port, or any free one when it is 0, and returns it; throws IoError `io.cannot_listen`.
  int bind(int port);
  // Serves until the page's button or `finish`.
  void serve();
  void finish();

 private:
  bool is_ours(const httplib::Request& request) const;
  void act(const httplib::Request& request);
  void answer(const httplib::Request& request, httplib::Response& response);
  void send_picture(const httplib::Request& request, httplib::Response& response);
  std::string state(const std::string& error = "") const;

  std::mutex mutex_;  // guards the three below
  fastcpp::ImageCleaner cleaner_;
  std::vector<std::string> given_;  // labels before cleaning
  std::int64_t page_ = 0;           // counts how often it was turned
  const std::string heading_;
  const PageKind kind_;
  std::string host_;  // 127.0.0.1:<port>
  std::atomic<bool> finished_{false};
  std::unique_ptr<httplib::Server> server_;
};
