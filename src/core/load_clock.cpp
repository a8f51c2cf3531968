#include "fastcpp/core/load_clock.hpp"

#include <utility>

namespace fastcpp::inline v0 {
namespace {

// Of the item that this thread is making; null while nobody measures, and while it is read.
thread_local LoadClock* measuring = nullptr;

}  // namespace

void LoadClock::add(Part part, std::chrono::nanoseconds time) noexcept {
  auto& sum = sums_[static_cast<std::size_t>(part)];
  sum.nanoseconds += time.count();
  ++sum.count;
}

double LoadClock::seconds(Part part) const noexcept {
  return static_cast<double>(sums_[static_cast<std::size_t>(part)].nanoseconds.load()) * 1e-9;
}

std::int64_t LoadClock::count(Part part) const noexcept {
  return sums_[static_cast<std::size_t>(part)].count.load();
}

ReadingTime::ReadingTime() noexcept : clock_(std::exchange(measuring, nullptr)) {
  if (clock_) start_ = std::chrono::steady_clock::now();
}

ReadingTime::~ReadingTime() {
  if (!clock_) return;
  clock_->add(LoadClock::Part::kReading, std::chrono::steady_clock::now() - start_);
  measuring = clock_;
}

LoadingItem::LoadingItem(LoadClock* clock) noexcept : clock_(clock) {
  if (!clock_) return;
  former_ = std::exchange(measuring, clock_);
  start_ = std::chrono::steady_clock::now();
}

LoadingItem::~LoadingItem() {
  if (!clock_) return;
  clock_->add(LoadClock::Part::kItem, std::chrono::steady_clock::now() - start_);
  measuring = former_;
}

}  // namespace fastcpp
