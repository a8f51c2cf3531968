/// \file
/// Many file names in little memory.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// The files of a list: their texts one after the other, 8 bytes beside the text of each, where a `std::filesystem::path`
/// takes hundreds. Reads like a `std::vector<Path>`, but makes each Path when it is asked for, so that elements are values
/// and not references. A value: copies share nothing. Threads: const calls by any number at once.
class FASTCPP_API Paths {
 public:
  class iterator;
  /// Reads only: elements are made when they are asked for.
  using const_iterator = iterator;
  /// What an element is.
  using value_type = Path;

  Paths() = default;
  /// Copies the names.
  Paths(const std::vector<Path>& files);
  /// Copies the names.
  Paths(std::initializer_list<Path> files);

  /// Number of files.
  std::size_t size() const { return ends_.size(); }
  /// Whether there is none.
  bool empty() const { return ends_.empty(); }
  /// The file at position i < `size()`, unchecked.
  Path operator[](std::size_t i) const { return Path(text(i)); }
  /// \throws ValueError `value.index`
  Path at(std::size_t i) const;
  /// The first one.
  Path front() const { return at(0); }
  /// The last one.
  Path back() const { return at(empty() ? 0 : size() - 1); }
  /// Its text, unchecked. Lives until these paths change.
  std::string_view text(std::size_t i) const {
    const auto start = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(text_).substr(start, ends_[i] - start);
  }

  /// Makes room for so many.
  void reserve(std::size_t files) { ends_.reserve(files); }
  /// Adds one at the end.
  void push_back(const Path& file) { push_back_text(file.native()); }
  /// The text of a path, in several parts that follow each other.
  template <typename... Parts>
  void push_back_text(const Parts&... parts) {
    (text_.append(parts), ...);
    ends_.push_back(text_.size());
  }
  /// Takes the last one away.
  void pop_back();
  /// Adds all of them at the end.
  void append(const Paths& files);
  /// Some of the files in this order.
  /// \throws ValueError `value.index`
  Paths take(const std::vector<std::int64_t>& indices) const;
  /// All of them, as paths.
  std::vector<Path> to_vector() const;

  /// At the first one.
  iterator begin() const;
  /// Behind the last one.
  iterator end() const;

  friend bool operator==(const Paths&, const Paths&) = default;

 private:
  std::string text_;
  std::vector<std::size_t> ends_;  // of each file in text_
};

/// Gives the files in turn, each as a value. A value, valid while the Paths live. Threads: as Paths.
class Paths::iterator {
 public:
  using iterator_concept = std::random_access_iterator_tag;
  using iterator_category =
      std::input_iterator_tag;  // in C++17's sense, for elements are no references
  using value_type = Path;
  using difference_type = std::ptrdiff_t;
  using reference = Path;
  using pointer = void;

  iterator() = default;
  iterator(const Paths& paths, std::size_t at) : paths_(&paths), at_(at) {}

  Path operator*() const { return (*paths_)[at_]; }
  Path operator[](difference_type n) const { return *(*this + n); }
  iterator& operator+=(difference_type n) {
    at_ += static_cast<std::size_t>(n);
    return *this;
  }
  iterator& operator-=(difference_type n) { return *this += -n; }
  iterator& operator++() { return *this += 1; }
  iterator& operator--() { return *this += -1; }
  iterator operator++(int) {
    auto old = *this;
    ++*this;
    return old;
  }
  iterator operator--(int) {
    auto old = *this;
    --*this;
    return old;
  }
  friend iterator operator+(iterator a, difference_type n) { return a += n; }
  friend iterator operator+(difference_type n, iterator a) { return a += n; }
  friend iterator operator-(iterator a, difference_type n) { return a -= n; }
  friend difference_type operator-(const iterator& a, const iterator& b) {
    return static_cast<difference_type>(a.at_) - static_cast<difference_type>(b.at_);
  }
  friend bool operator==(const iterator& a, const iterator& b) { return a.at_ == b.at_; }
  friend auto operator<=>(const iterator& a, const iterator& b) { return a.at_ <=> b.at_; }

 private:
  const Paths* paths_ = nullptr;
  std::size_t at_ = 0;
};

inline Paths::iterator Paths::begin() const {
  return {*this, 0};
}
inline Paths::iterator Paths::end() const {
  return {*this, size()};
}

}  // namespace fastcpp
