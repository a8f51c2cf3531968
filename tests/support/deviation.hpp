// How far results lie from the golden numbers, kept for a report.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

namespace fastcpp::test {

// Collects |difference| under a topic. At its end it appends "topic count max" to the file that
// FASTCPP_GOLDEN_REPORT names, if it names one. A topic is one word.
class Deviation {
 public:
  explicit Deviation(std::string topic) : topic_(std::move(topic)) {}
  Deviation(const Deviation&) = delete;
  Deviation& operator=(const Deviation&) = delete;
  ~Deviation() {
    const char* file = std::getenv("FASTCPP_GOLDEN_REPORT");
    if (!file || !*file) return;
    // One write: tests that run side by side append to the same file.
    std::ofstream(file, std::ios::app) << fmt::format("{} {} {:.3e}\n", topic_, count_, max_);
  }

  // |got - want|, counted. Two NaNs, or the same infinity twice, are 0 apart; a NaN and a number
  // are infinitely far apart.
  double operator()(double got, double want) {
    const bool same = got == want || (std::isnan(got) && std::isnan(want));
    return add(same ? 0 : std::abs(got - want));
  }
  // A difference found elsewhere, for example over a whole tensor; NaN counts as infinite.
  double add(double difference, std::size_t count = 1) {
    if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
    count_ += count;
    max_ = std::max(max_, difference);
    return difference;
  }

  std::size_t count() const { return count_; }
  double max() const { return max_; }

 private:
  std::string topic_;
  std::size_t count_ = 0;
  double max_ = 0;
};

}  // namespace fastcpp::test
