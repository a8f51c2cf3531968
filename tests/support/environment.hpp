// Environment variables for the life of an object.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace fastcpp::test {

class ScopedEnv {
 public:
  // Without a value the variable is removed.
  explicit ScopedEnv(std::string name, const std::optional<std::string>& value = std::nullopt)
      : name_(std::move(name)) {
    if (const char* former = std::getenv(name_.c_str())) former_ = former;
    set(value);
  }
  ~ScopedEnv() { set(former_); }
  ScopedEnv(const ScopedEnv&) = delete;
  ScopedEnv& operator=(const ScopedEnv&) = delete;

 private:
  void set(const std::optional<std::string>& value) {
    value ? ::setenv(name_.c_str(), value->c_str(), 1) : ::unsetenv(name_.c_str());
  }

  std::string name_;
  std::optional<std::string> former_;
};

}  // namespace fastcpp::test
