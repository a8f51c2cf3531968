// The smallest program that uses an installed fastcpp. Prints "consumer: ok" and returns 0.
#include <exception>
#include <iostream>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/version.hpp"

int main() {
  try {
    // The validation split that fastai makes with numpy's seed 2.
    const auto order = fastcpp::numpy_permutation(2, 7390);
    std::cout << "fastcpp " << FASTCPP_VERSION_MAJOR << '.' << FASTCPP_VERSION_MINOR << '.'
              << FASTCPP_VERSION_PATCH << ", first of the split: " << order.front() << '\n';
    try {
      fastcpp::ls("no such folder");
      std::cerr << "consumer: an error was expected\n";
      return 1;
    } catch (const fastcpp::IoError& error) {
      std::cout << "as expected: " << error.code() << '\n';
    }
    std::cout << "consumer: ok\n";
    return order.front() == 564 ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "consumer: " << error.what() << '\n';
    return 1;
  }
}
