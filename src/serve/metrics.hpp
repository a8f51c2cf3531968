// What a server counts, as Prometheus reads it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace fastcpp::inline v0::serve_detail {

// How often values fell below each of some bounds.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), counts_(bounds_.size()) {}
  void add(double value);
  // In the text form, after its description.
  std::string text(std::string_view name, std::string_view help) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;  // at most this bound, each value once
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

// Where the time of a picture went, in seconds.
struct Times {
  double decode = 0, queue = 0, compute = 0;
};

// Thread-safe.
class Metrics {
 public:
  Metrics();
  void request(int status, double seconds);
  // Of a request, or of one of its pictures.
  void error(const std::string& code);
  void picture(const Times& times);
  void batch(std::size_t pictures);
  // Waiting pictures, and requests under way.
  std::string text(std::size_t waiting, int connections) const;

 private:
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> requests_;        // by status
  std::map<std::string, std::uint64_t> errors_;  // by code
  Histogram request_, decode_, queue_, compute_, batch_;
};

}  // namespace fastcpp::serve_detail
