// A pack of a file that is open already; where a name leads into a container.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "fastcpp/io/pack.hpp"
#include "io/file_access.hpp"

namespace fastcpp::inline v0 {

// What may make one of an open file.
struct PackAccess {
  // As PackReader's constructor; `shown` is what messages call the file.
  static std::shared_ptr<const PackReader> open(std::unique_ptr<io::FileReader> file,
                                                std::string shown);
};

namespace io {

// The place of the first '/' at or behind `from` that follows an `ending` (".tar") and has something behind it, in the part of a name
// that may be a file: the server of an address is none. npos: there is none.
std::size_t behind_ending(std::string_view name, std::string_view ending, std::size_t from = 0);

}  // namespace io
}  // namespace fastcpp
