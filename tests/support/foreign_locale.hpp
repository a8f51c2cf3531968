// Another language's numbers and letters for the life of an object.
#pragma once

#include <clocale>
#include <cstdlib>
#include <locale>
#include <string>

#include "support/environment.hpp"
#include "support/support.hpp"

namespace fastcpp::test {

class ForeignLocale {
 public:
  // For C++'s streams always; for C's functions when the locale is installed, or its source is. `name` such as de_DE.
  explicit ForeignLocale(const std::string& name)
      : locpath_("LOCPATH", existing("LOCPATH")),
        former_(std::setlocale(LC_ALL, nullptr)),
        former_cpp_(std::locale::global(std::locale(std::locale::classic(), new Numbers))) {
    const std::string full = name + ".UTF-8";
    if (!std::setlocale(LC_ALL, full.c_str())) {
      const auto command =
          "localedef -i " + name + " -f UTF-8 '" + (folder_ / full).string() + "' >/dev/null 2>&1";
      if (std::system(command.c_str()) == 0) {
        ::setenv("LOCPATH", folder_.path().c_str(), 1);
        has_c_ = std::setlocale(LC_ALL, full.c_str()) != nullptr;
      }
    } else {
      has_c_ = true;
    }
  }
  ~ForeignLocale() {
    std::locale::global(former_cpp_);
    std::setlocale(LC_ALL, former_.c_str());
  }
  ForeignLocale(const ForeignLocale&) = delete;
  ForeignLocale& operator=(const ForeignLocale&) = delete;

  // Whether C's functions have it too.
  bool has_c() const { return has_c_; }

 private:
  struct Numbers : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  static std::optional<std::string> existing(const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  }

  TempDir folder_;
  ScopedEnv locpath_;
  std::string former_;
  std::locale former_cpp_;
  bool has_c_ = false;
};

}  // namespace fastcpp::test
