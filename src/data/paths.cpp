#include "fastcpp/data/paths.hpp"

#include <fmt/format.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

template <typename Index>
void check(Index i, std::size_t size) {
  if (i >= 0 && static_cast<std::size_t>(i) < size) return;
  throw ValueError("value.index", fmt::format("there is no item {} in a list of {}", i, size));
}

}  // namespace

Paths::Paths(const std::vector<Path>& files) {
  boundary([&] {
    reserve(files.size());
    for (const auto& file : files) push_back(file);
  });
}

Paths::Paths(std::initializer_list<Path> files) {
  boundary([&] {
    reserve(files.size());
    for (const auto& file : files) push_back(file);
  });
}

Path Paths::at(std::size_t i) const {
  check(i, size());
  return (*this)[i];
}

void Paths::pop_back() {
  if (empty()) throw ValueError("value.index", "there is no last file: the list is empty");
  ends_.pop_back();
  text_.resize(ends_.empty() ? 0 : ends_.back());
}

void Paths::append(const Paths& files) {
  boundary([&] {
    const auto before = text_.size();
    const auto n = files.size();
    reserve(size() + n);
    text_ += files.text_;
    for (std::size_t i = 0; i < n; ++i) ends_.push_back(before + files.ends_[i]);
  });
}

Paths Paths::take(const std::vector<std::int64_t>& indices) const {
  return boundary([&] {
    Paths some;
    std::size_t bytes = 0;
    for (const auto i : indices) {
      check(i, size());
      bytes += text(static_cast<std::size_t>(i)).size();
    }
    some.reserve(indices.size());
    some.text_.reserve(bytes);
    for (const auto i : indices) some.push_back_text(text(static_cast<std::size_t>(i)));
    return some;
  });
}

std::vector<Path> Paths::to_vector() const {
  return boundary([&] { return std::vector<Path>(begin(), end()); });
}

}  // namespace fastcpp
