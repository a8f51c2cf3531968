#include "serve/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fastcpp::inline v0::serve_detail {
namespace {

// From a tiny network to one that needs seconds.
const std::vector<double> kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                   0.1,   0.25,   0.5,   1,    2.5,   10};
const std::vector<double> kSizes{1, 2, 4, 8, 16, 32, 64, 128};

std::string head(std::string_view name, std::string_view help, std::string_view type) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

}  // namespace

void Histogram::add(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  if (at != bounds_.end()) ++counts_[static_cast<std::size_t>(at - bounds_.begin())];
  ++count_;
  sum_ += value;
}

std::string Histogram::text(std::string_view name, std::string_view help) const {
  auto text = head(name, help, "histogram");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    below += counts_[i];
    text += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bounds_[i], below);
  }
  text += fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, count_,
                      sum_);
  return text;
}

Metrics::Metrics()
    : request_(kSeconds), decode_(kSeconds), queue_(kSeconds), compute_(kSeconds), batch_(kSizes) {}

void Metrics::request(int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[status];
  request_.add(seconds);
}

void Metrics::error(const std::string& code) {
  const std::lock_guard lock(mutex_);
  ++errors_[code];
}

void Metrics::picture(const Times& times) {
  const std::lock_guard lock(mutex_);
  decode_.add(times.decode);
  queue_.add(times.queue);
  compute_.add(times.compute);
}

void Metrics::batch(std::size_t pictures) {
  const std::lock_guard lock(mutex_);
  batch_.add(static_cast<double>(pictures));
}

std::string Metrics::text(std::size_t waiting, int connections) const {
  const std::lock_guard lock(mutex_);
  auto text = head("fastcpp_requests_total",
                   "Requests for predictions by the status of their answers.", "counter");
  for (const auto& [status, n] : requests_) {
    text += fmt::format("fastcpp_requests_total{{status=\"{}\"}} {}\n", status, n);
  }
  text +=
      head("fastcpp_errors_total", "Requests and pictures that were refused, by code.", "counter");
  for (const auto& [code, n] : errors_) {
    text += fmt::format("fastcpp_errors_total{{code=\"{}\"}} {}\n", code, n);
  }
  text += request_.text("fastcpp_request_seconds", "From the header of a request to its answer.");
  text += decode_.text("fastcpp_decode_seconds",
                       "Of a picture: from its bytes to what the network takes.");
  text +=
      queue_.text("fastcpp_queue_seconds", "Of a picture: until its batch began to be computed.");
  text += compute_.text("fastcpp_compute_seconds", "Of a picture: its batch in the network.");
  text += batch_.text("fastcpp_batch_size", "Pictures computed at once.");
  text += head("fastcpp_queue_length", "Pictures that wait for the network.", "gauge") +
          fmt::format("fastcpp_queue_length {}\n", waiting);
  text += head("fastcpp_requests_active", "Requests under way, this one too.", "gauge") +
          fmt::format("fastcpp_requests_active {}\n", connections);
  return text;
}

}  // namespace fastcpp::serve_detail
